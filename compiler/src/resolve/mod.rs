//! Resolution: from resources to gateways with their hosts and flat lists of routes.
//!
//! Owns what needs more than one object: selectors, delegation, inheritance, references. A broken route, table or host is
//! reported on its own object, once, and left out; its siblings stay. The order of the input does not matter:
//! objects are taken by age, then by name.

mod auth_config;
mod defaults;
mod domain;
mod external;
mod federation;
mod flatten;
mod gateway;
mod inventory;
pub(crate) mod matcher;
mod options;
mod path;
mod prepare;
mod repetition;
mod selector;
mod share;
mod tcp;
mod traffic_policy;
mod virtual_destination;
mod weights;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::resource::{Metadata, ObjectName, Resources, VirtualHost};
use crate::source::Span;
use crate::tree::Tree;

use self::federation::Federations;
use self::flatten::Flattener;
use self::gateway::Candidate;
use self::prepare::{Catalogue, Table};
use self::traffic_policy::{Owner, Policies};
use self::workload::Gateways;

pub use self::traffic_policy::{DestinationPolicies, Selected, Settings, selected_routes};
pub use self::workload::report_trusted_gateways;

/// What resolution depends on besides the resources.
#[derive(Clone, Debug)]
pub struct ResolveOptions {
    /// Cluster in which the gateways run; Services of other clusters are reached by their federated names. Absent:
    /// every Service is reached by its local name.
    pub cluster: Option<String>,
    /// How much delegation may multiply out to, over all virtual hosts: matchers of flattened routes, and delegations
    /// followed. Shared routes count once.
    pub max_routes: usize,
    /// What is stored once.
    pub sharing: Sharing,
}

/// Whether routes that several places delegate to are stored once. It changes the size of the result, not its meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Where it saves enough.
    #[default]
    WhereItPays,
    /// Wherever it is possible, for tests.
    Always,
    /// Nowhere, for tests: every route stands in its place.
    Never,
}

impl Default for ResolveOptions {
    fn default() -> Self {
        Self {
            cluster: None,
            max_routes: 2_000_000,
            sharing: Sharing::default(),
        }
    }
}

/// Resolves everything.
pub fn resolve(
    resources: &Resources,
    options: &ResolveOptions,
    diagnostics: &mut Diagnostics,
) -> Tree {
    let running = Gateways::new(resources, options.cluster.as_deref());
    let federations = Federations::new(resources, options.cluster.as_deref());
    let virtual_destinations =
        virtual_destination::resolve(resources, &running, &federations, diagnostics);
    let mut catalogue = Catalogue::new(resources, options.cluster.as_deref());
    catalogue.add_backends(&virtual_destinations);
    let policies = Policies::new(
        resources,
        options.cluster.as_deref(),
        &mut catalogue,
        diagnostics,
    );
    let sources = catalogue.tables.clone();
    let tables: Vec<Table<'_>> = sources
        .into_iter()
        .map(|source| {
            let namespace = &source.metadata.id.namespace;
            let selection = policies.selection(Owner::Table(&source.metadata));
            let mut level = catalogue.level(&source.options, namespace, diagnostics);
            let routes = catalogue.prepare(&source.routes, namespace, &selection, diagnostics);
            level.policies = selection.whole;
            Table {
                source,
                level,
                routes,
            }
        })
        .collect();
    let mut flattener = Flattener::new(&tables, &policies, options);

    let mut virtual_hosts: Vec<&VirtualHost> = resources.virtual_hosts.iter().collect();
    virtual_hosts.sort_by_key(|host| age(&host.metadata));
    let mut candidates = Vec::with_capacity(virtual_hosts.len());
    for host in virtual_hosts {
        let candidate = Candidate::new(
            &host.metadata,
            Owner::Host(&host.metadata),
            &host.spec,
            &mut catalogue,
            &mut flattener,
            diagnostics,
        );
        candidates.push(candidate);
    }
    let inline = gateway::inline_hosts(resources, &mut catalogue, &mut flattener, diagnostics);
    let unreached = flattener.unreached(diagnostics);
    policies.report_idle(|policy| flattener.has_shifted(policy), diagnostics);
    let virtual_hosts = flattener.finish();
    let mut gateways = gateway::resolve(
        resources,
        &candidates,
        &inline,
        &virtual_hosts,
        &running,
        diagnostics,
    );
    tcp::resolve(
        &gateway::sources(resources),
        &mut catalogue,
        &mut gateways,
        diagnostics,
    );
    external::services(
        &gateway::sources(resources),
        &mut catalogue,
        &mut gateways,
        diagnostics,
    );

    if !resources.virtual_hosts.is_empty() {
        for table in unreached {
            let message = format!(
                "no route delegates to route table `{}`",
                table.source.metadata.id
            );
            diagnostics.push(Diagnostic::at(
                Code::UnusedRouteTable,
                table.source.metadata.span,
                message,
            ));
        }
    }
    catalogue.report_trusted(diagnostics);
    Tree {
        cluster: options.cluster.clone(),
        gateways,
        auth_configs: auth_config::resolve(resources, diagnostics),
        virtual_destinations,
        virtual_meshes: federations.resolve(&running, diagnostics),
    }
}

