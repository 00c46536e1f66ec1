//! What statuses say about TrafficPolicies.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::resolve::Selected;
use crate::resource::{Object, ObjectName};

use super::{insert, reference};

/// TrafficPolicies, and the objects whose routes they select.
pub(super) struct Applied<'r> {
    selected: Vec<Selected<'r>>,
    /// `metadata.generation` of policies.
    generations: HashMap<&'r ObjectName, i64>,
}

impl<'r> Applied<'r> {
    pub(super) fn new(selected: Vec<Selected<'r>>, objects: &'r [Object]) -> Self {
        let policies = objects
            .iter()
            .filter(|object| object.kind == "TrafficPolicy");
        Self {
            selected,
            generations: policies
                .filter_map(|policy| Some((&policy.id, policy.generation?)))
                .collect(),
        }
    }

    /// `gatewayRoutes` of a policy: routes by the object that they stand in.
    pub(super) fn policy(&self, object: &Object, status: &mut Map<String, Value>) {
        let mut policies = self.selected.iter();
        let Some(selected) = policies.find(|selected| selected.policy.metadata.id == object.id)
        else {
            return;
        };
        let routes: Map<String, Value> = selected
            .routes
            .iter()
            .map(|((kind, owner), routes)| {
                let key = format!("{}.{} ({kind})", owner.name, owner.namespace);
                (key, json!({ "routes": routes }))
            })
            .collect();
        if !routes.is_empty() {
            status.insert("gatewayRoutes".to_owned(), routes.into());
        }
    }

    /// `appliedTrafficPolicies` of a virtual host or route table, oldest first.
    pub(super) fn owner(&self, object: &Object, status: &mut Map<String, Value>) {
        let applied = self.selected.iter().filter_map(|selected| {
            let routes = selected.routes.get(&(object.kind, &object.id))?;
            let policy = selected.policy;
            let mut applied = Map::new();
            if let Some(generation) = self.generations.get(&policy.metadata.id) {
                applied.insert("observedGeneration".to_owned(), (*generation).into());
            }
            applied.insert("ref".to_owned(), reference(&policy.metadata.id));
            applied.insert("routes".to_owned(), json!(routes));
            applied.insert("spec".to_owned(), policy.spec.clone());
            Some(applied)
        });
        insert(status, "appliedTrafficPolicies", applied.collect());
    }
}
