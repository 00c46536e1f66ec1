//! Routes of a proxy that copy requests.
//!
//! The filter chooses which mirrors get a copy, and names the choice in the filter state, which no client can set and no
//! destination sees. The proxy has a route for each choice.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::policy::{Mirror, Percentage};
use crate::tree::{Action, Destination, Tree};

/// Filter state in which the filter names its choice, as the proxy knows it.
pub(super) const CHOICE: &str = "wasm.meshgate_mirrors";

/// Every choice that the filter may make: its name, and the clusters.
pub(super) fn choices(tree: &Tree) -> BTreeMap<String, Vec<&str>> {
    let mut choices = BTreeMap::new();
    for route in tree.routes() {
        for choice in subsets(route.mirrors()) {
            if !choice.is_empty() {
                choices.insert(choice.join(","), choice);
            }
        }
    }
    choices
}

/// What the filter can choose for a request: where it goes, and the clusters that get copies. The same may come again.
pub(super) fn with_destinations(
    tree: &Tree,
) -> impl Iterator<Item = (&Arc<Destination>, Vec<&str>)> {
    let routes = tree.routes().into_iter();
    routes.flat_map(|route| {
        let destinations = match &route.action {
            Action::Forward(forward) => &forward.destinations[..],
            Action::Redirect(_) | Action::DirectResponse(_) => &[],
        };
        let mirrors = subsets(route.mirrors());
        destinations.iter().flat_map(move |weighted| {
            let mirrors = mirrors.clone().into_iter();
            mirrors.map(|mirrors| (&weighted.destination, mirrors))
        })
    })
}

/// The clusters that can get copies of one request, in the order in which the filter names them. There are few mirrors.
fn subsets(mirrors: &[Mirror]) -> Vec<Vec<&str>> {
    let mut subsets = vec![Vec::new()];
    for mirror in mirrors {
        let cluster = mirror.destination.cluster.as_str();
        let without = subsets.clone();
        for subset in &mut subsets {
            subset.push(cluster);
        }
        match mirror.percentage {
            Percentage::ALL => {}
            Percentage(0) => subsets = without,
            Percentage(_) => subsets.extend(without),
        }
    }
    subsets
}

/// A matcher that takes the route of the filter's choice.
pub(super) fn matcher(
    choices: &BTreeMap<String, Vec<&str>>,
    route: impl Fn(&[&str]) -> Value,
) -> Value {
    let on_match = |mirrors: &[&str]| {
        let mut action = route(mirrors);
        action["@type"] = json!("type.googleapis.com/envoy.config.route.v3.Route");
        json!({ "action": { "name": "route", "typed_config": action } })
    };
    let map: serde_json::Map<String, Value> = choices
        .iter()
        .map(|(name, mirrors)| (name.clone(), on_match(mirrors)))
        .collect();
    json!({
        "matcher_tree": {
            "input": {
                "name": "meshgate_mirrors",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
                    "key": CHOICE,
                },
            },
            "exact_match_map": { "map": map },
        },
        "on_no_match": on_match(&[]),
    })
}
