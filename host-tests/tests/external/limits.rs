//! Rate limits that a service counts.

use std::time::Duration;

use meshgate_host_tests::proto::{
    Allowed, CheckResponse, Http, RateLimitRequest, RateLimitResponse, header, set,
};
use prost::Message;

use crate::authorization::pass;
use crate::gateway::{Gateway, echo, received, resources};
use crate::service::{Behaviour, Service, message};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("limits/descriptors", descriptors),
    ("limits/over_limit", over_limit),
    ("limits/failures", failures),
    ("limits/order", order),
];

const OK: i32 = 1;
const OVER_LIMIT: i32 = 2;

pub(crate) fn within() -> RateLimitResponse {
    RateLimitResponse {
        code: OK,
        ..RateLimitResponse::default()
    }
}

const CONFIGS: &str = "
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RateLimitServerConfig
metadata: {name: per-user, namespace: platform, labels: {limits: shop}}
spec: {raw: {descriptors: []}}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RateLimitClientConfig
metadata: {name: by-address, namespace: platform}
spec: {rateLimits: {raw: {rateLimits: [{actions: [{remoteAddress: {}}]}]}}}
";

fn start(tools: &Tools, settings: &str, service: &Service) -> Gateway {
    let all = "{rateLimit: {ratelimitServerConfigSelector: {labels: {limits: shop}}, raw: {rateLimits: [\
               {actions: [{genericKey: {descriptorValue: all}}, {requestHeaders: {headerName: X-User, descriptorKey: user}}, \
               {remoteAddress: {}}, {sourceCluster: {}}, {destinationCluster: {}}, \
               {headerValueMatch: {descriptorValue: get, headers: [{name: ':method', exactMatch: GET}]}}, \
               {metadata: {descriptorKey: plan, metadataKey: {key: none, path: [{key: plan}]}, defaultValue: free}}]}, \
               {setActions: [{genericKey: {descriptorValue: set}}]}, \
               {actions: [{headerValueMatch: {descriptorValue: bot, expectMatch: false, headers: [{name: user-agent, regexMatch: 'Mozilla.*'}]}}]}]}}}";
    let routes = [
        ("/all", all),
        (
            "/reference",
            "{rateLimit: {ratelimitClientConfigRef: {name: by-address}}}",
        ),
        (
            "/user",
            "{rateLimit: {raw: {rateLimits: [{actions: [{requestHeaders: {headerName: x-user, descriptorKey: user}}]}]}}}",
        ),
        ("/", "{}"),
    ];
    let resources = resources(&format!("{{rateLimit: {settings}}}"), &routes) + CONFIGS;
    Gateway::start(tools, &resources, &[("rate-limiter", service.address)], 1)
}

/// Descriptors of the last question, as text.
pub(crate) fn asked(service: &Service) -> Vec<String> {
    let asked = service.last();
    assert_eq!(
        asked.path,
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
    );
    let request = RateLimitRequest::decode(asked.body.as_slice()).unwrap();
    assert_eq!(request.domain, "solo.io");
    let descriptors = request.descriptors.iter().map(|descriptor| {
        let entries = descriptor.entries.iter();
        let entries: Vec<_> = entries
            .map(|entry| format!("{}={}", entry.key, entry.value))
            .collect();
        entries.join("|")
    });
    descriptors.collect()
}

fn descriptors(tools: &Tools) {
    let service = Service::start(message(&within()));
    let gateway = start(tools, "{}", &service);
    let headers: &[(&str, &[u8])] = &[("x-user", b"jason"), ("user-agent", b"Mozilla/5.0")];
    echo(&gateway.send("GET", "/all", headers));
    let destination = "outbound|9080||shop.platform.svc.cluster.local";
    assert_eq!(
        asked(&service),
        [
            format!(
                "generic_key=platform.per-user|generic_key=all|user=jason|remote_address=127.0.0.1|\
                 source_cluster=meshgate|destination_cluster={destination}|header_match=get|plan=free"
            ),
            "generic_key=solo.setDescriptor.uniqueValue|generic_key=platform.per-user|generic_key=set".to_owned(),
        ]
    );
    // A descriptor that lacks an entry is not sent.
    echo(&gateway.get("/all"));
    assert_eq!(
        asked(&service),
        [
            "generic_key=solo.setDescriptor.uniqueValue|generic_key=platform.per-user|generic_key=set",
            "generic_key=platform.per-user|header_match=bot",
        ]
    );
    echo(&gateway.get("/reference"));
    assert_eq!(asked(&service), ["remote_address=127.0.0.1"]);
    let before = service.questions();
    for path in ["/user", "/"] {
        echo(&gateway.get(path));
    }
    assert_eq!(service.questions(), before, "there is nothing to count");
    gateway.assert_unharmed();
}

