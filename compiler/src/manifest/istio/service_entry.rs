//! ServiceEntry for destinations outside the mesh.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::destination::{External, HTTP_PROTOCOLS, NETWORKING, subset_and_host};
use super::{Wave, Workload, name};
use crate::resource::{ObjectName, Resources, ServicePort};
use crate::tree::DestinationTarget;

/// Writes a static destination, with the ports that are used.
pub(super) fn write(
    workload: &mut Workload<'_>,
    resources: &Resources,
    id: &ObjectName,
    ports: &BTreeMap<u16, External<'_>>,
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
    for (
        &number,
        External {
            destination,
            takes_requests,
        },
    ) in ports
    {
        host = subset_and_host(&destination.cluster).map_or(host, |(_, host)| host);
        let port = known.iter().find(|port| port.number == number);
        let protocol = port.map_or(String::new(), |port| port.protocol.to_ascii_uppercase());
        if *takes_requests && ["HTTPS", "TLS"].contains(&protocol.as_str()) {
            workload.warn(format!(
                "static destination `{id}`: port {number} speaks {protocol}, but requests are sent without TLS; \
                 add a DestinationRule for `{host}` with `tls.mode: SIMPLE` to originate it"
            ));
        }
        // Requests were understood as HTTP already: whatever takes them is HTTP. Connections may be anything.
        let protocol = match takes_requests {
            true => HTTP_PROTOCOLS
                .into_iter()
                .find(|one| *one == protocol)
                .unwrap_or("HTTP"),
            false if protocol.is_empty() => "TCP",
            false => &protocol,
        };
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
