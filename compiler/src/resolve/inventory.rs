//! What destinations can point at: the services, virtual destinations and external services of the input.

mod external;
mod services;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{
    ClusterObjectRef, Destination, DestinationKind, ExternalService, ObjectName, ObjectRef,
    Resources, Service, ServicePort, VirtualDestination, WeightedDestination,
};
use crate::source::Span;
use crate::suggest::closest;
use crate::tree;

pub(super) use self::external::Wanted;
pub(super) use self::services::Services;
use super::federation::Federations;

/// Port of a service that says nothing about its port.
const DEFAULT_PORT: u16 = 80;

/// What hosts of Services of a gateway's own mesh end in.
const LOCAL: &str = ".svc.cluster.local";

/// How many names a note lists.
const LISTED_NAMES: usize = 3;

/// Looks up destinations by name.
#[derive(Debug)]
pub(super) struct Inventory<'r> {
    /// Cluster of the gateways, if known.
    cluster: Option<&'r str>,
    resources: &'r Resources,
    federations: Federations<'r>,
    services: Services<'r>,
    virtual_destinations: BTreeMap<&'r ObjectName, &'r VirtualDestination>,
    destinations: BTreeMap<&'r ObjectName, &'r Destination>,
    /// Services that routes name and the input does not have.
    trusted: BTreeSet<ObjectName>,
    /// What was found so far, without findings: most routes of a large configuration go to few destinations.
    found: HashMap<Reference<'r>, Arc<tree::Destination>>,
    /// By virtual destination, the federated hosts behind it. Other clusters know the pods of its subsets by the names that
    /// subsets of these Services have.
    federated: HashMap<ObjectName, BTreeSet<String>>,
    /// By host and name, the labels that a subset stands for, and the first place that says so.
    subsets: HashMap<(String, String), (BTreeMap<String, String>, Span)>,
}

/// How a Service is referred to: namespace, name, cluster, port. A reference to a subset is not remembered.
type Reference<'r> = (&'r str, &'r str, Option<&'r str>, Option<u16>);

impl<'r> Inventory<'r> {
    /// Indexes the input. `cluster` is where the gateways run.
    pub(super) fn new(resources: &'r Resources, cluster: Option<&'r str>) -> Self {
        Self {
            cluster,
            resources,
            federations: Federations::new(resources, cluster),
            services: Services::new(resources),
            virtual_destinations: resources
                .virtual_destinations
                .iter()
                .map(|vd| (&vd.metadata.id, vd))
                .collect(),
            destinations: resources
                .destinations
                .iter()
                .map(|d| (&d.metadata.id, d))
                .collect(),
            trusted: BTreeSet::new(),
            found: HashMap::new(),
            federated: HashMap::new(),
            subsets: HashMap::new(),
        }
    }

    /// Tells which services are behind virtual destinations.
    pub(super) fn add_backends(&mut self, destinations: &[tree::VirtualDestination]) {
        for destination in destinations {
            let hosts = destination.backends.iter().map(|backend| &backend.host);
            let federated = hosts.filter(|host| !host.ends_with(LOCAL)).cloned();
            let name = destination.name.clone();
            self.federated.insert(name, federated.collect());
        }
    }

    /// Resolves one destination of a route in `namespace`. `None` after an error.
    pub(super) fn resolve(
        &mut self,
        destination: &'r WeightedDestination,
        namespace: &'r str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<tree::Destination>> {
        match &destination.kind {
            DestinationKind::KubeService(reference) => {
                self.shared_kube_service(reference, namespace, diagnostics)
            }
            DestinationKind::Virtual { target, subset } => self
                .virtual_destination(target, subset, namespace, diagnostics)
                .map(Arc::new),
            DestinationKind::Static(target) => self
                .static_destination(target, namespace, diagnostics)
                .map(Arc::new),
        }
    }

