//! Retries and time limits: the same ones as a route of Envoy's own and as ours, side by side in one Envoy, in front of the
//! same destination, which answers by plan. Requests to both must come to the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use meshgate_host_tests::cases::Configuration;
use meshgate_host_tests::envoy::bootstrap::echo_bootstrap;
use meshgate_host_tests::envoy::client::{self, request_head};
use meshgate_host_tests::envoy::delivery::manager;
use meshgate_host_tests::envoy::{Envoy, Settings, free_ports};
use meshgate_host_tests::upstream::{Reply, Upstreams};
use serde_json::{Value, json};

use crate::pair::APP;
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("retries/answers", |tools| compare(tools, Protocol::Http1)),
    ("retries/streams", |tools| compare(tools, Protocol::Http2)),
    ("retries/no_connection", no_connection),
];

/// What a destination speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// A route.
#[derive(Clone, Debug)]
struct Policy {
    attempts: u32,
    per_try: Option<u32>,
    timeout: Option<u32>,
    /// What is written: `retryOn` and `retriableStatusCodes`.
    written: Value,
    /// What Envoy is told.
    on: String,
    codes: Vec<u16>,
}

impl Policy {
    fn on(on: &str) -> Policy {
        Policy {
            attempts: 2,
            per_try: None,
            timeout: None,
            written: json!({ "retryOn": on }),
            on: on.to_owned(),
            codes: Vec::new(),
        }
    }

    fn ours(&self, n: usize) -> Value {
        let mut retries = self.written.clone();
        retries["attempts"] = json!(self.attempts);
        if let Some(milliseconds) = self.per_try {
            retries["perTryTimeout"] = json!(format!("{milliseconds}ms"));
        }
        let mut options = json!({ "retries": retries });
        if let Some(milliseconds) = self.timeout {
            options["requestTimeout"] = json!(format!("{milliseconds}ms"));
        }
        json!({
            "matchers": [{ "uri": { "exact": format!("/{n}") } }],
            "options": options,
            "routeAction": { "destinations": [{ "kubeService": { "name": "app", "port": 80 } }] },
        })
    }

    fn native(&self, n: usize) -> Value {
        let seconds = |milliseconds: u32| json!(format!("{}s", f64::from(milliseconds) / 1000.0));
        let mut policy = json!({
            "retry_on": self.on,
            "num_retries": self.attempts,
            "retriable_status_codes": self.codes,
        });
        if let Some(milliseconds) = self.per_try {
            policy["per_try_timeout"] = seconds(milliseconds);
        }
        json!({
            "match": { "path": format!("/{n}") },
            "route": {
                "cluster": APP,
                "timeout": seconds(self.timeout.unwrap_or(0)),
                "retry_policy": policy,
            },
        })
    }
}

/// Every condition by itself, and what the conditions come to that are not written.
fn policies() -> Vec<Policy> {
    const CONDITIONS: [&str; 14] = [
        "5xx",
        "connect-failure",
        "envoy-ratelimited",
        "gateway-error",
        "http3-post-connect-failure",
        "refused-stream",
        "reset",
        "reset-before-request",
        "retriable-4xx",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ];
    const USUAL: &str =
        "connect-failure,refused-stream,retriable-status-codes,cancelled,unavailable";
    let mut policies: Vec<Policy> = CONDITIONS.map(Policy::on).to_vec();
    let written = |written: Value, on: &str, codes: &[u16]| Policy {
        written,
        codes: codes.to_vec(),
        ..Policy::on(on)
    };
    policies.extend([
        written(json!({}), USUAL, &[503]),
        Policy {
            attempts: 0,
            ..written(json!({}), USUAL, &[503])
        },
        Policy {
            attempts: 5,
            ..written(json!({}), USUAL, &[503])
        },
        written(
            json!({ "retriableStatusCodes": [418, 404] }),
            USUAL,
            &[404, 418],
        ),
        written(json!({ "retriableStatusCodes": [] }), USUAL, &[]),
        written(
            json!({ "retryOn": ["reset", "retriable-4xx"], "retriableStatusCodes": [500, 200] }),
            "reset,retriable-4xx,retriable-status-codes",
            &[200, 500],
        ),
        Policy::on("5xx,envoy-ratelimited,internal"),
    ]);
    policies
}

