//! Destinations: references, ports, cluster names and weights.

use meshgate_compiler::resolve::ResolveOptions;

use crate::config::*;

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: known, namespace: test}\nspec: {ports: [{port: 8080}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: two, namespace: test}\nspec: {ports: [{name: a, port: 80}, {name: b, port: 81}]}\n";

const VIRTUAL: &str = "---\napiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: VirtualDestination\nmetadata: {name: vd, namespace: test}\nspec: {hostname: vd.global, port: {number: 8000, protocol: http}, static: {destinations: [{kubeService: {name: known, namespace: test, clusterName: c}}]}}\n";

const EXTERNAL: &str = "---\napiVersion: discovery.mesh.gloo.solo.io/v1\nkind: Destination\nmetadata: {name: ext, namespace: test}\nspec: {externalService: {name: ext, hosts: [api.example.com], ports: [{number: 443, name: https, protocol: HTTPS}], endpoints: [{address: 10.0.0.1, ports: {https: 8443}}]}}\n";

fn forward(destinations: &str) -> String {
    gateway()
        + &virtual_host(&format!(
            "- {{name: r, routeAction: {{destinations: [{destinations}]}}}}"
        ))
        + SERVICE
        + VIRTUAL
        + EXTERNAL
}

fn destinations(list: &str) -> (String, String) {
    let resolved = resolved(&forward(list));
    let routes = resolved.routes();
    let action = routes
        .first()
        .and_then(|route| Some(route.split_once("-> ")?.1.to_owned()));
    (action.unwrap_or_default(), resolved.codes().join(" "))
}

#[test]
fn services_and_their_ports() {
    for (list, expected, codes) in [
        (
            "{kubeService: {name: known}}",
            "100%outbound|8080||known.test.svc.cluster.local",
            "",
        ),
        (
            "{kubeService: {name: known, port: 8080}}",
            "100%outbound|8080||known.test.svc.cluster.local",
            "",
        ),
        ("{kubeService: {name: known, port: 81}}", "", "E0351"),
        ("{kubeService: {name: two}}", "", "E0352"),
        (
            "{kubeService: {name: two, port: 81}}",
            "100%outbound|81||two.test.svc.cluster.local",
            "",
        ),
        (
            "{kubeService: {name: known, namespace: far}}",
            "100%outbound|80||known.far.svc.cluster.local",
            "W0353",
        ),
        (
            "{kubeService: {name: x, namespace: far, port: 9}}",
            "100%outbound|9||x.far.svc.cluster.local",
            "",
        ),
        (
            "{kubeService: {name: known, subset: {version: v2.1, app: x}}}",
            "100%outbound|8080|app-x-version-v2-1|known.test.svc.cluster.local",
            "",
        ),
        (
            "{kubeService: {name: known, subset: {Version: V2}}}",
            "100%outbound|8080|Version-V2|known.test.svc.cluster.local",
            "",
        ),
        // Names that Istio would not take.
        (
            "{kubeService: {name: known, subset: {version: ''}}}",
            "100%outbound|8080|version-f7036795c6589fcb|known.test.svc.cluster.local",
            "",
        ),
        (
            "{kubeService: {name: known, subset: {app.kubernetes.io/name: catalogue, app.kubernetes.io/version: '2026-11-26'}}}",
            "100%outbound|8080|app-kubernetes-io-name-catalogue-app-kubernete-ff090f6e9ddbff6e|known.test.svc.cluster.local",
            "",
        ),
    ] {
        assert_eq!(
            destinations(list),
            (expected.to_owned(), codes.to_owned()),
            "{list}"
        );
    }
}

#[test]
fn a_name_of_a_subset_stands_for_the_same_labels_everywhere() {
    let both = |one: &str, other: &str| destinations(&format!("{one}, {other}")).1;
    let known =
        |labels: &str| format!("{{kubeService: {{name: known, subset: {labels}}}, weight: 50}}");
    let two = |labels: &str| {
        format!("{{kubeService: {{name: two, port: 80, subset: {labels}}}, weight: 50}}")
    };
    let virtual_one = |labels: &str| {
        format!("{{virtualDestination: {{name: vd, subset: {labels}}}, weight: 50}}")
    };
    let (dot, dash) = ("{version: v1.1}", "{version: v1-1}");
    assert_eq!(both(&known(dot), &known(dash)), "E0373");
    assert_eq!(both(&known("{a: b-c-d}"), &known("{a: b, c: d}")), "E0373");
    assert_eq!(both(&virtual_one(dot), &virtual_one(dash)), "E0373");
    assert_eq!(both(&known(dot), &known(dot)), "");
    assert_eq!(both(&known(dot), &two(dash)), "", "another service");
    assert_eq!(both(&known(dot), &known("{version: v2}")), "");
}

#[test]
fn other_clusters_are_reached_by_federated_names() {
    let yaml = forward(
        "{kubeService: {name: x, clusterName: c1, port: 1}, weight: 50}, {kubeService: {name: x, clusterName: c2, port: 1}, weight: 50}",
    );
    let options = ResolveOptions {
        cluster: Some("c1".to_owned()),
        ..ResolveOptions::default()
    };
    assert_eq!(
        resolved_with(&yaml, &options).routes(),
        [
            "test.vh/r: /* -> 50%outbound|1||x.test.svc.cluster.local 50%outbound|1||x.test.svc.c2.global"
        ]
    );
}

#[test]
fn virtual_and_static_destinations_must_exist() {
    for (list, expected, codes) in [
        (
            "{virtualDestination: {name: vd}}",
            "100%outbound|8000||vd.global",
            "",
        ),
        (
            "{virtualDestination: {name: vd, namespace: far}}",
            "",
            "E0350",
        ),
        (
            "{staticDestination: {name: ext, namespace: test}}",
            "100%outbound|443||api.example.com",
            "",
        ),
        (
            "{staticDestination: {name: nope, namespace: test}}",
            "",
            "E0350",
        ),
        (
            "{kubeService: {name: known}, weight: 50}, {staticDestination: {name: nope}, weight: 50}",
            "",
            "E0350",
        ),
    ] {
        assert_eq!(
            destinations(list),
            (expected.to_owned(), codes.to_owned()),
            "{list}"
        );
    }
}

#[test]
fn weights() {
    let shares = |weights: &[&str]| {
        let list: Vec<String> = weights
            .iter()
            .map(|weight| format!("{{kubeService: {{name: known}}{weight}}}"))
            .collect();
        let (action, codes) = destinations(&list.join(", "));
        let shares: Vec<&str> = action
            .split(' ')
            .filter_map(|one| Some(one.split_once('%')?.0))
            .collect();
        (shares.join(" "), codes)
    };
    for (weights, expected, codes) in [
        (vec![""], "100", ""),
        (vec![", weight: 7"], "100", ""),
        (vec!["", "", ""], "34 33 33", ""),
        (vec![", weight: 0", ", weight: 0"], "50 50", "W0355"),
        (vec![", weight: 30", ", weight: 70"], "30 70", ""),
        (vec![", weight: 100", ""], "100 0", ""),
        (vec![", weight: 9", ", weight: 1"], "90 10", "W0356"),
        (vec![", weight: 1", ", weight: 4000000000"], "1 99", "W0356"),
    ] {
        assert_eq!(
            shares(&weights),
            (expected.to_owned(), codes.to_owned()),
            "{weights:?}"
        );
    }
    assert_eq!(shares(&vec![""; 101]), (String::new(), "E0357".to_owned()));
}
