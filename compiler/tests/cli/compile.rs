//! `meshgate compile`.

use std::fs;

use meshgate_engine::Program;
use serde_json::{Value, json};

use crate::folder::{Folder, GATEWAY, HOST};

const RATINGS: &str = "outbound|9080||ratings.bookinfo.svc.cluster.local";

/// A bootstrap for the files of a folder.
fn bootstrap(folder: &Folder, args: &[&str]) -> Value {
    let args = [
        &[
            "compile",
            ".",
            "--target",
            "envoy",
            "--filter",
            "/opt/filter.wasm",
        ],
        args,
    ]
    .concat();
    folder.run(&args).ended_with(0).json()
}

fn cluster<'b>(bootstrap: &'b Value, name: &str) -> &'b Value {
    let clusters = bootstrap["static_resources"]["clusters"]
        .as_array()
        .expect("clusters");
    clusters
        .iter()
        .find(|cluster| cluster["name"] == name)
        .unwrap_or_else(|| panic!("{name} is not in: {clusters:?}"))
}

fn addresses(cluster: &Value) -> Vec<(String, u64)> {
    let endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        .as_array()
        .expect("endpoints");
    endpoints
        .iter()
        .map(|endpoint| &endpoint["endpoint"]["address"]["socket_address"])
        .map(|address| {
            (
                address["address"].as_str().unwrap().to_owned(),
                address["port_value"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = Folder::shop();
    let program = |args: &[&str]| {
        folder
            .run(&[&["compile", "--target", "program"], args].concat())
            .ended_with(0)
            .stdout
    };
    let bytes = program(&["."]);
    assert_eq!(bytes, program(&["host.yaml", "gateway.yaml"]));
    assert_eq!(bytes, program(&["-f", "gateway.yaml", "host.yaml"]));
    folder
        .run(&["compile", ".", "--target", "program", "-o", "routes.bin"])
        .ended_with(0);
    assert_eq!(bytes, fs::read(folder.path().join("routes.bin")).unwrap());
    let program = Program::new(bytes).expect("a program");
    assert_eq!((program.gateways().len(), program.clauses()), (1, 3));
}

#[test]
fn errors_write_nothing() {
    let folder = Folder::new(&[
        ("gateway.yaml", GATEWAY),
        ("host.yaml", &HOST.replace("status: 203", "status: 99")),
    ]);
    let args = ["compile", ".", "--target", "program", "-o", "routes.bin"];
    let outcome = folder
        .run(&args)
        .ended_with(1)
        .said("./host.yaml:24:36")
        .said("--keep-going");
    assert_eq!(outcome.stdout, b"");
    assert!(!folder.path().join("routes.bin").exists());

    let outcome = folder
        .run(&[&args[..], &["--keep-going"]].concat())
        .ended_with(0)
        .said("./host.yaml:24:36");
    assert_eq!(outcome.stdout, b"");
    let program =
        Program::new(fs::read(folder.path().join("routes.bin")).unwrap()).expect("a program");
    assert_eq!(program.clauses(), 2, "the other routes are there");
}

#[test]
fn output_that_cannot_be_written() {
    let folder = Folder::shop();
    folder
        .run(&[
            "compile",
            ".",
            "--target",
            "program",
            "-o",
            "absent/routes.bin",
        ])
        .ended_with(1)
        .said("cannot write `absent/routes.bin`");
}

#[test]
fn the_filter_holds_the_program() {
    use base64::prelude::{BASE64_STANDARD, Engine};

    let folder = Folder::shop();
    let bootstrap = bootstrap(&folder, &["--port", "9000", "--listen", "::1"]);
    let listener = &bootstrap["static_resources"]["listeners"][0];
    assert_eq!(
        listener["address"]["socket_address"],
        json!({"address": "::1", "port_value": 9000})
    );
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    let config = &manager["http_filters"][0]["typed_config"]["config"];
    assert_eq!(
        config["vm_config"]["code"]["local"]["filename"],
        "/opt/filter.wasm"
    );
    let program = BASE64_STANDARD
        .decode(config["configuration"]["value"].as_str().unwrap())
        .unwrap();
    let compiled = folder
        .run(&["compile", ".", "--target", "program", "--port", "9000"])
        .ended_with(0)
        .stdout;
    assert_eq!(program, compiled);
    assert_eq!(bootstrap["admin"], Value::Null);
    assert_eq!(manager["access_log"], json!([]));
}

#[test]
fn every_gateway_has_a_port_of_its_own() {
    let folder = Folder::shop();
    folder.write(
        "second.yaml",
        GATEWAY.replace("name: www", "name: api").as_bytes(),
    );
    let bootstrap = bootstrap(&folder, &["--port", "9000", "--admin", "9901"]);
    let listeners = bootstrap["static_resources"]["listeners"]
        .as_array()
        .unwrap();
    let ports: Vec<_> = listeners
        .iter()
        .map(|l| {
            (
                l["name"].clone(),
                l["address"]["socket_address"]["port_value"].clone(),
            )
        })
        .collect();
    assert_eq!(
        ports,
        [
            (json!("shop/api"), json!(9000)),
            (json!("shop/www"), json!(9001))
        ]
    );
    assert_eq!(
        bootstrap["admin"]["address"]["socket_address"],
        json!({"address": "127.0.0.1", "port_value": 9901})
    );
    let args = ["compile", ".", "--target", "program", "--port", "65535"];
    folder
        .run(&args)
        .ended_with(2)
        .said("choose a lower `--port`");
}

#[test]
fn upstreams_come_from_flags_and_files() {
    let folder = Folder::shop();
    let ratings = |args: &[&str]| addresses(cluster(&bootstrap(&folder, args), RATINGS));
    let at = |host: &str, port: u64| (host.to_owned(), port);
    assert_eq!(
        ratings(&["--upstream", "ratings.bookinfo=[::1]:1"]),
        [at("::1", 1)]
    );
    let two = [
        "--upstream",
        "ratings.bookinfo=a:1",
        "--upstream",
        "ratings.bookinfo=b:2",
    ];
    assert_eq!(ratings(&two), [at("a", 1), at("b", 2)]);

    folder.write(
        "upstreams.yaml",
        b"upstreams:\n  ratings.bookinfo: [127.0.0.1:3, 127.0.0.1:4]\n",
    );
    assert_eq!(ratings(&[]), [at("127.0.0.1", 3), at("127.0.0.1", 4)]);
    let elsewhere = Folder::new(&[("more.yml", "upstreams: {ratings.bookinfo: 127.0.0.1:5}\n")]);
    let more = elsewhere.path().join("more.yml");
    let more = ["--upstreams", more.to_str().unwrap()];
    assert_eq!(ratings(&more), [at("127.0.0.1", 5)]);
    assert_eq!(
        ratings(&[&more[..], &["--upstream", "ratings.bookinfo=c:6"]].concat()),
        [at("c", 6)]
    );
}

#[test]
fn the_narrowest_upstream_counts() {
    let host = HOST.replace(
        "port: 9080}\n",
        "port: 9080, subset: {version: v2}}\n      - kubeService: {name: ratings, namespace: bookinfo, port: 81}\n      \
         - kubeService: {name: ratings, namespace: bookinfo, port: 82, subset: {version: v2}}\n",
    );
    let folder = Folder::new(&[("gateway.yaml", GATEWAY), ("host.yaml", &host)]);
    let bootstrap = bootstrap(
        &folder,
        &[
            "--upstream",
            "ratings.bookinfo=h:1",
            "--upstream",
            "ratings.bookinfo/version=v2=h:2",
            "--upstream",
            "ratings.bookinfo:82/version=v2=h:3",
            "--upstream",
            "ratings.bookinfo:82=h:4",
        ],
    );
    for (name, port) in [
        (
            "outbound|9080|version-v2|ratings.bookinfo.svc.cluster.local",
            2,
        ),
        ("outbound|81||ratings.bookinfo.svc.cluster.local", 1),
        (
            "outbound|82|version-v2|ratings.bookinfo.svc.cluster.local",
            3,
        ),
    ] {
        assert_eq!(
            addresses(cluster(&bootstrap, name)),
            [("h".to_owned(), port)],
            "{name}"
        );
    }
}

#[test]
fn destinations_without_upstream_are_named() {
    let folder = Folder::shop();
    let args = ["compile", ".", "--target", "envoy", "--filter", "f.wasm"];
    let outcome = folder
        .run(&args)
        .ended_with(0)
        .said("W0363")
        .said("--upstream ratings.bookinfo:9080=HOST:PORT");
    assert_eq!(addresses(cluster(&outcome.json(), RATINGS)), []);
}

#[test]
fn unknown_upstreams_are_errors() {
    let folder = Folder::shop();
    let args = [
        "compile",
        ".",
        "--target",
        "envoy",
        "--filter",
        "f.wasm",
        "--upstream",
        "ratngs.bookinfo=h:1",
    ];
    folder
        .run(&args)
        .ended_with(1)
        .said("E0362")
        .said("did you mean `ratings.bookinfo`?");
    folder.write(
        "upstreams.yaml",
        b"upstreams:\n  ratings.bookinfo: h:1\n  reviews.bookinfo: h:2\n",
    );
    folder
        .run(&args[..6])
        .ended_with(1)
        .said("./upstreams.yaml:3:3");
}

#[test]
fn mistakes_in_files_of_upstreams() {
    for (text, place) in [
        (
            "upstream: {ratings.bookinfo: h:1}\n",
            "./upstreams.yaml:1:1",
        ),
        ("upstreams: [ratings.bookinfo]\n", "./upstreams.yaml:1:12"),
        ("upstreams:\n  ratings: h:1\n", "./upstreams.yaml:2:3"),
        (
            "upstreams:\n  ratings.bookinfo: h\n",
            "./upstreams.yaml:2:21",
        ),
        (
            "upstreams:\n  ratings.bookinfo: [h:1, h:x]\n",
            "./upstreams.yaml:2:27",
        ),
        (
            "upstreams:\n  ratings.bookinfo: {host: h}\n",
            "./upstreams.yaml:2:21",
        ),
        ("- ratings.bookinfo\n", "./upstreams.yaml:1:1"),
    ] {
        let folder = Folder::shop();
        folder.write("upstreams.yaml", text.as_bytes());
        let args = ["compile", ".", "--target", "envoy", "--filter", "f.wasm"];
        folder.run(&args).ended_with(1).said("E0361").said(place);
    }
}

#[test]
fn declared_protocols_choose_http2() {
    let service = |port: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: ratings, namespace: bookinfo}}\nspec: {{ports: [{port}]}}\n"
        )
    };
    for (port, http2) in [
        ("{name: http, port: 9080}", false),
        ("{name: grpc, port: 9080}", true),
        ("{name: grpc-api, port: 9080}", true),
        ("{name: http2-api, port: 9080}", true),
        ("{name: http-grpc, port: 9080}", false),
    ] {
        let folder = Folder::shop();
        folder.write("service.yaml", service(port).as_bytes());
        let bootstrap = bootstrap(&folder, &["--upstream", "ratings.bookinfo=h:1"]);
        let options = &cluster(&bootstrap, RATINGS)["typed_extension_protocol_options"];
        assert_eq!(!options.is_null(), http2, "{port}");
    }
}