/// Routes with time limits.
fn limits() -> Vec<Policy> {
    let mut policies = Vec::new();
    for on in [
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "unavailable",
    ] {
        policies.push(Policy {
            attempts: 1,
            per_try: Some(400),
            ..Policy::on(on)
        });
    }
    for attempts in [0, 9] {
        for (per_try, timeout) in [(None, 300), (Some(400), 1000), (Some(2000), 300)] {
            policies.push(Policy {
                attempts,
                per_try,
                timeout: Some(timeout),
                ..Policy::on("5xx")
            });
        }
    }
    policies.push(Policy {
        attempts: 0,
        per_try: Some(300),
        ..Policy::on("5xx")
    });
    policies
}

/// What a destination does before it answers with 200.
fn plans(protocol: Protocol) -> Vec<Vec<Reply>> {
    let status = |status| Reply {
        status,
        ..Reply::default()
    };
    let grpc = |status: &str| Reply {
        headers: vec![("grpc-status".to_owned(), status.to_owned())],
        ..Reply::default()
    };
    let hang_up = Reply {
        hang_up: true,
        ..Reply::default()
    };
    let refused = Reply {
        refuse_stream: true,
        ..Reply::default()
    };
    let limited = |status| Reply {
        headers: vec![("x-envoy-ratelimited".to_owned(), "true".to_owned())],
        status,
        ..Reply::default()
    };
    let mut plans = vec![vec![hang_up.clone()], vec![hang_up.clone(); 9]];
    if protocol == Protocol::Http2 {
        plans.extend([
            vec![refused.clone()],
            vec![refused.clone(); 9],
            vec![refused, status(503), hang_up],
        ]);
        return plans;
    }
    for code in [200, 404, 409, 418, 429, 500, 502, 503, 504] {
        plans.extend([vec![status(code)], vec![status(code); 9]]);
    }
    plans.extend(["0", "1", "4", "8", "13", "14", "15"].map(|code| vec![grpc(code); 2]));
    plans.extend([
        vec![limited(429)],
        vec![limited(503)],
        vec![status(503), hang_up, status(500), grpc("14")],
    ]);
    plans
}

struct Pair {
    envoy: Envoy,
    servers: Upstreams,
    native: SocketAddr,
    ours: SocketAddr,
}

