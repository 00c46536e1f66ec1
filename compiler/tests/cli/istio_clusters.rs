//! Objects for services of several clusters: federated ones, and virtual destinations.

use std::fs;

use serde_json::Value;

use crate::folder::{Folder, Outcome};
use crate::istio::{MODULE, files, golden};

/// Gateways in the cluster east; services in east, west and eu.
pub(crate) const RESOURCES: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: edge, namespace: shop}
spec:
  ingressGatewaySelectors:
  - portName: http2
    destinationSelectors: [{kubeServiceMatcher: {labels: {app: ingress}, clusters: [east]}}]
  connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: web, namespace: shop}
spec:
  domains: [www.example.com]
  routes:
  - name: nearest
    matchers: [{uri: {prefix: /nearest}}]
    routeAction: {destinations: [{virtualDestination: {name: nearest, namespace: shop}}]}
  - name: ordered
    matchers: [{uri: {prefix: /ordered}}]
    routeAction: {destinations: [{virtualDestination: {name: ordered, namespace: shop, subset: {version: v2}}}]}
  - name: west
    matchers: [{uri: {prefix: /west}}]
    routeAction: {destinations: [{kubeService: {name: reviews, namespace: bookinfo, clusterName: west, subset: {version: v1}}}]}
  - name: east
    routeAction: {destinations: [{kubeService: {name: reviews, namespace: bookinfo, clusterName: east}}]}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualDestination
metadata: {name: nearest, namespace: shop}
spec:
  hostname: reviews.global
  port: {number: 80, protocol: http, targetName: http}
  localized:
    destinationSelectors: [{kubeServiceMatcher: {labels: {app: reviews}}}]
    failoverDirectives: [{from: {region: us-east}, to: [{region: eu}, {region: us-west}]}]
    outlierDetection: {consecutiveErrors: 3, interval: 500ms, maxEjectionPercent: 100}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualDestination
metadata: {name: ordered, namespace: shop}
spec:
  hostname: ordered.global
  port: {number: 9080, protocol: grpc}
  static:
    destinations:
    - kubeService: {name: reviews, namespace: bookinfo, clusterName: west}
    - kubeService: {name: reviews, namespace: bookinfo, clusterName: east}
---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: VirtualMesh
metadata: {name: all, namespace: gloo-mesh}
spec:
  meshes: [{name: mesh-east, namespace: gloo-mesh}, {name: mesh-west, namespace: gloo-mesh}, {name: mesh-eu, namespace: gloo-mesh}]
  federation:
    selectors: [{}]
    ingressGatewaySelectors: [{portName: tls, destinationSelectors: [{kubeServiceMatcher: {labels: {app: between}}}]}]
";

fn inventory(region: &str, address: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: List
items:
- {{apiVersion: v1, kind: Node, metadata: {{name: node, labels: {{topology.kubernetes.io/region: {region}}}}}, spec: {{}}}}
- apiVersion: v1
  kind: Service
  metadata: {{name: ingress, namespace: istio-ingress, labels: {{app: ingress}}}}
  spec:
    type: LoadBalancer
    selector: {{istio: ingress}}
    ports: [{{name: http2, port: 80, targetPort: 8080}}]
  status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.1}}]}}}}
- apiVersion: v1
  kind: Service
  metadata: {{name: between, namespace: istio-system, labels: {{app: between}}}}
  spec:
    type: LoadBalancer
    selector: {{istio: between}}
    ports: [{{name: tls, port: 15443, targetPort: 15443}}]
  status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}
- apiVersion: v1
  kind: Service
  metadata: {{name: reviews, namespace: bookinfo, labels: {{app: reviews}}}}
  spec:
    selector: {{app: reviews}}
    ports: [{{name: http, port: 9080, targetPort: web}}]
- apiVersion: apps/v1
  kind: Deployment
  metadata: {{name: reviews, namespace: bookinfo}}
  spec: {{template: {{metadata: {{labels: {{app: reviews}}}}, spec: {{containers: [{{name: web, ports: [{{name: web, containerPort: 9081}}]}}]}}}}}}
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {{name: reviews, namespace: bookinfo}}
  spec:
    host: reviews.bookinfo.svc.cluster.local
    trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 7}}}}
"
    )
}

