//! References across clusters: virtual meshes, federation, virtual destinations.

use meshgate_compiler::diagnostic::{Diagnostics, Severity};
use meshgate_compiler::load;
use meshgate_compiler::resolve::{ResolveOptions, resolve};
use meshgate_compiler::source::SourceMap;
use meshgate_compiler::tree::{Backend, Tree};

use crate::config::*;

const EAST: &str = "{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: test, labels: {app: reviews}}, spec: {ports: [{name: http, port: 9080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: details, namespace: test}, spec: {ports: [{name: http, port: 9080}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: node, labels: {topology.kubernetes.io/region: us-east1}}, spec: {}}
";

const WEST: &str = "{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: test, labels: {app: reviews}}, spec: {ports: [{name: http, port: 9080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: ratings, namespace: test, labels: {app: ratings}}, spec: {ports: [{name: http, port: 9080}, {name: grpc, port: 9081}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: node, labels: {topology.kubernetes.io/region: us-west1}}, spec: {}}
";

fn mesh(cluster: &str) -> String {
    format!(
        "---\napiVersion: discovery.mesh.gloo.solo.io/v1\nkind: Mesh\nmetadata: {{name: mesh-{cluster}, namespace: gloo-mesh}}\nspec: {{istio: {{smartDnsProxyingEnabled: true, installation: {{cluster: {cluster}, namespace: istio-system}}}}}}\n"
    )
}

fn virtual_mesh(name: &str, meshes: &[&str], spec: &str) -> String {
    let meshes: Vec<String> = meshes
        .iter()
        .map(|cluster| format!("{{name: mesh-{cluster}, namespace: gloo-mesh}}"))
        .collect();
    format!(
        "---\napiVersion: networking.mesh.gloo.solo.io/v1\nkind: VirtualMesh\nmetadata: {{name: {name}, namespace: gloo-mesh}}\nspec: {{meshes: [{}]{spec}}}\n",
        meshes.join(", ")
    )
}

/// Resolves for gateways in `cluster`, with the inventories of both clusters. Findings above notes that are about
/// routes and destinations: `CODE: message`.
fn resolved_in(cluster: &str, yaml: &str) -> (Tree, Vec<String>) {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    sources.add("t.yaml".to_owned(), yaml.to_owned());
    sources.add_inventory("east", "east.yaml".to_owned(), EAST.to_owned());
    sources.add_inventory("west", "west.yaml".to_owned(), WEST.to_owned());
    let resources = load::parse(&sources, &mut diagnostics);
    let options = ResolveOptions {
        cluster: Some(cluster.to_owned()),
        ..ResolveOptions::default()
    };
    let tree = resolve(&resources, &options, &mut diagnostics);
    let findings = diagnostics
        .list()
        .iter()
        .filter(|finding| finding.severity > Severity::Note)
        .filter(|finding| finding.code.as_str()[1..].starts_with("03"))
        .map(|finding| format!("{}: {}", finding.code.as_str(), finding.message))
        .collect();
    (tree, findings)
}

fn destinations(cluster: &str, service: &str, meshes: &str) -> (Vec<String>, Vec<String>) {
    let yaml = gateway()
        + &virtual_host(&format!(
            "- {{routeAction: {{destinations: [{{kubeService: {service}}}]}}}}"
        ))
        + meshes;
    let (tree, findings) = resolved_in(cluster, &yaml);
    let destinations = tree.destinations();
    let clusters = destinations.map(|destination| destination.cluster.clone());
    (clusters.collect(), findings)
}

