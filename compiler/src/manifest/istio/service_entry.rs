//! ServiceEntry for destinations outside the mesh.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::destination::{External, HTTP_PROTOCOLS, NETWORKING, subset_and_host};
use super::{Wave, Workload, name};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::resource::{ObjectName, Resources, ServicePort};
use crate::source::Span;
use crate::tree::DestinationTarget;

/// Writes a static destination, with the ports that are used.
pub(super) fn write(
    workload: &mut Workload<'_>,
    resources: &Resources,
    id: &ObjectName,
    ports: &BTreeMap<u16, External<'_>>,
) {
    let written = resources.destinations.iter();
    let known: Vec<(&ServicePort, Span)> = written
        .filter(|destination| destination.metadata.id == *id)
        .filter_map(|destination| Some((destination.external.as_ref()?, destination.metadata.span)))
        .flat_map(|(external, span)| external.ports.iter().map(move |port| (port, span)))
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
        let port = known.iter().find(|(port, _)| port.number == number);
        let protocol = port.map_or(String::new(), |(port, _)| {
            port.protocol.to_ascii_uppercase()
        });
        if let Some((_, span)) = port
            && *takes_requests
            && ["HTTPS", "TLS"].contains(&protocol.as_str())
        {
            let message = format!(
                "port {number} of static destination `{id}` speaks {protocol}, but requests are sent without TLS"
            );
            workload.report(
                Diagnostic::at(Code::TlsNotOriginated, *span, message).help(format!(
                    "add a DestinationRule for `{host}` with `tls.mode: SIMPLE` to originate it"
                )),
            );
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
