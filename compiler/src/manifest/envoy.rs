//! An Envoy bootstrap that serves a routing program without a mesh: listeners, clusters and the filter.
//!
//! Every gateway of the tree gets an HTTP listener on a port of its own. A single route takes every request to the
//! cluster that the filter names; everything else is the program's business. Paths reach the filter as the client sent
//! them and leave as the filter left them: nothing is normalised or decoded.
//!
//! The clients of these listeners are all taken for strangers, wherever they connect from: Envoy drops the
//! `x-envoy-…` headers with which a client could change timeouts, retries or the route.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::configuration;
use super::mirrors;
use super::settings::{FilterSettings, LABELS};
use super::treatment::Treatment;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Resources, ServicePort};
use crate::tree::{Destination, DestinationTarget, Gateway, Tree};
use crate::upstreams::{Endpoint, UpstreamName, Upstreams};

/// Request header in which the filter names the cluster. The route removes it before the request goes out.
pub(crate) const CLUSTER_HEADER: &str = "x-meshgate-cluster";

/// What a bootstrap needs to know besides the configuration.
#[derive(Clone, Copy, Debug)]
pub struct EnvoyOptions<'a> {
    /// Address the listeners are bound to.
    pub listen: IpAddr,
    /// Port of each gateway of the tree; the same ports as in the program.
    pub ports: &'a [u16],
    /// Port of the admin interface on the loopback address; 0 = any free port. Absent: no admin interface.
    pub admin: Option<u16>,
    /// The filter's .wasm file, as Envoy will open it.
    pub filter: &'a Path,
    /// Log every request to standard output.
    pub access_log: bool,
    /// What the filter is told besides the program.
    pub settings: &'a FilterSettings,
}

/// Writes the bootstrap. Destinations without upstream get a cluster without endpoints and a warning.
pub fn bootstrap(
    tree: &Tree,
    resources: &Resources,
    program: &[u8],
    upstreams: &Upstreams,
    options: &EnvoyOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Value {
    upstreams.report_unknown(tree, diagnostics);
    if let Some(message) = options.settings.too_many_series(tree) {
        diagnostics.push(Diagnostic::global(Code::ManySeries, message));
    }
    let configuration = plugin_configuration(program, options.settings);
    let routes = route_config(tree);
    let filter = wasm_filter(&configuration, options.filter, tree.needs_bodies());
    let listeners: Vec<Value> = tree
        .gateways
        .iter()
        .zip(options.ports)
        .map(|(gateway, &port)| {
            report_listener(gateway, port, diagnostics);
            match &gateway.tcp {
                Some(tcp) => super::tcp::listener(gateway, tcp, port, options, diagnostics),
                None => listener(gateway, port, &filter, &routes, options),
            }
        })
        .collect();
    let grpc: BTreeSet<&str> = tree
        .services()
        .filter(|(_, is_grpc)| *is_grpc)
        .map(|(destination, _)| destination.cluster.as_str())
        .collect();
    let mut treatment = Treatment::new(resources, tree);
    let clusters: Vec<Value> = clusters(tree)
        .into_values()
        .map(|destination| {
            let http2 =
                grpc.contains(destination.cluster.as_str()) || speaks_http2(resources, destination);
            let mut cluster = cluster(destination, http2, upstreams, diagnostics);
            let is_given = upstreams.find(destination).is_some();
            treatment.add_to(&mut cluster, destination, is_given);
            cluster
        })
        .collect();
    treatment.report(diagnostics);
    let mut bootstrap = json!({
        "node": { "id": "meshgate", "cluster": "meshgate" },
        "static_resources": { "listeners": listeners, "clusters": clusters },
        "stats_config": { "stats_tags": stats_tags() },
    });
    if let Some(port) = options.admin {
        bootstrap["admin"] = json!({ "address": socket_address("127.0.0.1", port) });
    }
    bootstrap
}

/// The program as bytes, or in a text with what else the filter is told.
fn plugin_configuration(program: &[u8], settings: &FilterSettings) -> Value {
    if settings.is_empty() {
        let data = BASE64_STANDARD.encode(program);
        return json!({ "@type": "type.googleapis.com/google.protobuf.BytesValue", "value": data });
    }
    let text = settings.add_to(configuration::encode(program));
    json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": text.to_string(),
    })
}

