//! What gateways in a mesh will not have, although routes go there.

use meshgate_compiler::compile::{CompileOptions, compile};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::render;
use meshgate_compiler::source::SourceMap;

use crate::config::*;

const GATEWAY: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: edge, labels: {app: ingress}}
spec: {selector: {istio: ingress}, ports: [{name: http2, port: 80, targetPort: 8080}]}
";

/// A gateway in namespace `edge` of the cluster `east`, and one route, on the last line but that of more objects.
fn resources(destination: &str, more: &str) -> String {
    let gateway = object(
        "VirtualGateway",
        "infra/gw",
        "",
        "ingressGatewaySelectors: [{portName: http2, destinationSelectors: [{kubeServiceMatcher: {labels: {app: ingress}}}]}]\n\
         connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {namespaces: ['*']}}]}}]",
    );
    let route = format!("- {{name: r, routeAction: {{destinations: [{{{destination}}}]}}}}");
    gateway + &virtual_host(&route) + more
}

/// Errors, as they are printed.
fn errors(resources: &str, inventory: &str) -> Vec<String> {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    sources.add("t.yaml".to_owned(), resources.to_owned());
    sources.add_inventory(
        "east",
        "east.yaml".to_owned(),
        GATEWAY.to_owned() + inventory,
    );
    compile(&sources, &CompileOptions::default(), &mut diagnostics);
    let lines = render::lines(&diagnostics, &sources);
    let errors = lines.lines().filter(|line| line.contains("error["));
    errors.map(str::to_owned).collect()
}

/// The only error there is, from its code on, without its help; empty if there is none.
fn error(resources: &str, inventory: &str) -> String {
    let errors = errors(resources, inventory);
    assert!(errors.len() < 2, "{errors:#?}");
    let error = errors.first().map_or("", String::as_str);
    let error = error.split_once("error[").map_or("", |(_, error)| error);
    let error = error.split_once(" (help").map_or(error, |(error, _)| error);
    error.to_owned()
}

fn service(annotations: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: x, namespace: shop, annotations: {{{annotations}}}}}\nspec: {{{spec}}}\n"
    )
}

const TCP: &str = "ports: [{port: 80}]";
const TO_X: &str = "kubeService: {name: x, namespace: shop, port: 80}";

#[test]
fn a_service_must_be_visible_in_the_gateways_namespace() {
    for (export_to, reason) in [
        ("''", ""),
        ("'*'", ""),
        ("edge", ""),
        ("'other, edge'", ""),
        ("'~,*'", ""),
        (".", "only in its own"),
        ("'~'", "only in none"),
        ("'other,.'", "only in `other`, its own"),
        ("'edge,~'", "only in `edge`, none"),
    ] {
        let service = service(&format!("networking.istio.io/exportTo: {export_to}"), TCP);
        let found = error(&resources(TO_X, ""), &service);
        let expected = match reason {
            "" => String::new(),
            reason => format!(
                "E0375]: gateway `edge/ingress` of cluster `east` will not have `outbound|80||x.shop.svc.cluster.local`: \
                 Service `shop/x` is not visible in namespace `edge`, {reason}"
            ),
        };
        assert_eq!(found, expected, "{export_to}");
    }
}

/// A ConfigMap of Istio with a text of the mesh.
fn mesh(name: &str, text: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: istio-system}}\ndata:\n  mesh: |-\n    {}\n",
        text.replace('\n', "\n    ")
    )
}

#[test]
fn the_mesh_says_who_knows_a_service_that_does_not_say_it() {
    let shown = "Service `shop/x` is not visible in namespace `edge`: it does not say where it is, and \
                 `defaultServiceExportTo` of the mesh (ConfigMap `istio-system/istio`) says ";
    for (annotation, list, reason) in [
        ("", "['.']", "its own"),
        ("", "['~']", "none"),
        ("", "[other, '.']", "`other`, its own"),
        ("", "['*']", ""),
        ("", "[edge]", ""),
        ("", "[]", ""),
        ("networking.istio.io/exportTo: '*'", "['.']", ""),
        ("networking.istio.io/exportTo: edge", "['~']", ""),
    ] {
        let settings = format!("rootNamespace: istio-system\ndefaultServiceExportTo: {list}");
        let inventory = service(annotation, TCP) + &mesh("istio", &settings);
        let found = error(&resources(TO_X, ""), &inventory);
        let found = found
            .split_once("local`: ")
            .map_or(found.as_str(), |(_, it)| it);
        let expected = match reason {
            "" => String::new(),
            reason => format!("{shown}{reason}"),
        };
        assert_eq!(found, expected, "{annotation} {list}");
    }
}

