//! What TrafficPolicies say about destinations: TLS to a server outside the mesh, and instances that are left alone.

use std::path::Path;
use std::thread;
use std::time::Duration;

use meshgate_compiler::manifest::istio::Attach;
use meshgate_host_tests::cases::Group;
use meshgate_host_tests::envoy::{Envoy, Settings};
use meshgate_host_tests::istio::{Authority, Certificate, Mesh, Tools, wait_for};
use meshgate_host_tests::upstream::Reply;
use serde_json::{Value, json};

use crate::Test;
use crate::shop::{GATEWAY, ask};

pub(crate) fn tests() -> Vec<Test> {
    type Run = fn(&Tools) -> Result<(), String>;
    let tests: [(&str, Run); 2] = [
        ("destinations/tls_to_a_server_outside", tls),
        ("destinations/failing_instances_are_left_alone", outliers),
    ];
    let tests = tests.into_iter();
    tests
        .map(|(name, test)| -> Test { (name.to_owned(), Box::new(test)) })
        .collect()
}

const HOST: &str = "api.payments.example";

/// The payments take TLS; the gateway sends them the host that its client has asked for.
fn payments() -> String {
    format!(
        "{GATEWAY}---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {{name: www, namespace: shop}}
spec:
  domains: [shop.example]
  routes: [{{name: pay, routeAction: {{destinations: [{{staticDestination: {{name: payments, namespace: shop}}}}]}}}}]
---
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {{name: payments, namespace: shop}}
spec:
  externalService:
    name: payments
    hosts: [{HOST}]
    ports: [{{number: 443, name: https, protocol: HTTPS}}]
---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: TrafficPolicy
metadata: {{name: payments, namespace: shop}}
spec:
  destinationSelector: [{{externalServiceRefs: {{externalServices: [{{name: payments, namespace: shop}}]}}}}]
  policy: {{mtls: {{istio: {{tlsMode: SIMPLE}}}}}}
"
    )
}

/// A server that takes TLS only, and tells in `x-server-name` what it was asked for.
fn server(binary: &Path, certificate: &Certificate) -> Result<Envoy, String> {
    let bootstrap = json!({ "static_resources": { "listeners": [{
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "listener_filters": [{
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector" },
        }],
        "filter_chains": [{
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": { "tls_certificates": [{
                        "certificate_chain": { "inline_string": certificate.chain },
                        "private_key": { "inline_string": certificate.key },
                    }] },
                },
            },
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "server",
                    "route_config": {
                        "response_headers_to_add": [{
                            "header": { "key": "x-server-name", "value": "%REQUESTED_SERVER_NAME%" },
                        }],
                        "virtual_hosts": [{
                        "name": "all",
                        "domains": ["*"],
                        "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }],
                    }],
                    },
                    "http_filters": [{
                        "name": "envoy.filters.http.router",
                        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
                    }],
                },
            }],
        }],
    }] } });
    Envoy::start(&Settings {
        binary,
        bootstrap: &bootstrap.to_string(),
        workers: 1,
    })
}

/// The object of a kind that meshgate has written for the payments.
fn written(mesh: &Mesh, kind: &str) -> Result<Value, String> {
    let mut manifests = mesh.manifests.iter();
    let found = manifests.find(|one| one.kind == kind);
    found
        .map(|one| one.object.clone())
        .ok_or_else(|| format!("there is no {kind}"))
}

/// Has the host of the payments be at a server.
fn lead_to(mesh: &Mesh, server: &Envoy) -> Result<(), String> {
    let address = server.listener().ok_or("the server does not listen")?;
    let mut entry = written(mesh, "ServiceEntry")?;
    let port = entry["spec"]["ports"][0]["name"].clone();
    let port = port.as_str().ok_or("a port without a name")?;
    entry["spec"]["resolution"] = json!("STATIC");
    entry["spec"]["endpoints"] = json!([{
        "address": address.ip().to_string(),
        "ports": { port: address.port() },
    }]);
    mesh.istiod.apply(&entry)
}

/// Asks until requests get this status and their connections are counted as this.
fn until(mesh: &mut Mesh, status: u16, counter: &str) -> Result<(), String> {
    let count = |mesh: &Mesh| {
        let proxy = mesh.proxies.first().ok_or("there is no proxy")?;
        proxy.count(counter)
    };
    let before = count(mesh)?;
    wait_for(counter, || {
        let (response, flags) = ask(mesh, "/pay", &[])?;
        let body = String::from_utf8_lossy(&response.body).into_owned();
        let name = response.text("x-server-name").map(str::to_owned);
        // Nobody but the server of that name may answer.
        if (response.status == 200) != (name.as_deref() == Some(HOST)) {
            return Err(format!("{} {flags} {name:?} {body}", response.status));
        }
        let is_good = response.status == status && count(mesh)? > before;
        Ok(is_good
            .then_some(())
            .ok_or_else(|| format!("{} {flags} {body}", response.status)))
    })
}

