//! What requests are sent to: which objects make the clusters that Istio does not make by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::destination_rule::{self, Host, Subset, Subsets};
use super::{Workload, federated, name, service_entry, virtual_destination};
use crate::compile::WorkloadProgram;
use crate::resolve::DestinationPolicies;
use crate::resource::{ObjectName, Resources, ServicePort};
use crate::tree::{Destination, DestinationTarget};

/// API group and version of most objects.
pub(super) const NETWORKING: &str = "networking.istio.io/v1";

/// Protocols of Istio by which requests are understood as HTTP.
pub(super) const HTTP_PROTOCOLS: [&str; 4] = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"];

/// The protocol of Istio by which requests to a port of a Service are sent: by the port's name or its protocol.
pub(super) fn http_protocol(port: Option<&ServicePort>) -> &'static str {
    let Some(port) = port else { return "HTTP" };
    let is = |protocol: &&&str| {
        let by_name = port.name.split_at_checked(protocol.len());
        let by_name = by_name.is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(protocol) && (rest.is_empty() || rest.starts_with('-'))
        });
        by_name || port.protocol.eq_ignore_ascii_case(protocol)
    };
    // The longest name first: `grpc-web` is not `grpc`.
    HTTP_PROTOCOLS
        .iter()
        .rev()
        .find(is)
        .copied()
        .unwrap_or("HTTP")
}

/// Services that routes go to, by host.
type Services<'a, T> = BTreeMap<&'a str, T>;

/// A port of a static destination.
#[derive(Debug)]
pub(super) struct External<'a> {
    pub destination: &'a Destination,
    /// Requests are sent to it, not only connections forwarded.
    pub takes_requests: bool,
}

/// What the routes of the workloads of one namespace need.
#[derive(Debug, Default)]
struct Needs<'a> {
    external: BTreeMap<&'a ObjectName, BTreeMap<u16, External<'a>>>,
    local: Services<'a, (&'a ObjectName, Subsets<'a>)>,
    federated: Services<'a, federated::Service<'a>>,
}

impl<'a> Needs<'a> {
    /// A Service at a host that is its own in the gateway's mesh, or a federated one.
    fn service(
        &mut self,
        host: &'a str,
        service: &'a ObjectName,
        cluster: Option<&'a str>,
        port: u16,
        subset: Option<(String, Subset<'a>)>,
    ) {
        let subsets = match cluster {
            Some(cluster) if !host.ends_with(".svc.cluster.local") => {
                let federated = self.federated.entry(host).or_insert(federated::Service {
                    name: service,
                    cluster,
                    ports: BTreeSet::new(),
                    subsets: BTreeMap::new(),
                });
                federated.ports.insert(port);
                &mut federated.subsets
            }
            _ => {
                &mut self
                    .local
                    .entry(host)
                    .or_insert((service, BTreeMap::new()))
                    .1
            }
        };
        subsets.extend(subset);
    }

    fn destination(
        &mut self,
        program: &'a WorkloadProgram,
        destination: &'a Destination,
        takes_requests: bool,
    ) {
        let Some((subset, host)) = subset_and_host(&destination.cluster) else {
            return;
        };
        match &destination.target {
            DestinationTarget::StaticDestination { name, .. } => {
                let ports = self.external.entry(name).or_default();
                let port = ports.entry(destination.port).or_insert(External {
                    destination,
                    takes_requests,
                });
                port.takes_requests |= takes_requests;
            }
            DestinationTarget::VirtualDestination {
                name,
                subset: labels,
            } => {
                let mut virtuals = program.tree.virtual_destinations.iter();
                let Some(found) = virtuals.find(|one| one.name == *name) else {
                    return;
                };
                for backend in &found.backends {
                    let cluster = backend.cluster.as_deref();
                    let own = virtual_destination::subset(found, subset, labels, backend.port);
                    self.service(
                        &backend.host,
                        &backend.service,
                        cluster,
                        backend.port,
                        Some(own),
                    );
                    if !labels.is_empty() && !backend.host.ends_with(".svc.cluster.local") {
                        // Its name is what the other cluster knows the pods by.
                        let plain = (
                            subset.to_owned(),
                            Subset {
                                labels,
                                behind: None,
                            },
                        );
                        self.service(
                            &backend.host,
                            &backend.service,
                            cluster,
                            backend.port,
                            Some(plain),
                        );
                    }
                }
            }
            DestinationTarget::KubeService {
                name,
                cluster_name,
                subset: labels,
            } => {
                let plain = (
                    subset.to_owned(),
                    Subset {
                        labels,
                        behind: None,
                    },
                );
                let plain = (!labels.is_empty()).then_some(plain);
                self.service(host, name, cluster_name.as_deref(), destination.port, plain);
            }
        }
    }
}

/// Writes what the routes of the workloads of one namespace need besides the Services of their mesh. All of them see
/// the objects, so each is written once, with the first workload.
pub(super) fn write<'a>(
    workload: &mut Workload<'_>,
    programs: &'a [WorkloadProgram],
    resources: &'a Resources,
    remote: &mut federated::Remote<'a>,
) {
    let mut needs = Needs::default();
    for program in programs {
        for destination in program.tree.of_requests() {
            needs.destination(program, destination, true);
        }
        for destination in program.tree.of_connections() {
            needs.destination(program, destination, false);
        }
    }
    let policies = DestinationPolicies::new(resources);
    for (name, ports) in &needs.external {
        let settings = policies.of_external(name);
        service_entry::write(workload, resources, name, ports, settings);
    }
    let cluster = workload.program.cluster.as_deref();
    for (&host, (service, subsets)) in &needs.local {
        let settings = policies.of_service(service, cluster);
        let rule = name::join(&["meshgate", &service.namespace, &service.name]);
        let host = Host {
            host,
            service,
            rule: &rule,
        };
        destination_rule::write(workload, resources, host, subsets, settings);
    }
    for (host, service) in needs.federated {
        if let Some(program) = programs.first() {
            let settings = policies.of_service(service.name, Some(service.cluster));
            let service = (host, service, settings);
            federated::write(workload, &program.tree, resources, service, remote);
        }
    }
}

/// Of `outbound|9080|version-v2|reviews.bookinfo.svc.cluster.local`: `version-v2` and the host.
pub(super) fn subset_and_host(cluster: &str) -> Option<(&str, &str)> {
    let mut parts = cluster.splitn(4, '|').skip(2);
    Some((parts.next()?, parts.next()?))
}
