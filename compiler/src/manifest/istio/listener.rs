//! Gateway, VirtualService and EnvoyFilter: from a connection to the filter's choice of a cluster.

use serde_json::{Value, json};

use super::destination::NETWORKING;
use super::{Attach, Wave, Workload, name, routes, stable, tcp};
use crate::code::Code;
use crate::manifest::envoy::CLUSTER_HEADER;
use crate::resource::Tls;
use crate::tree::{Gateway, GatewayWorkload};

/// Name of the placeholder route.
pub(super) const ROUTE: &str = "meshgate";

/// Writes the listeners of a workload.
pub(super) fn write(workload: &mut Workload<'_>, attach: Attach) {
    let program = workload.program;
    let mut gateways = Vec::new();
    let takes_requests = workload.of_requests().next().is_some();
    let mut patches = match attach {
        Attach::Exclusive if takes_requests => routes::of_placeholder(&program.tree),
        Attach::Beside if takes_requests => routes::before_others(workload),
        Attach::Exclusive | Attach::Beside | Attach::Stable => Vec::new(),
    };
    for (gateway, running) in program.tree.gateways.iter().zip(&program.workloads) {
        if attach == Attach::Beside {
            beside(workload, gateway);
        }
        let name = object_name(workload, gateway);
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
            Attach::Exclusive | Attach::Beside => Vec::new(),
            Attach::Stable => stable::routes(workload),
        };
        let mut placeholder = json!({
            "name": ROUTE,
            "directResponse": { "status": 503, "body": { "string": "meshgate is not attached to this gateway\n" } },
        });
        if attach == Attach::Beside {
            // It is there for the hosts that no VirtualService of others has, and takes no request that is theirs.
            placeholder["match"] = json!([{ "headers": { CLUSTER_HEADER: {} } }]);
        }
        routes.push(placeholder);
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

/// Name of the Gateway object of a virtual gateway.
pub(super) fn object_name(workload: &Workload<'_>, gateway: &Gateway) -> String {
    name::join(&[&workload.id, &gateway.name.namespace, &gateway.name.name])
}

/// What a listener that others have too does to them.
fn beside(workload: &mut Workload<'_>, gateway: &Gateway) {
    if gateway.https_redirect {
        let message = format!(
            "`httpsRedirect` of virtual gateway `{}` would redirect the requests of others on its port, too",
            gateway.name
        );
        let found = workload.finding_at(Code::RedirectOfOthers, gateway.span, message);
        workload.report(
            found.help(
                "write `requireTls` into virtual hosts instead, or leave out `--attach beside`",
            ),
        );
    } else if gateway.listener.tls.is_some() {
        let message = format!(
            "virtual gateway `{}` has TLS. If another Gateway object has one of its server names on the same port, Istio takes \
             the older object and leaves out that server of the other one",
            gateway.name
        );
        let found = workload.finding_at(Code::SharedServerNames, gateway.span, message);
        workload
            .report(found.help("use server names that no other Gateway object on the port has"));
    }
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
        let message = format!(
            "`perConnectionBufferLimitBytes` and `enableProxyProtocol` of virtual gateway `{}` need the port of the gateway's \
             pods, which is not known",
            gateway.name
        );
        let found = workload.finding_at(Code::UnknownPodPort, gateway.span, message);
        workload.report(found.help(super::PASS_SERVICE));
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
