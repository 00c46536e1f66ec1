//! The ways to attach to a gateway, `--attach`. `BLESS=1 cargo test` writes the expected files anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::folder::{Folder, Outcome};
use crate::istio::{MODULE, golden, virtual_gateway};

const INVENTORY: &str = "\
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: istio-ingress, labels: {app: ingress}}
spec:
  type: LoadBalancer
  selector: {istio: ingress}
  ports:
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
  - {name: tcp, port: 9000, targetPort: 9001}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {ports: [{name: tcp, port: 5432}]}
";

fn gateway(port: &str, fields: &str) -> String {
    virtual_gateway(port, port, fields)
}

fn host(routes: &str) -> String {
    format!(
        "---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {{name: web, namespace: shop}}
spec:
  domains: [www.example.com]
  routes:
{routes}"
    )
}

const HTTP: &str = "connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]";

const TCP: &str = "connectionHandlers: [{tcp: {tcpHosts: [{destination: {kube: {name: db, namespace: shop, clusterName: east}}}]}}]";

fn compile(resources: &str, attach: &str) -> (Folder, Outcome) {
    let folder = Folder::new(&[("shop.yaml", resources)]);
    folder.write("east.yaml", INVENTORY.as_bytes());
    let args = ["compile", "shop.yaml", "--target", "istio", "-o", "out"];
    let inventory = ["--inventory", "east=east.yaml", "--format", "json"];
    let outcome = folder.run(&[&args[..], &inventory, &MODULE, &["--attach", attach]].concat());
    (folder, outcome)
}

#[test]
fn the_objects_of_the_examples() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for (attach, example) in [
        ("beside", "bookinfo"),
        ("beside", "mirror"),
        ("stable", "bookinfo"),
        ("stable", "mirror"),
    ] {
        let folder = Folder::new(&[]);
        let path = examples.join(example);
        let args = ["compile", path.to_str().unwrap(), "--target", "istio"];
        let rest = ["-o", "out", "--one-file", "--attach", attach];
        folder
            .run(&[&args[..], &rest[..], &MODULE[..]].concat())
            .ended_with(0);
        let text = fs::read_to_string(folder.path().join("out/cluster.yaml")).unwrap();
        golden(&format!("{attach}-{example}.yaml"), &text);
    }
}

#[test]
fn without_envoy_filter_headers_of_clients_are_refused_on_ports_with_requests() {
    let resources = gateway("http2", HTTP)
        + &gateway("tcp", TCP)
        + &host("  - {directResponseAction: {status: 200, body: hello}}\n");
    let (folder, outcome) = compile(&resources, "stable");
    outcome.ended_with(0);
    let place = "out/east/10-destinations/authorizationpolicy.istio-ingress.meshgate--ingress.json";
    let policy: Value =
        serde_json::from_slice(&fs::read(folder.path().join(place)).unwrap()).unwrap();
    let rules = serde_json::json!([{
        "to": [{ "operation": { "ports": ["8080"] } }],
        "when": [{ "key": "request.headers[x-meshgate-cluster]", "values": ["*"] }],
    }]);
    assert_eq!(policy["spec"]["rules"], rules);
    assert_eq!(policy["spec"]["action"], "DENY");
    let listeners = folder.path().join("out/east/20-listeners");
    for entry in fs::read_dir(listeners).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            !name.to_string_lossy().starts_with("envoyfilter"),
            "{name:?}"
        );
    }
}

#[test]
fn what_needs_an_envoy_filter_is_refused_without() {
    let limited = format!("options: {{perConnectionBufferLimitBytes: 65536}}\n  {HTTP}");
    let proxied = HTTP.replace(
        "{http:",
        "{connectionOptions: {enableProxyProtocol: true}, http:",
    );
    let settings = TCP.replace(
        "{tcpHosts:",
        "{options: {tcpProxySettings: {maxConnectAttempts: 3}}, tcpHosts:",
    );
    let direct = host("  - {directResponseAction: {status: 200, body: hello}}\n");
    let virtual_destination = host(
        "  - {name: far, routeAction: {destinations: [{virtualDestination: {name: db, namespace: shop}}]}}\n",
    ) + "---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualDestination
metadata: {name: db, namespace: shop}
spec:
  hostname: db.shop.global
  port: {number: 5432, protocol: http}
  static: {destinations: [{kubeService: {name: db, namespace: shop, clusterName: east}}]}
";
    for (resources, message) in [
        (
            gateway("http2", &limited) + &direct,
            "`options.perConnectionBufferLimitBytes` of virtual gateway `shop/http2` needs an EnvoyFilter",
        ),
        (
            gateway("http2", &proxied) + &direct,
            "`connectionOptions.enableProxyProtocol` of virtual gateway `shop/http2` needs an EnvoyFilter",
        ),
        (
            gateway("tcp", &settings),
            "`tcpProxySettings` of virtual gateway `shop/tcp` needs an EnvoyFilter",
        ),
        (
            gateway("http2", HTTP) + &virtual_destination,
            "virtual destination `shop/db`, which route `shop.web/far` goes to, needs an EnvoyFilter",
        ),
    ] {
        let (_, outcome) = compile(&resources, "exclusive");
        outcome.ended_with(0);
        let (folder, outcome) = compile(&resources, "stable");
        outcome.ended_with(1).said(message);
        assert!(!folder.path().join("out").exists());
    }
}