    pub(super) fn shared_kube_service(
        &mut self,
        reference: &'r ClusterObjectRef,
        namespace: &'r str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<tree::Destination>> {
        let written = reference.namespace.as_ref();
        let key = (
            written.map_or(namespace, |namespace| namespace.as_str()),
            reference.name.as_str(),
            reference.cluster.as_ref().map(|cluster| cluster.as_str()),
            reference.port.as_ref().map(|port| port.value),
        );
        if reference.subset.is_empty()
            && let Some(known) = self.found.get(&key)
        {
            return Some(Arc::clone(known));
        }
        let before = diagnostics.list().len();
        let destination = Arc::new(self.kube_service(reference, namespace, diagnostics)?);
        // A finding is made for each reference.
        if reference.subset.is_empty() && diagnostics.list().len() == before {
            self.found.insert(key, Arc::clone(&destination));
        }
        Some(destination)
    }

    /// Says once which services were taken on trust.
    pub(super) fn report_trusted(&self, diagnostics: &mut Diagnostics) {
        if self.trusted.is_empty() {
            return;
        }
        let mut names: Vec<String> = self
            .trusted
            .iter()
            .take(LISTED_NAMES)
            .map(|name| format!("`{name}`"))
            .collect();
        if self.trusted.len() > LISTED_NAMES {
            names.push(format!("{} more", self.trusted.len() - LISTED_NAMES));
        }
        diagnostics.push(
            Diagnostic::global(
                Code::TrustedServices,
                format!("services that are not among the input are taken on trust: {}", names.join(", ")),
            )
            .help("pass the Service manifests or discovered Destinations as well to have names and ports checked"),
        );
    }

