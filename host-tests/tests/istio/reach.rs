//! Whether the compiler knows which clusters a gateway gets: Services, ServiceEntries and DestinationRules of every
//! visibility, and what the gateway's Envoy really has of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use meshgate_compiler::compile::{CompileOptions, workload_programs};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::manifest::istio::{Attach, IstioOptions, Wave, manifests};
use meshgate_compiler::render;
use meshgate_compiler::source::SourceMap;
use meshgate_host_tests::cases::{Clusters, Group};
use meshgate_host_tests::istio::{Mesh, Tools};

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    let test = |name: &str, settings: Option<&'static str>| -> Test {
        (
            format!("reach/the_compiler_knows_what_the_gateway_gets{name}"),
            Box::new(move |tools| verdicts(tools, settings)),
        )
    };
    vec![
        test("", None),
        test(
            "_if_services_are_private",
            Some("defaultServiceExportTo: [.]"),
        ),
        test(
            "_if_services_are_the_gateways",
            Some("defaultServiceExportTo: [istio-ingress]"),
        ),
        test(
            "_if_istio_knows_its_namespace_only",
            Some(
                "discoverySelectors: [{matchLabels: {name: istio-ingress}}, {matchExpressions: [{key: name, operator: In, values: [istio-system]}]}]",
            ),
        ),
    ]
}

/// Values of `exportTo`, for things in namespaces where the gateway is and where it is not.
const VISIBILITIES: [&str; 11] = [
    "",
    "*",
    ".",
    "~",
    "istio-ingress",
    "shop",
    "other",
    ".,istio-ingress",
    "istio-ingress,~",
    "~,*",
    "other,shop",
];

/// Where the inventory is of.
const CLUSTER: &str = "east";

/// Resources and inventory while they are written, and the clusters that routes go to.
struct Input {
    routes: String,
    discovered: String,
    inventory: String,
    clusters: Vec<String>,
}

impl Input {
    fn new() -> Input {
        Input {
            routes: String::new(),
            discovered: String::new(),
            inventory: "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: ingress, namespace: istio-ingress, labels: {app: ingress}}
  spec: {selector: {istio: ingress}, ports: [{name: http2, port: 80, targetPort: 8080}]}
"
            .to_owned(),
            clusters: Vec::new(),
        }
    }

    fn route(&mut self, destination: &str, cluster: String) {
        let n = self.clusters.len();
        writeln!(
            self.routes,
            "  - {{name: r{n}, matchers: [{{uri: {{exact: /{n}}}}}], routeAction: {{destinations: [{{kubeService: {{{destination}}}}}]}}}}"
        )
        .expect("strings take everything");
        self.clusters.push(cluster);
    }

    /// A Service, and a route to its port 80.
    fn service(&mut self, (namespace, name): (&str, &str), export_to: &str, spec: &str) {
        let annotations = match export_to {
            "" => String::new(),
            list => format!(", annotations: {{networking.istio.io/exportTo: '{list}'}}"),
        };
        writeln!(
            self.inventory,
            "- apiVersion: v1\n  kind: Service\n  metadata: {{name: {name}, namespace: {namespace}{annotations}}}\n  spec: {{{spec}}}"
        )
        .expect("strings take everything");
        self.route(
            &format!("name: {name}, namespace: {namespace}, port: 80"),
            format!("outbound|80||{name}.{namespace}.svc.cluster.local"),
        );
    }

    /// Istio's ConfigMap, and the namespaces.
    fn mesh(&mut self, settings: &str) {
        writeln!(
            self.inventory,
            "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: istio, namespace: istio-system}}\n  data: {{mesh: '{settings}'}}"
        )
        .expect("strings take everything");
        for name in ["istio-ingress", "istio-system", "shop"] {
            writeln!(
                self.inventory,
                "- apiVersion: v1\n  kind: Namespace\n  metadata: {{name: {name}, labels: {{name: {name}}}}}"
            )
            .expect("strings take everything");
        }
    }

    fn object(&mut self, kind: &str, (namespace, name): (&str, &str), spec: &str) {
        writeln!(
            self.inventory,
            "- apiVersion: networking.istio.io/v1\n  kind: {kind}\n  metadata: {{name: {name}, namespace: {namespace}}}\n  spec: {{{spec}}}"
        )
        .expect("strings take everything");
    }

