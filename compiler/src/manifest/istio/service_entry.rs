//! ServiceEntry for destinations outside the mesh.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::destination::{External, HTTP_PROTOCOLS, NETWORKING, subset_and_host};
use super::destination_rule::{self, Host, Subsets};
use super::{Wave, Workload, name};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::resolve::Settings;
use crate::resource::{ObjectName, Resources, ServicePort, TlsMode};
use crate::source::Span;
use crate::tree::DestinationTarget;

/// Writes a static destination, with the ports that are used, and how it is treated.
pub(super) fn write(
    workload: &mut Workload<'_>,
    resources: &Resources,
    id: &ObjectName,
    ports: &BTreeMap<u16, External<'_>>,
    settings: Settings<'_>,
) {
    let program = workload.program;
    let hosts = ports.values().next().map(|port| &port.destination.cluster);
    let host = hosts.and_then(|cluster| subset_and_host(cluster));
    let host = host.map_or("", |(_, host)| host);
    // For Istio, the host is of the namespace of its ServiceEntry.
    let entry = ObjectName {
        namespace: program.namespace.clone(),
        name: host.to_owned(),
    };
    let place = (program.cluster.as_deref(), program.namespace.as_str());
    let owners = destination_rule::owner_rule(resources, place, host, &entry);
    let has_tls = settings
        .tls_mode
        .is_some_and(|mode| mode.value != TlsMode::Disable)
        || owners.is_some_and(|rule| has_tls(&rule.spec["trafficPolicy"]));
    let written = resources.destinations.iter();
    let known: Vec<(&ServicePort, Span)> = written
        .filter(|destination| destination.metadata.id == *id)
        .filter_map(|destination| Some((destination.external.as_ref()?, destination.metadata.span)))
        .flat_map(|(external, span)| external.ports.iter().map(move |port| (port, span)))
        .collect();
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
        let port = known.iter().find(|(port, _)| port.number == number);
        let protocol = port.map_or(String::new(), |(port, _)| {
            port.protocol.to_ascii_uppercase()
        });
        if let Some((_, span)) = port
            && *takes_requests
            && !has_tls
            && ["HTTPS", "TLS"].contains(&protocol.as_str())
        {
            let message = format!(
                "port {number} of static destination `{id}` speaks {protocol}, but requests are sent without TLS"
            );
            workload.report(
                Diagnostic::at(Code::TlsNotOriginated, *span, message).help(format!(
                    "write a TrafficPolicy with `mtls: {{istio: {{tlsMode: SIMPLE}}}}` and `destinationSelector: [{{externalServiceRefs: \
                     {{externalServices: [{{name: {}, namespace: {}}}]}}}}]`",
                    id.name, id.namespace
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
    if !settings.is_empty() && !host.contains('.') {
        let message = format!(
            "no DestinationRule can be for the host `{host}` of static destination `{id}`: Istio takes names without a dot for Services"
        );
        let help = "give the destination a host with a dot";
        destination_rule::not_applied(workload, settings, &message, help);
        return;
    }
    let rule = name::join(&["meshgate", "static", &id.namespace, &id.name]);
    let host = Host {
        host,
        service: &entry,
        rule: &rule,
    };
    destination_rule::write(workload, resources, host, &Subsets::new(), settings);
}

/// Whether a rule has TLS spoken to a port at least.
fn has_tls(policy: &Value) -> bool {
    let speaks = |policy: &Value| {
        let mode = policy["tls"]["mode"].as_str();
        mode.is_some_and(|mode| mode != "DISABLE")
    };
    let ports = policy["portLevelSettings"].as_array();
    speaks(policy) || ports.is_some_and(|ports| ports.iter().any(speaks))
}
