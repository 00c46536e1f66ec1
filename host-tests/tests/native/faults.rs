//! Faults: `faultInjection` and Envoy's fault filter.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::pair::{APP, Differences, Pair, Seen, Twin, Twins};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("faults/aborts", aborts),
    ("faults/delays", delays),
    ("faults/before_other_policies", before_other_policies),
    ("faults/one_of_two", one_of_two),
];

const FAULT: &str = "envoy.filters.http.fault";

/// How the proxy marks a request for gRPC, which is answered in the way of gRPC.
const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn fault(fields: &Value) -> Value {
    let mut fault =
        json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"});
    for (name, value) in fields.as_object().into_iter().flatten() {
        fault[name] = value.clone();
    }
    fault
}

fn with_fault(fields: &Value) -> Value {
    json!({"typed_per_filter_config": {FAULT: fault(fields)}})
}

fn share(percentage: u32) -> Value {
    json!({"numerator": percentage, "denominator": "HUNDRED"})
}

fn abort(status: u16, percentage: u32) -> Twin {
    let ours = json!({"abort": {"httpStatus": status}, "percentage": percentage});
    Twin {
        ours: json!({"options": {"faultInjection": ours}}),
        native: with_fault(
            &json!({"abort": {"http_status": status, "percentage": share(percentage)}}),
        ),
    }
}

fn delay(time: &str, percentage: u32) -> Twin {
    let ours = json!({"fixedDelay": time, "percentage": percentage});
    Twin {
        ours: json!({"options": {"faultInjection": ours}}),
        native: with_fault(
            &json!({"delay": {"fixed_delay": time, "percentage": share(percentage)}}),
        ),
    }
}

fn twins(routes: Vec<Twin>) -> Twins {
    Twins {
        routes,
        filters: vec![(FAULT, fault(&json!({})))],
        ..Twins::default()
    }
}

/// A twin of a route that does something else than forward.
fn answering(twin: &Twin, ours: (&str, Value), native: (&str, Value)) -> Twin {
    let mut twin = twin.clone();
    twin.ours[ours.0] = ours.1;
    twin.native[native.0] = native.1;
    twin
}

fn aborts(tools: &Tools) {
    const STATUSES: [u16; 16] = [
        200, 201, 204, 205, 206, 300, 304, 400, 401, 403, 404, 418, 429, 500, 503, 599,
    ];
    let mut routes: Vec<Twin> = STATUSES
        .into_iter()
        .flat_map(|status| [abort(status, 100), abort(status, 0)])
        .collect();
    for twin in [abort(503, 100), abort(503, 0)] {
        routes.push(answering(
            &twin,
            (
                "directResponseAction",
                json!({"status": 203, "body": "hello"}),
            ),
            (
                "direct_response",
                json!({"status": 203, "body": {"inline_string": "hello"}}),
            ),
        ));
        routes.push(answering(
            &twin,
            ("redirectAction", json!({"pathRedirect": "/new"})),
            ("redirect", json!({"path_redirect": "/new"})),
        ));
    }
    // Inherited from the virtual host.
    let inherits = routes.len();
    routes.push(Twin {
        ours: json!({}),
        native: json!({}),
    });
    let pair = Pair::start(
        tools,
        &Twins {
            policy: json!({"faultInjection": {"abort": {"httpStatus": 502}}}),
            native_host: with_fault(
                &json!({"abort": {"http_status": 502, "percentage": share(100)}}),
            ),
            ..twins(routes)
        },
    );
    let mut differences = Differences::default();
    let mut statuses = Vec::new();
    for route in 0..=inherits {
        for method in ["GET", "POST", "HEAD", "OPTIONS"] {
            for headers in [vec![], vec![GRPC], vec![("content-length", "0")]] {
                let answers = pair.ask(route, method, "/a?b", &headers);
                differences.compare(&answers, || format!("route {route}, {method} {headers:?}"));
                let [ours, _] = answers;
                assert_eq!(
                    ours.body.is_empty(),
                    ours.body != "fault filter abort" && ours.body != "hello"
                );
                statuses.push(ours.status);
            }
        }
    }
    differences.assert_none();
    for status in STATUSES.into_iter().chain([203, 301, 502]) {
        assert!(statuses.contains(&status), "{status} was never seen");
    }
    // An abort is no request for the upstream, and no abort is one for each listener.
    let passed = pair.upstreams.requests(APP);
    pair.ask(0, "GET", "/", &[]);
    pair.ask(inherits, "GET", "/", &[]);
    assert_eq!(pair.upstreams.requests(APP), passed);
    pair.ask(1, "GET", "/", &[]);
    assert_eq!(pair.upstreams.requests(APP), passed + 2);
    pair.assert_unharmed();
}

