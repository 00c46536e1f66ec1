//! Gateways that forward connections as they are.

use std::fs;

use serde_json::{Value, json};

use crate::folder::{Folder, Outcome};
use crate::istio::{MODULE, files, golden, virtual_gateway};

const DATABASE: &str = "\
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {name: legacy, namespace: shop}
spec:
  externalService:
    name: legacy
    hosts: [db.legacy.example.com]
    ports: [{number: 5432, name: tls, protocol: TLS}]
    endpoints: [{address: 192.0.2.7, ports: {tls: 5433}}]
";

const INVENTORY: &str = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: ingress, namespace: istio-ingress, labels: {app: ingress}}
  spec:
    type: LoadBalancer
    selector: {istio: ingress}
    ports:
    - {name: tcp, port: 9000, targetPort: 9001}
    - {name: passed, port: 443, targetPort: 8443}
    - {name: ended, port: 8443, targetPort: 9443}
    - {name: tls, port: 15443, targetPort: 15443}
    - {name: http2, port: 80, targetPort: 8080}
- apiVersion: v1
  kind: Service
  metadata: {name: db, namespace: data}
  spec: {ports: [{name: tcp, port: 5432}]}
";

fn gateway(name: &str, port: &str, handler: &str) -> String {
    virtual_gateway(name, port, &format!("connectionHandlers: [{handler}]"))
}

const HOSTS: &str = "tcpHosts: [{name: db, destination: {kube: {name: db, namespace: data, clusterName: east}, weight: 3}}, {name: old, destination: {static: {name: legacy, namespace: shop}, weight: 1}}]";

fn all() -> String {
    [
        DATABASE.to_owned(),
        gateway(
            "plain",
            "tcp",
            &format!(
                "{{connectionOptions: {{enableProxyProtocol: true}}, tcp: {{{HOSTS}, \
                 options: {{tcpProxySettings: {{maxConnectAttempts: 3, idleTimeout: 90s}}}}}}}}"
            ),
        ),
        gateway(
            "passed",
            "passed",
            "{connectionMatch: {serverNames: [db.example.com, '*.db.example.com']}, connectionOptions: {sslConfig: {tlsMode: PASSTHROUGH}}, \
             tcp: {tcpHosts: [{name: db, destination: {kube: {name: db, namespace: data, clusterName: east}}}]}}",
        ),
        gateway(
            "ended",
            "ended",
            "{connectionMatch: {serverNames: [q.example.com]}, connectionOptions: {sslConfig: {tlsMode: SIMPLE, secretName: q}}, \
             tcp: {tcpHosts: [{name: db, destination: {static: {name: legacy, namespace: shop}}}]}}",
        ),
        gateway(
            "named",
            "tls",
            "{connectionOptions: {sslConfig: {}}, tcp: {tcpHosts: [{name: any, destination: {forwardSniClusterName: {}}}]}}",
        ),
    ]
    .concat()
}

pub(crate) fn compile(folder: &Folder, more: &[&str]) -> Outcome {
    let args = [
        "compile",
        "shop.yaml",
        "--target",
        "istio",
        "-o",
        "out",
        "--inventory",
        "east=east.yaml",
    ];
    folder.run(&[&args[..], &MODULE, more].concat())
}

/// A folder with all of them.
pub(crate) fn folder() -> Folder {
    Folder::new(&[("shop.yaml", &all()), ("east.yaml", INVENTORY)])
}

#[test]
fn connections_have_routes_of_istio() {
    let folder = folder();
    compile(&folder, &["--one-file"]).ended_with(0);
    let text = fs::read_to_string(folder.path().join("out/east.yaml")).unwrap();
    golden("connections.yaml", &text);
}

