//! Our objects beside those that Gloo Mesh wrote for the same virtual mesh, field by field.
//!
//! Theirs are not part of the repository: `MESHGATE_EXAMPLES` names the folder of examples, and without it this test says
//! so and passes. The differences are a golden file, and `docs/istio.md` has the reason for each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use meshgate_compiler::load;
use serde_json::Value;

use crate::folder::Folder;
use crate::istio::{MODULE, golden};

const CLUSTERS: [&str; 2] = ["remote-east", "remote-west"];

/// What discovery knew about their clusters, and routes to the services that they federate.
fn input(inputs: &str) -> String {
    let mut text = inputs.to_owned();
    for cluster in CLUSTERS {
        text += &format!(
            "
---
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Mesh
metadata: {{name: istiod-istio-namespace-{cluster}, namespace: gloo-mesh}}
spec: {{istio: {{smartDnsProxyingEnabled: true, installation: {{cluster: {cluster}, namespace: istio-namespace}}}}}}
"
        );
    }
    let route = |cluster: &str| {
        format!(
            "{{kubeService: {{name: productpage, namespace: bookinfo, clusterName: {cluster}}}}}"
        )
    };
    text + &format!(
        "
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {{name: edge, namespace: shop}}
spec:
  ingressGatewaySelectors: [{{portName: http2}}]
  connectionHandlers:
  - http:
      routeConfig:
      - virtualHost: {{domains: ['*'], routes: [{{routeAction: {{destinations: [{}, {}]}}}}]}}
",
        route("remote-east"),
        route("remote-west")
    )
}

const INVENTORY: &str = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: istio-ingress, namespace: istio-namespace}
  spec:
    type: LoadBalancer
    selector: {istio: ingressgateway}
    ports: [{name: tls, port: 1234, targetPort: 1234}, {name: http2, port: 80, targetPort: 8080}]
  status: {loadBalancer: {ingress: [{ip: 203.0.113.1}]}}
- apiVersion: v1
  kind: Service
  metadata: {name: productpage, namespace: bookinfo}
  spec:
    selector: {app: productpage}
    ports: [{name: http, port: 9080}]
";

/// What an object is for. Both sides name objects in their own way.
fn role(object: &Value, cluster: &str) -> Option<String> {
    let kind = object["kind"].as_str()?;
    let spec = &object["spec"];
    if !["Gateway", "ServiceEntry", "DestinationRule"].contains(&kind) {
        return None;
    }
    if kind == "Gateway" {
        let mode = spec["servers"][0]["tls"]["mode"].as_str()?;
        return (mode == "AUTO_PASSTHROUGH").then(|| "Gateway between clusters".to_owned());
    }
    let host = spec["host"]
        .as_str()
        .or_else(|| spec["hosts"][0].as_str())?;
    let service = host.split('.').next()?;
    let place = match host {
        host if host.ends_with(".svc.cluster.local") => "by its own host",
        host if host.contains(cluster) => "by its federated host, in its cluster",
        _ => "by its federated host, in the other cluster",
    };
    Some(format!("{kind} of {service} {place}"))
}

/// Every value of an object, by its path. Elements of lists have one path.
fn values(value: &Value, path: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                values(value, &format!("{path}.{key}"), found);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list {
                values(value, &format!("{path}[]"), found);
            }
        }
        value => {
            let path = path.trim_start_matches('.').to_owned();
            found.entry(path).or_default().insert(value.to_string());
        }
    }
}

fn by_role(
    objects: Vec<Value>,
    cluster: &str,
) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut found = BTreeMap::new();
    for mut object in objects {
        let Some(role) = role(&object, cluster) else {
            continue;
        };
        // Labels and annotations are compared by name.
        for part in ["labels", "annotations"] {
            let part = object.pointer_mut(&format!("/metadata/{part}"));
            if let Some(map) = part.and_then(Value::as_object_mut) {
                map.values_mut().for_each(|value| *value = Value::from("…"));
            }
        }
        let mut all = BTreeMap::new();
        values(&object, "", &mut all);
        let former = found.insert(role.clone(), all);
        assert!(former.is_none(), "two objects are {role}");
    }
    found
}

#[test]
fn every_difference_from_what_gloo_mesh_wrote_has_a_reason() {
    let examples = std::env::var_os("MESHGATE_EXAMPLES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/examples"),
        PathBuf::from,
    );
    let emitted = examples.join("emitted-istio");
    let Ok(inputs) = fs::read_to_string(emitted.join("robustness-mgmt_inputs.yaml")) else {
        println!(
            "skipped: no objects in {}; set MESHGATE_EXAMPLES",
            emitted.display()
        );
        return;
    };
    let folder = Folder::new(&[
        ("in.yaml", &input(&inputs)),
        ("remote-east.yaml", INVENTORY),
        ("remote-west.yaml", INVENTORY),
    ]);
    let args = [
        "compile",
        "in.yaml",
        "--target",
        "istio",
        "-o",
        "out",
        "--one-file",
        "--format",
        "json",
    ];
    let inventories = CLUSTERS.map(|cluster| format!("{cluster}={cluster}.yaml"));
    let inventories = inventories
        .each_ref()
        .map(|one| ["--inventory", one])
        .concat();
    folder
        .run(&[&args[..], &inventories, &MODULE].concat())
        .ended_with(0);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/istio.md");
    let docs = fs::read_to_string(docs).unwrap();
    let mut report = String::new();
    for cluster in CLUSTERS {
        let theirs = emitted.join(format!("robustness-{cluster}_outputs.yaml"));
        let theirs = by_role(load::values(&fs::read_to_string(theirs).unwrap()), cluster);
        let ours = folder.path().join(format!("out/{cluster}.json"));
        let ours: Value = serde_json::from_slice(&fs::read(ours).unwrap()).unwrap();
        let ours = by_role(ours["items"].as_array().unwrap().clone(), cluster);
        report += &format!("{cluster}\n");
        let roles: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for role in roles {
            let (theirs, ours) = match (theirs.get(role), ours.get(role)) {
                (Some(theirs), Some(ours)) => (theirs, ours),
                (Some(_), None) => {
                    report += &format!("  {role}: only theirs\n");
                    continue;
                }
                _ => {
                    report += &format!("  {role}: only ours\n");
                    continue;
                }
            };
            report += &format!("  {role}\n");
            let paths: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
            for path in paths {
                let shown = |values: Option<&BTreeSet<String>>| match values {
                    Some(values) => values.iter().cloned().collect::<Vec<_>>().join(" "),
                    None => "nothing".to_owned(),
                };
                let (theirs, ours) = (shown(theirs.get(path)), shown(ours.get(path)));
                if theirs != ours {
                    report += &format!("    {path}: {theirs} / {ours}\n");
                    assert!(
                        docs.contains(&format!("`{path}`")),
                        "docs/istio.md has no reason for {path}"
                    );
                }
            }
        }
    }
    golden("differences.txt", &report);
}
