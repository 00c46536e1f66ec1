//! Which routes TrafficPolicies select.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{
    Metadata, ObjectName, ObjectRef, ObjectSelector, Resources, Route, RouteSelector, TrafficPolicy,
};

use super::super::inventory::full_name;
use super::super::prepare::empty_selection;
use super::super::{age, gateway, selector};

/// Policies, by their age: positions in the list that [`selecting`] returns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::resolve) struct PolicySet(Option<Arc<[usize]>>);

impl PolicySet {
    pub(in crate::resolve) const EMPTY: Self = Self(None);

    pub(in crate::resolve) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The policies, oldest first.
    pub(in crate::resolve) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().flat_map(|set| set.iter().copied())
    }

    /// Those of both.
    #[must_use]
    pub(in crate::resolve) fn union(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (_, None) => self.clone(),
            (None, _) => other.clone(),
            (Some(own), Some(others)) if Arc::ptr_eq(own, others) => self.clone(),
            (Some(_), Some(_)) => self.iter().chain(other.iter()).collect(),
        }
    }
}

impl FromIterator<usize> for PolicySet {
    fn from_iter<I: IntoIterator<Item = usize>>(policies: I) -> Self {
        let set: BTreeSet<usize> = policies.into_iter().collect();
        Self((!set.is_empty()).then(|| set.into_iter().collect()))
    }
}

/// Whose routes may be selected.
#[derive(Clone, Copy, Debug)]
pub(in crate::resolve) enum Owner<'r> {
    /// A VirtualHost object.
    Host(&'r Metadata),
    /// A RouteTable object.
    Table(&'r Metadata),
    /// A virtual host that is written in a gateway. It has neither name nor labels of its own.
    Inline,
}

/// What policies select of one owner's routes.
#[derive(Debug, Default)]
pub(in crate::resolve) struct Selection<'p> {
    /// Policies that select all its routes.
    pub(in crate::resolve) whole: PolicySet,
    /// Policies that select routes with some labels.
    labelled: Vec<(usize, &'p BTreeMap<String, String>)>,
}

impl<'p> Selection<'p> {
    pub(in crate::resolve) fn new(
        policies: impl IntoIterator<Item = &'p TrafficPolicy>,
        owner: Owner<'_>,
    ) -> Self {
        let mut whole = Vec::new();
        let mut labelled = Vec::new();
        for (at, policy) in policies.into_iter().enumerate() {
            let namespace = &policy.metadata.id.namespace;
            for entry in entries(policy) {
                if !selects_owner(entry, namespace, owner) {
                    continue;
                }
                if entry.labels.is_empty() {
                    whole.push(at);
                } else {
                    labelled.push((at, &entry.labels));
                }
            }
        }
        Self {
            whole: whole.into_iter().collect(),
            labelled,
        }
    }

    /// Policies that select one of the routes by its labels.
    pub(in crate::resolve) fn of_route(&self, route: &Route) -> PolicySet {
        let labelled = self.labelled.iter();
        labelled
            .filter(|(_, labels)| has_labels(route, labels))
            .map(|(policy, _)| *policy)
            .collect()
    }
}

/// The policies that select routes of gateways, oldest first.
pub(in crate::resolve) fn selecting(resources: &Resources) -> Vec<&TrafficPolicy> {
    let policies = resources.traffic_policies.iter();
    let mut policies: Vec<_> = policies.filter(|policy| policy.routes.is_some()).collect();
    policies.sort_by_key(|policy| age(&policy.metadata));
    policies
}

fn entries(policy: &TrafficPolicy) -> &[RouteSelector] {
    policy.routes.as_ref().map_or(&[], |routes| &routes.value)
}

fn selects_owner(entry: &RouteSelector, namespace: &str, owner: Owner<'_>) -> bool {
    let (refs, by_label, metadata) = match owner {
        _ if entry.is_everywhere() => return true,
        Owner::Inline => return false,
        Owner::Host(metadata) => (&entry.host_refs, &entry.host_selector, metadata),
        Owner::Table(metadata) => (&entry.table_refs, &entry.table_selector, metadata),
    };
    // One that is not valid is reported once, by `report`.
    let mut findings = Diagnostics::default();
    refs.iter()
        .any(|reference| full_name(reference, namespace) == metadata.id)
        || by_label.as_ref().is_some_and(|by_label| {
            selector::check(by_label, &mut findings)
                && selector::selects(by_label, namespace, metadata)
        })
}

fn has_labels(route: &Route, labels: &BTreeMap<String, String>) -> bool {
    labels
        .iter()
        .all(|(key, value)| route.labels.get(key) == Some(value))
}

/// All lists of routes, each with its owner.
fn owners(resources: &Resources) -> impl Iterator<Item = (Owner<'_>, &[Route])> {
    let hosts = resources.virtual_hosts.iter();
    let hosts = hosts.map(|host| (Owner::Host(&host.metadata), &host.spec.routes[..]));
    let tables = resources.route_tables.iter();
    let tables = tables.map(|table| (Owner::Table(&table.metadata), &table.routes[..]));
    let inline = resources.virtual_gateways.iter();
    let inline = inline.flat_map(gateway::inline_specs);
    hosts
        .chain(tables)
        .chain(inline.map(|spec| (Owner::Inline, &spec.routes[..])))
}

/// Reports selectors that are not valid, and those that select nothing.
pub(super) fn report(resources: &Resources, diagnostics: &mut Diagnostics) {
    for policy in selecting(resources) {
        for entry in entries(policy) {
            report_entry(resources, policy, entry, diagnostics);
        }
    }
}

fn report_entry(
    resources: &Resources,
    policy: &TrafficPolicy,
    entry: &RouteSelector,
    diagnostics: &mut Diagnostics,
) {
    let namespace = &policy.metadata.id.namespace;
    let hosts = || resources.virtual_hosts.iter().map(|host| &host.metadata);
    let tables = || resources.route_tables.iter().map(|table| &table.metadata);
    let before = diagnostics.list().len();
    let left_out = |kind, name: &ObjectName| {
        let mut objects = resources.left_out.iter();
        objects.any(|object| object.kind == kind && object.id == *name)
    };
    let mut refs = |refs: &[ObjectRef], kind, is_there: &dyn Fn(&ObjectName) -> bool| {
        for reference in refs {
            let name = full_name(reference, namespace);
            if !is_there(&name) && !left_out(kind, &name) {
                diagnostics.push(
                    Diagnostic::at(
                        Code::PolicySelectsNothing,
                        reference.span,
                        format!("there is no {kind} `{name}`; none of its routes has this policy"),
                    )
                    .help("pass its file as well, or correct the name or namespace"),
                );
            }
        }
    };
    refs(&entry.host_refs, "VirtualHost", &|name| {
        hosts().any(|host| host.id == *name)
    });
    refs(&entry.table_refs, "RouteTable", &|name| {
        tables().any(|table| table.id == *name)
    });
    let mut by_label = |by_label: &Option<ObjectSelector>, what, selects: &dyn Fn(&_) -> bool| {
        if let Some(by_label) = by_label
            && selector::check(by_label, diagnostics)
            && !selects(by_label)
        {
            diagnostics.push(empty_selection(by_label, namespace, what));
        }
    };
    by_label(&entry.host_selector, "virtual host", &|by_label| {
        hosts().any(|host| selector::selects(by_label, namespace, host))
    });
    by_label(&entry.table_selector, "route table", &|by_label| {
        tables().any(|table| selector::selects(by_label, namespace, table))
    });
    let selects_any = owners(resources)
        .filter(|&(owner, _)| selects_owner(entry, namespace, owner))
        .any(|(_, routes)| routes.iter().any(|route| has_labels(route, &entry.labels)));
    if !selects_any && diagnostics.list().len() == before {
        let nothing = Diagnostic::at(
            Code::PolicySelectsNothing,
            entry.span,
            format!(
                "TrafficPolicy `{}` selects no route here",
                policy.metadata.id
            ),
        );
        diagnostics.push(if entry.labels.is_empty() {
            nothing
        } else {
            nothing.help("`routeLabelMatcher` compares `labels` of routes, not those of virtual hosts and route tables")
        });
    }
}

/// Routes of gateways that a policy selects itself: those that inherit it from a delegating route are not among them.
#[derive(Debug)]
pub struct Selected<'r> {
    /// The policy.
    pub policy: &'r TrafficPolicy,
    /// By kind and name of the object that they stand in: what tells them from the others there, or `*` for all.
    pub routes: BTreeMap<(&'static str, &'r ObjectName), Vec<String>>,
}

