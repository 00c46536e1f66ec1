//! Gateways that run: found in the inventory, or taken on trust.

use meshgate_compiler::resolve::{ResolveOptions, resolve};
use meshgate_compiler::source::SourceMap;
use meshgate_compiler::tree::GatewayWorkload;
use meshgate_compiler::{diagnostic::Diagnostics, load};

use crate::config::*;

/// Two gateways, as kubectl prints them.
const INGRESS: &str = "
apiVersion: v1
kind: List
metadata: {resourceVersion: ''}
items:
- apiVersion: v1
  kind: Service
  metadata: {name: ingress, namespace: istio-ingress, labels: {istio: ingressgateway}, creationTimestamp: '2024-05-01T08:00:00Z', uid: abc}
  spec:
    clusterIP: 10.0.0.7
    type: LoadBalancer
    selector: {istio: ingressgateway}
    ports:
    - {name: tls, port: 15443, targetPort: 15443, nodePort: 31000}
    - {name: http2, port: 80, targetPort: 8080, nodePort: 31001, protocol: TCP}
    - {name: https, port: 443, targetPort: https, nodePort: 31002}
  status: {loadBalancer: {ingress: [{ip: 192.0.2.1}, {hostname: lb.example.com}]}}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: ingress, namespace: istio-ingress}
  spec:
    selector: {matchLabels: {istio: ingressgateway}}
    template:
      metadata: {labels: {istio: ingressgateway, app: ingress}}
      spec: {containers: [{name: istio-proxy, ports: [{containerPort: 8443, name: https}]}]}
- apiVersion: v1
  kind: Service
  metadata: {name: internal, namespace: platform, labels: {tier: internal}}
  spec:
    type: NodePort
    selector: {app: internal}
    ports: [{name: http2, port: 80, nodePort: 30080}]
- apiVersion: v1
  kind: Node
  metadata: {name: node-b, labels: {topology.kubernetes.io/region: eu}}
  spec: {}
  status: {addresses: [{type: InternalIP, address: 10.0.0.2}, {type: ExternalIP, address: 198.51.100.2}]}
- apiVersion: v1
  kind: Node
  metadata: {name: node-a}
  status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}
  spec: {}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: whatever, namespace: platform}
  data: {}
";

fn virtual_gateway(id: &str, selectors: &str) -> String {
    object(
        "VirtualGateway",
        id,
        "",
        &format!(
            "ingressGatewaySelectors: {selectors}\nconnectionHandlers: [{{http: {{routeConfig: [{{virtualHostSelector: {{namespaces: ['*']}}}}]}}}}]"
        ),
    )
}

/// What the first gateway runs as, and codes of the findings.
fn workloads(yaml: &str, inventories: &[(&str, &str)]) -> (Vec<GatewayWorkload>, Vec<String>) {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    sources.add("t.yaml".to_owned(), yaml.to_owned());
    for (cluster, text) in inventories {
        sources.add_inventory(cluster, format!("{cluster}.yaml"), (*text).to_owned());
    }
    let resources = load::parse(&sources, &mut diagnostics);
    let tree = resolve(&resources, &ResolveOptions::default(), &mut diagnostics);
    let codes = diagnostics.list().iter();
    let codes = codes
        .map(|diagnostic| diagnostic.code.as_str().to_owned())
        .collect();
    let first = tree.gateways.into_iter().next();
    (first.map_or(Vec::new(), |gateway| gateway.workloads), codes)
}

/// `cluster namespace/service port->target @ addresses:port`.
fn show(workload: &GatewayWorkload) -> String {
    let number = |port: Option<u16>| port.map_or("-".to_owned(), |port| port.to_string());
    format!(
        "{} {}/{} {}->{} @ {}:{}",
        workload.cluster.as_deref().unwrap_or("-"),
        workload.namespace,
        workload.service.as_deref().unwrap_or("-"),
        workload.port,
        number(workload.target_port),
        workload.external_addresses.join(","),
        number(workload.external_port),
    )
}

fn found(selectors: &str, inventories: &[(&str, &str)]) -> (Vec<String>, String) {
    let yaml = virtual_gateway("infra/gw", selectors) + &virtual_host(&answer("r", ""));
    let (workloads, codes) = workloads(&yaml, inventories);
    (workloads.iter().map(show).collect(), codes.join(" "))
}