/// Makes labels of the parts of metrics' names, as the proxies of Istio do.
fn stats_tags() -> Value {
    let tag = |label| json!({ "tag_name": label, "regex": format!(r"({label}=\.=(.*?);\.;)") });
    LABELS.into_iter().map(tag).collect()
}

fn report_listener(gateway: &Gateway, port: u16, diagnostics: &mut Diagnostics) {
    let is_passed_on = gateway.tcp.is_some() && gateway.listener.passes_tls_on();
    for setting in &gateway.listener.written {
        if is_passed_on && setting.value == "serverNames" {
            continue;
        }
        diagnostics.push(
            Diagnostic::at(
                Code::ListenerSetting,
                setting.span,
                format!("`{}` has no effect without a mesh", setting.value),
            )
            .help("it has an effect with `--target istio`"),
        );
    }
    if gateway.tls && !gateway.listener.passes_tls_on() {
        let (served, sent) = match gateway.tcp {
            Some(_) => ("takes plain connections", "connect in plain text"),
            None => ("serves plain HTTP", "send plain requests"),
        };
        let message = format!(
            "gateway `{}` terminates TLS, but port {port} of this Envoy {served}",
            gateway.name
        );
        diagnostics.push(
            Diagnostic::at(Code::PlainText, gateway.span, message)
                .help(format!("{sent} to try it out; its routes are the same")),
        );
    }
}

fn listener(
    gateway: &Gateway,
    port: u16,
    filter: &Value,
    routes: &Value,
    options: &EnvoyOptions<'_>,
) -> Value {
    let access_log = if options.access_log {
        vec![access_log()]
    } else {
        Vec::new()
    };
    json!({
        "name": gateway.name.to_string(),
        "address": socket_address(&options.listen.to_string(), port),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": gateway.name.to_string(),
                "codec_type": "AUTO",
                "use_remote_address": true,
                // Nobody is internal. An empty list would mean the private networks; no client has this address.
                "internal_address_config": {
                    "cidr_ranges": [{ "address_prefix": "255.255.255.255", "prefix_len": 32 }],
                },
                // The routes set the timeouts.
                "stream_idle_timeout": "0s",
                "http_protocol_options": { "accept_http_10": true },
                // WebSockets over HTTP/2.
                "http2_protocol_options": { "allow_connect": true },
                "upgrade_configs": [{ "upgrade_type": "websocket" }],
                "route_config": routes,
                "http_filters": [
                    filter,
                    {
                        "name": "envoy.filters.http.router",
                        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
                    },
                ],
                "access_log": access_log,
            },
        }] }],
    })
}

fn route_config(tree: &Tree) -> Value {
    let mut virtual_host = json!({ "name": "meshgate", "domains": ["*"] });
    let choices = mirrors::choices(tree);
    if choices.is_empty() {
        virtual_host["routes"] = json!([route(&[])]);
    } else {
        virtual_host["matcher"] = mirrors::matcher(&choices, route);
    }
    json!({
        "name": "meshgate",
        "request_headers_to_remove": [CLUSTER_HEADER],
        "virtual_hosts": [virtual_host],
    })
}

/// The route of every request that is copied to these clusters.
fn route(mirrors: &[&str]) -> Value {
    // Without a timeout of the route there is none, as in Istio.
    let mut action = json!({ "cluster_header": CLUSTER_HEADER, "timeout": "0s" });
    if !mirrors.is_empty() {
        action["request_mirror_policies"] = mirrors
            .iter()
            .map(|cluster| json!({ "cluster": cluster }))
            .collect();
    }
    json!({ "match": { "prefix": "/" }, "route": action })
}

fn wasm_filter(configuration: &Value, filter: &Path, needs_bodies: bool) -> Value {
    let mut config = json!({
        "name": "meshgate",
        "root_id": "meshgate",
        // Never let requests pass without the filter: the client would choose the cluster.
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "vm_id": "meshgate",
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": filter.to_string_lossy() } },
        },
        "configuration": configuration,
    });
    if needs_bodies {
        // Bodies come to the filter while it holds the headers.
        config["allow_on_headers_stop_iteration"] = json!(true);
    }
    json!({
        "name": "meshgate",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": config,
        },
    })
}