impl Pair {
    fn start(tools: &Tools, policies: &[Policy], change_cluster: impl Fn(&mut Value)) -> Pair {
        let first = free_ports(2).unwrap();
        let routes = policies.iter().enumerate();
        let (native, ours): (Vec<Value>, Vec<Value>) = routes
            .map(|(n, policy)| (policy.native(n), policy.ours(n)))
            .unzip();
        let configuration = Configuration::compile(&resources(&ours).to_string(), first);
        let program = configuration.program().unwrap();
        let servers = Upstreams::start([APP]).unwrap();
        let mut bootstrap =
            echo_bootstrap(&configuration.compiled, program, &tools.filter, &servers);
        // Nobody wants to wait for tests.
        bootstrap["layered_runtime"] = json!({ "layers": [
            { "name": "test", "static_layer": { "upstream.base_retry_backoff_ms": 1 } },
        ]});
        let resources = &mut bootstrap["static_resources"];
        resources["clusters"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(change_cluster);
        let mut ours = resources["listeners"][0].take();
        ours["name"] = json!("ours");
        let virtual_host = &mut manager(&mut ours)["route_config"]["virtual_hosts"][0];
        virtual_host["include_request_attempt_count"] = json!(true);
        virtual_host["include_attempt_count_in_response"] = json!(true);
        let mut own = ours.clone();
        own["name"] = json!("native");
        own["address"]["socket_address"]["port_value"] = json!(first + 1);
        let manager = manager(&mut own);
        manager["http_filters"].as_array_mut().unwrap().remove(0);
        manager["route_config"]["virtual_hosts"][0]["routes"] = json!(native);
        resources["listeners"] = json!([ours, own]);
        let envoy = Envoy::start(&Settings {
            binary: &tools.envoy,
            bootstrap: &bootstrap.to_string(),
            workers: 1,
        })
        .unwrap_or_else(|reason| panic!("{reason}"));
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Pair {
            native: address(first + 1),
            ours: address(first),
            servers,
            envoy,
        }
    }

    /// What becomes of a request: status and attempts as the client is told; what the destination got, and how often; how
    /// often Envoy says that it tried again.
    fn outcome(&self, address: SocketAddr, n: usize, plan: &[Reply], body: &[u8]) -> Outcome {
        let retries = || self.envoy.stat(&format!("cluster.{APP}.upstream_rq_retry"));
        let (requests, before) = (self.servers.requests(APP), retries());
        self.servers.set_next_replies(APP, plan.iter().cloned());
        let length = body.len().to_string();
        let method = if body.is_empty() { "GET" } else { "POST" };
        let path = format!("/{n}");
        let headers = [
            ("host", b"h".as_slice()),
            ("content-length", length.as_bytes()),
        ];
        let mut request = request_head(method, path.as_bytes(), headers);
        request.extend_from_slice(body);
        let response = client::send(address, &request).unwrap();
        let last = self.servers.last_request(APP);
        let echo: Option<Value> = serde_json::from_slice(&response.body).ok();
        Outcome {
            status: response.status,
            attempts: response.text("x-envoy-attempt-count").map(str::to_owned),
            own_answer: echo.is_none().then(|| response.body.clone()),
            tries: self.servers.requests(APP) - requests,
            body_length: last.map_or(0, |echo| echo.body_length),
            retries: retries().zip(before).map(|(after, before)| after - before),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: u16,
    attempts: Option<String>,
    own_answer: Option<Vec<u8>>,
    tries: u64,
    body_length: usize,
    retries: Option<u64>,
}

fn resources(routes: &[Value]) -> Value {
    json!({
        "apiVersion": "networking.enterprise.mesh.gloo.solo.io/v1beta1",
        "kind": "VirtualGateway",
        "metadata": { "name": "gw", "namespace": "test" },
        "spec": {
            "ingressGatewaySelectors": [{
                "portName": "http2",
                "destinationSelectors": [{ "kubeServiceMatcher": { "labels": { "istio": "ingressgateway" } } }],
            }],
            "connectionHandlers": [{ "http": { "routeConfig": [
                { "virtualHost": { "domains": ["*"], "routes": routes } },
            ] } }],
        },
    })
}

/// Differences between both sides, and all that came out at Envoy's own.
fn run(pair: &Pair, policies: &[Policy], plans: &[Vec<Reply>], body: &[u8]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut different = Vec::new();
    for (n, policy) in policies.iter().enumerate() {
        for plan in plans {
            let expected = pair.outcome(pair.native, n, plan, body);
            let own = pair.outcome(pair.ours, n, plan, body);
            if own != expected {
                let replies: Vec<_> = plan
                    .iter()
                    .map(|reply| (reply.status, &reply.headers))
                    .collect();
                different.push(format!(
                    "{policy:?}, {replies:?}: {own:?} is not {expected:?}"
                ));
            }
            outcomes.push(expected);
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    outcomes
}

/// The destination answers at once, or not at all.
fn compare(tools: &Tools, protocol: Protocol) {
    let policies = policies();
    let pair = Pair::start(tools, &policies, |cluster| {
        if protocol == Protocol::Http2 {
            cluster["typed_extension_protocol_options"] = json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            });
        }
    });
    let plans = plans(protocol);
    let mut outcomes = run(&pair, &policies, &plans, b"");
    // Bodies are sent again, while Envoy can keep them.
    outcomes.extend(run(&pair, &policies, &plans[..1], &[b'x'; 20_000]));
    outcomes.extend(run(
        &pair,
        &policies[..1],
        &plans[..1],
        &vec![b'x'; 4 << 20],
    ));
    if protocol == Protocol::Http1 {
        let limits = limits();
        let pair = Pair::start(tools, &limits, |_| ());
        let late = Reply {
            delay: Duration::from_secs(30),
            ..Reply::default()
        };
        outcomes.extend(run(
            &pair,
            &limits,
            &[vec![late.clone()], vec![late; 9]],
            b"",
        ));
    }
    let tries = |tries| outcomes.iter().any(|outcome| outcome.tries == tries);
    assert!([1, 2, 3].into_iter().all(tries), "{outcomes:?}");
}

/// Nobody listens where the destination should be.
fn no_connection(tools: &Tools) {
    let policies = policies();
    let mut pair = Pair::start(tools, &policies, |_| ());
    pair.servers.stop(APP);
    let outcomes = run(&pair, &policies, &[Vec::new()], b"");
    assert!(outcomes.iter().all(|outcome| outcome.status == 503));
    let retries = |retries| {
        outcomes
            .iter()
            .any(|outcome| outcome.retries == Some(retries))
    };
    assert!([0, 2, 5].into_iter().all(retries), "{outcomes:?}");
}
