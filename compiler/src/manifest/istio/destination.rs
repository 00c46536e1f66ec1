//! ServiceEntry and DestinationRule: the clusters that Istio does not make by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::{Wave, Workload, name};
use crate::compile::WorkloadProgram;
use crate::resource::{DestinationRule, ObjectName, Resources, ServicePort};
use crate::tree::{Destination, DestinationTarget};

const NETWORKING: &str = "networking.istio.io/v1";

/// Protocols of Istio by which requests are understood as HTTP.
const HTTP_PROTOCOLS: [&str; 4] = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"];

/// Writes what the routes of the workloads of one namespace need besides the Services of their mesh. All of them see
/// the objects, so each is written once, with the first workload.
pub(super) fn write(
    workload: &mut Workload<'_>,
    programs: &[WorkloadProgram],
    resources: &Resources,
) {
    let mut external: BTreeMap<&ObjectName, BTreeMap<u16, &Destination>> = BTreeMap::new();
    let mut subsets: BTreeMap<&str, (&ObjectName, Subsets<'_>)> = BTreeMap::new();
    let destinations = programs
        .iter()
        .flat_map(|program| program.tree.destinations());
    for destination in destinations {
        let Some((subset, host)) = subset_and_host(&destination.cluster) else {
            continue;
        };
        match &destination.target {
            DestinationTarget::StaticDestination { name, .. } => {
                let ports = external.entry(name).or_default();
                ports.insert(destination.port, destination);
            }
            DestinationTarget::VirtualDestination { name, .. } => {
                let place = workload.place();
                workload.error(format!(
                    "{place}: routes go to virtual destination `{name}`, for which no Istio objects are written yet"
                ));
            }
            DestinationTarget::KubeService { .. } if !host.ends_with(".svc.cluster.local") => {
                let place = workload.place();
                workload.warn(format!(
                    "{place}: nothing is written for the federated host `{host}`; it has to exist in the gateway's mesh"
                ));
            }
            DestinationTarget::KubeService {
                name,
                subset: labels,
                ..
            } => {
                if !labels.is_empty() {
                    let (_, all) = subsets.entry(host).or_insert((name, BTreeMap::new()));
                    all.insert(subset, labels);
                }
            }
        }
    }
    for (name, ports) in external {
        service_entry(workload, resources, name, &ports);
    }
    for (host, (service, subsets)) in subsets {
        destination_rule(workload, resources, host, service, &subsets);
    }
}

/// Pod labels by name of the subset.
type Subsets<'a> = BTreeMap<&'a str, &'a BTreeMap<String, String>>;

/// Of `outbound|9080|version-v2|reviews.bookinfo.svc.cluster.local`: `version-v2` and the host.
fn subset_and_host(cluster: &str) -> Option<(&str, &str)> {
    let mut parts = cluster.splitn(4, '|').skip(2);
    Some((parts.next()?, parts.next()?))
}

fn service_entry(
    workload: &mut Workload<'_>,
    resources: &Resources,
    id: &ObjectName,
    ports: &BTreeMap<u16, &Destination>,
) {
    let known: Vec<&ServicePort> = resources
        .destinations
        .iter()
        .filter(|destination| destination.metadata.id == *id)
        .filter_map(|destination| destination.external.as_ref())
        .flat_map(|external| &external.ports)
        .collect();
    let mut host = "";
    let mut written_ports = Vec::new();
    let mut addresses: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (&number, destination) in ports {
        host = subset_and_host(&destination.cluster).map_or(host, |(_, host)| host);
        let port = known.iter().find(|port| port.number == number);
        let protocol = port.map_or(String::new(), |port| port.protocol.to_ascii_uppercase());
        if ["HTTPS", "TLS"].contains(&protocol.as_str()) {
            workload.warn(format!(
                "static destination `{id}`: port {number} speaks {protocol}, but requests are sent without TLS; \
                 add a DestinationRule for `{host}` with `tls.mode: SIMPLE` to originate it"
            ));
        }
        // Requests were understood as HTTP already: whatever takes them is HTTP.
        let protocol = HTTP_PROTOCOLS
            .into_iter()
            .find(|one| *one == protocol)
            .unwrap_or("HTTP");
        let name = format!("{}-{number}", protocol.to_ascii_lowercase());
        if let DestinationTarget::StaticDestination { endpoints, .. } = &destination.target {
            for (address, port) in endpoints {
                let ports = addresses.entry(address).or_default();
                ports.insert(name.clone(), json!(port));
            }
        }
        written_ports.push(json!({ "number": number, "name": name, "protocol": protocol }));
    }
    let is_static = addresses
        .keys()
        .all(|address| address.parse::<IpAddr>().is_ok());
    let endpoints: Vec<Value> = addresses
        .into_iter()
        .map(|(address, ports)| json!({ "address": address, "ports": ports }))
        .collect();
    let spec = json!({
        "exportTo": ["."],
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "resolution": if is_static { "STATIC" } else { "DNS" },
        "ports": written_ports,
        "endpoints": endpoints,
    });
    let name = name::join(&["meshgate", &id.namespace, &id.name]);
    workload.add(
        Wave::Destinations,
        (NETWORKING, "ServiceEntry"),
        name,
        &[("meshgate.io/static-destination", id.to_string())],
        spec,
    );
}

/// A rule in the gateway's namespace replaces the one of the service's owner for this gateway, so what that one says is
/// said again.
fn destination_rule(
    workload: &mut Workload<'_>,
    resources: &Resources,
    host: &str,
    service: &ObjectName,
    subsets: &Subsets<'_>,
) {
    let program = workload.program;
    let owners = owner_rule(program, resources, host, service);
    let mut spec = Map::new();
    let mut list: Vec<Value> = Vec::new();
    let mut names = BTreeSet::new();
    if let Some(rule) = owners {
        // Rules of one namespace are merged by Istio.
        let is_merged = rule.name.namespace == program.namespace;
        for subset in rule.spec["subsets"].as_array().into_iter().flatten() {
            if let Some(name) = subset["name"].as_str() {
                names.insert(name.to_owned());
                if !is_merged {
                    list.push(subset.clone());
                }
            }
        }
        if !is_merged && rule.spec["trafficPolicy"].is_object() {
            spec.insert(
                "trafficPolicy".to_owned(),
                rule.spec["trafficPolicy"].clone(),
            );
        }
    }
    for (name, labels) in subsets {
        if names.insert((*name).to_owned()) {
            list.push(json!({ "name": name, "labels": labels }));
        }
    }
    if list.is_empty() {
        return;
    }
    spec.insert("host".to_owned(), json!(host));
    spec.insert("exportTo".to_owned(), json!(["."]));
    spec.insert("subsets".to_owned(), json!(list));
    let name = name::join(&["meshgate", &service.namespace, &service.name]);
    workload.add(
        Wave::Destinations,
        (NETWORKING, "DestinationRule"),
        name,
        &[],
        Value::Object(spec),
    );
}

/// The rule that holds for the gateway without us: of its own namespace, else of the service's.
fn owner_rule<'r>(
    program: &WorkloadProgram,
    resources: &'r Resources,
    host: &str,
    service: &ObjectName,
) -> Option<&'r DestinationRule> {
    let rules = || {
        resources.destination_rules.iter().filter(|rule| {
            (rule.cluster.is_none() || rule.cluster == program.cluster)
                && rule.labels.get(super::MANAGED_BY).map(String::as_str) != Some("meshgate")
                && names(rule, host, service)
        })
    };
    [&program.namespace, &service.namespace]
        .into_iter()
        .find_map(|namespace| rules().find(|rule| rule.name.namespace == *namespace))
}

/// Whether a rule is about a host: short names are completed with the rule's namespace.
fn names(rule: &DestinationRule, host: &str, service: &ObjectName) -> bool {
    if rule.host.contains('.') {
        return rule.host == host;
    }
    rule.host == service.name && rule.name.namespace == service.namespace
}
