//! Whether gateways will have what their routes go to.
//!
//! Istio gives a gateway a cluster of Envoy for every TCP port of every Service and ServiceEntry that proxies of its
//! namespace may know. A route to anything else is taken and answered with 503, and only the gateway's own configuration
//! says why. What we write ourselves is there; the rest is what the inventory says.

mod uses;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde_json::json;

use self::uses::uses;
use super::destination::subset_and_host;
use super::{MANAGED_BY, destination_rule, federated};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{
    MeshSettings, ObjectName, Resources, Service, ServiceEntry, ServicePort, ServiceType,
    Visibility,
};
use crate::source::Span;
use crate::tree::{Destination, DestinationTarget, GatewayWorkload, Tree};

/// What hosts of Services of a gateway's own mesh end in.
const LOCAL: &str = ".svc.cluster.local";

/// Reports every route, mirror and service of a gateway that the gateway will not have. The tree is that of a cluster;
/// without a cluster it is that of no cluster in particular, and nothing is said if there are inventories.
pub fn check(
    tree: &Tree,
    resources: &Resources,
    cluster: Option<&str>,
    diagnostics: &mut Diagnostics,
) {
    if cluster.is_none() && !resources.clusters.is_empty() {
        return;
    }
    let model = Model::new(tree, resources, cluster);
    for gateway in &tree.gateways {
        let mut places: BTreeMap<_, &GatewayWorkload> = BTreeMap::new();
        let workloads = gateway.workloads.iter();
        for workload in workloads.filter(|one| cluster.is_none_or(|own| one.in_cluster(own))) {
            let pods = (&workload.namespace, &workload.labels);
            places.entry(pods).or_insert(workload);
        }
        let uses = uses(gateway);
        for workload in places.into_values() {
            let mut known = HashMap::new();
            for (destination, span) in &uses {
                // Routes to the same destination share it.
                let missing = known
                    .entry(std::ptr::from_ref(*destination))
                    .or_insert_with(|| model.missing(destination, workload));
                for missing in missing.iter() {
                    diagnostics.push(missing.report(workload, *span));
                }
            }
        }
    }
}

/// Something that a gateway will not have.
struct Missing {
    /// Name of the cluster.
    cluster: String,
    /// Why.
    reason: String,
    /// What can be done.
    help: String,
    /// The object that is to blame.
    place: Option<Span>,
}

impl Missing {
    fn report(&self, workload: &GatewayWorkload, span: Span) -> Diagnostic {
        let name = workload.service.as_deref().unwrap_or("*");
        let of = match &workload.cluster {
            Some(cluster) => format!(" of cluster `{cluster}`"),
            None => String::new(),
        };
        let message = format!(
            "gateway `{}/{name}`{of} will not have `{}`: {}",
            workload.namespace, self.cluster, self.reason
        );
        let report = Diagnostic::at(Code::NotAtGateway, span, message).help(self.help.as_str());
        match self.place {
            Some(place) => report.also(place, "declared here"),
            None => report,
        }
    }
}

/// Why something is missing, what can be done, and the object that is to blame.
type Fault = (String, String, Option<Span>);

/// A host and port that Istio is to know, and what is behind them.
struct Wanted<'a> {
    service: &'a ObjectName,
    /// Cluster of the Service, if it is not the gateway's own.
    cluster: Option<&'a str>,
    host: &'a str,
    port: u16,
}

/// What a cluster has.
struct Model<'a> {
    tree: &'a Tree,
    resources: &'a Resources,
    cluster: Option<&'a str>,
    /// By namespace and name.
    services: HashMap<(&'a str, &'a str), Vec<&'a Service>>,
    /// Static destinations by host: name, port, and whether all of its endpoints are IP addresses.
    statics: HashMap<&'a str, Vec<(&'a ObjectName, u16, bool)>>,
    /// Labels of the pods of the gateway with which the objects of a namespace are written.
    first: HashMap<&'a str, &'a BTreeMap<String, String>>,
}

