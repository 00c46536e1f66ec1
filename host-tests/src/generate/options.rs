//! Generated options, and policies that have them.

use serde_json::{Value, json};

use crate::tokens::jwks;

/// A token of Jane's for the shop, signed with Ed25519, which ends in 2100.
pub(super) const TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkZHNhIn0.eyJhZG1pbiI6dHJ1ZSwiYXVkIjoic2hvcCIsImV4cCI6NDEwMjQ0NDgwMCwiaXNzIjoiaHR0cHM6Ly9pc3N1ZXIuZXhhbXBsZS5jb20iLCJsZXZlbCI6NywicmVhbG0iOnsicm9sZXMiOlsiYnV5ZXIiLCJhZG1pbiJdfSwic3ViIjoiamFuZSJ9.i1tIQcbAGe3lsaXJxlt4G0OM7d0DCPJBUMWr7pWd-teYhmhMdj548N-1qMJJ-TKiq9yGXZ1S7S8d7zpu0orrAQ";
/// The header that [`options`] look for a token in.
pub(super) const TOKEN_HEADER: &str = "x-2";

/// How many levels of options there are.
pub(super) const OPTIONS: usize = 20;

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
        9 => Some(json!({"authorization": {"rules": [
            {"methods": ["GET"], "headers": [{"name": "x-0", "value": "v[1-5]", "regex": true, "invertMatch": true}]},
            {"paths": [{"prefix": "/A", "ignoreCase": true}, {"regex": "/v[0-9]/?"}]},
            {"action": "DENY", "paths": [{"suffix": "b"}], "headers": [{"name": "x-1"}]},
        ]}})),
        10 => Some(json!({"extauth": {"configRef": {"name": "keys", "namespace": "t"}}})),
        11 => Some(json!({
            "jwt": {
                "issuers": [{
                    "issuer": "https://issuer.example.com",
                    "audiences": ["shop"],
                    "jwks": jwks().to_string(),
                }],
                "tokenFrom": {"header": TOKEN_HEADER, "prefix": ""},
                "claimsToHeaders": [{"claim": ["sub"], "header": "x-3"}],
                "allowMissing": true,
            },
            "authorization": {"rules": [
                {"from": {"claims": [{"claim": ["sub"], "values": [{"exact": "jane"}]}]}},
                {"paths": [{"prefix": "/a"}]},
            ]},
        })),
        12 => Some(json!({"stickiness": {"hashPolicies": [
            {"header": "x-0", "terminal": true}, {"cookie": {"name": "c"}}, {"header": "X-1"},
        ]}})),
        13 => Some(json!({"stickiness": {"hashPolicies": [
            {"header": "x-1"}, {"header": "via"},
        ]}})),
        14 => Some(json!({
            "extauth": {"customAuth": {"contextExtensions": {"level": "a", "x": "y"}}},
            "rateLimit": {"raw": {"rateLimits": [{"actions": [
                {"genericKey": {"descriptorValue": "all"}},
                {"requestHeaders": {"headerName": "X-3", "descriptorKey": "user"}},
            ]}]}},
        })),
        15 => Some(json!({"rateLimit": {"raw": {"rateLimits": [
            {"actions": [{"destinationCluster": {}}], "setActions": [{"remoteAddress": {}}]},
            {"actions": [{"headerValueMatch": {"descriptorValue": "h", "expectMatch": false, "headers": [
                {"name": "x-0", "regexMatch": "v[1-5]", "invertMatch": true},
                {"name": "x-1", "rangeMatch": {"start": -3, "end": 9}},
            ]}}]},
            {"actions": [{"headerValueMatch": {"descriptorValue": "m", "headers": [
                {"name": ":method", "exactMatch": "GET"}, {"name": "x-4", "presentMatch": true, "invertMatch": true},
            ]}}]},
        ]}}})),
        16 => Some(json!({"extauth": {"disable": true}})),
        _ => None,
    }
}

/// What [`options`] need besides routes.
pub(super) fn objects() -> impl Iterator<Item = Value> {
    api_keys().into_iter().chain(services())
}

/// What the AuthConfig of [`options`] is: one of the values that requests have in a header.
fn api_keys() -> [Value; 2] {
    let keys = json!({"headerName": "x-1", "apiKeySecretRefs": [{"name": "keys"}]});
    [
        json!({
            "apiVersion": "enterprise.gloo.solo.io/v1",
            "kind": "AuthConfig",
            "metadata": {"name": "keys", "namespace": "t"},
            "spec": {"configs": [{"apiKeyAuth": keys}]},
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "keys", "namespace": "t"},
            "stringData": {"api-key": "v1"},
        }),
    ]
}

/// The services that are asked about requests of routes with [`options`].
fn services() -> [Value; 2] {
    [("ext-auth-service", 8083), ("rate-limiter", 18081)].map(|(name, port)| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "t"},
            "spec": {"ports": [{"name": "grpc", "port": port}]},
        })
    })
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
