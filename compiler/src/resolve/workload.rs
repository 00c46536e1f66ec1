//! Gateways that run: which Services a virtual gateway's selectors mean, and where clients reach them.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{
    DestinationSelector, IngressGatewaySelector, ObjectName, Resources, Service, ServicePort,
    ServiceType, VirtualGateway,
};
use crate::source::{Span, Spanned};
use crate::tree::{GatewayWorkload, Tree};

/// Port of a gateway whose selector names none.
const DEFAULT_PORT_NAME: &str = "tls";

/// The label by which Istio's own gateways are known.
const DEFAULT_LABEL: (&str, &str) = ("istio", "ingressgateway");

/// Where Istio's own gateways are.
const DEFAULT_NAMESPACE: &str = "istio-system";

/// Looks up gateways.
#[derive(Debug)]
pub(super) struct Gateways<'r> {
    resources: &'r Resources,
    /// All Services, by cluster, namespace and name; what discovery found only where there is no manifest.
    services: Vec<&'r Service>,
    /// Cluster that is compiled for.
    cluster: Option<&'r str>,
}

impl<'r> Gateways<'r> {
    /// Indexes the input.
    pub(super) fn new(resources: &'r Resources, cluster: Option<&'r str>) -> Self {
        let mut services: BTreeMap<_, &Service> = BTreeMap::new();
        let discovered = resources
            .destinations
            .iter()
            .filter_map(|d| d.kube.as_ref());
        for service in resources.services.iter().chain(discovered) {
            services
                .entry((&service.cluster, &service.namespace, &service.name))
                .or_insert(service);
        }
        Self {
            resources,
            services: services.into_values().collect(),
            cluster,
        }
    }

    /// Whether any Service of a cluster is known.
    pub(super) fn knows(&self, cluster: &str) -> bool {
        let mut services = self.services.iter();
        services.any(|service| service.cluster.as_deref() == Some(cluster))
    }

    /// All Services.
    pub(super) fn services(&self) -> &[&'r Service] {
        &self.services
    }