fn access_log() -> Value {
    json!({
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "json_format": {
                "time": "%START_TIME%",
                "method": "%REQ(:METHOD)%",
                "authority": "%REQ(:AUTHORITY)%",
                "path": "%REQ(:PATH)%",
                "status": "%RESPONSE_CODE%",
                "flags": "%RESPONSE_FLAGS%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "duration_ms": "%DURATION%",
                "cluster": "%UPSTREAM_CLUSTER%",
                "route": "%FILTER_STATE(wasm.meshgate_route:PLAIN)%",
                "generation": "%FILTER_STATE(wasm.meshgate_generation:PLAIN)%",
            } },
        },
    })
}

/// The clusters that routes of a tree go to and that gateways ask, by name, each with a destination behind it.
fn clusters(tree: &Tree) -> BTreeMap<&str, &Destination> {
    tree.destinations()
        .map(|destination| (destination.cluster.as_str(), destination.as_ref()))
        .collect()
}

fn cluster(
    destination: &Destination,
    http2: bool,
    upstreams: &Upstreams,
    diagnostics: &mut Diagnostics,
) -> Value {
    let mut cluster = json!({ "name": destination.cluster, "connect_timeout": "5s" });
    let endpoints = endpoints(destination, upstreams);
    if endpoints.is_empty() {
        let name = UpstreamName::of(destination);
        diagnostics.push(
            Diagnostic::global(
                Code::NoUpstream,
                format!("`{name}` has no upstream, so requests to it get 503"),
            )
            .help(format!("add `--upstream {name}=HOST:PORT`")),
        );
    }
    if endpoints
        .iter()
        .all(|endpoint| endpoint.host.parse::<IpAddr>().is_ok())
    {
        cluster["type"] = json!("STATIC");
    } else {
        cluster["type"] = json!("STRICT_DNS");
        // Whatever family the name and the server have in common.
        cluster["dns_lookup_family"] = json!("ALL");
    }
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|Endpoint { host, port }| json!({ "endpoint": { "address": socket_address(host, *port) } }))
        .collect();
    cluster["load_assignment"] = json!({ "cluster_name": destination.cluster, "endpoints": [{ "lb_endpoints": endpoints }] });
    if http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
    }
    cluster
}

/// Given upstreams, else what a static destination says of itself.
fn endpoints(destination: &Destination, upstreams: &Upstreams) -> Vec<Endpoint> {
    if let Some(endpoints) = upstreams.find(destination) {
        return endpoints.to_vec();
    }
    match &destination.target {
        DestinationTarget::StaticDestination { endpoints, .. } => endpoints
            .iter()
            .map(|(host, port)| Endpoint {
                host: host.clone(),
                port: *port,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether the destination's port is declared as gRPC or HTTP/2, by protocol or by name. Otherwise it gets HTTP/1.1.
fn speaks_http2(resources: &Resources, destination: &Destination) -> bool {
    let ports: Vec<&ServicePort> = match &destination.target {
        DestinationTarget::KubeService { name, .. } => resources
            .services
            .iter()
            .chain(
                resources
                    .destinations
                    .iter()
                    .filter_map(|destination| destination.kube.as_ref()),
            )
            .filter(|service| service.name == name.name && service.namespace == name.namespace)
            .flat_map(|service| &service.ports)
            .collect(),
        DestinationTarget::StaticDestination { name, .. } => resources
            .destinations
            .iter()
            .filter(|destination| destination.metadata.id == *name)
            .filter_map(|destination| destination.external.as_ref())
            .flat_map(|external| &external.ports)
            .collect(),
        DestinationTarget::VirtualDestination { .. } => Vec::new(),
    };
    ports
        .iter()
        .filter(|port| port.number == destination.port)
        .any(|port| {
            // Port names are `<protocol>` or `<protocol>-<anything>`.
            let by_name = port.name.split('-').next().unwrap_or_default();
            [by_name, port.protocol.as_str()].iter().any(|protocol| {
                ["grpc", "http2"]
                    .iter()
                    .any(|http2| protocol.eq_ignore_ascii_case(http2))
            })
        })
}

pub(super) fn socket_address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}