fn delays(tools: &Tools) {
    const TIME: Duration = Duration::from_millis(150);
    let hour = delay("3600s", 0);
    let answering = answering(
        &delay("0.150s", 100),
        ("directResponseAction", json!({"status": 203})),
        ("direct_response", json!({"status": 203})),
    );
    // One of them takes an hour, for none of the requests.
    let routes = vec![delay("0.150s", 100), hour, answering];
    let pair = Pair::start(tools, &twins(routes));
    let mut differences = Differences::default();
    for route in 0..3 {
        for method in ["GET", "POST"] {
            let before = Instant::now();
            let answers = pair.ask(route, method, "/a", &[GRPC]);
            let waited = before.elapsed();
            assert!(route == 1 || waited >= 2 * TIME, "{waited:?}");
            assert!(matches!(answers[0].status, 200 | 203));
            differences.compare(&answers, || format!("route {route}, {method}"));
        }
    }
    differences.assert_none();
    pair.assert_unharmed();
}

/// A fault comes first: whoever may not send the request sees it, too.
fn before_other_policies(tools: &Tools) {
    const CORS: &str = "envoy.filters.http.cors";
    const RBAC: &str = "envoy.filters.http.rbac";
    const ALLOWED: &str = "access-control-allow-origin";
    let rbac = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3";
    let policies = json!({
        "corsPolicy": {"allowOrigins": [{"exact": "http://a.com"}], "allowMethods": ["PUT"]},
        "authorization": {"rules": [{"methods": ["PUT"]}]},
        "headerManipulation": {"appendResponseHeaders": {"x-level": "route"}},
    });
    let native = json!({
        CORS: {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
            "allow_origin_string_match": [{"exact": "http://a.com"}],
            "allow_methods": "PUT",
        },
        RBAC: {"@type": format!("{rbac}.RBACPerRoute"), "rbac": {"rules": {"action": "ALLOW", "policies": {"put": {
            "principals": [{"any": true}],
            "permissions": [{"header": {"name": ":method", "string_match": {"exact": "PUT"}}}],
        }}}}},
    });
    let mut routes = vec![abort(418, 100), abort(418, 0), delay("0.01s", 100)];
    for twin in &mut routes {
        for (name, policy) in policies.as_object().into_iter().flatten() {
            twin.ours["options"][name] = policy.clone();
        }
        for (name, config) in native.as_object().into_iter().flatten() {
            twin.native["typed_per_filter_config"][name] = config.clone();
        }
        twin.native["response_headers_to_add"] =
            json!([{"header": {"key": "x-level", "value": "route"}}]);
    }
    let cors = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"});
    let mut twins = twins(routes);
    twins.filters.push((CORS, cors));
    twins
        .filters
        .push((RBAC, json!({"@type": format!("{rbac}.RBAC")})));
    let pair = Pair::start(tools, &twins);
    let mut differences = Differences::default();
    let mut statuses = Vec::new();
    for route in 0..3 {
        for method in ["GET", "PUT", "OPTIONS"] {
            for origin in ["http://a.com", "http://evil"] {
                let headers = [("origin", origin), ("access-control-request-method", "PUT")];
                let [ours, native] = pair.ask(route, method, "/", &headers);
                statuses.push(ours.status);
                let is_own = ours.upstream.is_none();
                assert_eq!(ours.header("x-level"), Some("route"));
                let allowed = Some(origin).filter(|origin| *origin == "http://a.com");
                assert_eq!(ours.header(ALLOWED), allowed);
                // In Envoy only some of the answers that it makes itself have them.
                let rest = |seen: Seen| match is_own {
                    true => seen.without(&["x-level", ALLOWED]),
                    false => seen,
                };
                differences.compare(&[rest(ours), rest(native)], || {
                    format!("route {route}, {method} {headers:?}")
                });
            }
        }
    }
    differences.assert_none();
    for status in [200, 403, 418] {
        assert!(statuses.contains(&status), "{status} was never seen");
    }
    pair.assert_unharmed();
}

/// Where they differ: Envoy delays and then aborts, if a route says both; here a route says one of them, and does not have
/// the other from its virtual host.
fn one_of_two(tools: &Tools) {
    const TIME: Duration = Duration::from_millis(150);
    let both = json!({
        "delay": {"fixed_delay": "0.150s", "percentage": share(100)},
        "abort": {"http_status": 418, "percentage": share(100)},
    });
    let refused = Twin {
        ours: json!({"options": {"faultInjection": {"fixedDelay": "0.150s", "abort": {"httpStatus": 418}}}}),
        native: with_fault(&both),
    };
    let [ours, native] = Pair::refusals(tools, &refused);
    assert!(ours.contains("E0036"), "{ours}");
    assert_eq!(native, "");

    let route = Twin {
        ours: abort(418, 100).ours,
        native: with_fault(&both),
    };
    let pair = Pair::start(
        tools,
        &Twins {
            // Whoever waits for it gets no answer in time.
            policy: json!({"faultInjection": {"fixedDelay": "3600s"}}),
            ..twins(vec![route])
        },
    );
    let before = Instant::now();
    let answers = pair.ask(0, "GET", "/", &[]);
    // Envoy counts from the beginning of its turn, which is a little earlier.
    assert!(before.elapsed() >= TIME / 2);
    let mut differences = Differences::default();
    differences.compare(&answers, || "an abort".to_owned());
    differences.assert_none();
    assert_eq!(answers[0].status, 418);
    pair.assert_unharmed();
}