    /// A Service of a cluster, of any if none is given. Plain manifests stand for every cluster.
    pub(super) fn service(&self, name: &ObjectName, cluster: Option<&str>) -> Option<&'r Service> {
        let mut namesakes = (self.services.iter().copied())
            .filter(|service| service.name == name.name && service.namespace == name.namespace);
        let fits = |service: &&Service| cluster.is_none() || service.cluster.as_deref() == cluster;
        let exact = namesakes.clone().find(fits);
        exact.or_else(|| namesakes.find(|service| service.cluster.is_none()))
    }

    /// Whether there is an inventory to look things up in. Without one, what selectors say is taken on trust.
    fn known(&self) -> bool {
        !self.resources.clusters.is_empty()
            || self
                .services
                .iter()
                .any(|service| service.cluster.is_some())
    }

    /// The gateways that serve a virtual gateway, by cluster, namespace and name, and whether that is more than what
    /// its selectors say.
    pub(super) fn of_gateway(
        &self,
        gateway: &VirtualGateway,
        diagnostics: &mut Diagnostics,
    ) -> (Vec<GatewayWorkload>, bool) {
        let everywhere = [IngressGatewaySelector {
            destinations: None,
            port_name: None,
            span: gateway.metadata.span,
        }];
        let selectors = match gateway.selectors.as_slice() {
            [] => &everywhere,
            written => written,
        };
        let found = self.find(selectors, None, diagnostics);
        if !found.selected && self.known() {
            diagnostics.push(
                Diagnostic::at(
                    Code::NoGatewayFound,
                    selectors.first().map_or(gateway.metadata.span, |s| s.span),
                    format!(
                        "the inventory has no gateway for `{}`: no Service is selected",
                        gateway.metadata.id
                    ),
                )
                .help("correct the labels, namespaces or clusters, or pass the inventory of the gateway's cluster"),
            );
        }
        match found.selected || self.known() {
            true => (found.workloads, true),
            false => (self.on_trust(selectors), false),
        }
    }

    /// Gateways for traffic from other clusters into one.
    pub(super) fn between_clusters(
        &self,
        selectors: &[IngressGatewaySelector],
        cluster: &str,
        place: Span,
        diagnostics: &mut Diagnostics,
    ) -> Vec<GatewayWorkload> {
        let usual = [IngressGatewaySelector {
            destinations: None,
            port_name: None,
            span: place,
        }];
        let selectors = if selectors.is_empty() {
            &usual
        } else {
            selectors
        };
        self.find(selectors, Some(cluster), diagnostics).workloads
    }

    fn find(
        &self,
        selectors: &[IngressGatewaySelector],
        cluster: Option<&str>,
        diagnostics: &mut Diagnostics,
    ) -> Found {
        let mut found = Found::default();
        let here = |service: &&&Service| cluster.is_none() || service.cluster.as_deref() == cluster;
        for service in self.services.iter().filter(here) {
            // One port for each Service: the first selector counts.
            let Some(selector) = selectors
                .iter()
                .find(|selector| selects_gateway(selector, service))
            else {
                continue;
            };
            found.selected = true;
            found
                .workloads
                .extend(self.workload(service, selector, diagnostics));
        }
        found
    }

    fn workload(
        &self,
        service: &Service,
        selector: &IngressGatewaySelector,
        diagnostics: &mut Diagnostics,
    ) -> Option<GatewayWorkload> {
        let name = shown(service);
        if service.selector.is_empty() {
            diagnostics.push(
                Diagnostic::at(
                    Code::GatewayWithoutPods,
                    selector.span,
                    format!("the Service {name} selects no pods, so it is no gateway"),
                )
                .also(service.span, "it has no `selector`")
                .help("select another Service, or add a `selector` to this one"),
            );
            return None;
        }
        let port = self.port(service, &name, selector, diagnostics)?;
        let workload = GatewayWorkload {
            cluster: service.cluster.clone(),
            namespace: service.namespace.clone(),
            labels: service.selector.clone(),
            service: Some(service.name.clone()),
            port: port.number,
            port_name: port.name.clone(),
            target_port: self.resources.target_port(service, port),
            external_addresses: self.addresses(service),
            external_port: match service.service_type {
                ServiceType::LoadBalancer => Some(port.number),
                ServiceType::NodePort => port.node_port,
                ServiceType::ClusterIp | ServiceType::ExternalName => None,
            },
        };
        if workload.target_port.is_none() {
            diagnostics.push(
                Diagnostic::at(
                    Code::UnknownTargetPort,
                    selector.span,
                    format!(
                        "no Deployment or Pod in the inventory says which port of the pods of {name} `{}` leads to",
                        port.name
                    ),
                )
                .also(service.span, "its `targetPort` is a name")
                .help("pass the Deployments or Pods of the gateway as well"),
            );
        }
        if workload.external_port.is_none() || workload.external_addresses.is_empty() {
            let (message, help) = match service.service_type {
                ServiceType::LoadBalancer => (
                    format!("the load balancer of {name} has no address yet"),
                    "take the inventory again when it has one",
                ),
                ServiceType::NodePort => (
                    format!(
                        "{name} has no address outside its cluster: no node of the cluster is in the inventory"
                    ),
                    "pass the nodes as well",
                ),
                ServiceType::ClusterIp | ServiceType::ExternalName => (
                    format!("{name} has no address outside its cluster: its type is ClusterIP"),
                    "make it a LoadBalancer or NodePort, if clients are outside",
                ),
            };
            diagnostics.push(
                Diagnostic::at(Code::GatewayWithoutAddress, selector.span, message)
                    .also(service.span, "declared here")
                    .help(help),
            );
        }
        Some(workload)
    }

    fn port<'s>(
        &self,
        service: &'s Service,
        name: &str,
        selector: &IngressGatewaySelector,
        diagnostics: &mut Diagnostics,
    ) -> Option<&'s ServicePort> {
        let wanted = wanted_port(selector);
        let port = service.ports.iter().find(|port| port.name == wanted);
        if port.is_none() {
            let names: Vec<&str> = service.ports.iter().map(|p| p.name.as_str()).collect();
            let span = (selector.port_name.as_ref()).map_or(selector.span, |name| name.span);
            diagnostics.push(
                Diagnostic::at(
                    Code::GatewayPortNotFound,
                    span,
                    format!(
                        "{name} has no port named `{wanted}` (it has: {})",
                        match names.as_slice() {
                            [] => "none".to_owned(),
                            names => names.join(", "),
                        }
                    ),
                )
                .also(service.span, "declared here")
                .help("write the name of one of its ports as `portName`"),
            );
        }
        port
    }

    fn addresses(&self, service: &Service) -> Vec<String> {
        if service.service_type != ServiceType::NodePort || !service.addresses.is_empty() {
            return service.addresses.clone();
        }
        let nodes = self.resources.nodes.iter();
        let addresses: BTreeSet<&String> = nodes
            .filter(|node| node.cluster == service.cluster)
            .flat_map(|node| &node.addresses)
            .collect();
        addresses.into_iter().cloned().collect()
    }

    /// What selectors say, if there is nothing to look it up in.
    fn on_trust(&self, selectors: &[IngressGatewaySelector]) -> Vec<GatewayWorkload> {
        let mut workloads = Vec::new();
        for selector in selectors {
            let wanted = wanted_port(selector);
            let workload = |cluster: Option<&str>, namespace: &str, labels| GatewayWorkload {
                cluster: cluster.or(self.cluster).map(str::to_owned),
                namespace: namespace.to_owned(),
                labels,
                service: None,
                port: usual_port(wanted),
                port_name: wanted.to_owned(),
                target_port: None,
                external_addresses: Vec::new(),
                external_port: None,
            };
            let usual = || {
                let (key, value) = DEFAULT_LABEL;
                BTreeMap::from([(key.to_owned(), value.to_owned())])
            };
            for one in selector.destinations.iter().flatten() {
                if let Some(matcher) = &one.matcher {
                    let labels = match matcher.labels.is_empty() {
                        true => usual(),
                        false => matcher.labels.clone(),
                    };
                    for cluster in or_one(&matcher.clusters, None) {
                        for namespace in or_one(&matcher.namespaces, Some(DEFAULT_NAMESPACE)) {
                            let namespace = namespace.unwrap_or_default();
                            workloads.push(workload(cluster, namespace, labels.clone()));
                        }
                    }
                }
                for service in &one.refs {
                    // Istio's charts label the pods of a gateway with its name.
                    let labels = BTreeMap::from([("app".to_owned(), service.name.name.clone())]);
                    let mut one = workload(Some(&service.cluster), &service.name.namespace, labels);
                    one.service = Some(service.name.name.clone());
                    workloads.push(one);
                }
            }
            if selector.destinations.as_ref().is_none_or(Vec::is_empty) {
                workloads.push(workload(None, DEFAULT_NAMESPACE, usual()));
            }
        }
        workloads.sort();
        workloads.dedup();
        workloads
    }
}

