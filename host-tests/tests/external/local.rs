//! Rate limits that the gateway counts by itself.

use std::time::Duration;

use crate::gateway::{Gateway, resources};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("local/shared_by_workers", shared_by_workers),
    ("local/refilled", refilled),
    ("local/of_each_level", of_each_level),
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

/// The bucket of the most specific level counts, and only that one.
fn of_each_level(tools: &Tools) {
    let text = "
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: edge, namespace: platform}
spec:
  ingressGatewaySelectors: [{portName: http2}]
  connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: shop, namespace: platform}
spec:
  domains: ['*']
  options: {trafficPolicy: {rateLimit: {local: {maxTokens: 5, fillInterval: 1h}}}}
  routes:
  - {name: own, matchers: [{uri: {prefix: /own}}], delegateAction: {refs: [{name: own}]}}
  - {name: plain, matchers: [{uri: {prefix: /plain}}], delegateAction: {refs: [{name: plain}]}}
  - name: sets-own
    matchers: [{uri: {prefix: /sets/own}}]
    options: {rateLimit: {local: {maxTokens: 4, fillInterval: 1h}}}
    delegateAction: {refs: [{name: own}]}
  - name: sets-plain
    matchers: [{uri: {prefix: /sets/plain}}]
    options: {rateLimit: {local: {maxTokens: 4, fillInterval: 1h}}}
    delegateAction: {refs: [{name: plain}]}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RouteTable
metadata: {name: own, namespace: platform}
spec:
  options: {trafficPolicy: {rateLimit: {local: {maxTokens: 3, fillInterval: 1h}}}}
  routes:
  - matchers: [{uri: {prefix: /leaf}}]
    options: {rateLimit: {local: {maxTokens: 2, fillInterval: 1h}}}
    directResponseAction: {status: 200}
  - {directResponseAction: {status: 200}}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RouteTable
metadata: {name: plain, namespace: platform}
spec:
  routes:
  - matchers: [{uri: {prefix: /leaf}}]
    options: {rateLimit: {local: {maxTokens: 2, fillInterval: 1h}}}
    directResponseAction: {status: 200}
  - {directResponseAction: {status: 200}}
";
    let gateway = Gateway::start(tools, text, &[], 1);
    for (path, tokens) in [
        ("/plain", 5),
        ("/plain/leaf", 2),
        ("/own", 3),
        ("/sets/plain", 4),
        // The buckets of the leaves and of the table are the same in every place: they are empty.
        ("/sets/plain/leaf", 0),
        ("/own/leaf", 2),
        ("/sets/own", 0),
        ("/sets/own/leaf", 0),
    ] {
        let statuses = (0..7).map(|_| gateway.get(path).status);
        let passed = statuses.filter(|status| *status == 200).count();
        assert_eq!(passed, tokens, "{path}");
    }
    gateway.assert_unharmed();
}
