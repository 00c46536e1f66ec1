//! What is behind virtual destinations.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{
    Backends, ClusterObjectRef, ObjectName, Resources, Service, TargetPort, VirtualDestination,
};
use crate::source::Span;
use crate::tree::{self, Backend};

use super::federation::Federations;
use super::inventory::numbers;
use super::workload::{Gateways, selects_any};

/// Resolves all virtual destinations. Services that are wrong are reported and left out of them.
pub(super) fn resolve(
    resources: &Resources,
    running: &Gateways<'_>,
    federations: &Federations<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<tree::VirtualDestination> {
    let mut resolved: Vec<_> = resources
        .virtual_destinations
        .iter()
        .map(|written| {
            let mut backends = Behind {
                written,
                resources,
                running,
                federations,
                found: Vec::new(),
            };
            let (is_localized, failover, outliers) = match &written.backends {
                Backends::Unknown => (false, Vec::new(), None),
                Backends::Static(services) => {
                    for service in services {
                        backends.add_named(service, diagnostics);
                    }
                    (false, Vec::new(), None)
                }
                Backends::Localized {
                    selectors,
                    failover,
                    outlier_detection,
                } => {
                    backends.add_selected(selectors, diagnostics);
                    (true, failover.clone(), outlier_detection.clone())
                }
            };
            let mut found = backends.found;
            for backend in &mut found {
                backend.region = resources.region(backend.cluster.as_deref());
            }
            tree::VirtualDestination {
                name: written.metadata.id.clone(),
                hostname: written.hostname.value.clone(),
                port: written.port.value,
                protocol: written.protocol.clone(),
                backends: found,
                is_localized,
                failover,
                outlier_detection: outliers,
            }
        })
        .collect();
    resolved.sort_by(|a, b| a.name.cmp(&b.name));
    resolved
}

struct Behind<'a, 'r> {
    written: &'a VirtualDestination,
    resources: &'r Resources,
    running: &'a Gateways<'r>,
    federations: &'a Federations<'r>,
    found: Vec<Backend>,
}

impl Behind<'_, '_> {
    fn add_named(&mut self, reference: &ClusterObjectRef, diagnostics: &mut Diagnostics) {
        let own = &self.written.metadata.id.namespace;
        let name = ObjectName {
            namespace: reference
                .namespace
                .as_ref()
                .map_or_else(|| own.clone(), |namespace| namespace.value.clone()),
            name: reference.name.value.clone(),
        };
        let cluster = reference
            .cluster
            .as_ref()
            .map(|cluster| cluster.value.as_str());
        let service = self.running.service(&name, cluster);
        let inventoried = cluster.is_some_and(|cluster| self.resources.clusters.contains(cluster));
        if service.is_none() && inventoried {
            diagnostics.push(
                Diagnostic::at(
                    Code::UnknownDestination,
                    reference.span,
                    format!(
                        "cluster `{}` has no service `{name}`",
                        cluster.unwrap_or_default()
                    ),
                )
                .help(
                    "correct the name, the namespace or the cluster, or take the inventory again",
                ),
            );
            return;
        }
        self.add(&name, cluster, service, reference.span, diagnostics);
    }

    fn add_selected(
        &mut self,
        selectors: &[crate::resource::DestinationSelector],
        diagnostics: &mut Diagnostics,
    ) {
        let place = self.written.metadata.span;
        let mut first: BTreeMap<&Option<String>, &Service> = BTreeMap::new();
        let services = self.running.services().iter();
        for service in services.filter(|service| selects_any(selectors, service)) {
            let name = ObjectName {
                namespace: service.namespace.clone(),
                name: service.name.clone(),
            };
            if let Some(other) = first.insert(&service.cluster, service) {
                diagnostics.push(
                    Diagnostic::at(
                        Code::SeveralServicesInCluster,
                        place,
                        format!(
                            "the virtual destination selects several services of one cluster: `{}/{}` and `{name}`",
                            other.namespace, other.name
                        ),
                    )
                    .also(other.span, "the first one")
                    .also(service.span, "the other one")
                    .help("narrow its selectors to one service in each cluster"),
                );
                continue;
            }
            self.add(
                &name,
                service.cluster.as_deref(),
                Some(service),
                place,
                diagnostics,
            );
        }
        if first.is_empty() && !self.resources.clusters.is_empty() {
            diagnostics.push(
                Diagnostic::at(
                    Code::EmptySelection,
                    place,
                    "the selectors of the virtual destination select no service",
                )
                .help("correct the labels, namespaces or clusters, or pass the inventory of the cluster"),
            );
        }
    }

    fn add(
        &mut self,
        name: &ObjectName,
        cluster: Option<&str>,
        service: Option<&Service>,
        place: Span,
        diagnostics: &mut Diagnostics,
    ) {
        let port = match service {
            Some(service) => self.port(service, name, place, diagnostics),
            // On trust.
            None => match self.written.target.as_ref().map(|target| &target.value) {
                Some(TargetPort::Number(number)) => Some(*number),
                _ => Some(self.written.port.value),
            },
        };
        if let Some(port) = port
            && self.federations.reaches(cluster, place, diagnostics)
        {
            self.found.push(Backend {
                service: name.clone(),
                cluster: cluster.map(str::to_owned),
                host: self.federations.federated_host(name, cluster),
                port,
                region: None,
            });
        }
    }

    fn port(
        &self,
        service: &Service,
        name: &ObjectName,
        place: Span,
        diagnostics: &mut Diagnostics,
    ) -> Option<u16> {
        let has = |number: u16| service.ports.iter().any(|port| port.number == number);
        let known = numbers(&service.ports);
        let target = self.written.target.as_ref();
        let own = self.written.port.value;
        let (code, message) = match target.map(|target| &target.value) {
            Some(TargetPort::Number(number)) if has(*number) => return Some(*number),
            Some(TargetPort::Number(number)) => (
                Code::UnknownPort,
                format!("service `{name}` has no port {number} (it has: {known})"),
            ),
            Some(TargetPort::Name(wanted)) => {
                if let Some(port) = service.ports.iter().find(|port| port.name == *wanted) {
                    return Some(port.number);
                }
                (
                    Code::UnknownPort,
                    format!("service `{name}` has no port named `{wanted}` (it has: {known})"),
                )
            }
            None if has(own) => return Some(own),
            None => match service.ports.as_slice() {
                [only] => return Some(only.number),
                _ => (
                    Code::AmbiguousPort,
                    format!(
                        "service `{name}` has the ports {known}, and the virtual destination chooses none"
                    ),
                ),
            },
        };
        diagnostics.push(
            Diagnostic::at(code, target.map_or(place, |target| target.span), message)
                .also(service.span, "declared here")
                .help("write `port.targetName` or `port.targetNumber`"),
        );
        None
    }
}
