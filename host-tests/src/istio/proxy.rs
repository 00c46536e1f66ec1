//! An Envoy as a gateway of the mesh, or beside a service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use meshgate_compiler::verify::{self, Known, Report, verify};
use serde_json::{Value, json};

use super::control::Istiod;
use crate::envoy::log::AccessLog;
use crate::envoy::{Envoy, Settings};

/// What a proxy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is all there is in its pod.
    Gateway,
    /// It takes the connections to a service in its pod. A Sidecar object says where; nothing is redirected to it.
    Sidecar,
}

/// What makes a proxy the one that it is to be.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) kind: Kind,
    /// Address of its pod. For a gateway it is a name only: it listens on all addresses of this machine.
    pub(super) address: String,
    /// Name of its pod.
    pub(super) pod: String,
    /// Namespace of its pod.
    pub(super) namespace: String,
    /// Labels of its pod.
    pub(super) labels: BTreeMap<String, String>,
    /// How many proxies there are in front of it whose word it takes for what they say of a client.
    pub(super) trusted_proxies: u32,
}

/// A gateway, or a sidecar.
#[derive(Debug)]
pub struct Proxy {
    /// The process.
    pub envoy: Envoy,
    /// Its access log.
    pub log: AccessLog,
}

impl Proxy {
    pub(super) fn start(
        binary: &Path,
        identity: &Identity,
        istiod: &Istiod,
    ) -> Result<Proxy, String> {
        let envoy = Envoy::start(&Settings {
            binary,
            bootstrap: &bootstrap(identity, istiod).to_string(),
            workers: 2,
        })?;
        let log = AccessLog::open(&envoy.output_path()).map_err(|error| error.to_string())?;
        Ok(Proxy { envoy, log })
    }

    /// What `meshgate verify --admin` says about it.
    ///
    /// # Errors
    /// When its admin interface does not answer.
    pub fn verify(&self, program: Option<&Known>) -> Result<Report, String> {
        let body = |path| {
            let response = self.envoy.admin("GET", path);
            let response = response.map_err(|error| format!("{path}: {error}"))?;
            String::from_utf8(response.body).map_err(|error| error.to_string())
        };
        let config_dump =
            serde_json::from_str(&body("/config_dump")?).map_err(|error| error.to_string())?;
        Ok(verify(&verify::Gateway {
            config_dump: &config_dump,
            stats: Some(&body("/stats")?),
            program,
        }))
    }

    /// Sum of the counters whose names end in this.
    ///
    /// # Errors
    /// When its admin interface does not answer.
    pub fn count(&self, ending: &str) -> Result<u64, String> {
        let response = self.envoy.admin("GET", "/stats");
        let body = response.map_err(|error| error.to_string())?.body;
        let text = String::from_utf8_lossy(&body);
        let counters = text.lines().filter_map(|line| line.split_once(": "));
        let values = counters.filter(|(name, _)| name.ends_with(ending));
        Ok(values
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum())
    }

    /// Whether it has every one of these clusters.
    pub fn has_clusters<'c>(&self, names: impl IntoIterator<Item = &'c str>) -> bool {
        let Ok(response) = self.envoy.admin("GET", "/clusters") else {
            return false;
        };
        let text = String::from_utf8_lossy(&response.body);
        let mut names = names.into_iter();
        names.all(|name| text.contains(&format!("{name}::observability_name::")))
    }
}

fn bootstrap(identity: &Identity, istiod: &Istiod) -> Value {
    let Identity {
        kind,
        address,
        pod,
        namespace,
        labels,
        trusted_proxies,
    } = identity;
    let (kind, interception) = match kind {
        Kind::Gateway => ("router", "REDIRECT"),
        Kind::Sidecar => ("sidecar", "NONE"),
    };
    let source = json!({ "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" });
    json!({
        "node": {
            "id": format!("{kind}~{address}~{pod}.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": format!("{pod}.{namespace}"),
            "metadata": {
                "NAMESPACE": namespace,
                "NAME": pod,
                "LABELS": labels,
                "CLUSTER_ID": "Kubernetes",
                "INSTANCE_IPS": address,
                "INTERCEPTION_MODE": interception,
                "ISTIO_VERSION": "1.32.0",
                "PROXY_CONFIG": { "gatewayTopology": { "numTrustedProxies": trusted_proxies } },
            },
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
            },
            "lds_config": source,
            "cds_config": source,
        },
        "static_resources": { "clusters": [
            grpc_cluster("xds-grpc", istiod.discovery()),
            grpc_cluster("sds-grpc", istiod.secrets()),
        ] },
    })
}

fn grpc_cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": {
                "address": address.ip().to_string(), "port_value": address.port(),
            } } } }] }],
        },
    })
}