impl<'a> Model<'a> {
    fn new(tree: &'a Tree, resources: &'a Resources, cluster: Option<&'a str>) -> Self {
        let mut services: HashMap<_, Vec<_>> = HashMap::new();
        let discovered = resources
            .destinations
            .iter()
            .filter_map(|d| d.kube.as_ref());
        for service in resources.services.iter().chain(discovered) {
            let name = (service.namespace.as_str(), service.name.as_str());
            services.entry(name).or_default().push(service);
        }
        let mut statics: HashMap<_, Vec<_>> = HashMap::new();
        for destination in tree.destinations() {
            if let DestinationTarget::StaticDestination { name, endpoints } = &destination.target
                && let Some((_, host)) = subset_and_host(&destination.cluster)
            {
                let mut addresses = endpoints.iter();
                let are_ips = addresses.all(|(address, _)| address.parse::<IpAddr>().is_ok());
                let one = (name, destination.port, are_ips);
                let list = statics.entry(host).or_default();
                if !list.contains(&one) {
                    list.push(one);
                }
            }
        }
        let mut first: HashMap<&str, &BTreeMap<_, _>> = HashMap::new();
        for workload in tree.gateways.iter().flat_map(|gateway| &gateway.workloads) {
            if cluster.is_none_or(|own| workload.in_cluster(own)) {
                let known = first.entry(&workload.namespace).or_insert(&workload.labels);
                *known = (*known).min(&workload.labels);
            }
        }
        Self {
            tree,
            resources,
            cluster,
            services,
            statics,
            first,
        }
    }

    /// What a gateway lacks of a destination.
    fn missing(&self, destination: &Destination, workload: &GatewayWorkload) -> Vec<Missing> {
        let Some((subset, host)) = subset_and_host(&destination.cluster) else {
            return Vec::new();
        };
        let missing = |(reason, help, place): Fault| Missing {
            cluster: destination.cluster.clone(),
            reason,
            help,
            place,
        };
        match &destination.target {
            DestinationTarget::StaticDestination { name, .. } => {
                let fault = self.static_fault(name, host, destination.port, workload);
                fault.map(missing).into_iter().collect()
            }
            DestinationTarget::KubeService {
                name,
                cluster_name,
                subset: labels,
            } => {
                let wanted = Wanted {
                    service: name,
                    cluster: cluster_name.as_deref(),
                    host,
                    port: destination.port,
                };
                let fault = self.fault(&wanted, workload).or_else(|| {
                    (!labels.is_empty())
                        .then(|| self.subset_fault(&wanted, subset, labels, workload))?
                });
                fault.map(missing).into_iter().collect()
            }
            DestinationTarget::VirtualDestination { name, .. } => {
                let mut virtuals = self.tree.virtual_destinations.iter();
                let found = virtuals.find(|one| one.name == *name);
                let backends = found.into_iter().flat_map(|found| &found.backends);
                let faults = backends.filter_map(|backend| {
                    let wanted = Wanted {
                        service: &backend.service,
                        cluster: backend.cluster.as_deref(),
                        host: &backend.host,
                        port: backend.port,
                    };
                    let fault = self.fault(&wanted, workload);
                    // It is a subset of its own that it uses.
                    let (reason, help, place) =
                        fault.or_else(|| self.selector_fault(&wanted, workload))?;
                    let (host, port) = (&backend.host, backend.port);
                    Some(Missing {
                        cluster: format!("outbound|{port}||{host}"),
                        reason: format!("{reason}; it is behind virtual destination `{name}`"),
                        help,
                        place,
                    })
                });
                faults.collect()
            }
        }
    }

