//! Rate limits that the gateway counts by itself.

use std::time::Duration;

use serde_json::json;

use crate::Test;
use crate::gateway::{Gateway, Tools, resources};

pub(crate) const TESTS: &[Test] = &[
    ("local/shared_by_workers", shared_by_workers),
    ("local/refilled", refilled),
    ("local/like_envoys_own", like_envoys_own),
];

/// However many workers there are, as many requests pass as there are tokens.
fn shared_by_workers(tools: &Tools) {
    let routes = [
        (
            "/a",
            "{rateLimit: {local: {maxTokens: 100, fillInterval: 1h}}}",
        ),
        (
            "/b",
            "{rateLimit: {local: {maxTokens: 3, fillInterval: 1h}}}",
        ),
    ];
    let gateway = Gateway::start(tools, &resources("{}", &routes), &[], 4);
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let statuses = (0..50).map(|_| gateway.get("/a").status);
                    statuses.filter(|status| *status == 200).count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(passed, 100);
    let response = gateway.get("/a");
    assert_eq!(
        (response.status, &*response.body),
        (429, &b"local_rate_limited"[..])
    );
    assert_eq!(response.text("x-ratelimit-limit"), Some("100"));
    assert_eq!(response.text("x-ratelimit-remaining"), Some("0"));
    let seconds = |name| {
        response
            .text(name)
            .and_then(|text| text.parse::<u64>().ok())
    };
    assert!(seconds("retry-after").is_some_and(|left| (1..=3600).contains(&left)));
    assert_eq!(seconds("x-ratelimit-reset"), seconds("retry-after"));
    // The other bucket is untouched.
    let statuses: Vec<u16> = (0..4).map(|_| gateway.get("/b").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    gateway.assert_unharmed();
}

fn refilled(tools: &Tools) {
    let routes = [(
        "/",
        "{rateLimit: {local: {maxTokens: 2, tokensPerFill: 2, fillInterval: 2s}}}",
    )];
    let gateway = Gateway::start(tools, &resources("{}", &routes), &[], 1);
    let statuses = || {
        [
            gateway.get("/").status,
            gateway.get("/").status,
            gateway.get("/").status,
        ]
    };
    assert_eq!(statuses(), [200, 200, 429]);
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!(statuses(), [200, 200, 429]);
    gateway.assert_unharmed();
}

/// The same bucket in Envoy's own filter lets the same requests pass.
fn like_envoys_own(tools: &Tools) {
    let routes = [(
        "/",
        "{rateLimit: {local: {maxTokens: 4, tokensPerFill: 1, fillInterval: 1s}}}",
    )];
    let resources = resources("{}", &routes);
    let ours = Gateway::start(tools, &resources, &[], 1);
    let native = Gateway::start_with(tools, &resources, &[], 1, |bootstrap| {
        let listener = &mut bootstrap["static_resources"]["listeners"][0];
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
        manager["http_filters"][0] = json!({
            "name": "envoy.filters.http.local_ratelimit",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                "stat_prefix": "native",
                "token_bucket": {"max_tokens": 4, "tokens_per_fill": 1, "fill_interval": "1s"},
                "filter_enabled": always,
                "filter_enforced": always,
            },
        });
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"] =
            json!({"cluster": "outbound|9080||shop.platform.svc.cluster.local"});
    });
    // How long to wait before so many requests: never near the time of the next token.
    for (wait, count) in [(0, 6), (1_500, 3), (2_000, 4), (6_000, 6)] {
        std::thread::sleep(Duration::from_millis(wait));
        let answers = |gateway: &Gateway| -> Vec<(u16, Vec<u8>)> {
            let answers = (0..count).map(|_| gateway.get("/"));
            let body = |status, body| if status == 200 { Vec::new() } else { body };
            answers
                .map(|answer| (answer.status, body(answer.status, answer.body)))
                .collect()
        };
        assert_eq!(answers(&ours), answers(&native), "after {wait} ms");
    }
    ours.assert_unharmed();
}
