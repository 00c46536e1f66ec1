//! Services of other clusters: a name for them here, and behind the gateway between the clusters.
//!
//! Here, a ServiceEntry leads the federated host to the gateways for traffic between clusters, and the server name of the
//! connection says which port, subset and host is meant. There, a ServiceEntry of the same host stands for the pods, a
//! DestinationRule for their subsets, and a Gateway takes the connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};

use super::destination::{NETWORKING, http_protocol};
use super::destination_rule::{Subsets, not_applied};
use super::settings::outliers_of_policies;
use super::{Manifests, Place, Wave, Workload, name};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::resolve::Settings;
use crate::resource::{self, ObjectName, Resources, TlsMode};
use crate::tree::{GatewayWorkload, Tree, VirtualMesh};

/// A Service of another cluster that routes go to.
#[derive(Debug)]
pub(super) struct Service<'a> {
    pub name: &'a ObjectName,
    pub cluster: &'a str,
    pub ports: BTreeSet<u16>,
    pub subsets: Subsets<'a>,
}

/// Everything that is needed in clusters because gateways of others send requests there.
#[derive(Debug, Default)]
pub(super) struct Remote<'a> {
    /// By cluster and federated host.
    services: BTreeMap<(&'a str, &'a str), Alias<'a>>,
    /// By cluster, namespace and name of the gateway's Service.
    gateways: BTreeMap<(&'a str, &'a str, &'a str), (&'a GatewayWorkload, BTreeSet<String>)>,
}

/// A Service under its federated host.
#[derive(Debug)]
struct Alias<'a> {
    service: &'a resource::Service,
    ports: BTreeSet<u16>,
    /// Labels by name of the subset.
    subsets: BTreeMap<String, &'a BTreeMap<String, String>>,
    /// Namespaces of the gateways between clusters.
    visible_in: BTreeSet<&'a str>,
}

/// The way into another cluster.
struct Way<'a> {
    mesh: &'a VirtualMesh,
    gateways: Vec<&'a GatewayWorkload>,
    service: &'a resource::Service,
}

/// Writes what makes a federated host known to the gateways of a namespace, and notes what the other cluster needs.
pub(super) fn write<'a>(
    workload: &mut Workload<'_>,
    tree: &'a Tree,
    resources: &'a Resources,
    (host, service, settings): (&'a str, Service<'a>, Settings<'_>),
    remote: &mut Remote<'a>,
) {
    let own = workload.program.cluster.clone().unwrap_or_default();
    let way = match way(&own, &service, tree, resources) {
        Ok(way) => way,
        Err(reason) => {
            let message = format!(
                "nothing is written for the federated host `{host}`, which has to exist in the gateway's mesh: {reason}"
            );
            let known = resources
                .services_named(service.name, Some(service.cluster))
                .next();
            let found = match known {
                Some(known) => {
                    workload.finding_at(Code::FederatedHostNotWritten, known.span, message)
                }
                None => workload.finding(Code::FederatedHostNotWritten, message),
            };
            workload.report(found.help("pass the inventories of both clusters with their VirtualMesh, or see that the host exists"));
            return;
        }
    };
    service_entry(workload, resources, host, &service, &way);
    rule(workload, host, &service, settings);
    let cluster = service.cluster;
    let alias = remote.services.entry((cluster, host)).or_insert(Alias {
        service: way.service,
        ports: BTreeSet::new(),
        subsets: BTreeMap::new(),
        visible_in: BTreeSet::new(),
    });
    alias.ports.extend(&service.ports);
    for (name, subset) in service.subsets {
        if subset.behind.is_none() {
            alias.subsets.insert(name, subset.labels);
        }
    }
    for gateway in way.gateways {
        alias.visible_in.insert(&gateway.namespace);
        let name = gateway.service.as_deref().unwrap_or_default();
        let (_, hosts) = remote
            .gateways
            .entry((cluster, &gateway.namespace, name))
            .or_insert((gateway, BTreeSet::new()));
        hosts.insert(format!("*.{cluster}.{}", way.mesh.suffix));
    }
}

/// Whether the objects for a Service of another cluster are written.
pub(super) fn is_written<'a>(
    own: &str,
    (name, cluster): (&'a ObjectName, &'a str),
    tree: &'a Tree,
    resources: &'a Resources,
) -> bool {
    let service = Service {
        name,
        cluster,
        ports: BTreeSet::new(),
        subsets: BTreeMap::new(),
    };
    way(own, &service, tree, resources).is_ok()
}