#[test]
fn the_mesh_says_who_knows_a_service_entry_that_does_not_say_it() {
    // A Service of the other cluster, whose host an entry of somebody else has.
    let far = "---\napiVersion: discovery.mesh.gloo.solo.io/v1\nkind: Destination\nmetadata: {name: far, namespace: gloo-mesh}\n\
               spec: {kubeService: {ref: {name: far, namespace: shop, clusterName: west}, ports: [{port: 80, name: http, protocol: TCP}]}}\n\
               status: {appliedFederation: {federatedHostname: far.shop.svc.west.global}}\n";
    let to_far = "kubeService: {name: far, namespace: shop, clusterName: west, port: 80}";
    let entry = |export_to: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: far, namespace: istio-system}}\n\
             spec: {{hosts: [far.shop.svc.west.global], {export_to}ports: [{{number: 80, name: http, protocol: HTTP}}]}}\n"
        )
    };
    let settings = mesh("istio", "defaultServiceExportTo: ['.']");
    for (export_to, is_hidden) in [("", true), ("exportTo: ['*'], ", false)] {
        let found = error(&resources(to_far, far), &(entry(export_to) + &settings));
        let reason = "ServiceEntry `istio-system/far` is not visible in namespace `edge`: it does not say where it is";
        assert_eq!(found.contains(reason), is_hidden, "{found}");
        assert_eq!(found.is_empty(), !is_hidden, "{found}");
    }
}

#[test]
fn the_mesh_says_which_namespaces_istio_knows() {
    let namespace =
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n";
    for (selectors, is_known) in [
        ("[]", true),
        ("[{}]", true),
        ("[{matchLabels: {team: a}}]", true),
        ("[{matchLabels: {team: b}}]", false),
        ("[{matchLabels: {team: a, mesh: b}}]", false),
        ("[{matchLabels: {team: b}}, {matchLabels: {team: a}}]", true),
        (
            "[{matchExpressions: [{key: team, operator: In, values: [b, a]}]}]",
            true,
        ),
        (
            "[{matchExpressions: [{key: team, operator: In, values: [b]}]}]",
            false,
        ),
        (
            "[{matchExpressions: [{key: team, operator: NotIn, values: [a]}]}]",
            false,
        ),
        (
            "[{matchExpressions: [{key: mesh, operator: NotIn, values: [a]}]}]",
            true,
        ),
        (
            "[{matchExpressions: [{key: team, operator: Exists}]}]",
            true,
        ),
        (
            "[{matchExpressions: [{key: team, operator: DoesNotExist}]}]",
            false,
        ),
    ] {
        let settings = mesh("istio", &format!("discoverySelectors: {selectors}"));
        let known = service("", TCP) + &settings;
        // Nothing is said of a namespace whose labels are not known.
        assert_eq!(error(&resources(TO_X, ""), &known), "", "{selectors}");
        let found = error(&resources(TO_X, ""), &(known + namespace));
        let reason = "Istio does not know namespace `shop`: `discoverySelectors` of the mesh (ConfigMap `istio-system/istio`) do not select it";
        assert_eq!(found.is_empty(), is_known, "{selectors}: {found}");
        assert_eq!(found.contains(reason), !is_known, "{selectors}: {found}");
    }
}

#[test]
fn every_revision_has_to_hide_a_service() {
    let hides = "defaultServiceExportTo: ['.']";
    for (other, is_hidden) in [(hides, true), ("enableTracing: false", false)] {
        let inventory = service("", TCP) + &mesh("istio", hides) + &mesh("istio-canary", other);
        let found = error(&resources(TO_X, ""), &inventory);
        assert_eq!(
            found.contains("defaultServiceExportTo"),
            is_hidden,
            "{found}"
        );
    }
    // It is another namespace's, and not Istio's.
    let foreign = mesh("istio", hides).replace("istio-system", "shop");
    assert_eq!(
        error(&resources(TO_X, ""), &(service("", TCP) + &foreign)),
        ""
    );
}

#[test]
fn a_mesh_that_is_no_yaml_is_reported() {
    for (text, reason) in [
        ("a: [b", ""),
        ("nothing", "it is no map"),
        (
            "discoverySelectors: [{matchExpressions: [{key: a, operator: Is}]}]",
            "no operator `Is`",
        ),
    ] {
        let found = error(
            &resources(TO_X, ""),
            &(service("", TCP) + &mesh("istio", text)),
        );
        let start = "E0010]: `data.mesh` of ConfigMap `istio-system/istio` cannot be read: ";
        assert!(
            found.starts_with(start) && found.contains(reason),
            "{found}"
        );
    }
}