/// What every TrafficPolicy with a `routeSelector` selects, oldest first. Virtual hosts that are written in gateways are
/// left out.
pub fn selected_routes(resources: &Resources) -> Vec<Selected<'_>> {
    let policies = selecting(resources);
    let mut selected: Vec<Selected<'_>> = policies
        .iter()
        .map(|policy| Selected {
            policy,
            routes: BTreeMap::new(),
        })
        .collect();
    for (owner, routes) in owners(resources) {
        let (kind, metadata) = match owner {
            Owner::Host(metadata) => ("VirtualHost", metadata),
            Owner::Table(metadata) => ("RouteTable", metadata),
            Owner::Inline => continue,
        };
        let selection = Selection::new(policies.iter().copied(), owner);
        for policy in selection.whole.iter() {
            let all = vec!["*".to_owned()];
            selected[policy].routes.insert((kind, &metadata.id), all);
        }
        for route in routes {
            for policy in selection.of_route(route).iter() {
                let list = selected[policy].routes.entry((kind, &metadata.id));
                let list = list.or_default();
                if list.first().is_none_or(|first| first != "*") {
                    list.push(shown(route));
                }
            }
        }
    }
    selected
}

/// What tells a route from others: its name, the path it matches, or its position.
fn shown(route: &Route) -> String {
    let path = || {
        let uri = route.matchers.first()?.uri.as_ref()?;
        Some(uri.value.value.clone())
    };
    match &route.name {
        Some(name) => name.value.clone(),
        None => path().unwrap_or_else(|| format!("#{}", route.index)),
    }
}