/// The way from a cluster to a Service in another one; or why nothing can be said about it.
fn way<'a>(
    own: &str,
    wanted: &Service<'a>,
    tree: &'a Tree,
    resources: &'a Resources,
) -> Result<Way<'a>, String> {
    let cluster = wanted.cluster;
    let services = || resources.services_named(wanted.name, Some(cluster));
    if services().any(|service| service.federated_host.is_some()) {
        return Err("discovery says that it does".to_owned());
    }
    let member = |mesh: &'a VirtualMesh, cluster: &str| {
        let mut members = mesh.members.iter();
        members.find(|member| member.cluster.as_deref() == Some(cluster))
    };
    let mut meshes = tree.virtual_meshes.iter();
    let found = meshes.find_map(|mesh| {
        member(mesh, own)?;
        Some((mesh, member(mesh, cluster)?))
    });
    let Some((mesh, member)) = found else {
        return Err(format!(
            "no VirtualMesh with meshes of the clusters `{own}` and `{cluster}` is among the input, or these Mesh objects are not"
        ));
    };
    if mesh.flat_network {
        return Err(format!(
            "in the virtual mesh `{}` pods reach one another directly",
            mesh.name
        ));
    }
    let is_reachable = |gateway: &&GatewayWorkload| {
        !gateway.external_addresses.is_empty() && gateway.external_port.is_some()
    };
    let gateways: Vec<_> = member.gateways.iter().filter(is_reachable).collect();
    if gateways.is_empty() {
        return Err(format!(
            "cluster `{cluster}` has no gateway with an address for traffic from other clusters; pass its inventory"
        ));
    }
    let Some(service) = services().find(|service| !service.selector.is_empty()) else {
        return Err(format!(
            "no Service `{}` with a selector is known in cluster `{cluster}`; pass its inventory",
            wanted.name
        ));
    };
    Ok(Way {
        mesh,
        gateways,
        service,
    })
}

/// Ports of a Service as they are written on both sides, without the ports of the pods.
fn ports(service: &resource::Service, used: &BTreeSet<u16>) -> Vec<(String, Value)> {
    let ports = used.iter().map(|&number| {
        let port = service.ports.iter().find(|port| port.number == number);
        let protocol = http_protocol(port);
        let lower = protocol.to_ascii_lowercase();
        // The Service's own name, if it is one that names the protocol.
        let own = port
            .map(|port| &port.name)
            .filter(|name| name.starts_with(&lower));
        let name = own.cloned().unwrap_or_else(|| format!("{lower}-{number}"));
        let port = json!({ "number": number, "name": name, "protocol": protocol });
        (name, port)
    });
    ports.collect()
}

fn object_name(service: &ObjectName, cluster: &str) -> String {
    name::join(&["meshgate", &service.namespace, &service.name, cluster])
}

fn service_entry(
    workload: &mut Workload<'_>,
    resources: &Resources,
    host: &str,
    service: &Service<'_>,
    way: &Way<'_>,
) {
    let ports = ports(way.service, &service.ports);
    let mut endpoints = Vec::new();
    let mut is_static = true;
    for gateway in &way.gateways {
        let doors: serde_json::Map<String, Value> = ports
            .iter()
            .map(|(name, _)| (name.clone(), json!(gateway.external_port)))
            .collect();
        for address in &gateway.external_addresses {
            is_static &= address.parse::<IpAddr>().is_ok();
            let mut endpoint = json!({
                "address": address,
                "ports": doors,
                "labels": { "security.istio.io/tlsMode": "istio" },
            });
            if let Some(region) = resources.region(Some(service.cluster)) {
                endpoint["locality"] = json!(region);
            }
            endpoints.push(endpoint);
        }
    }
    let ports: Vec<Value> = ports.into_iter().map(|(_, port)| port).collect();
    let spec = json!({
        "exportTo": ["."],
        "hosts": [host],
        "location": "MESH_INTERNAL",
        "resolution": if is_static { "STATIC" } else { "DNS" },
        "ports": ports,
        "endpoints": endpoints,
    });
    workload.add(
        Wave::Destinations,
        (NETWORKING, "ServiceEntry"),
        object_name(service.name, service.cluster),
        &[],
        spec,
    );
}