#[test]
fn many_routes_cost_time() {
    let mut routes = String::new();
    let mut services = String::new();
    for n in 0..301 {
        let destination = format!("{{kubeService: {{name: s{n}, namespace: shop, port: 80}}}}");
        writeln!(
            routes,
            "  - {{matchers: [{{uri: {{exact: /{n}}}}}], routeAction: {{destinations: [{destination}]}}}}"
        )
        .unwrap();
        write!(
            services,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}, namespace: shop}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n"
        )
        .unwrap();
    }
    let resources = gateway("http2", HTTP) + &host(&routes) + &services;
    let (_, outcome) = compile(&resources, "stable");
    outcome
        .ended_with(0)
        .said("can choose between 301 destinations");
}

#[test]
fn beside_others_the_route_is_put_before_theirs_on_the_ports_of_the_filter() {
    let bound = HTTP.replace(
        "connectionHandlers",
        "options: {bindAddress: 192.0.2.1}\n  connectionHandlers",
    );
    let tls = bound.replace(
        "{http:",
        "{connectionOptions: {sslConfig: {tlsMode: SIMPLE, secretName: cert}}, http:",
    );
    for (port, fields, matched) in [
        ("http2", HTTP, serde_json::json!({ "portNumber": 80 })),
        (
            "http2",
            &bound,
            serde_json::json!({ "name": "http.8080.192.0.2.1" }),
        ),
        (
            "https",
            &tls,
            serde_json::json!({ "name": "https.443.https-443.ingress--shop--https.istio-ingress.192.0.2.1" }),
        ),
    ] {
        let resources = gateway(port, fields)
            + &gateway("tcp", TCP)
            + &host("  - {directResponseAction: {status: 200, body: hello}}\n");
        let (folder, outcome) = compile(&resources, "beside");
        let outcome = outcome.ended_with(0);
        if port == "https" {
            outcome.said("virtual gateway `shop/https` has TLS");
        }
        let object = |place: &str| -> Value {
            let path = folder.path().join("out/east").join(place);
            serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
        };
        let filter = object("20-listeners/envoyfilter.istio-ingress.meshgate--ingress.json");
        let patches = filter["spec"]["configPatches"].as_array().unwrap();
        let of_routes: Vec<&Value> = patches
            .iter()
            .filter(|patch| patch["applyTo"] == "HTTP_ROUTE")
            .collect();
        assert_eq!(of_routes.len(), 1);
        assert_eq!(of_routes[0]["match"]["routeConfiguration"], matched);
        assert_eq!(of_routes[0]["patch"]["operation"], "INSERT_FIRST");
        let plugin = object("30-program/wasmplugin.istio-ingress.meshgate--ingress.json");
        assert_eq!(plugin["spec"]["pluginConfig"]["passOn"], true);
    }
}

#[test]
fn beside_others_a_gateway_does_not_redirect_their_requests() {
    let redirects = "connectionHandlers: [{connectionOptions: {httpsRedirect: true}}]";
    let (_, outcome) = compile(&gateway("http2", redirects), "beside");
    outcome.ended_with(1).said(
        "`httpsRedirect` of virtual gateway `shop/http2` would redirect the requests of others",
    );
}

#[test]
fn without_envoy_filter_the_routes_have_to_fit_into_an_object() {
    for (destinations, code, said) in [
        (1_000, 0, "and plain `kubectl apply` takes 262144"),
        (
            5_000,
            1,
            "error[E0714]: VirtualService `istio-ingress/meshgate--ingress` has 1",
        ),
    ] {
        let ports: Vec<String> = (1..=destinations)
            .map(|port| format!("{{name: p{port}, port: {port}}}"))
            .collect();
        let many = format!(
            "{INVENTORY}---\napiVersion: v1\nkind: Service\nmetadata: {{name: many, namespace: shop}}\nspec: {{ports: [{}]}}\n",
            ports.join(", ")
        );
        let routes: String = (1..=destinations)
            .map(|port| {
                format!(
                    "  - {{matchers: [{{uri: {{prefix: /{port}/}}}}], routeAction: {{destinations: [{{kubeService: {{name: many, namespace: shop, port: {port}}}}}]}}}}\n"
                )
            })
            .collect();
        let resources = gateway("http2", HTTP) + &host(&routes);
        let folder = Folder::new(&[("shop.yaml", &resources), ("east.yaml", &many)]);
        let args = ["compile", "shop.yaml", "--target", "istio", "-o", "out"];
        let inventory = ["--inventory", "east=east.yaml", "--attach", "stable"];
        folder
            .run(&[&args[..], &inventory, &MODULE].concat())
            .ended_with(code)
            .said(said);
    }
}