    /// A group with the first routes only, or all.
    fn group(&self, routes: usize) -> Group {
        let routes: Vec<&str> = self.routes.lines().take(routes).collect();
        let text = format!(
            "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {{name: www, namespace: shop}}
spec:
  ingressGatewaySelectors: [{{portName: http2, destinationSelectors: [{{kubeServiceMatcher: {{labels: {{app: ingress}}}}}}]}}]
  connectionHandlers: [{{http: {{routeConfig: [{{virtualHostSelector: {{}}}}]}}}}]
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {{name: www, namespace: shop}}
spec:
  domains: [shop.example]
  routes:
{}
{}",
            routes.join("\n"),
            self.discovered
        );
        let mut group = Group::new("reach", text);
        group.clusters = Some(Clusters {
            own: CLUSTER.to_owned(),
            inventories: vec![(CLUSTER.to_owned(), self.inventory.clone())],
        });
        group
    }
}

/// The first route goes to a Service that is there.
fn input() -> Input {
    const PORT: &str = "selector: {app: x}, ports: [{name: http, port: 80, targetPort: 8080}]";
    let mut input = Input::new();
    for (n, export_to) in VISIBILITIES.into_iter().enumerate() {
        for namespace in ["istio-ingress", "shop"] {
            input.service((namespace, &format!("s{n}")), export_to, PORT);
        }
    }
    for (name, spec) in [
        (
            "headless",
            "clusterIP: None, selector: {app: x}, ports: [{name: http, port: 80}]",
        ),
        (
            "alias",
            "type: ExternalName, externalName: www.example.com, ports: [{name: http, port: 80}]",
        ),
        (
            "alias-here",
            "type: ExternalName, externalName: s0.shop.svc.cluster.local, ports: [{name: http, port: 80}]",
        ),
        (
            "udp",
            "selector: {app: x}, ports: [{name: dns, port: 80, protocol: UDP}]",
        ),
        (
            "both",
            "selector: {app: x}, ports: [{name: dns, port: 80, protocol: UDP}, {name: tcp, port: 80, protocol: TCP}]",
        ),
        (
            "sctp",
            "selector: {app: x}, ports: [{name: s, port: 80, protocol: SCTP}]",
        ),
    ] {
        input.service(("shop", name), "", spec);
    }
    // Subsets: ours, beside rules that somebody has already.
    for (n, export_to) in VISIBILITIES.into_iter().enumerate() {
        for namespace in ["shop", "istio-ingress"] {
            let name = format!("subset-{n}-in-{namespace}");
            let host = format!("{name}.shop.svc.cluster.local");
            input.service(("shop", &name), "", PORT);
            let list: Vec<&str> = export_to.split(',').filter(|one| !one.is_empty()).collect();
            let list: Vec<String> = list.iter().map(|one| format!("'{one}'")).collect();
            // Istio takes no `~` in a rule, and no namespace twice.
            if export_to.contains('~') || export_to.contains('.') && list.len() > 1 {
                continue;
            }
            let spec = format!(
                "host: {host}, exportTo: [{}], subsets: [{{name: own, labels: {{a: b}}}}]",
                list.join(", ")
            );
            input.object("DestinationRule", (namespace, &name), &spec);
            input.route(
                &format!("name: {name}, namespace: shop, port: 80, subset: {{version: v2}}"),
                format!("outbound|80|version-v2|{host}"),
            );
        }
    }
    for (name, labels) in [("mine", "istio: ingress"), ("theirs", "istio: egress")] {
        input.service(("shop", name), "", PORT);
        let spec = format!(
            "host: {name}.shop.svc.cluster.local, workloadSelector: {{matchLabels: {{{labels}}}}}, subsets: [{{name: own, labels: {{a: b}}}}]"
        );
        input.object("DestinationRule", ("istio-ingress", name), &spec);
        input.route(
            &format!("name: {name}, namespace: shop, port: 80, subset: {{version: v2}}"),
            format!("outbound|80|version-v2|{name}.shop.svc.cluster.local"),
        );
    }
    // Services that are federated already, by entries of every visibility.
    for (n, export_to) in VISIBILITIES.into_iter().enumerate() {
        if export_to.contains('~') && export_to != "~" {
            continue;
        }
        let name = format!("far-{n}");
        let host = format!("{name}.shop.svc.west.global");
        let list: Vec<&str> = export_to.split(',').filter(|one| !one.is_empty()).collect();
        let list: Vec<String> = list.iter().map(|one| format!("'{one}'")).collect();
        let spec = format!(
            "hosts: [{host}], exportTo: [{}], location: MESH_INTERNAL, resolution: STATIC, \
             ports: [{{number: 80, name: http, protocol: HTTP}}, {{number: 81, name: dns, protocol: UDP}}], endpoints: [{{address: 10.1.1.1}}]",
            list.join(", ")
        );
        input.object("ServiceEntry", ("istio-system", &name), &spec);
        write!(
            input.discovered,
            "---\napiVersion: discovery.mesh.gloo.solo.io/v1\nkind: Destination\nmetadata: {{name: {name}, namespace: gloo-mesh}}\n\
             spec: {{kubeService: {{ref: {{name: {name}, namespace: shop, clusterName: west}}, ports: [{{port: 80, name: http, protocol: TCP}}, {{port: 81, name: dns, protocol: TCP}}, {{port: 82, name: no-such, protocol: TCP}}]}}}}\n\
             status: {{appliedFederation: {{federatedHostname: {host}}}}}\n"
        )
        .expect("strings take everything");
        for port in [80, 81, 82] {
            input.route(
                &format!("name: {name}, namespace: shop, clusterName: west, port: {port}"),
                format!("outbound|{port}||{host}"),
            );
        }
    }
    input
}