#[test]
fn the_same_route_has_other_clusters_in_other_clusters() {
    let meshes = mesh("east") + &mesh("west");
    let federated =
        meshes + &virtual_mesh("vm", &["east", "west"], ", federation: {selectors: [{}]}");
    let reference = "{name: reviews, clusterName: west}";
    for (own, expected) in [
        ("west", "outbound|9080||reviews.test.svc.cluster.local"),
        ("east", "outbound|9080||reviews.test.svc.west.global"),
    ] {
        assert_eq!(
            destinations(own, reference, &federated),
            (vec![expected.to_owned()], vec![]),
            "{own}"
        );
    }
    // The suffix is the virtual mesh's.
    let suffix = federated.replace("[{}]", "[{}], hostnameSuffix: corp");
    assert_eq!(
        destinations("east", reference, &suffix).0,
        ["outbound|9080||reviews.test.svc.west.corp"]
    );
}

#[test]
fn what_is_missing_is_said() {
    let meshes = mesh("east") + &mesh("west");
    let both = |spec: &str| meshes.clone() + &virtual_mesh("vm", &["east", "west"], spec);
    for (input, missing) in [
        (String::new(), "there is no VirtualMesh"),
        (
            meshes.clone() + &virtual_mesh("vm", &["east"], ", federation: {selectors: [{}]}"),
            "no mesh of cluster `west` is in the virtual mesh `gloo-mesh/vm`",
        ),
        (
            meshes.clone() + &virtual_mesh("vm", &["west"], ", federation: {selectors: [{}]}"),
            "no mesh of cluster `east` is in a virtual mesh",
        ),
        (
            meshes.clone() + &virtual_mesh("a", &["east"], "") + &virtual_mesh("b", &["west"], ""),
            "their meshes are in different virtual meshes, `gloo-mesh/a` and `gloo-mesh/b`",
        ),
        (
            both(""),
            "the virtual mesh `gloo-mesh/vm` has no `federation`",
        ),
        (
            both(", federation: {}"),
            "the federation of the virtual mesh `gloo-mesh/vm` selects nothing",
        ),
        (
            both(
                ", federation: {selectors: [{destinationSelectors: [{kubeServiceMatcher: {labels: {app: ratings}}}]}]}",
            ),
            "no federation selector of the virtual mesh `gloo-mesh/vm` selects it",
        ),
        (
            both(
                ", federation: {selectors: [{meshes: [{name: mesh-west, namespace: gloo-mesh}]}]}",
            ),
            "the virtual mesh `gloo-mesh/vm` federates it, but not to a mesh of cluster `east`",
        ),
    ] {
        let reference = "{name: reviews, clusterName: west}";
        let (clusters, findings) = destinations("east", reference, &input);
        assert_eq!(clusters, [""; 0], "{missing}");
        assert_eq!(
            findings,
            [format!(
                "E0370: service `test/reviews` of cluster `west` cannot be reached from gateways in cluster `east`: {missing}"
            )]
        );
        // In its own cluster it needs none of this.
        assert_eq!(
            destinations("west", reference, &input).1,
            [""; 0],
            "{missing}"
        );
    }
}

#[test]
fn services_are_looked_up_in_their_cluster() {
    let meshes = mesh("east")
        + &mesh("west")
        + &virtual_mesh("vm", &["east", "west"], ", federation: {selectors: [{}]}");
    for (reference, finding) in [
        ("{name: reviews}", ""),
        (
            "{name: ratings, port: 9080}",
            "E0350: cluster `east` has no service `test/ratings`",
        ),
        (
            "{name: details, clusterName: west}",
            "E0350: cluster `west` has no service `test/details`",
        ),
        ("{name: ratings, clusterName: west, port: 9081}", ""),
        (
            "{name: ratings, clusterName: west}",
            "E0352: service `test/ratings` has several ports (9080, 9081) and none is chosen",
        ),
    ] {
        let (_, findings) = destinations("east", reference, &meshes);
        assert_eq!(findings.join(" "), finding, "{reference}");
    }
}