#[test]
fn a_finding_has_a_place_and_a_way_out() {
    let service = service("networking.istio.io/exportTo: .", TCP);
    let errors = errors(&resources(TO_X, ""), &service);
    let [error] = errors.as_slice() else {
        panic!("{errors:?}")
    };
    let place = error.split_once(": error").map_or("", |(place, _)| place);
    let mut place = place.split(':');
    assert_eq!(place.next(), Some("t.yaml"));
    assert!(place.all(|number| number.parse::<u32>().is_ok()), "{error}");
    assert!(
        error.contains("help: add `edge` to its annotation `networking.istio.io/exportTo`"),
        "{error}"
    );
}

#[test]
fn istio_has_no_clusters_for_other_names_and_for_udp() {
    for (spec, reason) in [
        (
            "type: ExternalName, externalName: a.example, ports: [{port: 80}]",
            "type ExternalName",
        ),
        (
            "ports: [{port: 80, protocol: UDP}]",
            "port 80 of Service `shop/x` is UDP",
        ),
        (
            "ports: [{name: u, port: 80, protocol: UDP}, {name: t, port: 80, protocol: TCP}]",
            "",
        ),
        ("clusterIP: None, ports: [{port: 80, protocol: TCP}]", ""),
    ] {
        let found = error(&resources(TO_X, ""), &service("", spec));
        assert_eq!(reason.is_empty(), found.is_empty(), "{spec}: {found}");
        assert!(found.contains(reason), "{spec}: {found}");
    }
}

#[test]
fn every_use_is_looked_at() {
    let hidden = service("networking.istio.io/exportTo: .", TCP);
    let plain = hidden
        .replace("name: x", "name: plain")
        .replace("networking.istio.io/exportTo: .", "");
    let to_plain = "kubeService: {name: plain, namespace: shop, port: 80}";
    let mirrored = resources(to_plain, "").replace(
        "{name: r, ",
        "{name: r, options: {mirror: {kubeService: {name: x, namespace: shop}, port: 80}}, ",
    );
    let inventory = hidden + &plain;
    assert_eq!(error(&resources(to_plain, ""), &inventory), "");
    assert!(error(&mirrored, &inventory).contains("x.shop.svc.cluster.local"));

    let asked = resources(to_plain, "").replace(
        "connectionHandlers: [{http: {",
        "connectionHandlers: [{http: {routeOptions: {extauth: {extauthzRef: {name: x, namespace: shop}}}, ",
    );
    assert!(error(&asked, &inventory).contains("x.shop.svc.cluster.local"));

    let connections = "---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: tcp, namespace: infra}
spec:
  ingressGatewaySelectors: [{portName: http2, destinationSelectors: [{kubeServiceMatcher: {labels: {app: ingress}}}]}]
  connectionHandlers: [{tcp: {tcpHosts: [{destination: {kube: {name: x, namespace: shop}}}]}}]
";
    assert!(error(connections, &inventory).contains("x.shop.svc.cluster.local"));

    let behind = "---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualDestination
metadata: {name: all, namespace: shop}
spec:
  hostname: all.global
  port: {number: 80, protocol: http}
  static: {destinations: [{kubeService: {name: x, namespace: shop}}, {kubeService: {name: plain, namespace: shop}}]}
";
    let found = error(
        &resources("virtualDestination: {name: all, namespace: shop}", behind),
        &inventory,
    );
    assert!(found.contains("x.shop.svc.cluster.local"), "{found}");
    assert!(
        found.ends_with("it is behind virtual destination `shop/all`"),
        "{found}"
    );
}

#[test]
fn federated_hosts_that_are_there_already() {
    let discovered = "---
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {name: x-west, namespace: gloo-mesh}
spec: {kubeService: {ref: {name: x, namespace: shop, clusterName: west}, ports: [{port: 80, protocol: TCP}]}}
status: {appliedFederation: {federatedHostname: x.shop.svc.west.global}}
";
    let resources = resources(
        "kubeService: {name: x, namespace: shop, clusterName: west, port: 80}",
        discovered,
    );
    let entry = |host: &str, export_to: &str, protocol: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: e, namespace: istio-system}}\n\
             spec: {{hosts: [{host}], exportTo: {export_to}, ports: [{{number: 80, name: p, protocol: {protocol}}}]}}\n"
        )
    };
    // Nothing is known about entries.
    assert_eq!(error(&resources, ""), "");
    for (entry, reason) in [
        (entry("x.shop.svc.west.global", "['*']", "HTTP"), ""),
        (entry("x.shop.svc.west.global", "[]", "HTTP"), ""),
        (entry("'*.west.global'", "[edge]", "TCP"), ""),
        (
            entry("y.shop.svc.west.global", "['*']", "HTTP"),
            "no ServiceEntry of its cluster has the host",
        ),
        (
            entry("x.shop.svc.west.global", "[.]", "HTTP"),
            "ServiceEntry `istio-system/e` is not visible in namespace `edge`, only in its own",
        ),
        (
            entry("x.shop.svc.west.global", "['*']", "UDP"),
            "ServiceEntry `istio-system/e` has no TCP port 80",
        ),
    ] {
        let found = error(&resources, &entry);
        assert_eq!(reason.is_empty(), found.is_empty(), "{entry}: {found}");
        assert!(found.contains(reason), "{entry}: {found}");
    }
}