    /// A Service in a cluster; plain manifests stand for every cluster.
    fn service(&self, name: (&str, &str), cluster: Option<&str>) -> Option<&'a Service> {
        let named = self.services.get(&name)?;
        let exact = named.iter().find(|one| one.cluster.as_deref() == cluster);
        exact
            .or_else(|| named.iter().find(|one| one.cluster.is_none()))
            .copied()
    }

    /// What is wrong with a Service.
    fn fault(&self, wanted: &Wanted<'_>, workload: &GatewayWorkload) -> Option<Fault> {
        let cluster = wanted.cluster.or(self.cluster);
        let name = (
            wanted.service.namespace.as_str(),
            wanted.service.name.as_str(),
        );
        let id = wanted.service;
        let is_local = wanted.host.ends_with(LOCAL);
        if let Some(service) = self.service(name, cluster) {
            let fault = |reason: String, help: String| Some((reason, help, Some(service.span)));
            if service.service_type == ServiceType::ExternalName {
                return fault(
                    format!("Service `{id}` is of type ExternalName, and Istio has no cluster for these"),
                    "name the Service that it stands for, or write a Destination with `externalService` for what is outside the mesh".to_owned(),
                );
            }
            if is_udp(&service.ports, wanted.port) {
                return fault(
                    format!("port {} of Service `{id}` is UDP", wanted.port),
                    "name a port with `protocol: TCP`".to_owned(),
                );
            }
            let namespace = &workload.namespace;
            if is_local && let Some((reason, help)) = self.hidden(service, namespace) {
                return fault(reason, help);
            }
        }
        match wanted.cluster {
            Some(other) if !is_local => self.federated_fault(wanted, other, workload),
            _ => None,
        }
    }

    /// Why a Service of the gateway's cluster is not known in a namespace, and the way out.
    fn hidden(&self, service: &Service, namespace: &str) -> Option<(String, String)> {
        let own = &service.namespace;
        let id = format!("{own}/{}", service.name);
        if !service.visibility.includes(namespace, own) {
            return Some((
                format!(
                    "Service `{id}` is not visible in namespace `{namespace}`, only in {}",
                    shown(&service.visibility.0)
                ),
                format!("add `{namespace}` to its annotation `networking.istio.io/exportTo`"),
            ));
        }
        if let Some(reason) = self.discovery_fault(own) {
            let help = format!("label namespace `{own}` so that they do, or change that setting");
            return Some((reason, help));
        }
        if service.is_discovered {
            return None;
        }
        let reason = self.default_fault(&service.visibility, own, namespace)?;
        Some((
            format!("Service `{id}` {reason}"),
            format!(
                "give it the annotation `networking.istio.io/exportTo: '.,{namespace}'`, or change that setting"
            ),
        ))
    }

    /// Why Istio does not know the Services of a namespace.
    fn discovery_fault(&self, name: &str) -> Option<String> {
        let mut namespaces = self.resources.namespaces.iter();
        let namespace = namespaces
            .find(|one| one.name == name && Some(one.cluster.as_str()) == self.cluster)?;
        let first = self.mesh_settings().next()?;
        let left_out = self.mesh_settings().all(|one| {
            let mut selectors = one.discovery.iter();
            !one.discovery.is_empty() && !selectors.any(|one| one.selects(&namespace.labels))
        });
        left_out.then(|| {
            format!(
                "Istio does not know namespace `{name}`: `discoverySelectors` of the mesh (ConfigMap `{}`) do not select it",
                first.name
            )
        })
    }

    /// What is said of the mesh. Which revision of Istio serves a gateway is not known, so that something is missing for sure
    /// only where all of them leave it out.
    fn mesh_settings(&self) -> impl Iterator<Item = &'a MeshSettings> {
        let all = self.resources.mesh_settings.iter();
        all.filter(|one| Some(one.cluster.as_str()) == self.cluster)
    }

    /// Why something that does not say who knows it is unknown in a namespace.
    fn default_fault(&self, visibility: &Visibility, own: &str, namespace: &str) -> Option<String> {
        let first = self.mesh_settings().next()?;
        let mut all = self.mesh_settings();
        let hidden =
            visibility.0.is_empty() && all.all(|one| !one.visibility.includes(namespace, own));
        hidden.then(|| {
            format!(
                "is not visible in namespace `{namespace}`: it does not say where it is, and `defaultServiceExportTo` of the mesh (ConfigMap `{}`) says {}",
                first.name,
                shown(&first.visibility.0)
            )
        })
    }

    /// A federated host that nothing is written for has to be there already. If no ServiceEntry is known, nothing is known.
    fn federated_fault(
        &self,
        wanted: &Wanted<'_>,
        other: &str,
        workload: &GatewayWorkload,
    ) -> Option<Fault> {
        let own = self.cluster.unwrap_or_default();
        let service = (wanted.service, other);
        if federated::is_written(own, service, self.tree, self.resources) {
            return None;
        }
        let entries = self.resources.service_entries.iter().filter(|entry| {
            (entry.cluster.is_none() || entry.cluster.as_deref() == self.cluster)
                && entry.labels.get(MANAGED_BY).map(String::as_str) != Some("meshgate")
        });
        let entries: Vec<_> = entries.collect();
        if entries.is_empty() {
            return None;
        }
        let namespace = &workload.namespace;
        let covers = |host: &String| match host.strip_prefix('*') {
            Some(end) => wanted.host.ends_with(end),
            None => host == wanted.host,
        };
        let (host, port) = (wanted.host, wanted.port);
        let mut known = entries
            .iter()
            .filter(|entry| entry.hosts.iter().any(covers));
        let Some(first) = known.clone().next() else {
            return Some((
                format!("no ServiceEntry of its cluster has the host `{host}`"),
                "have the Service federated, or take the inventory again".to_owned(),
                None,
            ));
        };
        let by_default = |one: &ServiceEntry| {
            self.default_fault(&one.visibility, &one.name.namespace, namespace)
        };
        let Some(entry) = known.find(|one| {
            one.visibility.includes(namespace, &one.name.namespace) && by_default(one).is_none()
        }) else {
            if let Some(reason) = by_default(first) {
                return Some((
                    format!("ServiceEntry `{}` {reason}", first.name),
                    format!("give it `exportTo` with `{namespace}`, or change that setting"),
                    Some(first.span),
                ));
            }
            return Some((
                format!(
                    "ServiceEntry `{}` is not visible in namespace `{namespace}`, only in {}",
                    first.name,
                    shown(&first.visibility.0)
                ),
                format!("add `{namespace}` to its `exportTo`"),
                Some(first.span),
            ));
        };
        let has_port = entry.ports.iter().any(|one| one.number == port);
        (!has_port || is_udp(&entry.ports, port)).then(|| {
            (
                format!("ServiceEntry `{}` has no TCP port {port}", entry.name),
                "name a port that it has, or add the port".to_owned(),
                Some(entry.span),
            )
        })
    }

    /// What is wrong with the host of a static destination.
    fn static_fault(
        &self,
        name: &ObjectName,
        host: &str,
        port: u16,
        workload: &GatewayWorkload,
    ) -> Option<Fault> {
        let local = host.strip_suffix(LOCAL).and_then(|it| it.split_once('.'));
        if let Some((service, namespace)) = local
            && let Some(found) = self.service((namespace, service), self.cluster)
            && self.hidden(found, &workload.namespace).is_none()
        {
            let is_there = found.ports.iter().any(|one| one.number == port)
                && !is_udp(&found.ports, port)
                && found.service_type != ServiceType::ExternalName;
            return (!is_there).then(|| {
                (
                    format!(
                        "`{host}` is Service `{namespace}/{service}`, which has no TCP port {port}"
                    ),
                    "use `kubeService`, or give the external service another host".to_owned(),
                    Some(found.span),
                )
            });
        }
        let same = self.statics.get(host)?;
        let own = same
            .iter()
            .find(|(other, other_port, _)| *other == name && *other_port == port)?;
        let mut others = same.iter();
        let other =
            others.find(|(_, other_port, are_ips)| *other_port != port && *are_ips != own.2)?;
        Some((
            format!(
                "Destination `{}` has the host `{host}` as well, one of them at IP addresses, the other at names, and Istio takes only one of them",
                other.0
            ),
            "write IP addresses in both, or names in both, or another host".to_owned(),
            None,
        ))
    }

    /// What is wrong with a subset that we define.
    fn subset_fault(
        &self,
        wanted: &Wanted<'_>,
        subset: &str,
        labels: &BTreeMap<String, String>,
        workload: &GatewayWorkload,
    ) -> Option<Fault> {
        if !wanted.host.ends_with(LOCAL) {
            return None;
        }
        let fault = self.selector_fault(wanted, workload);
        fault.or_else(|| {
            let gateway = (self.cluster, workload.namespace.as_str());
            let service = wanted.service;
            let rule = destination_rule::owner_rule(self.resources, gateway, wanted.host, service)?;
            let mut subsets = rule.spec["subsets"].as_array().into_iter().flatten();
            let same = subsets.find(|one| one["name"] == subset)?;
            (same["labels"] != json!(labels)).then(|| {
                (
                    format!(
                        "DestinationRule `{}` has a subset `{subset}` of other pods",
                        rule.name
                    ),
                    "rename that subset".to_owned(),
                    Some(rule.span),
                )
            })
        })
    }

    /// A rule for the pods of some gateways of a namespace: ours is joined to it, or is not, for all of them.
    fn selector_fault(&self, wanted: &Wanted<'_>, workload: &GatewayWorkload) -> Option<Fault> {
        if !wanted.host.ends_with(LOCAL) {
            return None;
        }
        let first = self.first.get(workload.namespace.as_str())?;
        let mut rules =
            destination_rule::rules(self.resources, self.cluster, wanted.host, wanted.service);
        let rule = rules.find(|rule| {
            let selects = |labels| destination_rule::selects(rule, labels);
            rule.name.namespace == workload.namespace && selects(&workload.labels) != selects(first)
        })?;
        Some((
            format!(
                "DestinationRule `{}` is for some gateways of the namespace only (`workloadSelector`), so that no other rule can give all of them subsets",
                rule.name
            ),
            "remove its `workloadSelector`".to_owned(),
            Some(rule.span),
        ))
    }
}

/// Whether a port is UDP and nothing else.
fn is_udp(ports: &[ServicePort], number: u16) -> bool {
    let named: Vec<_> = ports.iter().filter(|port| port.number == number).collect();
    !named.is_empty()
        && named
            .iter()
            .all(|port| port.protocol.eq_ignore_ascii_case("UDP"))
}

/// The namespaces of an `exportTo`, for messages.
fn shown(visibility: &[String]) -> String {
    let names = visibility.iter().map(|name| match name.as_str() {
        "." => "its own".to_owned(),
        "~" => "none".to_owned(),
        name => format!("`{name}`"),
    });
    names.collect::<Vec<_>>().join(", ")
}