/// Clusters in which gateways run, according to the inventory; none if there is no inventory.
pub fn gateway_clusters(resources: &Resources) -> BTreeSet<String> {
    let running = Gateways::new(resources, None);
    // Findings are made when the gateways are resolved.
    let mut findings = Diagnostics::default();
    let found = resources
        .virtual_gateways
        .iter()
        .map(|gateway| running.of_gateway(gateway, &mut findings));
    found
        .filter(|(_, is_known)| *is_known)
        .flat_map(|(workloads, _)| workloads)
        .filter_map(|workload| workload.cluster)
        .collect()
}

/// Which route tables routes of virtual hosts, gateways and other tables delegate to.
#[derive(Debug, Default)]
pub struct Delegations {
    /// By virtual host: directly and through other tables.
    pub of_hosts: BTreeMap<ObjectName, BTreeSet<ObjectName>>,
    /// By gateway: those of its inline virtual hosts.
    pub of_gateways: BTreeMap<ObjectName, BTreeSet<ObjectName>>,
    /// By route table.
    pub of_tables: BTreeMap<ObjectName, BTreeSet<ObjectName>>,
    /// By route table: the tables, virtual hosts and gateways (in this order) that delegate to it directly.
    pub selected_by: BTreeMap<ObjectName, [BTreeSet<ObjectName>; 3]>,
}

/// Follows all delegations.
pub fn delegations(resources: &Resources) -> Delegations {
    let catalogue = Catalogue::new(resources, None);
    let tables = &catalogue.tables;
    let direct: Vec<BTreeSet<usize>> = tables
        .iter()
        .map(|table| catalogue.delegates_to(&table.routes, &table.metadata.id.namespace))
        .collect();
    let name = |at: usize| tables.get(at).map(|table| table.metadata.id.clone());
    let reached = |first: &BTreeSet<usize>| -> BTreeSet<ObjectName> {
        let mut all = first.clone();
        let mut todo: Vec<usize> = first.iter().copied().collect();
        while let Some(at) = todo.pop() {
            for &next in direct.get(at).into_iter().flatten() {
                if all.insert(next) {
                    todo.push(next);
                }
            }
        }
        all.into_iter().filter_map(name).collect()
    };
    let mut found = Delegations::default();
    let mut add = |kind: usize, owner: &ObjectName, first: &BTreeSet<usize>| {
        for table in first.iter().filter_map(|&at| name(at)) {
            if let Some(owners) = found.selected_by.entry(table).or_default().get_mut(kind) {
                owners.insert(owner.clone());
            }
        }
        let of = match kind {
            0 => &mut found.of_tables,
            1 => &mut found.of_hosts,
            _ => &mut found.of_gateways,
        };
        of.entry(owner.clone()).or_default().extend(reached(first));
    };
    for (table, first) in tables.iter().zip(&direct) {
        add(0, &table.metadata.id, first);
    }
    for host in &resources.virtual_hosts {
        let id = &host.metadata.id;
        add(
            1,
            id,
            &catalogue.delegates_to(&host.spec.routes, &id.namespace),
        );
    }
    for gateway in &resources.virtual_gateways {
        let id = &gateway.metadata.id;
        for spec in gateway::inline_specs(gateway) {
            add(2, id, &catalogue.delegates_to(&spec.routes, &id.namespace));
        }
    }
    found
}

/// Sort key of objects: oldest first, then by name. An object that was never applied to a cluster has no age; it will
/// be the newest.
fn age(metadata: &Metadata) -> (bool, Option<&str>, &ObjectName) {
    (
        metadata.created.is_none(),
        metadata.created.as_deref(),
        &metadata.id,
    )
}

/// Whether an error inside a place was reported, which explains why something is missing there.
fn has_error_inside(diagnostics: &Diagnostics, place: Span) -> bool {
    diagnostics.list().iter().any(|diagnostic| {
        diagnostic.severity == Severity::Error
            && diagnostic.primary.as_ref().is_some_and(|label| {
                label.span.file == place.file
                    && place.start <= label.span.start
                    && label.span.end <= place.end
            })
    })
}
