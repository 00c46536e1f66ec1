//! `requireTls` is Envoy's `require_tls`: who is redirected to https, and where.

use serde_json::{Value, json};

use crate::pair::{Differences, Pair, Twin, Twins};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("tls/strangers", strangers),
    ("tls/internal_clients", internal_clients),
    ("tls/behind_a_proxy", behind_a_proxy),
    ("tls/port_of_http", port_of_http),
];

/// The number of a route that there is, and of one that there is not.
const ROUTES: [usize; 2] = [0, 1];
const REQUESTS: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/a//b/%2F;x?b=1&c=%20?"),
    ("GET", "/?"),
    ("POST", "/a"),
    ("OPTIONS", "/a"),
];
const NOTHING_SAID: &[(&str, &str)] = &[("x-forwarded-proto", "")];
/// What clients say about themselves.
const CLAIMS: &[&[(&str, &str)]] = &[
    &[],
    &[("host", "H:8080")],
    &[("host", "[::1]")],
    &[("x-forwarded-proto", "https")],
    &[
        ("X-Forwarded-Proto", "https"),
        ("x-forwarded-proto", "https"),
    ],
    &[("x-forwarded-proto", "http")],
    &[("x-forwarded-proto", "ftp")],
    &[("x-envoy-internal", "true")],
    &[
        ("x-envoy-internal", "true"),
        ("x-forwarded-for", "10.0.0.1"),
    ],
    &[
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
    ],
    &[("forwarded", "proto=https"), ("x-forwarded-port", "443")],
    &[
        ("origin", "https://pages.example"),
        ("access-control-request-method", "PUT"),
    ],
];

fn start(tools: &Tools, require_tls: &str, manager: Value) -> Pair {
    let twins = Twins {
        routes: vec![Twin {
            ours: json!({}),
            native: json!({}),
        }],
        host: json!({"requireTls": require_tls}),
        native_host: json!({"require_tls": require_tls}),
        manager,
        ..Twins::default()
    };
    Pair::start(tools, &twins)
}

/// Sends all requests, and compares what becomes of them. How many were redirected, of how many.
fn compare(pair: &Pair) -> [usize; 2] {
    let (mut differences, mut redirected, mut sent) = (Differences::default(), 0, 0);
    for route in ROUTES {
        for (method, target) in REQUESTS {
            for claims in CLAIMS {
                let seen = pair.ask(route, method, target, claims);
                let [ours, _] = &seen;
                sent += 1;
                redirected += usize::from(ours.status == 301);
                differences.compare(&seen, || format!("{route} {method} {target} {claims:?}"));
            }
        }
    }
    differences.assert_none();
    pair.assert_unharmed();
    [redirected, sent]
}

fn strangers(tools: &Tools) {
    for require_tls in ["ALL", "EXTERNAL_ONLY"] {
        let pair = start(tools, require_tls, Value::Null);
        let [redirected, sent] = compare(&pair);
        assert_eq!(redirected, sent, "{require_tls}");
        let [ours, native] = pair.ask(0, "GET", "/", NOTHING_SAID);
        assert_eq!(ours, native);
    }
    let [redirected, _] = compare(&start(tools, "NONE", Value::Null));
    assert_eq!(redirected, 0);
}

fn internal_clients(tools: &Tools) {
    let loopback = json!({"address_prefix": "127.0.0.0", "prefix_len": 8});
    let manager = json!({"internal_address_config": {"cidr_ranges": [loopback]}});
    let [redirected, sent] = compare(&start(tools, "ALL", manager.clone()));
    assert_eq!(redirected, sent);
    // Those that come by way of others are not internal.
    let pair = start(tools, "EXTERNAL_ONLY", manager);
    let [redirected, sent] = compare(&pair);
    assert!(redirected < sent, "{redirected} of {sent}");
    let [ours, _] = pair.ask(0, "GET", "/", &[]);
    assert_eq!(ours.status, 200);
}

/// A proxy that is trusted says how clients came to it.
fn behind_a_proxy(tools: &Tools) {
    let pair = start(tools, "ALL", json!({"xff_num_trusted_hops": 1}));
    compare(&pair);
    for (scheme, status) in [("https", 200), ("http", 301)] {
        let said = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", scheme),
        ];
        let [ours, _] = pair.ask(0, "GET", "/", &said);
        assert_eq!(ours.status, status, "{scheme}");
    }
    // Envoy has no route for requests about which its proxy says nothing.
    let statuses = pair
        .ask(0, "GET", "/", NOTHING_SAID)
        .map(|seen| seen.status);
    assert_eq!(statuses, [301, 404]);
}

/// Where it differs from Envoy: there is no TLS at the port of http.
fn port_of_http(tools: &Tools) {
    let pair = start(tools, "ALL", Value::Null);
    let [ours, native] = pair.ask(0, "GET", "/a?b", &[("host", "h:80")]);
    assert_eq!(ours.header("location"), Some("https://h/a?b"));
    assert_eq!(native.header("location"), Some("https://h:80/a?b"));
    pair.assert_unharmed();
}