fn verdicts(tools: &Tools, settings: Option<&str>) -> Result<(), String> {
    let mut input = input();
    if let Some(settings) = settings {
        input.mesh(settings);
    }
    let mut sources = SourceMap::default();
    let group = input.group(usize::MAX);
    sources.add("resources.yaml".to_owned(), group.text);
    sources.add_inventory(
        CLUSTER,
        "inventory.yaml".to_owned(),
        input.inventory.clone(),
    );
    let mut diagnostics = Diagnostics::default();
    let (resources, programs) =
        workload_programs(&sources, &CompileOptions::default(), &mut diagnostics);
    let mut missing = BTreeSet::new();
    for finding in diagnostics.list() {
        match finding.code.as_str() {
            "E0375" => {
                let name = finding.message.split("will not have `").nth(1);
                missing.extend(name.and_then(|rest| rest.split('`').next()));
            }
            code if code.starts_with('E') => {
                return Err(format!("{code}: {}", finding.message));
            }
            _ => {}
        }
    }
    let options = IstioOptions::for_file(&tools.filter.display().to_string());
    let written = manifests(&programs, &resources, &options);
    if written.diagnostics.has_errors() {
        return Err(render::lines(&written.diagnostics, &sources));
    }
    let mesh = Mesh::start(tools, &input.group(1), Attach::Exclusive)?;
    let objects = written.list.iter();
    for object in objects.filter(|one| one.wave == Wave::Destinations) {
        mesh.istiod.apply(&object.object)?;
    }
    let proxy = mesh.proxies.first().ok_or("there is no gateway")?;
    let all = || input.clusters.iter().map(String::as_str);
    let difference = || -> Vec<String> {
        let wrong = all().filter(|name| proxy.has_clusters([*name]) == missing.contains(name));
        let shown = wrong.map(|name| match missing.contains(name) {
            true => format!("the compiler says that it lacks `{name}`, but it has it"),
            false => format!("the compiler says that it has `{name}`, but it lacks it"),
        });
        shown.collect()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let wrong = difference();
        if wrong.is_empty() && mesh.istiod.unsynced()?.is_none() {
            break;
        }
        if Instant::now() > deadline {
            return Err(wrong.join("\n"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let present = all().filter(|name| !missing.contains(name)).count();
    println!("of {} clusters, {present} are there", input.clusters.len());
    if missing.len() < 10 || present < 10 {
        return Err("that is no test of both".to_owned());
    }
    Ok(())
}