pub(crate) fn folder(resources: &str) -> Folder {
    let meshes = ["east", "west", "eu"].map(|cluster| {
        format!(
            "---\napiVersion: discovery.mesh.gloo.solo.io/v1\nkind: Mesh\nmetadata: {{name: mesh-{cluster}, namespace: gloo-mesh}}\n\
             spec: {{istio: {{installation: {{cluster: {cluster}, namespace: istio-system}}}}}}\n"
        )
    });
    let folder = Folder::new(&[("shop.yaml", &(resources.to_owned() + &meshes.concat()))]);
    fs::create_dir(folder.path().join("inventory")).unwrap();
    for (cluster, region, address) in [
        ("east", "us-east", "203.0.113.1"),
        ("west", "us-west", "203.0.113.2"),
        ("eu", "eu", "between.eu.example.com"),
    ] {
        let path = folder.path().join(format!("inventory/{cluster}.yaml"));
        let mut text = inventory(region, address);
        if cluster == "eu" {
            text = text.replace("{ip: between", "{hostname: between");
        }
        fs::write(path, text).unwrap();
    }
    folder
}

pub(crate) fn compile(folder: &Folder, more: &[&str]) -> Outcome {
    let args = ["compile", "shop.yaml", "--target", "istio", "-o", "out"];
    let inventories = ["east", "west", "eu"].map(|cluster| {
        [
            "--inventory".to_owned(),
            format!("{cluster}=inventory/{cluster}.yaml"),
        ]
    });
    let inventories: Vec<&str> = inventories.iter().flatten().map(String::as_str).collect();
    folder.run(&[&args[..], &inventories, &MODULE, more].concat())
}

/// An object, by its path below the output folder.
fn object(folder: &Folder, path: &str) -> Value {
    let path = folder.path().join("out").join(path);
    serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()
}

#[test]
fn every_cluster_gets_what_it_needs() {
    let folder = folder(RESOURCES);
    compile(&folder, &["--one-file"]).ended_with(0);
    for cluster in ["east", "eu", "west"] {
        let path = folder.path().join(format!("out/{cluster}.yaml"));
        let text = fs::read_to_string(path).unwrap();
        golden(&format!("clusters-{cluster}.yaml"), &text);
    }
}

#[test]
fn a_virtual_destination_is_one_cluster_in_the_order_of_the_gateway() {
    let folder = folder(RESOURCES);
    compile(&folder, &["--format", "json"]).ended_with(0);
    let path = "east/10-destinations/envoyfilter.istio-ingress.meshgate--ingress--virtual-destinations.json";
    let filter = object(&folder, path);
    let added = |at: usize| &filter["spec"]["configPatches"][at]["patch"]["value"];
    let ordered = added(3);
    assert_eq!(added(1)["name"], "outbound|80||reviews.global");
    let members = |value: &Value| value["cluster_type"]["typed_config"]["clusters"].clone();
    assert_eq!(
        members(added(1)),
        serde_json::json!([
            "outbound|9080|for--shop--nearest|reviews.bookinfo.svc.cluster.local",
            "outbound|9080|for--shop--nearest|reviews.bookinfo.svc.eu.global",
            "outbound|9080|for--shop--nearest|reviews.bookinfo.svc.west.global",
        ])
    );
    assert_eq!(ordered["name"], "outbound|9080|version-v2|ordered.global");
    assert_eq!(
        members(ordered),
        serde_json::json!([
            "outbound|9080|for--shop--ordered--version-v2|reviews.bookinfo.svc.west.global",
            "outbound|9080|for--shop--ordered--version-v2|reviews.bookinfo.svc.cluster.local",
        ])
    );
}

