//! The parts of a config dump that matter. Whatever is not as expected is as good as absent.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use crate::manifest::configuration::decode;
use crate::manifest::envoy::CLUSTER_HEADER;

/// A connection manager of a listener.
#[derive(Debug)]
pub(super) struct Manager<'a> {
    pub(super) listener: &'a str,
    config: &'a Value,
    pub(super) filters: Vec<Filter>,
}

/// One of the filters that are meshgate's, by what is known of its program.
#[derive(Debug)]
pub(super) enum Filter {
    Program(Vec<u8>),
    Empty,
    /// It is to be discovered, and was not.
    Missing(String),
    Unreadable(String),
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn sections<'a>(dump: &'a Value, list_name: &'a str) -> impl Iterator<Item = &'a Value> {
    list(dump, "configs").flat_map(move |section| list(section, list_name))
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The connection managers of all listeners that serve.
pub(super) fn managers(dump: &Value) -> Vec<Manager<'_>> {
    let fixed = sections(dump, "static_listeners").map(|entry| &entry["listener"]);
    let dynamic =
        sections(dump, "dynamic_listeners").map(|entry| &entry["active_state"]["listener"]);
    let mut managers = Vec::new();
    for listener in fixed.chain(dynamic).filter(|listener| listener.is_object()) {
        let chains = list(listener, "filter_chains").chain([&listener["default_filter_chain"]]);
        for filter in chains.flat_map(|chain| list(chain, "filters")) {
            let config = &filter["typed_config"];
            if !text(config, "@type").ends_with(".HttpConnectionManager") {
                continue;
            }
            managers.push(Manager {
                listener: text(listener, "name"),
                config,
                filters: list(config, "http_filters")
                    .filter_map(|filter| meshgate_filter(dump, filter))
                    .collect(),
            });
        }
    }
    managers
}

impl<'a> Manager<'a> {
    /// Its routes, wherever they come from.
    pub(super) fn routes(&self, dump: &'a Value) -> Option<&'a Value> {
        if self.config["route_config"].is_object() {
            return Some(&self.config["route_config"]);
        }
        let name = self.config["rds"]["route_config_name"].as_str()?;
        sections(dump, "dynamic_route_configs")
            .map(|entry| &entry["route_config"])
            .find(|routes| text(routes, "name") == name)
    }

    /// Whether Istio's authorization refuses requests that have the header which names the cluster.
    pub(super) fn refuses_cluster_header(&self) -> bool {
        list(self.config, "http_filters")
            .map(|filter| &filter["typed_config"]["rules"])
            .any(|rules| rules["action"] == "DENY" && has_header(&rules["policies"]))
    }
}

fn has_header(rules: &Value) -> bool {
    match rules {
        Value::Object(fields) => {
            let name = rules["header"]["name"].as_str();
            name.is_some_and(|name| name.eq_ignore_ascii_case(CLUSTER_HEADER))
                || fields.values().any(has_header)
        }
        Value::Array(values) => values.iter().any(has_header),
        _ => false,
    }
}

/// The filter, if it is meshgate's; its configuration may be in another place.
fn meshgate_filter(dump: &Value, filter: &Value) -> Option<Filter> {
    let name = text(filter, "name");
    if !filter["config_discovery"].is_object() {
        return wasm(name, &filter["typed_config"]);
    }
    let mut discovered = sections(dump, "ecds_filters").map(|entry| &entry["ecds_filter"]);
    match discovered.find(|found| text(found, "name") == name) {
        Some(found) => wasm(name, &found["typed_config"]),
        None => name
            .contains("meshgate")
            .then(|| Filter::Missing(name.to_owned())),
    }
}

fn wasm(name: &str, typed: &Value) -> Option<Filter> {
    let config = &typed["config"];
    if !text(typed, "@type").ends_with(".Wasm") {
        // istio-agent puts a filter that denies everything in the place of a module that it could not fetch.
        return name.contains("meshgate").then(|| {
            Filter::Unreadable(format!(
                "it is a `{}`: the module could not be fetched",
                text(typed, "@type")
            ))
        });
    }
    let named = [name, text(config, "name"), text(config, "root_id")];
    if !named.iter().any(|name| name.contains("meshgate")) {
        return None;
    }
    Some(program(&config["configuration"]))
}

/// The program in the configuration of a plugin, in each of the forms that the filter takes.
fn program(configuration: &Value) -> Filter {
    let value = &configuration["value"];
    let found = |decoded: Result<Vec<u8>, String>| match decoded {
        Ok(bytes) => Filter::Program(bytes),
        Err(reason) => Filter::Unreadable(reason),
    };
    // Settings may stand alone, beside the program of the module.
    let read = |json: &Value| match json.get("program") {
        Some(_) => found(decode(json)),
        None => Filter::Empty,
    };
    // A message of type Struct is shown as the JSON that the filter gets.
    if value.is_object() {
        return read(value);
    }
    let value = value.as_str().unwrap_or_default();
    if value.trim().is_empty() {
        Filter::Empty
    } else if text(configuration, "@type").ends_with(".BytesValue") {
        let bytes = BASE64_STANDARD.decode(value);
        found(bytes.map_err(|error| format!("it is not base64: {error}")))
    } else {
        match serde_json::from_str::<Value>(value) {
            Ok(json) => read(&json),
            Err(error) => Filter::Unreadable(format!("it is not JSON: {error}")),
        }
    }
}

/// Names of the clusters, and whether they serve.
pub(super) fn clusters(dump: &Value) -> BTreeMap<&str, bool> {
    let mut clusters = BTreeMap::new();
    // A cluster that is being replaced serves all the same, so those that serve come last.
    for (section, serves) in [
        ("dynamic_warming_clusters", false),
        ("static_clusters", true),
        ("dynamic_active_clusters", true),
    ] {
        for entry in sections(dump, section) {
            clusters.insert(text(&entry["cluster"], "name"), serves);
        }
    }
    clusters
}

/// What was refused and still is: its name, and Envoy's reason.
pub(super) fn refused(dump: &Value) -> Vec<(String, String)> {
    let mut refused = Vec::new();
    for section in list(dump, "configs") {
        let entries = section.as_object().into_iter().flatten();
        for entry in entries.filter_map(|(_, value)| value.as_array()).flatten() {
            let details = text(&entry["error_state"], "details");
            if details.is_empty() {
                continue;
            }
            let inner = ["listener", "cluster", "route_config", "ecds_filter"];
            let mut names = inner.iter().map(|name| text(&entry[*name], "name"));
            let name = match text(entry, "name") {
                "" => names.find(|name| !name.is_empty()).unwrap_or("?"),
                name => name,
            };
            refused.push((name.to_owned(), details.to_owned()));
        }
    }
    refused
}