/// Says which gateways are taken on trust, because there is no inventory to find them in.
pub fn report_trusted_gateways(tree: &Tree, diagnostics: &mut Diagnostics) {
    for gateway in tree
        .gateways
        .iter()
        .filter(|gateway| !gateway.workloads_known)
    {
        let places: Vec<String> = gateway.workloads.iter().map(trusted).collect();
        diagnostics.push(
            Diagnostic::at(
                Code::TrustedGateways,
                gateway.span,
                format!(
                    "without an inventory, `{}` is taken to run as {}",
                    gateway.name,
                    match places.as_slice() {
                        [] => "nothing: its selectors select nothing".to_owned(),
                        places => places.join("; "),
                    }
                ),
            )
            .help("pass `--inventory CLUSTER=PATH` to have its gateways looked up"),
        );
    }
}

/// A gateway that selectors describe, for messages.
fn trusted(workload: &GatewayWorkload) -> String {
    let labels: Vec<String> = workload
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let cluster = match &workload.cluster {
        Some(cluster) => format!(" of cluster `{cluster}`"),
        None => String::new(),
    };
    format!(
        "pods `{}` in namespace `{}`{cluster}, port {}",
        labels.join(","),
        workload.namespace,
        workload.port
    )
}

/// What selectors found.
#[derive(Default)]
struct Found {
    workloads: Vec<GatewayWorkload>,
    /// A Service was selected, whether it can be used or not.
    selected: bool,
}

/// `cluster: namespace/name` of a Service, for messages.
fn shown(service: &Service) -> String {
    let name = format!("{}/{}", service.namespace, service.name);
    match &service.cluster {
        Some(cluster) => format!("`{name}` of cluster `{cluster}`"),
        None => format!("`{name}`"),
    }
}

fn wanted_port(selector: &IngressGatewaySelector) -> &str {
    selector
        .port_name
        .as_ref()
        .map_or(DEFAULT_PORT_NAME, |name| &name.value)
}

/// The port that a name means in Istio's own gateways.
fn usual_port(name: &str) -> u16 {
    match name {
        "https" => 443,
        "tls" => 15443,
        _ => 80,
    }
}

/// The elements of a list, or one that stands for them.
fn or_one<'a>(list: &'a [Spanned<String>], instead: Option<&'a str>) -> Vec<Option<&'a str>> {
    match list {
        [] => vec![instead],
        list => list.iter().map(|one| Some(one.value.as_str())).collect(),
    }
}

fn selects_gateway(selector: &IngressGatewaySelector, service: &Service) -> bool {
    match &selector.destinations {
        Some(list) => selects_any(list, service),
        None => {
            let (key, value) = DEFAULT_LABEL;
            service.selector.get(key).is_some_and(|is| is == value)
        }
    }
}

/// Whether one of the selectors selects a Service. An empty list selects all.
pub(super) fn selects_any(selectors: &[DestinationSelector], service: &Service) -> bool {
    selectors.is_empty() || selectors.iter().any(|selector| selects(selector, service))
}

fn selects(selector: &DestinationSelector, service: &Service) -> bool {
    // A plain manifest may be of any cluster.
    let in_cluster = |name: &str| {
        service
            .cluster
            .as_ref()
            .is_none_or(|cluster| cluster == name)
    };
    let named = selector.refs.iter().any(|reference| {
        reference.name.name == service.name
            && reference.name.namespace == service.namespace
            && in_cluster(&reference.cluster)
    });
    named
        || selector.matcher.as_ref().is_some_and(|matcher| {
            let any = |list: &[Spanned<String>], fits: &dyn Fn(&str) -> bool| {
                list.is_empty() || list.iter().any(|one| fits(&one.value))
            };
            contains(&service.labels, &matcher.labels)
                && any(&matcher.namespaces, &|name| name == service.namespace)
                && any(&matcher.clusters, &in_cluster)
        })
}

fn contains(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