#[test]
fn gateways_are_found_in_the_inventory() {
    let east = [("east", INGRESS)];
    for (selectors, expected, codes) in [
        (
            "[{portName: http2, destinationSelectors: [{kubeServiceMatcher: {labels: {istio: ingressgateway}}}]}]",
            &["east istio-ingress/ingress 80->8080 @ 192.0.2.1,lb.example.com:80"][..],
            "",
        ),
        (
            "[{portName: https, destinationSelectors: [{kubeServiceRefs: {services: [{name: ingress, namespace: istio-ingress, clusterName: east}]}}]}]",
            &["east istio-ingress/ingress 443->8443 @ 192.0.2.1,lb.example.com:443"],
            "",
        ),
        // By default: what Istio's own gateways look like, and the port for traffic between clusters.
        (
            "[{portName: http2}]",
            &["east istio-ingress/ingress 80->8080 @ 192.0.2.1,lb.example.com:80"],
            "",
        ),
        (
            "[{}]",
            &["east istio-ingress/ingress 15443->15443 @ 192.0.2.1,lb.example.com:15443"],
            "W0508",
        ),
        // An empty list is everything.
        (
            "[{portName: http2, destinationSelectors: []}]",
            &[
                "east istio-ingress/ingress 80->8080 @ 192.0.2.1,lb.example.com:80",
                "east platform/internal 80->80 @ 10.0.0.1,198.51.100.2:30080",
            ],
            "",
        ),
        // The first selector that selects a Service decides its port.
        (
            "[{portName: https, destinationSelectors: [{kubeServiceMatcher: {namespaces: [istio-ingress]}}]}, {portName: http2, destinationSelectors: []}]",
            &[
                "east istio-ingress/ingress 443->8443 @ 192.0.2.1,lb.example.com:443",
                "east platform/internal 80->80 @ 10.0.0.1,198.51.100.2:30080",
            ],
            "",
        ),
        (
            "[{portName: https, destinationSelectors: [{kubeServiceMatcher: {labels: {tier: internal}}}]}]",
            &[],
            "E0520",
        ),
        (
            "[{portName: http2, destinationSelectors: [{kubeServiceMatcher: {clusters: [west]}}]}]",
            &[],
            "W0521",
        ),
        // An entry that says nothing selects nothing.
        (
            "[{portName: http2, destinationSelectors: [{}]}]",
            &[],
            "W0521",
        ),
    ] {
        let expected = expected.iter().map(|&one| one.to_owned()).collect();
        assert_eq!(
            found(selectors, &east),
            (expected, codes.to_owned()),
            "{selectors}"
        );
    }
}

#[test]
fn one_virtual_gateway_runs_in_several_clusters() {
    let both = [("west", INGRESS), ("east", INGRESS)];
    let (workloads, codes) = found("[{portName: http2}]", &both);
    assert_eq!(
        workloads,
        [
            "east istio-ingress/ingress 80->8080 @ 192.0.2.1,lb.example.com:80",
            "west istio-ingress/ingress 80->8080 @ 192.0.2.1,lb.example.com:80",
        ]
    );
    assert_eq!(codes, "");
}

#[test]
fn without_an_inventory_selectors_are_taken_on_trust() {
    for (selectors, expected) in [
        ("[{portName: http2}]", &["- istio-system/- 80->- @ :-"][..]),
        (
            "[{portName: https, destinationSelectors: [{kubeServiceMatcher: {labels: {app: gw}, namespaces: [b, a], clusters: [c]}}]}]",
            &["c a/- 443->- @ :-", "c b/- 443->- @ :-"],
        ),
        (
            "[{portName: http2, destinationSelectors: [{kubeServiceRefs: {services: [{name: gw, namespace: infra, clusterName: c}]}}]}]",
            &["c infra/gw 80->- @ :-"],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|&one| one.to_owned()).collect();
        assert_eq!(
            found(selectors, &[]),
            (expected, String::new()),
            "{selectors}"
        );
    }
}

#[test]
fn a_named_port_of_the_pods_needs_the_pods() {
    let without = INGRESS.replace("kind: Deployment", "kind: StatefulSet");
    let selectors = "[{portName: https, destinationSelectors: [{kubeServiceMatcher: {labels: {istio: ingressgateway}}}]}]";
    let (workloads, codes) = found(selectors, &[("east", without.as_str())]);
    assert_eq!(
        workloads,
        ["east istio-ingress/ingress 443->- @ 192.0.2.1,lb.example.com:443"]
    );
    assert_eq!(codes, "W0529");
}

#[test]
fn a_port_belongs_to_one_virtual_gateway() {
    let yaml = virtual_gateway("infra/older", "[{portName: http2}]").replace(
        "namespace: infra",
        "namespace: infra, creationTimestamp: '2020-01-01T00:00:00Z'",
    ) + &virtual_gateway("infra/a", "[{portName: http2}]")
        + &virtual_gateway("infra/z", "[{portName: https}]")
        + &virtual_host(&answer("r", ""));
    let (workloads, codes) = workloads(&yaml, &[("east", INGRESS)]);
    assert_eq!((workloads.len(), codes.join(" ").as_str()), (0, "E0524"));
}

#[test]
fn the_same_object_may_be_in_every_cluster_but_only_once_in_each() {
    let twice = format!("{INGRESS}\n---\n{INGRESS}");
    let both = [("east", INGRESS), ("west", twice.as_str())];
    let (_, codes) = found("[{portName: http2}]", &both);
    assert_eq!(codes, "E0023 E0023 E0023 E0023 E0023");
}
