//! What `istioctl validate` has against an object fails a test.

use meshgate_compiler::manifest::istio::{Manifest, Wave};
use meshgate_host_tests::istio::{Tools, validate};
use serde_json::{Value, json};

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![(
        "istioctl/what_it_finds_is_an_error".to_owned(),
        Box::new(what_it_finds_is_an_error),
    )]
}

fn what_it_finds_is_an_error(tools: &Tools) -> Result<(), String> {
    let server = |hosts: &[&str]| {
        let port = json!({ "number": 80, "name": "http", "protocol": "HTTP" });
        json!({ "selector": { "app": "ingress" }, "servers": [{ "port": port, "hosts": hosts }] })
    };
    let routes = |hosts: &[&str]| {
        let route = |host: &&str| json!({ "route": [{ "destination": { "host": host } }] });
        let routes: Vec<Value> = hosts.iter().map(route).collect();
        json!({ "hosts": ["www.example.com"], "http": routes })
    };
    let filter = json!({ "configPatches": [] });
    for (kind, spec, finding) in [
        ("Gateway", server(&["*"]), None),
        (
            "Gateway",
            server(&[]),
            Some("must contain at least one host"),
        ),
        ("VirtualService", routes(&["a"]), None),
        // A warning.
        ("VirtualService", routes(&["a", "b"]), Some("not used")),
        // What it says of every EnvoyFilter does not count.
        ("EnvoyFilter", filter, None),
    ] {
        let said = validate(&tools.istioctl, &[manifest(kind, &spec)]).err();
        let is_right = match (&said, finding) {
            (None, None) => true,
            (Some(said), Some(finding)) => said.contains(finding),
            _ => false,
        };
        if !is_right {
            return Err(format!("{kind} {spec}: {said:?} instead of {finding:?}"));
        }
    }
    Ok(())
}

fn manifest(kind: &'static str, spec: &Value) -> Manifest {
    let version = match kind {
        "EnvoyFilter" => "v1alpha3",
        _ => "v1",
    };
    Manifest {
        cluster: None,
        wave: Wave::Listeners,
        kind,
        namespace: "shop".to_owned(),
        name: "one".to_owned(),
        object: json!({
            "apiVersion": format!("networking.istio.io/{version}"),
            "kind": kind,
            "metadata": { "name": "one", "namespace": "shop" },
            "spec": spec,
        }),
    }
}