#[test]
fn static_destinations_know_where_they_are() {
    let destination = "\
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {name: legacy, namespace: shop}
spec:
  externalService:
    name: legacy
    hosts: [legacy.example.com]
    ports: [{number: 8000, name: http, protocol: HTTP}]
    endpoints: [{address: 10.1.2.3, ports: {http: 8001}}]
";
    let host = HOST.replace(
        "kubeService: {name: ratings, namespace: bookinfo, port: 9080}",
        "staticDestination: {name: legacy}",
    );
    let folder = Folder::new(&[
        ("gateway.yaml", GATEWAY),
        ("host.yaml", &host),
        ("legacy.yaml", destination),
    ]);
    let name = |bootstrap: &Value| {
        bootstrap["static_resources"]["clusters"][0]["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let own = bootstrap(&folder, &[]);
    assert_eq!(
        addresses(cluster(&own, &name(&own))),
        [("10.1.2.3".to_owned(), 8001)]
    );
    let given = bootstrap(&folder, &["--upstream", "legacy.shop=127.0.0.1:1"]);
    assert_eq!(
        addresses(cluster(&given, &name(&given))),
        [("127.0.0.1".to_owned(), 1)]
    );
}

#[test]
fn tls_is_not_served_and_that_is_said() {
    let tls = "  connectionHandlers:\n  - connectionOptions: {sslConfig: {tlsMode: SIMPLE, secretName: cert}}\n    http:";
    let gateway = GATEWAY
        .replace("  connectionHandlers: [{http:", tls)
        .replace("}}]}}]\n", "}}]}\n");
    let folder = Folder::new(&[("gateway.yaml", &gateway), ("host.yaml", HOST)]);
    let args = [
        "compile",
        ".",
        "--target",
        "envoy",
        "--filter",
        "f.wasm",
        "--upstream",
        "ratings.bookinfo=h:1",
    ];
    folder
        .run(&args)
        .ended_with(0)
        .said("N0511")
        .said("port 8080");
}
