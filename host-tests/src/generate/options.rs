//! Generated options, and policies that have them.

use serde_json::{Value, json};

/// How many levels of options there are.
pub(super) const OPTIONS: usize = 14;

/// One of the levels of options; most are empty.
pub(super) fn options(number: usize) -> Option<Value> {
    match number {
        0 => Some(json!({
            "headerManipulation": {
                "appendRequestHeaders": {"x-0": "add"},
                "removeRequestHeaders": ["x-1"],
                "appendResponseHeaders": {"via": "r"},
            },
            "requestTimeout": "2s",
        })),
        1 => Some(
            json!({"retries": {"attempts": 2, "perTryTimeout": "150ms", "retryOn": "5xx,internal", "retriableStatusCodes": [404]}}),
        ),
        2 => Some(json!({
            "corsPolicy": {
                "allowOrigins": [{"exact": "v1"}, {"prefix": "V2", "ignoreCase": true}, {"suffix": "3"}, {"regex": "v[45]"}],
                "allowMethods": ["GET", "PUT"],
                "allowHeaders": ["*"],
                "exposeHeaders": ["x-0"],
                "allowCredentials": true,
            },
        })),
        3 => Some(json!({"faultInjection": {"abort": {"httpStatus": 503}, "percentage": 100}})),
        4 => Some(json!({"faultInjection": {"fixedDelay": "1ms"}})),
        5 => Some(
            json!({"csrf": {"filterEnabled": true, "additionalOrigins": [{"exact": "v1"}, {"suffix": "com"}]}}),
        ),
        6 => Some(json!({"csrf": {"shadowEnabled": true}})),
        7 => Some(json!({"mirror": {"kubeService": {"name": "m1"}, "port": 80}})),
        8 => Some(json!({"mirrors": [
            {"kubeService": {"name": "m2"}, "port": 80, "percentage": 100},
            {"kubeService": {"name": "m1"}, "port": 80, "percentage": 0},
            {"kubeService": {"name": "s1"}, "port": 80},
        ]})),
        9 => Some(json!({"stickiness": {"hashPolicies": [
            {"header": "x-0", "terminal": true}, {"cookie": {"name": "c"}}, {"header": "X-1"},
        ]}})),
        10 => Some(json!({"stickiness": {"hashPolicies": [
            {"header": "x-1"}, {"header": "via"},
        ]}})),
        _ => None,
    }
}

/// How many there are of the route selectors of [`policy`].
pub(super) const SELECTORS: usize = 5;

/// A TrafficPolicy with one of the levels of options, or one that shifts traffic.
pub(super) fn policy(selector: usize, level: usize) -> Value {
    let selector = match selector {
        0 => json!({}),
        1 => json!({"routeLabelMatcher": {"n": "1"}}),
        2 => json!({"virtualHostRefs": [{"name": "h0"}]}),
        3 => json!({"virtualHostRefs": [{"name": "h1"}], "routeTableRefs": [{"name": "t2"}]}),
        _ => json!({"routeTableSelector": {}, "routeLabelMatcher": {"n": "0"}}),
    };
    let shift = json!({"trafficShift": {"destinations": [
        {"kubeService": {"name": "s1", "port": 80}, "weight": 25},
        {"kubeService": {"name": "m1", "port": 80}, "weight": 75, "options": {
            "headerManipulation": {"appendRequestHeaders": {"x-d": "m"}},
        }},
    ]}});
    let service = json!({"name": "s1", "namespace": "t", "clusterName": "c"});
    json!({
        "routeSelector": [selector],
        "destinationSelector": [{"kubeServiceRefs": {"services": [service]}}],
        "policy": options(level).unwrap_or(shift),
    })
}
