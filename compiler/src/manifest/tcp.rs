//! Connections that Envoy forwards as they are.

use serde_json::{Map, Value, json};

use super::envoy::{EnvoyOptions, socket_address};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::TcpSettings;
use crate::tree::{Gateway, Tcp};

/// The fields of Envoy's TcpProxy that say how connections are forwarded.
pub(super) fn settings(settings: &TcpSettings) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(attempts) = settings.max_connect_attempts {
        fields.insert("max_connect_attempts".to_owned(), json!(attempts));
    }
    if let Some(time) = settings.idle_timeout {
        let seconds = format!("{}.{:03}s", time.as_secs(), time.subsec_millis());
        fields.insert("idle_timeout".to_owned(), json!(seconds));
    }
    if let Some(host) = &settings.tunnel {
        fields.insert("tunneling_config".to_owned(), json!({ "hostname": host }));
    }
    fields
}

/// A listener without the filter. Connections for other server names than those of the gateway are closed, if it does
/// not decrypt them; otherwise all are taken.
pub(super) fn listener(
    gateway: &Gateway,
    tcp: &Tcp,
    port: u16,
    options: &EnvoyOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Value {
    let name = gateway.name.to_string();
    if tcp.by_server_name {
        diagnostics.push(
            Diagnostic::at(
                Code::TcpGateway,
                tcp.span,
                format!("gateway `{name}` forwards connections by server name, and without a mesh there are no clusters of such names"),
            )
            .help("use `--target istio`, or name a destination"),
        );
    }
    let mut proxy = settings(&tcp.settings);
    proxy.insert(
        "@type".to_owned(),
        json!("type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
    );
    proxy.insert("stat_prefix".to_owned(), json!(name));
    let clusters = tcp.destinations.iter().filter(|(_, weight)| *weight > 0);
    let clusters: Vec<Value> = clusters
        .map(|(to, weight)| json!({ "name": to.cluster, "weight": weight }))
        .collect();
    proxy.insert(
        "weighted_clusters".to_owned(),
        json!({ "clusters": clusters }),
    );
    let mut chain = json!({ "filters": [{ "name": "envoy.filters.network.tcp_proxy", "typed_config": proxy }] });
    let listener = &gateway.listener;
    let mut value = json!({
        "name": name,
        "address": socket_address(&options.listen.to_string(), port),
    });
    let names = &listener.server_names;
    if listener.passes_tls_on() && !names.is_empty() && names.iter().all(|name| name != "*") {
        chain["filter_chain_match"] = json!({ "server_names": names });
        value["listener_filters"] = json!([{
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector" },
        }]);
    }
    value["filter_chains"] = json!([chain]);
    value
}
