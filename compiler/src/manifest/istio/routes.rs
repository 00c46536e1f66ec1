//! What an EnvoyFilter does to the routes of a gateway: those to the cluster that the filter names.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Workload;
use super::listener::{self, ROUTE};
use crate::manifest::envoy::CLUSTER_HEADER;
use crate::manifest::mirrors;
use crate::tree::Tree;

/// Filter state that a request has whose route the filter has found: the route's name.
const CLAIMED: &str = "wasm.meshgate_route";

/// Turns the placeholder into a route to the cluster that the filter names, and puts the special ones before it.
pub(super) fn of_placeholder(tree: &Tree) -> Vec<Value> {
    let placeholder = json!({
        "context": "GATEWAY",
        "routeConfiguration": { "vhost": { "route": { "name": ROUTE } } },
    });
    let mut patches = vec![
        internal_header(),
        json!({
            "applyTo": "HTTP_ROUTE",
            "match": placeholder,
            "patch": { "operation": "MERGE", "value": route() },
        }),
    ];
    for value in special(tree) {
        patches.push(json!({
            "applyTo": "HTTP_ROUTE",
            "match": placeholder,
            "patch": { "operation": "INSERT_BEFORE", "value": value },
        }));
    }
    patches
}

/// Puts the routes to what the filter chooses before those of others, on the ports that have the filter. They are taken by the
/// filter state too: what a client says takes none of them, even if the filter is not there.
pub(super) fn before_others(workload: &Workload<'_>) -> Vec<Value> {
    let tree = &workload.program.tree;
    let mut value = route();
    value["name"] = json!(ROUTE);
    value["match"] = json!({
        "prefix": "/",
        "headers": [{ "name": CLUSTER_HEADER, "present_match": true }],
        "filter_state": [claimed()],
    });
    let mut values = vec![value];
    values.extend(special(tree).into_iter().rev());
    let mut patches = vec![internal_header()];
    for matched in configurations(workload) {
        // Each goes before those before it.
        patches.extend(values.iter().map(|value| {
            json!({
                "applyTo": "HTTP_ROUTE",
                "match": matched,
                "patch": { "operation": "INSERT_FIRST", "value": value },
            })
        }));
    }
    patches
}

/// What matches the route configurations of the ports that have the filter: all, if it is not known which ports these are.
fn configurations(workload: &Workload<'_>) -> Vec<Value> {
    let mut matches = Vec::new();
    for (gateway, running) in workload.of_requests() {
        let Some(target) = running.target_port else {
            return vec![json!({ "context": "GATEWAY" })];
        };
        let configuration = match (&gateway.listener.bind, gateway.listener.tls.is_some()) {
            (None, _) => json!({ "portNumber": running.port }),
            // With an address the name has more parts than Istio makes a port of.
            (Some(bind), false) => json!({ "name": format!("http.{target}.{bind}") }),
            (Some(bind), true) => {
                let object = listener::object_name(workload, gateway);
                let (port, namespace) = (running.port, &workload.program.namespace);
                json!({ "name": format!("https.{port}.https-{port}.{object}.{namespace}.{bind}") })
            }
        };
        let matched = json!({ "context": "GATEWAY", "routeConfiguration": configuration });
        if !matches.contains(&matched) {
            matches.push(matched);
        }
    }
    matches
}

/// Has Envoy take the header from clients that it takes for external.
fn internal_header() -> Value {
    json!({
        "applyTo": "ROUTE_CONFIGURATION",
        "match": { "context": "GATEWAY" },
        "patch": {
            "operation": "MERGE",
            "value": { "internal_only_headers": [CLUSTER_HEADER] },
        },
    })
}

/// The routes of requests that are more than sent to a cluster: one for every virtual destination, and one for every choice
/// of mirrors. The first that fits is the right one.
fn special(tree: &Tree) -> Vec<Value> {
    let special = |name: String, mirrors: &[&str]| {
        let mut value = route();
        value["name"] = json!(name);
        // No client can set the filter state, and the route is looked for again when the filter has chosen.
        let state = match mirrors {
            [] => claimed(),
            _ => json!({ "key": mirrors::CHOICE, "string_match": { "exact": mirrors.join(",") } }),
        };
        value["match"] = json!({ "prefix": "/", "filter_state": [state] });
        if !mirrors.is_empty() {
            value["route"]["request_mirror_policies"] = mirrors
                .iter()
                .map(|cluster| json!({ "cluster": cluster }))
                .collect();
        }
        value
    };
    let mut routes = Vec::new();
    for (number, (mirrors, cluster)) in virtual_destinations(tree).iter().rev().enumerate() {
        let mut value = special(format!("{ROUTE}-virtual-destination-{number}"), mirrors);
        value["match"]["headers"] =
            json!([{ "name": CLUSTER_HEADER, "string_match": { "exact": cluster } }]);
        value["route"]["retry_policy"]["retry_priority"] = next_service();
        routes.push(value);
    }
    for (number, mirrors) in mirrors::choices(tree).values().enumerate() {
        routes.push(special(format!("{ROUTE}-mirrors-{number}"), mirrors));
    }
    routes
}

/// The filter state of a request whose route the filter has found.
fn claimed() -> Value {
    json!({ "key": CLAIMED, "string_match": { "safe_regex": { "regex": ".+" } } })
}

/// The virtual destinations that the filter can choose, each with the mirrors that it can choose for the same request. Those
/// without mirrors come first.
fn virtual_destinations(tree: &Tree) -> BTreeSet<(Vec<&str>, &str)> {
    mirrors::with_destinations(tree)
        .filter(|(destination, _)| destination.virtual_name().is_some())
        .map(|(destination, mirrors)| (mirrors, destination.cluster.as_str()))
        .collect()
}

/// Retries go to the service that comes next behind a virtual destination. Until an instance is left alone, they would go to
/// the one again that has just failed: of 1,000 requests with one retry, 6 to 9 failed when the only instance of a service
/// had ended, and none with this. It is not for other clusters: where Istio makes priorities of localities, every retry would
/// leave the gateway's own, though healthy instances are there (500 of 1,000 requests when one of two instances had ended).
fn next_service() -> Value {
    json!({
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    })
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
            },
        },
        "request_headers_to_remove": [CLUSTER_HEADER],
    })
}
