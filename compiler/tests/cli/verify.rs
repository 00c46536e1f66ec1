//! `meshgate verify`, with config dumps in files.

use serde_json::{Value, json};

use crate::folder::{Folder, GATEWAY, HOST};

/// A folder with a program, and a config dump of a gateway that was given `configuration`.
fn folder(configuration: &Value, clusters: &[&str]) -> Folder {
    let folder = Folder::new(&[]);
    let route = json!({
        "match": { "prefix": "/" },
        "route": { "cluster_header": "x-meshgate-cluster" },
        "request_headers_to_remove": ["x-meshgate-cluster"],
    });
    let filter = "extensions.istio.io/wasmplugin/istio-ingress.meshgate";
    let clusters: Vec<Value> = clusters
        .iter()
        .map(|name| json!({ "cluster": { "name": name } }))
        .collect();
    let dump = json!({ "configs": [
        { "dynamic_listeners": [{ "name": "http", "active_state": { "listener": {
            "name": "http",
            "filter_chains": [{ "filters": [{ "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "http_filters": [{ "name": filter, "config_discovery": { "type_urls": [] } }],
                "route_config": { "virtual_hosts": [{ "routes": [route] }] },
            } }] }],
        } } }] },
        { "ecds_filters": [{ "ecds_filter": { "name": filter, "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": { "root_id": "meshgate", "configuration": configuration },
        } } }] },
        { "static_clusters": clusters },
    ] });
    folder.write("dump.json", dump.to_string().as_bytes());
    folder
}

/// A string, as Istio sends the configuration.
fn string(json: &Value) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.to_string() })
}

/// Routes enough that their program is worth compressing.
fn many_routes() -> String {
    let mut host = HOST.to_owned();
    for number in 0..100 {
        host.push_str(&format!(
            "  - name: page-{number}\n    matchers: [{{uri: {{exact: /pages/{number}}}}}]\n    directResponseAction: {{status: 200, body: page}}\n"
        ));
    }
    host
}

/// The plugin configuration that `compile --target istio` writes, and the program of the same resources.
fn compiled() -> (Value, Vec<u8>) {
    let inventory = "\
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: istio-ingress, labels: {istio: ingressgateway}}
spec: {type: LoadBalancer, selector: {istio: ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: bookinfo}
spec: {ports: [{name: http, port: 9080}]}
";
    let host = many_routes();
    let folder = Folder::new(&[("gateway.yaml", GATEWAY), ("host.yaml", &host)]);
    folder.write("inventory/east.yaml", inventory.as_bytes());
    let compile = |more: &[&str]| {
        let args = ["compile", "gateway.yaml", "host.yaml", "--generation", "g7"];
        let inventory = ["--inventory", "east=inventory/east.yaml"];
        folder
            .run(&[&args[..], &inventory, more].concat())
            .ended_with(0);
    };
    compile(&[
        "--target",
        "istio",
        "-o",
        "out",
        "--module",
        "file:///f.wasm",
        "--format",
        "json",
    ]);
    compile(&["--target", "program", "--output-dir", "programs"]);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let plugin = std::fs::read_dir(folder.path().join("out/east/30-program"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let plugin: Value = serde_json::from_slice(&std::fs::read(plugin.path()).unwrap()).unwrap();
    let program = read("programs/east/istio-ingress.ingress.bin");
    (plugin["spec"]["pluginConfig"].clone(), program)
}

const CLUSTER: &str = "outbound|9080||ratings.bookinfo.svc.cluster.local";

#[test]
fn what_istio_is_given_is_what_the_gateway_serves() {
    let (configuration, program) = compiled();
    assert_eq!(configuration["program"]["encoding"], "zlib+base64");
    // Istio sends text; a Struct comes to the same.
    let message =
        json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": configuration });
    for configuration in [string(&configuration), message] {
        let folder = folder(&configuration, &[CLUSTER]);
        folder.write("routes.bin", &program);
        let args = [
            "verify",
            "--config-dump",
            "dump.json",
            "--program",
            "routes.bin",
        ];
        let text = folder.run(&args).ended_with(0).text();
        assert!(
            text.contains("ok       listener `http` serves generation `g7`\n"),
            "{text}"
        );
        let report = folder
            .run(&[&args[..], &["--format", "json"]].concat())
            .ended_with(0)
            .json();
        assert_eq!(
            (&report["ok"], &report["generations"]),
            (&json!(true), &json!(["g7"]))
        );
    }
}

#[test]
fn what_is_wrong_is_said_and_makes_the_command_fail() {
    let (configuration, _) = compiled();
    let look = |folder: &Folder| {
        folder
            .run(&["verify", "--config-dump", "dump.json"])
            .ended_with(1)
            .text()
    };
    let text = look(&folder(&string(&configuration), &[]));
    assert!(
        text.contains(&format!("WRONG    cluster `{CLUSTER}` does not exist")),
        "{text}"
    );

    let mut cut = configuration;
    let data = cut["program"]["data"].as_str().unwrap()[..40].to_owned();
    cut["program"]["data"] = json!(data);
    let text = look(&folder(&string(&cut), &[CLUSTER]));
    assert!(text.contains("cannot be decompressed"), "{text}");
    let text = look(&folder(&string(&json!({ "program": {} })), &[CLUSTER]));
    assert!(text.contains("there is no `program.data` in it"), "{text}");
}

/// A module may have the program in it, so its absence elsewhere is no fault by itself.
#[test]
fn without_a_program_it_cannot_be_told() {
    let folder = folder(&Value::Null, &[CLUSTER]);
    let text = folder
        .run(&["verify", "--config-dump", "dump.json"])
        .ended_with(0)
        .text();
    assert!(
        text.contains("unknown  listener `http` has no program in its configuration"),
        "{text}"
    );
}

#[test]
fn files_that_are_no_config_dump_are_refused() {
    let folder = Folder::new(&[("dump.json", "{}"), ("text", "x")]);
    let look = |args: &[&str]| folder.run(&[&["verify"], args].concat()).ended_with(2);
    look(&["--config-dump", "dump.json"]).said("this is no config dump");
    look(&["--config-dump", "text"]).said("the config dump is not JSON");
    look(&["--config-dump", "none"]).said("cannot read `none`");
    look(&["--config-dump", "dump.json", "--program", "text"])
        .said("`text`: not a meshgate routing program");
    look(&["--admin", "http://127.0.0.1:1"]).said("cannot read `http://127.0.0.1:1/config_dump`");
}
