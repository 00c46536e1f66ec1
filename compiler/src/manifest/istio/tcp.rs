//! Connections that are forwarded as they are: Istio's own routes, the filter has no part in them.

use serde_json::{Value, json};

use super::destination::{NETWORKING, subset_and_host};
use super::{Wave, Workload};
use crate::code::Code;
use crate::tree::{Gateway, GatewayWorkload, Tcp};

/// Writes the VirtualService of a gateway; `bound` is its Gateway object. What the object cannot say is added to the
/// patches of the workload.
pub(super) fn write(
    workload: &mut Workload<'_>,
    gateway: &Gateway,
    tcp: &Tcp,
    running: &GatewayWorkload,
    name: String,
    bound: String,
    patches: &mut Vec<Value>,
) {
    settings(workload, gateway, tcp, running, patches);
    let listener = &gateway.listener;
    if tcp.by_server_name {
        if !listener.passes_tls_on() {
            let message = format!(
                "virtual gateway `{}` decrypts connections and forwards them by server name, which Istio cannot do both",
                gateway.name
            );
            let found = workload.finding_at(Code::DecryptedServerName, tcp.span, message);
            workload.report(found.help("write `tlsMode: PASSTHROUGH`"));
        }
        // Istio itself forwards by server name.
        return;
    }
    let destinations = tcp.destinations.iter().filter_map(|(destination, weight)| {
        let (subset, host) = subset_and_host(&destination.cluster)?;
        let mut to = json!({ "host": host, "port": { "number": destination.port } });
        if !subset.is_empty() {
            to["subset"] = json!(subset);
        }
        Some(match tcp.destinations.len() {
            1 => json!({ "destination": to }),
            _ => json!({ "destination": to, "weight": weight }),
        })
    });
    let destinations: Vec<Value> = destinations.collect();
    let names = match listener.server_names.as_slice() {
        names if listener.tls.is_none() || names.is_empty() => vec!["*".to_owned()],
        names => names.to_vec(),
    };
    let mut spec = json!({ "exportTo": ["."], "hosts": names, "gateways": [bound] });
    let port = running.port;
    if listener.passes_tls_on() {
        let matched = json!({ "port": port, "sniHosts": names });
        spec["tls"] = json!([{ "match": [matched], "route": destinations }]);
    } else {
        spec["tcp"] = json!([{ "match": [{ "port": port }], "route": destinations }]);
    }
    workload.add(
        Wave::Listeners,
        (NETWORKING, "VirtualService"),
        name,
        &[("meshgate.io/virtual-gateway", gateway.name.to_string())],
        spec,
    );
}

/// `tcpProxySettings`.
fn settings(
    workload: &mut Workload<'_>,
    gateway: &Gateway,
    tcp: &Tcp,
    running: &GatewayWorkload,
    patches: &mut Vec<Value>,
) {
    let Some(settings) = tcp_proxy(tcp) else {
        return;
    };
    let Some(port) = running.target_port else {
        let message = format!(
            "`tcpProxySettings` of virtual gateway `{}` need the port of the gateway's pods, which is not known",
            gateway.name
        );
        let found = workload.finding_at(Code::UnknownPodPort, tcp.span, message);
        workload.report(found.help(super::PASS_SERVICE));
        return;
    };
    let name = "envoy.filters.network.tcp_proxy";
    let filter = json!({ "filter": { "name": name } });
    patches.push(json!({
        "applyTo": "NETWORK_FILTER",
        "match": {
            "context": "GATEWAY",
            "listener": { "portNumber": port, "filterChain": filter },
        },
        "patch": {
            "operation": "MERGE",
            "value": { "name": name, "typed_config": settings },
        },
    }));
}

/// The part of Envoy's TcpProxy that the settings are; absent if there are none.
fn tcp_proxy(tcp: &Tcp) -> Option<Value> {
    let settings = crate::manifest::tcp::settings(&tcp.settings);
    if settings.is_empty() {
        return None;
    }
    let mut proxy = Value::Object(settings);
    proxy["@type"] =
        json!("type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy");
    Some(proxy)
}
