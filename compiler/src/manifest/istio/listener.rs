//! Gateway, VirtualService and EnvoyFilter: from a connection to the filter's choice of a cluster.

use serde_json::{Value, json};

use super::destination::NETWORKING;
use super::{Attach, Wave, Workload, name, stable, tcp};
use crate::manifest::envoy::CLUSTER_HEADER;
use crate::manifest::mirrors;
use crate::resource::Tls;
use crate::tree::{Gateway, GatewayWorkload, Tree};

/// Name of the placeholder route.
pub(super) const ROUTE: &str = "meshgate";

/// Writes the listeners of a workload.
pub(super) fn write(workload: &mut Workload<'_>, attach: Attach) {
    let program = workload.program;
    let mut gateways = Vec::new();
    let takes_requests = (program.tree.gateways.iter()).any(|gateway| gateway.tcp.is_none());
    let mut patches = match attach {
        Attach::Exclusive if takes_requests => route_patches(&program.tree),
        Attach::Exclusive | Attach::Stable => Vec::new(),
    };
    for (gateway, running) in program.tree.gateways.iter().zip(&program.workloads) {
        let id = workload.id.clone();
        let name = name::join(&[&id, &gateway.name.namespace, &gateway.name.name]);
        let spec = json!({
            "selector": program.labels,
            "servers": [server(gateway, running)],
        });
        let parent = [("meshgate.io/virtual-gateway", gateway.name.to_string())];
        workload.add(
            Wave::Listeners,
            (NETWORKING, "Gateway"),
            name.clone(),
            &parent,
            spec,
        );
        let bound = format!("{}/{name}", program.namespace);
        if let Some(tcp) = &gateway.tcp {
            tcp::write(workload, gateway, tcp, running, name, bound, &mut patches);
        } else if !gateway.https_redirect {
            // A server that redirects has no routes; with one, Istio would not redirect on its own.
            gateways.push(bound);
        }
        listener_patches(workload, gateway, running, &mut patches);
    }
    let name = name::join(&["meshgate", &workload.id]);
    if !gateways.is_empty() {
        let mut routes = match attach {
            Attach::Exclusive => Vec::new(),
            Attach::Stable => stable::routes(workload),
        };
        routes.push(json!({
            "name": ROUTE,
            "directResponse": { "status": 503, "body": { "string": "meshgate is not attached to this gateway\n" } },
        }));
        let spec = json!({
            "exportTo": ["."],
            "hosts": ["*"],
            "gateways": gateways,
            "http": routes,
        });
        workload.add(
            Wave::Listeners,
            (NETWORKING, "VirtualService"),
            name.clone(),
            &[],
            spec,
        );
    }
    if patches.is_empty() {
        return;
    }
    let spec = json!({
        "workloadSelector": { "labels": program.labels },
        "priority": 100,
        "configPatches": patches,
    });
    let services = [(
        // Read by an istiod that sends gateways only the clusters they refer to.
        "envoyfilter.istio.io/referenced-services",
        referenced_services(workload),
    )];
    let annotations = match services.first() {
        Some((_, list)) if !list.is_empty() => &services[..],
        _ => &[],
    };
    workload.add(
        Wave::Listeners,
        ("networking.istio.io/v1alpha3", "EnvoyFilter"),
        name,
        annotations,
        spec,
    );
}

/// The hosts behind all clusters that the program can choose.
fn referenced_services(workload: &Workload<'_>) -> String {
    let mut hosts: Vec<&str> = workload
        .program
        .tree
        .destinations()
        .filter_map(|destination| destination.cluster.rsplit('|').next())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.join(",")
}

fn server(gateway: &Gateway, running: &GatewayWorkload) -> Value {
    let listener = &gateway.listener;
    let protocol = match (&listener.tls, &gateway.tcp) {
        (Some(_), None) => "HTTPS",
        (None, None) => "HTTP",
        (Some(_), Some(_)) => "TLS",
        (None, Some(_)) => "TCP",
    };
    let by_server_name = gateway.tcp.as_ref().is_some_and(|tcp| tcp.by_server_name);
    // Only VirtualServices of this namespace may bind; where the server name decides, none does.
    let bound = |name: &str| match by_server_name {
        true => name.to_owned(),
        false => format!("./{name}"),
    };
    let hosts: Vec<String> = match listener.server_names.as_slice() {
        names if gateway.https_redirect || listener.tls.is_none() || names.is_empty() => {
            vec![bound("*")]
        }
        names => names.iter().map(|name| bound(name)).collect(),
    };
    let name = format!("{}-{}", protocol.to_ascii_lowercase(), running.port);
    let mut server = json!({
        "port": { "number": running.port, "name": name, "protocol": protocol },
        "hosts": hosts,
    });
    if let Some(bind) = &listener.bind {
        server["bind"] = json!(bind);
    }
    if gateway.https_redirect {
        server["tls"] = json!({ "httpsRedirect": true });
    } else if by_server_name {
        server["tls"] = json!({ "mode": "AUTO_PASSTHROUGH" });
    } else if let Some(settings) = &listener.tls {
        server["tls"] = tls(settings);
    }
    server
}