#[test]
fn every_member_of_a_virtual_destination_has_a_subset_that_leaves_failing_pods_alone() {
    let folder = folder(RESOURCES);
    compile(&folder, &["--format", "json"]).ended_with(0);
    let rule = |name: &str| {
        let path = format!("east/10-destinations/destinationrule.istio-ingress.{name}.json");
        object(&folder, &path)["spec"].clone()
    };
    // Own cluster: what the virtual destination says, else what the owner says of the Service.
    let here = rule("meshgate--bookinfo--reviews");
    assert_eq!(
        here["trafficPolicy"]["outlierDetection"]["consecutive5xxErrors"],
        7
    );
    let subset = |rule: &Value, name: &str| {
        let subsets = rule["subsets"].as_array().unwrap();
        subsets
            .iter()
            .find(|subset| subset["name"] == name)
            .unwrap()
            .clone()
    };
    let nearest = subset(&here, "for--shop--nearest");
    let outliers = &nearest["trafficPolicy"]["outlierDetection"];
    assert_eq!(outliers["consecutiveGatewayErrors"], 3);
    assert_eq!(outliers["interval"], "500ms");
    assert_eq!(outliers["baseEjectionTime"], "120s");
    assert_eq!(nearest["labels"], Value::Null);
    let ordered = subset(&here, "for--shop--ordered--version-v2");
    assert_eq!(ordered["labels"]["version"], "v2");
    let outliers = &ordered["trafficPolicy"]["outlierDetection"];
    assert_eq!(outliers["consecutive5xxErrors"], 7);
    assert_eq!(outliers["maxEjectionPercent"], 100);
    // Another cluster: the server name asks for the pods by the name they have there.
    let there = rule("meshgate--bookinfo--reviews--west");
    let ordered = subset(&there, "for--shop--ordered--version-v2");
    assert_eq!(
        ordered["trafficPolicy"]["tls"]["sni"],
        "outbound_.9080_.version-v2_.reviews.bookinfo.svc.west.global"
    );
    assert_eq!(
        ordered["trafficPolicy"]["outlierDetection"]["consecutive5xxErrors"],
        10
    );
    let alias = object(
        &folder,
        "west/10-destinations/destinationrule.bookinfo.meshgate--bookinfo--reviews--west.json",
    );
    let names: Vec<&Value> = alias["spec"]["subsets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subset| &subset["name"])
        .collect();
    assert_eq!(names, ["version-v1", "version-v2"]);
}

#[test]
fn nothing_is_written_for_what_exists_or_cannot_be_reached() {
    let recorded = "---
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {name: reviews-west, namespace: gloo-mesh}
spec: {kubeService: {ref: {name: reviews, namespace: bookinfo, clusterName: west}, ports: [{port: 9080, name: http}], workloadSelectorLabels: {app: reviews}}}
status: {appliedFederation: {federatedHostname: reviews.bookinfo.svc.west.corp}}
";
    let folder = folder(&(RESOURCES.to_owned() + recorded));
    compile(&folder, &[])
        .ended_with(0)
        .said("`reviews.bookinfo.svc.west.corp`, which has to exist in the gateway's mesh: discovery says that it does");
    let written = files(&folder.path().join("out"));
    assert!(
        written.iter().all(|file| !file.starts_with("west/")),
        "{written:?}"
    );

    let flat = RESOURCES.replace("federation:\n", "federation:\n    flatNetwork: true\n");
    compile(&self::folder(&flat), &[])
        .ended_with(0)
        .said("in the virtual mesh `gloo-mesh/all` pods reach one another directly");
}

#[test]
fn other_clusters_know_pods_by_names_that_mean_the_same_labels() {
    let of_virtual = |labels| {
        let resources = RESOURCES.replace("subset: {version: v2}", labels);
        resources.replace("subset: {version: v1}", "subset: {version: v1-1}")
    };
    compile(&folder(&of_virtual("subset: {version: v1.1}")), &[])
        .ended_with(1)
        .said("error[E0373]: the subset `version-v1-1` of `reviews.bookinfo.svc.west.global` has other labels elsewhere")
        .said("shop.yaml:24:48")
        .said("---- the subset of this name that is used");
    compile(&folder(&of_virtual("subset: {version: v1-1}")), &[]).ended_with(0);
    // In the gateway's own cluster the subset of a virtual destination has a name of its own.
    let local =
        of_virtual("subset: {version: v1.1}").replace("clusterName: west", "clusterName: east");
    compile(&folder(&local), &[]).ended_with(0);
}

#[test]
fn failover_that_cannot_happen_is_told() {
    let half = RESOURCES.replace("maxEjectionPercent: 100", "maxEjectionPercent: 50");
    compile(&folder(&half), &[])
        .ended_with(0)
        .said("no other service takes over from failing ones")
        .said("shop.yaml:30:18")
        .said("write `maxEjectionPercent: 100`");

    let folder = Folder::new(&[("shop.yaml", RESOURCES)]);
    let args = ["compile", "shop.yaml", "--target", "istio", "-o", "out"];
    folder
        .run(&[&args[..], &MODULE].concat())
        .ended_with(1)
        .said("no service is known to be behind virtual destination `shop/nearest`");
}
