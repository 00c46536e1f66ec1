//! Rate limits that the gateway counts by itself.

use std::time::Duration;

use crate::Test;
use crate::gateway::{Gateway, Tools, resources};

pub(crate) const TESTS: &[Test] = &[
    ("local/shared_by_workers", shared_by_workers),
    ("local/refilled", refilled),
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