fn tls(settings: &Tls) -> Value {
    let mut tls = json!({ "mode": settings.mode });
    if settings.mode.ends_with("PASSTHROUGH") {
        return tls;
    }
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            tls[key] = value;
        }
    };
    let version = |version: &Option<String>| {
        let version = version.as_ref()?;
        Some(json!(version.to_ascii_uppercase()))
    };
    let list = |list: &[String]| (!list.is_empty()).then(|| json!(list));
    set("credentialName", settings.secret.as_ref().map(|s| json!(s)));
    if let Some(files) = &settings.files {
        set(
            "serverCertificate",
            files.certificate.as_ref().map(|s| json!(s)),
        );
        set("privateKey", files.key.as_ref().map(|s| json!(s)));
        set("caCertificates", files.authority.as_ref().map(|s| json!(s)));
    }
    set("subjectAltNames", list(&settings.subject_alt_names));
    set("minProtocolVersion", version(&settings.minimum_version));
    set("maxProtocolVersion", version(&settings.maximum_version));
    set("cipherSuites", list(&settings.cipher_suites));
    tls
}

/// Turns the placeholder into a route to the cluster that the filter names, and puts a route before it for every choice
/// of mirrors.
fn route_patches(tree: &Tree) -> Vec<Value> {
    let placeholder = json!({
        "context": "GATEWAY",
        "routeConfiguration": { "vhost": { "route": { "name": ROUTE } } },
    });
    let mut patches = vec![
        json!({
            "applyTo": "ROUTE_CONFIGURATION",
            "match": { "context": "GATEWAY" },
            "patch": {
                "operation": "MERGE",
                "value": { "internal_only_headers": [CLUSTER_HEADER] },
            },
        }),
        json!({
            "applyTo": "HTTP_ROUTE",
            "match": placeholder,
            "patch": { "operation": "MERGE", "value": route() },
        }),
    ];
    for (number, (choice, mirrors)) in mirrors::choices(tree).into_iter().enumerate() {
        let mut value = route();
        value["name"] = json!(format!("{ROUTE}-mirrors-{number}"));
        // No client can set the filter state, and the route is looked for again when the filter has chosen.
        value["match"] = json!({
            "prefix": "/",
            "filter_state": [{ "key": mirrors::CHOICE, "string_match": { "exact": choice } }],
        });
        value["route"]["request_mirror_policies"] = mirrors
            .iter()
            .map(|cluster| json!({ "cluster": cluster }))
            .collect();
        patches.push(json!({
            "applyTo": "HTTP_ROUTE",
            "match": placeholder,
            "patch": { "operation": "INSERT_BEFORE", "value": value },
        }));
    }
    patches
}

/// The route to the cluster that the filter names, without name and match.
fn route() -> Value {
    json!({
        "route": {
            "cluster_header": CLUSTER_HEADER,
            "cluster_not_found_response_code": "SERVICE_UNAVAILABLE",
            // The filter sets timeouts and retries request by request.
            "timeout": "0s",
            "max_stream_duration": { "grpc_timeout_header_max": "0s" },
            "retry_policy": {
                "num_retries": 1,
                "retry_host_predicate": [{
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": { "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate" },
                }],
                "host_selection_retry_max_attempts": "5",
                // The service that comes next behind a virtual destination, not again the one that has just failed.
                "retry_priority": {
                    "name": "envoy.retry_priorities.previous_priorities",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                        "update_frequency": 1,
                    },
                },
            },
        },
        "request_headers_to_remove": [CLUSTER_HEADER],
    })
}

/// What the Gateway object cannot say of a listener.
fn listener_patches(
    workload: &mut Workload<'_>,
    gateway: &Gateway,
    running: &GatewayWorkload,
    patches: &mut Vec<Value>,
) {
    let listener = &gateway.listener;
    if listener.buffer_limit.is_none() && !listener.proxy_protocol {
        return;
    }
    let Some(port) = running.target_port else {
        let place = workload.place();
        workload.error(format!(
            "{place}: `perConnectionBufferLimitBytes` and `enableProxyProtocol` of virtual gateway `{}` need the port of the \
             gateway's pods, which is not known: pass its Service with `--inventory`",
            gateway.name
        ));
        return;
    };
    let matched = json!({ "context": "GATEWAY", "listener": { "portNumber": port } });
    if let Some(limit) = listener.buffer_limit {
        patches.push(json!({
            "applyTo": "LISTENER",
            "match": matched,
            "patch": { "operation": "MERGE", "value": { "per_connection_buffer_limit_bytes": limit } },
        }));
    }
    if listener.proxy_protocol {
        patches.push(json!({
            "applyTo": "LISTENER_FILTER",
            "match": matched,
            "patch": {
                "operation": "INSERT_FIRST",
                "value": {
                    "name": "envoy.filters.listener.proxy_protocol",
                    "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol" },
                },
            },
        }));
    }
}
