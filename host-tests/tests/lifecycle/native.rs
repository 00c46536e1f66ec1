//! Policies that Envoy has filters for: the same policy in an Envoy with its own filter and in one with ours, the same
//! requests to both, the same answers.

use std::net::SocketAddr;

use meshgate_host_tests::cases::Configuration;
use meshgate_host_tests::envoy::bootstrap::echo_bootstrap;
use meshgate_host_tests::envoy::client::{self, request_head};
use meshgate_host_tests::envoy::{Envoy, Settings};
use meshgate_host_tests::upstream::Upstreams;
use serde_json::{Value, json};

use crate::Test;
use crate::gateway::{Tools, wait_for};

pub(crate) const TESTS: &[Test] = &[("native/browser_policies", browser_policies)];

const RESOURCES: &str = r#"
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: gw, namespace: test}
spec:
  ingressGatewaySelectors: [{portName: http2, destinationSelectors: [{kubeServiceMatcher: {labels: {istio: ingressgateway}}}]}]
  connectionHandlers:
  - http:
      routeConfig:
      - virtualHost:
          domains: ["*"]
          routes:
          - name: all
            options:
              corsPolicy:
                allowOrigins: [{exact: "http://a.com"}, {suffix: ".b.com"}, {regex: "https://c[0-9]+"}]
                allowMethods: [GET, PUT]
                allowHeaders: [x-a, x-b]
                exposeHeaders: [x-c]
                maxAge: 60s
                allowCredentials: true
              csrf:
                filterEnabled: true
                additionalOrigins: [{exact: a.com}, {suffix: .b.com}, {regex: "c[0-9]+(:81)?"}, {exact: "null"}]
            routeAction: {destinations: [{kubeService: {name: app, port: 80}}]}
"#;

const CLUSTER: &str = "outbound|80||app.test.svc.cluster.local";

fn native(upstream: SocketAddr) -> Value {
    let csrf = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.csrf.v3.CsrfPolicy",
        "filter_enabled": { "default_value": { "numerator": 100 } },
        "additional_origins": [
            { "exact": "a.com" }, { "suffix": ".b.com" },
            { "safe_regex": { "regex": "c[0-9]+(:81)?" } }, { "exact": "null" },
        ],
    });
    let cors = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [
            { "exact": "http://a.com" }, { "suffix": ".b.com" }, { "safe_regex": { "regex": "https://c[0-9]+" } },
        ],
        "allow_methods": "GET,PUT",
        "allow_headers": "x-a,x-b",
        "expose_headers": "x-c",
        "max_age": "60",
        "allow_credentials": true,
    });
    let filter = |name: &str, config: Value| json!({ "name": name, "typed_config": config });
    json!({
        "static_resources": { "listeners": [{
            "name": "native",
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
            "filter_chains": [{ "filters": [filter("http", json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "native",
                "use_remote_address": true,
                "route_config": { "virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "typed_per_filter_config": { "envoy.filters.http.cors": cors },
                    "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "app" } }],
                }] },
                "http_filters": [
                    filter("envoy.filters.http.cors", json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors" })),
                    filter("envoy.filters.http.csrf", csrf),
                    filter("envoy.filters.http.router", json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" })),
                ],
            }))] }],
        }], "clusters": [{
            "name": "app",
            "type": "STATIC",
            "load_assignment": { "cluster_name": "app", "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
                "socket_address": { "address": upstream.ip().to_string(), "port_value": upstream.port() },
            } } }] }] },
        }] },
    })
}

fn ours(tools: &Tools, servers: &Upstreams) -> Value {
    let configuration = Configuration::compile(RESOURCES, 0);
    let program = configuration.program().unwrap();
    let mut bootstrap = echo_bootstrap(&configuration.compiled, program, &tools.filter, servers);
    bootstrap["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] =
        json!(0);
    bootstrap
}

fn start(tools: &Tools, bootstrap: &Value) -> (Envoy, SocketAddr) {
    let settings = Settings {
        binary: &tools.envoy,
        bootstrap: &bootstrap.to_string(),
        workers: 1,
    };
    let envoy = Envoy::start(&settings).unwrap_or_else(|reason| panic!("{reason}"));
    let address = wait_for("a listener", || envoy.listener());
    (envoy, address)
}

/// Everything about an answer that a policy has a say in.
fn answer(address: SocketAddr, request: &[u8]) -> (u16, Vec<u8>, Vec<Option<String>>) {
    const NAMES: [&str; 6] = [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-expose-headers",
        "access-control-max-age",
    ];
    let response = client::send(address, request).unwrap();
    let headers = NAMES.map(|name| response.text(name).map(str::to_owned));
    // The upstream tells what it got, such as the number of the request.
    let body = match response.status {
        200 => Vec::new(),
        _ => response.body.clone(),
    };
    (response.status, body, headers.to_vec())
}

const PAGES: [&str; 33] = [
    "",
    "null",
    "http://h",
    "https://h",
    "http://H",
    "h",
    "http://h:80",
    "http://h:81",
    "http://h/",
    "http://h/page?x#y",
    "http://h?x",
    "http://h#x",
    "http://h:",
    "http://h:65536",
    "http://user@h",
    "http://h@evil",
    "http://a@h@evil",
    "http://evil/h",
    "http://evil http://h",
    "http://[::1]",
    "http://[::1]:80/",
    "http://a.com",
    "http://a.com:80",
    "https://a.com",
    "http://x.b.com",
    "http://b.com",
    "https://c12",
    "https://c12:81",
    "https://c12.evil",
    "chrome-extension://h",
    "a+b.1://h",
    "//h",
    "http://h,http://evil",
];

fn browser_policies(tools: &Tools) {
    let servers = Upstreams::start([CLUSTER]).unwrap();
    let (_native, native) = start(tools, &native(servers.address(CLUSTER).unwrap()));
    let (_ours, ours) = start(tools, &ours(tools, &servers));
    let mut statuses = Vec::new();
    let mut different = Vec::new();
    for method in ["GET", "POST", "DELETE", "OPTIONS"] {
        for authority in ["h", "h:80", "h:81", "H", "[::1]", "h:"] {
            for page in PAGES {
                for header in ["origin", "referer"] {
                    let mut headers = vec![
                        ("host", authority.as_bytes()),
                        (header, page.as_bytes()),
                        ("content-length", b"0"),
                    ];
                    if method == "OPTIONS" {
                        headers.push(("access-control-request-method", b"PUT"));
                    }
                    let request = request_head(method, b"/", headers);
                    let expected = answer(native, &request);
                    statuses.push(expected.0);
                    let context = format!("{method} {authority} {header}: {page}");
                    let own = answer(ours, &request);
                    if own != expected {
                        different.push(format!("{context}: {own:?} is not {expected:?}"));
                    }
                }
            }
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    assert!(statuses.contains(&200) && statuses.contains(&403));
}