/// The server name of the connection names the subset, so here the subsets need only their names. Labels would choose among
/// the gateways between clusters; for Istio, these are in the cluster of the object, whatever their labels say.
fn rule(workload: &mut Workload<'_>, host: &str, service: &Service<'_>, settings: Settings<'_>) {
    if let Some(mode) = settings.tls_mode
        && mode.value != TlsMode::IstioMutual
    {
        let message = format!(
            "`tlsMode: {}` does not hold for `{}` of cluster `{}`: the gateways between clusters take mutual TLS of the mesh alone",
            mode.as_str(),
            service.name,
            service.cluster
        );
        let settings = Settings {
            tls_mode: Some(mode),
            ..Settings::default()
        };
        not_applied(
            workload,
            settings,
            &message,
            "select services of the gateway's own cluster: `clusters` of `kubeServiceMatcher`",
        );
    }
    let subsets = service.subsets.iter().map(|(name, subset)| {
        let Some(behind) = subset.behind else {
            return json!({ "name": name });
        };
        let server_name = format!("outbound_.{}_.{}_.{host}", behind.port, behind.plain);
        json!({
            "name": name,
            "trafficPolicy": {
                "tls": { "mode": "ISTIO_MUTUAL", "sni": server_name },
                "outlierDetection": behind.outliers(settings, None),
            },
        })
    });
    let subsets: Vec<Value> = subsets.collect();
    let mut spec = json!({
        "host": host,
        "exportTo": ["."],
        "trafficPolicy": { "tls": { "mode": "ISTIO_MUTUAL" } },
    });
    if let Some(outliers) = outliers_of_policies(settings) {
        spec["trafficPolicy"]["outlierDetection"] = outliers;
    }
    if !subsets.is_empty() {
        spec["subsets"] = json!(subsets);
    }
    workload.add(
        Wave::Destinations,
        (NETWORKING, "DestinationRule"),
        object_name(service.name, service.cluster),
        &[],
        spec,
    );
}

impl Remote<'_> {
    /// Writes what the clusters need that requests come to.
    pub(super) fn write(&self, resources: &Resources, owner: &str, out: &mut Manifests) {
        for ((cluster, host), alias) in &self.services {
            alias.write(cluster, host, resources, owner, out);
        }
        for ((cluster, namespace, service), (gateway, hosts)) in &self.gateways {
            let port = gateway.port;
            let spec = json!({
                "selector": gateway.labels,
                "servers": [{
                    "port": { "number": port, "name": format!("tls-{port}"), "protocol": "TLS" },
                    "hosts": hosts,
                    "tls": { "mode": "AUTO_PASSTHROUGH" },
                }],
            });
            let place = Place {
                cluster: Some((*cluster).to_owned()),
                namespace: (*namespace).to_owned(),
                owner,
            };
            let name = name::join(&["meshgate", "between-clusters", service]);
            let kind = (NETWORKING, "Gateway");
            out.add(place, Wave::Destinations, kind, name, &[], spec);
        }
    }
}

impl Alias<'_> {
    fn write(
        &self,
        cluster: &str,
        host: &str,
        resources: &Resources,
        owner: &str,
        out: &mut Manifests,
    ) {
        let service = self.service;
        let place = || Place {
            cluster: Some(cluster.to_owned()),
            namespace: service.namespace.clone(),
            owner,
        };
        let id = ObjectName {
            namespace: service.namespace.clone(),
            name: service.name.clone(),
        };
        let mut visible_in = vec!["."];
        let others = self.visible_in.iter().copied();
        visible_in.extend(others.filter(|namespace| *namespace != service.namespace));
        let mut written = Vec::new();
        for (&number, (_, mut port)) in self.ports.iter().zip(ports(service, &self.ports)) {
            let known = service.ports.iter().find(|port| port.number == number);
            match known.and_then(|port| resources.target_port(service, port)) {
                Some(target) => port["targetPort"] = json!(target),
                None => out.diagnostics.push(
                    Diagnostic::at(
                        Code::UnknownTargetPort,
                        service.span,
                        format!(
                            "service `{id}` of cluster `{cluster}`: no Deployment or Pod in the inventory says which port of the \
                             pods {number} leads to, so requests from other clusters go to port {number} of the pods"
                        ),
                    )
                    .help("add the Deployment or a Pod to the inventory"),
                ),
            }
            written.push(port);
        }
        let spec = json!({
            "exportTo": visible_in,
            "hosts": [host],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "ports": written,
            "workloadSelector": { "labels": service.selector },
        });
        let name = object_name(&id, cluster);
        let kind = (NETWORKING, "ServiceEntry");
        out.add(place(), Wave::Destinations, kind, name.clone(), &[], spec);
        if self.subsets.is_empty() {
            return;
        }
        let subsets: Vec<Value> = self
            .subsets
            .iter()
            .map(|(name, labels)| json!({ "name": name, "labels": labels }))
            .collect();
        let spec = json!({ "host": host, "exportTo": visible_in, "subsets": subsets });
        let kind = (NETWORKING, "DestinationRule");
        out.add(place(), Wave::Destinations, kind, name, &[], spec);
    }
}
