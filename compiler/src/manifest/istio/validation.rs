//! What EnvoyFilters bring into Envoy's configuration, in a bootstrap that an Envoy can validate.
//!
//! Istio knows the types of these values and puts them where they belong; whether Envoy takes them, only Envoy says. The
//! rest of the bootstrap is as little as there can be.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Manifest;

const CONNECTION_MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const TCP_PROXY: &str =
    "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

/// A bootstrap with all values of an EnvoyFilter, for `envoy --mode validate`. Absent for objects of other kinds.
///
/// # Errors
/// The kind of a patch that has no place in it.
pub fn bootstrap(manifest: &Manifest) -> Result<Option<Value>, String> {
    if manifest.kind != "EnvoyFilter" {
        return Ok(None);
    }
    let mut parts = Parts::default();
    let patches = manifest.object["spec"]["configPatches"].as_array();
    for patch in patches.into_iter().flatten() {
        if parts.take(patch).is_none() {
            let (kind, operation) = (&patch["applyTo"], &patch["patch"]["operation"]);
            return Err(format!("{kind} with {operation}"));
        }
    }
    Ok(Some(parts.bootstrap()))
}

/// What patches put where.
#[derive(Default)]
struct Parts {
    /// Routes before the placeholder.
    routes: Vec<Value>,
    /// What the placeholder becomes.
    placeholder: Map<String, Value>,
    route_configuration: Map<String, Value>,
    clusters: Vec<Value>,
    /// Filters for requests, each once.
    http_filters: Vec<Value>,
    /// Configurations that Envoy would discover, by name.
    discovered: Map<String, Value>,
    /// By port of the pods.
    listeners: BTreeMap<u64, Listener>,
}

#[derive(Default)]
struct Listener {
    fields: Map<String, Value>,
    listener_filters: Vec<Value>,
    tcp_proxy: Option<Map<String, Value>>,
}

impl Parts {
    /// Puts the value of a patch where Istio would. `None` if nobody knows where that is.
    fn take(&mut self, patch: &Value) -> Option<()> {
        let value = patch["patch"]["value"].as_object();
        let operation = patch["patch"]["operation"].as_str()?;
        let port = patch["match"]["listener"]["portNumber"].as_u64();
        match (patch["applyTo"].as_str()?, operation) {
            (_, "REMOVE") => {}
            ("ROUTE_CONFIGURATION", "MERGE") => merge(&mut self.route_configuration, value?),
            ("HTTP_ROUTE", "MERGE") => merge(&mut self.placeholder, value?),
            ("HTTP_ROUTE", "INSERT_BEFORE" | "INSERT_FIRST" | "ADD") => {
                self.routes.push(json!(value?));
            }
            ("HTTP_FILTER", "INSERT_BEFORE") => {
                let filter = json!(value?);
                if !self.http_filters.contains(&filter) {
                    self.http_filters.push(filter);
                }
            }
            ("EXTENSION_CONFIG", "ADD") => {
                let value = value?;
                let name = value.get("name")?.as_str()?;
                let config = value.get("typed_config")?.clone();
                self.discovered.insert(name.to_owned(), config);
            }
            ("CLUSTER", "ADD") => self.clusters.push(json!(value?)),
            ("LISTENER", "MERGE") => merge(&mut self.listener(port?).fields, value?),
            ("LISTENER_FILTER", "INSERT_FIRST") => {
                self.listener(port?).listener_filters.push(json!(value?));
            }
            ("NETWORK_FILTER", "MERGE") => {
                let proxy = &mut self.listener(port?).tcp_proxy;
                merge(proxy.get_or_insert_default(), value?);
            }
            _ => return None,
        }
        Some(())
    }

    fn listener(&mut self, port: u64) -> &mut Listener {
        self.listeners.entry(port).or_default()
    }

    fn bootstrap(self) -> Value {
        let mut placeholder =
            object(json!({ "name": super::listener::ROUTE, "match": { "prefix": "/" } }));
        merge(&mut placeholder, &self.placeholder);
        let mut routes = self.routes;
        if self.placeholder.is_empty() {
            placeholder.insert("direct_response".to_owned(), json!({ "status": 503 }));
        }
        routes.push(Value::Object(placeholder));
        let mut route_configuration = object(json!({
            "name": "http",
            // As in Istio: clusters come and go on their own.
            "validate_clusters": false,
            "virtual_hosts": [{ "name": "*", "domains": ["*"], "routes": routes }],
        }));
        merge(&mut route_configuration, &self.route_configuration);
        let mut http_filters = self.http_filters;
        http_filters.push(
            json!({ "name": "envoy.filters.http.router", "typed_config": { "@type": ROUTER } }),
        );
        let http = json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": CONNECTION_MANAGER,
                "stat_prefix": "http",
                "route_config": route_configuration,
                "http_filters": http_filters,
            },
        });
        let mut listeners = vec![listener("http", &http, Listener::default())];
        for (port, mut parts) in self.listeners {
            let network_filter = match parts.tcp_proxy.take() {
                None => http.clone(),
                Some(patch) => {
                    let mut proxy = object(json!({
                        "name": "envoy.filters.network.tcp_proxy",
                        "typed_config": { "@type": TCP_PROXY, "stat_prefix": "tcp", "cluster": "nowhere" },
                    }));
                    merge(&mut proxy, &patch);
                    Value::Object(proxy)
                }
            };
            listeners.push(listener(&port.to_string(), &network_filter, parts));
        }
        let mut clusters = self.clusters;
        clusters.push(json!({
            "name": "nowhere",
            "type": "STATIC",
            "connect_timeout": "1s",
            // Here Envoy reads them, but loads no module: that is a file of the gateway.
            "metadata": { "typed_filter_metadata": self.discovered },
        }));
        json!({
            "node": { "id": "meshgate", "cluster": "meshgate" },
            "static_resources": { "listeners": listeners, "clusters": clusters },
        })
    }
}

fn listener(name: &str, network_filter: &Value, parts: Listener) -> Value {
    let mut listener = object(json!({
        "name": name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "listener_filters": parts.listener_filters,
        "filter_chains": [{ "filters": [network_filter] }],
    }));
    merge(&mut listener, &parts.fields);
    Value::Object(listener)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Merges as Istio does, but that nothing here has a list on both sides.
fn merge(base: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (base.get_mut(key), value) {
            (Some(Value::Object(base)), Value::Object(patch)) => merge(base, patch),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}