fn tls(tools: &Tools) -> Result<(), String> {
    let authority = || Authority::new().map_err(|error| error.to_string());
    let (trusted, stranger) = (authority()?, authority()?);
    let server = |authority: &Authority, host: &str| {
        let certificate = authority.issue_for_host(host);
        server(
            &tools.envoy,
            &certificate.map_err(|error| error.to_string())?,
        )
    };
    let payments_server = server(&trusted, HOST)?;
    // The host of the request is no reason to believe a server.
    let other_name = server(&trusted, "shop.example")?;
    let other_authority = server(&stranger, HOST)?;

    let group = Group::new("destinations", payments());
    let mut mesh = Mesh::start(tools, &group, Attach::Exclusive)?;
    (mesh.istiod.set_system_authority(trusted.root())).map_err(|error| error.to_string())?;
    // Until now the host is an echo server here, which is spoken to without TLS.
    mesh.deploy()?;
    lead_to(&mesh, &payments_server)?;
    wait_for("without TLS the server does not answer", || {
        let (response, _) = ask(&mut mesh, "/pay", &[])?;
        let is_refused = response.status == 503 || response.status == 502;
        Ok(is_refused
            .then_some(())
            .ok_or_else(|| format!("{}", response.status)))
    })?;

    let rule = written(&mesh, "DestinationRule")?;
    mesh.istiod.apply(&rule)?;
    until(&mut mesh, 200, ".ssl.handshake")?;
    lead_to(&mesh, &other_name)?;
    until(&mut mesh, 503, ".ssl.fail_verify_san")?;
    lead_to(&mesh, &other_authority)?;
    until(&mut mesh, 503, ".ssl.fail_verify_error")?;
    lead_to(&mesh, &payments_server)?;
    until(&mut mesh, 200, ".ssl.handshake")
}

/// How many errors in a row it takes.
const ERRORS: usize = 3;

/// Orders have a policy, and the stock has none.
fn shop() -> String {
    let route = |path: &str, service: &str, subset: &str| {
        format!(
            "  - {{name: {path}, matchers: [{{uri: {{prefix: /{path}}}}}], routeAction: {{destinations: [{{kubeService: {{name: {service}, namespace: shop, port: 80{subset}}}}}]}}}}\n"
        )
    };
    let version = |version: &str| format!(", subset: {{version: {version}}}");
    let routes = [
        route("orders-v1", "orders", &version("v1")),
        route("orders-v2", "orders", &version("v2")),
        route("stock-v1", "stock", &version("v1")),
        route("stock-v2", "stock", &version("v2")),
        route("orders", "orders", ""),
        route("stock", "stock", ""),
    ];
    format!(
        "{GATEWAY}---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {{name: www, namespace: shop}}
spec:
  domains: [shop.example]
  routes:
{}---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: TrafficPolicy
metadata: {{name: orders, namespace: shop}}
spec:
  destinationSelector: [{{kubeServiceMatcher: {{labels: {{app: orders}}}}}}]
  policy: {{outlierDetection: {{consecutiveErrors: {ERRORS}, baseEjectionTime: 300s}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: orders, namespace: shop, labels: {{app: orders}}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: stock, namespace: shop, labels: {{app: stock}}}}
spec: {{ports: [{{name: http, port: 80}}]}}
",
        routes.concat()
    )
}

/// Sends requests, one after the other: how often each status came back.
fn statuses(mesh: &mut Mesh, path: &str, requests: usize) -> Result<[usize; 3], String> {
    let mut counts = [0; 3];
    for _ in 0..requests {
        let (response, flags) = ask(mesh, path, &[])?;
        let at = match response.status {
            200 => 0,
            500 => 1,
            503 if flags == "UH" => 2,
            other => return Err(format!("{path}: {other} {flags}")),
        };
        counts[at] += 1;
    }
    Ok(counts)
}

fn outliers(tools: &Tools) -> Result<(), String> {
    let group = Group::new("destinations", shop());
    let mut mesh = Mesh::start(tools, &group, Attach::Exclusive)?;
    mesh.deploy()?;
    let failing = Reply {
        status: 500,
        ..Reply::default()
    };
    for service in ["orders", "stock"] {
        let pod = format!("outbound|80|version-v2|{service}.shop.svc.cluster.local");
        mesh.upstreams.set_reply(&pod, failing.clone());
    }
    for (path, left) in [("/orders", 0), ("/orders-v2", 2)] {
        let [_, failed, _] = statuses(&mut mesh, path, 60)?;
        // Both workers have to hear of it.
        if !(ERRORS..=2 * ERRORS).contains(&failed) {
            return Err(format!("{path}: {failed} requests failed"));
        }
        thread::sleep(Duration::from_millis(500));
        let then = statuses(&mut mesh, path, 60)?;
        if then[left] != 60 {
            return Err(format!("{path}: {then:?} after the instance is left alone"));
        }
    }
    // The others of the Service are not concerned, and a Service without a policy is asked again and again.
    let others = statuses(&mut mesh, "/orders-v1", 20)?;
    let [good, failed, nobody] = statuses(&mut mesh, "/stock", 60)?;
    match (others, nobody) {
        ([20, 0, 0], 0) if failed >= 10 && good >= 10 => Ok(()),
        _ => Err(format!("{others:?} and {good} {failed} {nobody}")),
    }
}