#[test]
fn the_filter_is_only_on_ports_of_requests() {
    // No requests: no filter, and no placeholder for its routes.
    let folder = folder();
    compile(&folder, &[]).ended_with(0);
    let written = files(&folder.path().join("out"));
    assert!(
        written.iter().all(|file| !file.contains("wasmplugin")),
        "{written:?}"
    );
    let http = gateway(
        "web",
        "http2",
        "{http: {routeConfig: [{virtualHost: {domains: ['*'], routes: [{directResponseAction: {status: 200}}]}}]}}",
    );
    let folder = Folder::new(&[("shop.yaml", &(all() + &http)), ("east.yaml", INVENTORY)]);
    compile(&folder, &["--format", "json"]).ended_with(0);
    let path = "out/east/30-program/wasmplugin.istio-ingress.meshgate--ingress.json";
    let plugin: Value =
        serde_json::from_slice(&fs::read(folder.path().join(path)).unwrap()).unwrap();
    assert_eq!(
        plugin["spec"]["match"][0]["ports"],
        json!([{ "number": 8080 }])
    );
}

#[test]
fn server_names_are_of_no_use_to_a_gateway_that_decrypts() {
    let gateway = gateway(
        "named",
        "tls",
        "{connectionOptions: {sslConfig: {tlsMode: SIMPLE, secretName: q}}, tcp: {tcpHosts: [{name: any, destination: {forwardSniClusterName: {}}}]}}",
    );
    let folder = Folder::new(&[("shop.yaml", &gateway), ("east.yaml", INVENTORY)]);
    compile(&folder, &[])
        .ended_with(1)
        .said("decrypts connections and forwards them by server name");
}

#[test]
fn handlers_that_lead_nowhere_are_refused() {
    let folder = Folder::new(&[("shop.yaml", DATABASE), ("east.yaml", INVENTORY)]);
    let passed = "connectionOptions: {sslConfig: {}}";
    for (handler, message) in [
        (
            "{tcp: {tcpHosts: []}}".to_owned(),
            "this `tcp` handler has nowhere to send connections",
        ),
        (
            format!(
                "{{{passed}, tcp: {{tcpHosts: [{{destination: {{forwardSniClusterName: {{}}}}}}, {{destination: {{static: {{name: legacy}}}}}}]}}}}"
            ),
            "there cannot be other destinations",
        ),
        (
            "{tcp: {tcpHosts: [{destination: {static: {name: lost}}}]}}".to_owned(),
            "there is no Destination `shop/lost`",
        ),
        (
            "{tcp: {tcpHosts: [{destination: {static: {name: legacy}, weight: 2000000}}]}}"
                .to_owned(),
            "a weight",
        ),
    ] {
        folder.write(
            "shop.yaml",
            (DATABASE.to_owned() + &gateway("x", "tcp", &handler)).as_bytes(),
        );
        compile(&folder, &[]).ended_with(1).said(message);
    }
}

#[test]
fn an_envoy_without_a_mesh_forwards_connections_too() {
    let folder = Folder::new(&[("shop.yaml", &all()), ("filter.wasm", "")]);
    let args = [
        "compile",
        "shop.yaml",
        "--target",
        "envoy",
        "--filter",
        "filter.wasm",
        "-o",
        "envoy.json",
    ];
    folder
        .run(&args)
        .ended_with(1)
        .said("without a mesh there are no clusters of such names");
    let without = all().replace(
        "forwardSniClusterName: {}",
        "kube: {name: db, namespace: data}",
    );
    folder.write("shop.yaml", without.as_bytes());
    folder
        .run(&args)
        .ended_with(0)
        .said("terminates TLS, but port");
    let envoy: Value =
        serde_json::from_slice(&fs::read(folder.path().join("envoy.json")).unwrap()).unwrap();
    let listeners = envoy["static_resources"]["listeners"].as_array().unwrap();
    let named = |name: &str| listeners.iter().find(|one| one["name"] == name).unwrap();
    let passed = &named("shop/passed")["filter_chains"][0];
    assert_eq!(
        passed["filter_chain_match"]["server_names"],
        json!(["db.example.com", "*.db.example.com"])
    );
    let proxy = &named("shop/plain")["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(proxy["max_connect_attempts"], 3);
    assert_eq!(proxy["idle_timeout"], "90.000s");
    assert_eq!(proxy["weighted_clusters"]["clusters"][0]["weight"], 3);
}