    fn kube_service(
        &mut self,
        reference: &ClusterObjectRef,
        namespace: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<tree::Destination> {
        let namespace = reference
            .namespace
            .as_ref()
            .map_or(namespace, |written| &written.value);
        let name = ObjectName {
            namespace: namespace.to_owned(),
            name: reference.name.value.clone(),
        };
        let cluster_name = reference
            .cluster
            .as_ref()
            .map(|cluster| cluster.value.clone());
        let cluster_wanted = cluster_name.as_deref().or(self.cluster);
        self.check_cluster(reference, diagnostics)?;
        let service = self.services.find(namespace, &name.name, cluster_wanted);
        if service.is_none() && self.is_inventoried(cluster_wanted) {
            let place = match cluster_wanted {
                Some(cluster) => format!("cluster `{cluster}` has"),
                None => "the clusters have".to_owned(),
            };
            diagnostics.push(
                Diagnostic::at(
                    Code::UnknownDestination,
                    reference.span,
                    format!("{place} no service `{name}`"),
                )
                .help(
                    "correct the name, the namespace or `clusterName`, or take the inventory again",
                ),
            );
            return None;
        }
        let port = match service {
            Some(service) => service_port(service, &name, reference, diagnostics)?,
            None => {
                let port = match &reference.port {
                    Some(port) => port.value,
                    None => {
                        diagnostics.push(
                            Diagnostic::at(
                                Code::AssumedPort,
                                reference.span,
                                format!("service `{name}` is not among the input and no port is written; {DEFAULT_PORT} is assumed"),
                            )
                            .help("write `port`"),
                        );
                        DEFAULT_PORT
                    }
                };
                self.trusted.insert(name.clone());
                port
            }
        };
        let host = self.federations.host(
            &name,
            cluster_name.as_deref(),
            service,
            reference.span,
            diagnostics,
        )?;
        let subset = self.subset(&reference.subset, &host, reference.span, diagnostics)?;
        Some(tree::Destination {
            port,
            cluster: cluster(port, &subset, &host),
            target: tree::DestinationTarget::KubeService {
                name,
                cluster_name,
                subset: reference.subset.clone(),
            },
        })
    }

    /// Whether all services of a cluster are known; without a cluster, those of all.
    fn is_inventoried(&self, cluster: Option<&str>) -> bool {
        let known = &self.resources.clusters;
        cluster.map_or(!known.is_empty(), |cluster| known.contains(cluster))
    }

    /// A cluster must be there, if it is known which ones are.
    fn check_cluster(
        &self,
        reference: &ClusterObjectRef,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        let registered = &self.resources.registered_clusters;
        let Some(written) = &reference.cluster else {
            return Some(());
        };
        let is_known = |cluster: &str| {
            registered.contains(cluster) || self.resources.clusters.contains(cluster)
        };
        if registered.is_empty() || is_known(&written.value) {
            return Some(());
        }
        let unknown = Diagnostic::at(
            Code::UnknownCluster,
            written.span,
            format!("there is no cluster `{written}`"),
        );
        let similar = closest(&written.value, registered.iter().map(String::as_str));
        diagnostics.push(match similar {
            Some(similar) => unknown.help(format!("did you mean `{similar}`?")),
            None => unknown.help("name a cluster that has a KubernetesCluster object"),
        });
        None
    }

    /// The name of a subset of a host. Different labels may come to one name, which stands for the first of them.
    fn subset(
        &mut self,
        labels: &BTreeMap<String, String>,
        host: &str,
        span: Span,
        diagnostics: &mut Diagnostics,
    ) -> Option<String> {
        let name = subset_name(labels);
        if labels.is_empty() {
            return Some(name);
        }
        let key = (host.to_owned(), name.clone());
        let known = self.subsets.entry(key);
        let (known, first) = known.or_insert_with(|| (labels.clone(), span));
        if known == labels {
            return Some(name);
        }
        diagnostics.push(
            Diagnostic::at(
                Code::AmbiguousSubset,
                span,
                format!("the subset `{name}` of `{host}` has other labels elsewhere"),
            )
            .also(*first, "the subset of this name that is used")
            .help("Istio's names of subsets have letters, digits and `-`: use labels that differ in these"),
        );
        None
    }

    fn virtual_destination(
        &mut self,
        target: &ObjectRef,
        subset: &BTreeMap<String, String>,
        namespace: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<tree::Destination> {
        let name = full_name(target, namespace);
        let Some(found) = self.virtual_destinations.get(&name) else {
            diagnostics.push(unknown(target, &name, "VirtualDestination"));
            return None;
        };
        let (port, host) = (found.port.value, &found.hostname.value);
        let subset_name = self.subset(subset, host, target.span, diagnostics)?;
        // Most routes name no subset.
        if !subset.is_empty() {
            for host in self.federated.get(&name).cloned().unwrap_or_default() {
                self.subset(subset, &host, target.span, diagnostics)?;
            }
        }
        Some(tree::Destination {
            port,
            cluster: cluster(port, &subset_name, host),
            target: tree::DestinationTarget::VirtualDestination {
                name,
                subset: subset.clone(),
            },
        })
    }

    fn static_destination(
        &self,
        target: &ObjectRef,
        namespace: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<tree::Destination> {
        let name = full_name(target, namespace);
        let Some(found) = self.destinations.get(&name) else {
            diagnostics.push(unknown(target, &name, "Destination"));
            return None;
        };
        let Some(external) = &found.external else {
            diagnostics.push(
                Diagnostic::at(
                    Code::UnknownDestination,
                    target.span,
                    format!("Destination `{name}` is not an external service"),
                )
                .also(found.metadata.span, "it has no `externalService`")
                .help("use `kubeService` for a Kubernetes Service"),
            );
            return None;
        };
        let (Some(host), Some(port)) = (external.hosts.first(), external.ports.first()) else {
            diagnostics.push(
                Diagnostic::at(
                    Code::UnknownPort,
                    target.span,
                    format!("external service `{name}` has no host or no port to send requests to"),
                )
                .also(found.metadata.span, "declared here"),
            );
            return None;
        };
        if external.ports.len() > 1 {
            diagnostics.push(
                Diagnostic::at(
                    Code::AmbiguousPort,
                    target.span,
                    format!("external service `{name}` has several ports ({}) and a route cannot choose", numbers(&external.ports)),
                )
                .also(found.metadata.span, "declared here")
                .help("declare one Destination for each port"),
            );
            return None;
        }
        Some(tree::Destination {
            port: port.number,
            cluster: cluster(port.number, "", &host.value),
            target: tree::DestinationTarget::StaticDestination {
                name,
                endpoints: endpoints(external, &host.value, port),
            },
        })
    }
}

/// The name a reference from an object in `namespace` means.
pub(super) fn full_name(reference: &ObjectRef, namespace: &str) -> ObjectName {
    ObjectName {
        namespace: reference
            .namespace
            .as_ref()
            .map_or(namespace, |written| &written.value)
            .to_owned(),
        name: reference.name.value.clone(),
    }
}

fn unknown(target: &ObjectRef, name: &ObjectName, kind: &str) -> Diagnostic {
    Diagnostic::at(Code::UnknownDestination, target.span, format!("there is no {kind} `{name}`"))
        .help("the route is left out until it exists; pass its file as well, or correct the name or namespace")
}

/// The port of a known service that a reference means.
fn service_port(
    service: &Service,
    name: &ObjectName,
    reference: &ClusterObjectRef,
    diagnostics: &mut Diagnostics,
) -> Option<u16> {
    let known = numbers(&service.ports);
    let (code, span, message): (Code, Span, String) =
        match (&reference.port, service.ports.as_slice()) {
            (Some(port), ports) if ports.iter().any(|known| known.number == port.value) => {
                return Some(port.value);
            }
            (None, [only]) => return Some(only.number),
            (Some(port), _) => (
                Code::UnknownPort,
                port.span,
                format!(
                    "service `{name}` has no port {} (it has: {known})",
                    port.value
                ),
            ),
            (None, []) => (
                Code::UnknownPort,
                reference.span,
                format!("service `{name}` has no ports"),
            ),
            (None, _) => (
                Code::AmbiguousPort,
                reference.span,
                format!("service `{name}` has several ports ({known}) and none is chosen"),
            ),
        };
    let diagnostic = Diagnostic::at(code, span, message).also(service.span, "declared here");
    diagnostics.push(if code == Code::AmbiguousPort {
        diagnostic.help("write `port`")
    } else {
        diagnostic
    });
    None
}

/// Numbers of ports, for messages.
pub(super) fn numbers(ports: &[ServicePort]) -> String {
    let numbers: Vec<String> = ports.iter().map(|port| port.number.to_string()).collect();
    if numbers.is_empty() {
        "none".to_owned()
    } else {
        numbers.join(", ")
    }
}

/// `address:port` of each endpoint; an external service without endpoints is where its name leads.
fn endpoints(external: &ExternalService, host: &str, port: &ServicePort) -> Vec<(String, u16)> {
    if external.endpoints.is_empty() {
        return vec![(host.to_owned(), port.number)];
    }
    external
        .endpoints
        .iter()
        .map(|endpoint| {
            let target = endpoint
                .ports
                .get(&port.name)
                .copied()
                .unwrap_or(port.number);
            (endpoint.address.value.clone(), target)
        })
        .collect()
}

/// Longest name of a subset that Istio takes.
const MAX_SUBSET: usize = 63;

/// Name of a subset: its labels, as far as Istio takes them for a name. It tells names in capitals from those in small
/// letters, as labels do.
fn subset_name(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}-{value}"))
        .collect();
    let labels = pairs.join("-");
    let mut name: String = labels
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    if name.len() > MAX_SUBSET || name.ends_with('-') {
        let hash = format!("{:016x}", xxh64(labels.as_bytes(), 0));
        name.truncate(MAX_SUBSET - hash.len() - 1);
        name = format!("{}-{hash}", name.trim_end_matches('-'));
    }
    name
}

/// Name of the Envoy cluster that Istio generates for a host, port and subset.
fn cluster(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}