fn backends(own: &str, spec: &str) -> (Vec<Backend>, Vec<String>) {
    let meshes = mesh("east")
        + &mesh("west")
        + &virtual_mesh("vm", &["east", "west"], ", federation: {selectors: [{}]}");
    let yaml = gateway()
        + &object("VirtualDestination", "test/vd", "", spec)
        + &virtual_host("- {routeAction: {destinations: [{virtualDestination: {name: vd}}]}}")
        + &meshes;
    let (tree, findings) = resolved_in(own, &yaml);
    let found = tree.virtual_destinations.into_iter().next();
    (found.map_or(Vec::new(), |vd| vd.backends), findings)
}

#[test]
fn virtual_destinations_know_their_services() {
    let selectors = "hostname: reviews.global\nport: {number: 80, targetName: http}\nlocalized: {destinationSelectors: [{kubeServiceMatcher: {labels: {app: reviews}}}]}";
    let (found, findings) = backends("east", selectors);
    let show = |backend: &Backend| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        format!(
            "{} {} {} {}",
            text(&backend.cluster),
            backend.service,
            backend.port,
            text(&backend.region)
        )
    };
    assert_eq!(
        found.iter().map(show).collect::<Vec<_>>(),
        [
            "east test/reviews 9080 us-east1",
            "west test/reviews 9080 us-west1"
        ]
    );
    assert_eq!(findings, [""; 0]);
    // The order of a static one is its preference.
    let (found, findings) = backends(
        "east",
        "hostname: x.global\nport: {number: 9080}\nstatic: {destinations: [{kubeService: {name: ratings, clusterName: west}}, {kubeService: {name: reviews, clusterName: east}}, {kubeService: {name: nope, clusterName: east}}]}",
    );
    assert_eq!(
        found.iter().map(show).collect::<Vec<_>>(),
        [
            "west test/ratings 9080 us-west1",
            "east test/reviews 9080 us-east1"
        ]
    );
    assert_eq!(
        findings,
        ["E0350: cluster `east` has no service `test/nope`"]
    );
    let (_, findings) = backends("east", &selectors.replace("http}", "grpc}"));
    assert_eq!(
        findings,
        ["E0351: service `test/reviews` has no port named `grpc` (it has: 9080)"; 2]
    );
}

#[test]
fn localized_destinations_fail_over() {
    let spec = "hostname: reviews.global\nport: {number: 9080}\nlocalized:\n  destinationSelectors: [{kubeServiceMatcher: {labels: {app: reviews}}}]\n  failoverDirectives: [{from: {region: us-east1}, to: [{region: us-west1}, {region: eu}]}]\n  outlierDetection: {consecutiveErrors: 3, interval: 5s}";
    let (tree, findings) = resolved_in(
        "east",
        &(gateway()
            + &object("VirtualDestination", "test/vd", "", spec)
            + &mesh("east")
            + &mesh("west")
            + &virtual_mesh("vm", &["east", "west"], "")),
    );
    assert_eq!(findings, [""; 0]);
    let found = tree.virtual_destinations.first().expect("it is usable");
    assert!(found.is_localized);
    let directive = found.failover.first().expect("a directive");
    assert_eq!(
        (directive.from.as_str(), directive.to.join(" ").as_str()),
        ("us-east1", "us-west1 eu")
    );
    let outliers = found.outlier_detection.as_ref().expect("it is written");
    assert_eq!(outliers.consecutive_errors, Some(3));
    assert_eq!(outliers.interval, Some(std::time::Duration::from_secs(5)));
    assert_eq!(outliers.base_ejection_time, None);
    // Clusters without a common virtual mesh do not stand in for one another.
    let (tree, findings) = resolved_in(
        "east",
        &(gateway()
            + &object("VirtualDestination", "test/vd", "", spec)
            + &virtual_mesh("vm", &["east"], "")
            + &mesh("east")),
    );
    assert_eq!(
        tree.virtual_destinations
            .first()
            .map_or(0, |vd| vd.backends.len()),
        1
    );
    assert_eq!(
        findings,
        [
            "E0370: cluster `west` cannot be reached from gateways in cluster `east`: no mesh of cluster `west` is in the virtual mesh `gloo-mesh/vm`"
        ]
    );
}