fn over_limit(tools: &Tools) {
    let answer = RateLimitResponse {
        code: OVER_LIMIT,
        response_headers: vec![
            header("x-ratelimit-remaining", "0"),
            header("retry-after", "17"),
            header("content-length", "999"),
        ],
        request_headers: Vec::new(),
    };
    let service = Service::start(message(&answer));
    let gateway = start(tools, "{}", &service);
    let response = gateway.get("/reference");
    assert_eq!(response.status, 429);
    assert_eq!(response.text("retry-after"), Some("17"));
    assert_eq!(response.text("x-ratelimit-remaining"), Some("0"));
    assert_eq!(response.text("x-envoy-ratelimited"), Some("true"));

    service.set(message(&RateLimitResponse {
        code: OK,
        response_headers: vec![header("x-ratelimit-remaining", "5")],
        request_headers: vec![header("x-counted", "1")],
    }));
    let response = gateway.get("/reference");
    assert_eq!(response.text("x-ratelimit-remaining"), Some("5"));
    assert_eq!(received(&echo(&response), "x-counted"), ["1"]);
    gateway.assert_unharmed();
}

fn failures(tools: &Tools) {
    for (settings, status) in [
        ("{requestTimeout: 100ms}", 200),
        ("{denyOnFail: true}", 500),
    ] {
        let service = Service::start(message(&within()));
        let gateway = start(tools, settings, &service);
        for failure in [
            message(&RateLimitResponse::default()),
            Behaviour::GrpcStatus(14),
            Behaviour::Message(b"rubbish".to_vec()),
            Behaviour::HangUp,
            Behaviour::Late(Duration::from_secs(5), within().encode_to_vec()),
        ] {
            service.set(failure.clone());
            let response = gateway.get("/reference");
            assert_eq!(response.status, status, "{settings} {failure:?}");
        }
        drop(service);
        assert_eq!(gateway.get("/reference").status, status, "{settings}, dead");
        gateway.assert_unharmed();
    }
}

/// Limits come after authorization, and see what it has changed; or before it, if so configured.
fn order(tools: &Tools) {
    let allowed = Allowed {
        headers: vec![set("x-user", "jason")],
        ..Allowed::default()
    };
    let auth = Service::start(message(&CheckResponse {
        http: Some(Http::Ok(allowed)),
        ..pass()
    }));
    let limiter = Service::start(message(&RateLimitResponse {
        code: OVER_LIMIT,
        ..RateLimitResponse::default()
    }));
    let both = "{extauth: {customAuth: {}}, rateLimit: {raw: {rateLimits: [{actions: [{requestHeaders: {headerName: x-user, \
                descriptorKey: user}}]}]}}}";
    let services = [
        ("ext-auth-service", auth.address),
        ("rate-limiter", limiter.address),
    ];
    for (limits, questions) in [("{}", 1), ("{rateLimitBeforeAuth: true}", 1)] {
        let options = format!("{{extauth: {{}}, rateLimit: {limits}}}");
        let gateway = Gateway::start(tools, &resources(&options, &[("/", both)]), &services, 1);
        let response = gateway.send("GET", "/", &[("x-user", b"mallory")]);
        assert_eq!(response.status, 429);
        // Before authorization, nobody was asked about authorization the second time.
        assert_eq!(auth.questions(), questions, "{limits}");
        let expected = match limits {
            "{}" => "user=jason",
            _ => "user=mallory",
        };
        assert_eq!(asked(&limiter), [expected]);
        gateway.assert_unharmed();
    }
}