#[test]
fn external_services_may_shut_one_another_out() {
    let external = |name: &str, host: &str, port: u16, endpoint: &str| {
        format!(
            "---\napiVersion: discovery.mesh.gloo.solo.io/v1\nkind: Destination\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{externalService: {{name: {name}, hosts: [{host}], ports: [{{number: {port}, name: p, protocol: HTTP}}], endpoints: [{{address: {endpoint}}}]}}}}\n"
        )
    };
    let both = "staticDestination: {name: a, namespace: shop}, weight: 50}, {staticDestination: {name: b, namespace: shop}, weight: 50";
    for (a, b, is_wrong) in [
        (
            ("api.example", 80, "10.0.0.1"),
            ("api.example", 81, "10.0.0.2"),
            false,
        ),
        (
            ("api.example", 80, "10.0.0.1"),
            ("api.example", 80, "a.example"),
            false,
        ),
        (
            ("api.example", 80, "10.0.0.1"),
            ("other.example", 81, "a.example"),
            false,
        ),
        (
            ("api.example", 80, "10.0.0.1"),
            ("api.example", 81, "a.example"),
            true,
        ),
    ] {
        let more = external("a", a.0, a.1, a.2) + &external("b", b.0, b.1, b.2);
        let found = errors(&resources(both, &more), "");
        assert_eq!(
            found.len(),
            if is_wrong { 2 } else { 0 },
            "{a:?} {b:?}: {found:#?}"
        );
        assert!(
            found
                .iter()
                .all(|line| line.contains("has the host `api.example` as well"))
        );
    }
    let to_a = "staticDestination: {name: a, namespace: shop}";
    for (port, is_wrong) in [(80, false), (81, true)] {
        let more = external("a", "x.shop.svc.cluster.local", port, "10.0.0.1");
        let found = error(&resources(to_a, &more), &service("", TCP));
        assert_eq!(
            found.contains("is Service `shop/x`, which has no TCP port 81"),
            is_wrong,
            "{found}"
        );
        assert_eq!(found.is_empty(), !is_wrong, "{found}");
    }
}

#[test]
fn rules_of_others_may_stand_in_the_way_of_subsets() {
    let to_v2 = "kubeService: {name: x, namespace: shop, port: 80, subset: {version: v2}}";
    let rule = |namespace: &str, spec: &str| {
        let rule = format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r, namespace: {namespace}}}\nspec: {{host: x.shop.svc.cluster.local, {spec}}}\n"
        );
        service("", TCP) + &rule
    };
    let same = "subsets: [{name: version-v2, labels: {version: v2}}]";
    let other = "subsets: [{name: version-v2, labels: {version: v3}}]";
    let hidden = format!("exportTo: [.], {other}");
    for (inventory, reason) in [
        (rule("shop", same), ""),
        (rule("edge", same), ""),
        // Not known to the gateway.
        (rule("shop", &hidden), ""),
        (rule("else", other), ""),
        (
            rule("shop", other),
            "DestinationRule `shop/r` has a subset `version-v2` of other pods",
        ),
        (
            rule("edge", &hidden),
            "DestinationRule `edge/r` has a subset `version-v2` of other pods",
        ),
        (
            rule("edge", "workloadSelector: {matchLabels: {istio: ingress}}"),
            "",
        ),
        (
            rule("edge", "workloadSelector: {matchLabels: {istio: egress}}"),
            "",
        ),
        (
            rule("shop", "workloadSelector: {matchLabels: {istio: ingress}}"),
            "",
        ),
    ] {
        let found = error(&resources(to_v2, ""), &inventory);
        assert_eq!(reason.is_empty(), found.is_empty(), "{inventory}: {found}");
        assert!(found.contains(reason), "{inventory}: {found}");
        assert_eq!(error(&resources(TO_X, ""), &inventory), "", "{inventory}");
    }
    // One object is for both gateways of the namespace.
    let second = GATEWAY
        .replace("ingress", "second")
        .replace("app: second", "app: ingress");
    for (selector, is_wrong) in [
        ("istio: ingress", true),
        ("istio: second", true),
        ("istio: egress", false),
    ] {
        let rule = rule(
            "edge",
            &format!("workloadSelector: {{matchLabels: {{{selector}}}}}"),
        );
        let found = error(&resources(to_v2, ""), &(rule + &second));
        assert_eq!(
            found.contains("`edge/r` is for some gateways of the namespace only"),
            is_wrong,
            "{selector}: {found}"
        );
        assert_eq!(found.is_empty(), !is_wrong, "{selector}: {found}");
    }
}
