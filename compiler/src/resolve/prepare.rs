//! What a route says by itself, before it is known where it is used: destinations looked up, delegation targets
//! found, conditions checked. Each list of routes is prepared once, so that findings about a route are made once
//! however many virtual hosts it ends up in.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::rare::Rare;
use crate::regex::Patterns;
use crate::resource::{
    self, DelegateAction, ForwardAction, ObjectName, PathKind, RedirectAction, Resources,
    SortMethod, WrittenOptions,
};
use crate::rewrite::{PathRewrite, for_template};
use crate::source::{Span, Spanned};
use crate::tree::VirtualDestination;
use crate::tree::{
    Action, Destination, DirectResponse, Forward, Redirect, RedirectPath, WeightedDestination,
};

use super::external::RateLimitConfigs;
use super::inventory::{Inventory, Wanted, full_name};
use super::matcher::Conditions;
use super::options::Level;
use super::traffic_policy::Selection;
use super::{matcher, selector, weights};

/// A route table, ready to be flattened wherever it is delegated to.
#[derive(Debug)]
pub(super) struct Table<'r> {
    /// As written.
    pub(super) source: &'r resource::RouteTable,
    /// Its options.
    pub(super) level: Level,
    /// Its usable routes.
    pub(super) routes: Vec<Prepared<'r>>,
}

/// A route, ready to be flattened.
#[derive(Debug)]
pub(super) struct Prepared<'r> {
    /// As written.
    pub(super) source: &'r resource::Route,
    /// Alternatives; empty means everything.
    pub(super) matchers: Vec<Conditions<'r>>,
    /// Its own options.
    pub(super) level: Rare<Level>,
    /// What it does.
    pub(super) kind: Kind,
}

/// What a prepared route does.
#[derive(Debug)]
pub(super) enum Kind {
    /// Answers or forwards.
    Leaf(Action),
    /// Delegates to tables (positions in the list of tables), in the order of their weight.
    Delegate {
        /// The tables, each with the place that names or selects it.
        targets: Vec<(usize, Span)>,
        /// How their routes are ordered.
        sort: SortMethod,
    },
}

/// The objects that routes refer to.
#[derive(Debug)]
pub(super) struct Catalogue<'r> {
    /// Route tables, oldest first.
    pub(super) tables: Vec<&'r resource::RouteTable>,
    by_name: BTreeMap<&'r ObjectName, usize>,
    virtual_hosts: BTreeMap<&'r ObjectName, Span>,
    pub(super) inventory: Inventory<'r>,
    rate_limits: RateLimitConfigs<'r>,
    patterns: Patterns,
}

impl<'r> Catalogue<'r> {
    /// Indexes the input. `cluster` is where the gateways run.
    pub(super) fn new(resources: &'r Resources, cluster: Option<&'r str>) -> Self {
        let mut tables: Vec<&resource::RouteTable> = resources.route_tables.iter().collect();
        tables.sort_by_key(|table| super::age(&table.metadata));
        Self {
            by_name: tables
                .iter()
                .enumerate()
                .map(|(at, table)| (&table.metadata.id, at))
                .collect(),
            tables,
            virtual_hosts: resources
                .virtual_hosts
                .iter()
                .map(|h| (&h.metadata.id, h.metadata.span))
                .collect(),
            inventory: Inventory::new(resources, cluster),
            rate_limits: RateLimitConfigs::new(resources),
            patterns: Patterns::default(),
        }
    }

    /// Tells which services are behind virtual destinations.
    pub(super) fn add_backends(&mut self, destinations: &[VirtualDestination]) {
        self.inventory.add_backends(destinations);
    }

    /// Says once which services were taken on trust.
    pub(super) fn report_trusted(&self, diagnostics: &mut Diagnostics) {
        self.inventory.report_trusted(diagnostics);
    }

    /// What an object in `namespace` says about options, with the objects that it refers to.
    pub(super) fn level(
        &mut self,
        written: &'r WrittenOptions,
        namespace: &'r str,
        diagnostics: &mut Diagnostics,
    ) -> Level {
        let mut level = Level::new(written, namespace, &mut self.inventory, diagnostics);
        level.options.rate_limit = written
            .rate_limit
            .as_ref()
            .map(|limit| self.rate_limits.resolve(limit, namespace, diagnostics));
        level
    }

    /// Finds a service that a gateway asks.
    pub(super) fn external(
        &mut self,
        wanted: &Wanted<'r>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Destination>> {
        self.inventory.external(wanted, diagnostics)
    }

    /// Prepares the routes of an owner in `namespace`. Routes with errors are left out.
    pub(super) fn prepare(
        &mut self,
        routes: &'r [resource::Route],
        namespace: &'r str,
        selection: &Selection<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Prepared<'r>> {
        report_duplicate_names(routes, diagnostics);
        let mut prepared = Vec::with_capacity(routes.len());
        for route in routes {
            prepared.extend(self.prepare_route(route, namespace, selection, diagnostics));
        }
        prepared
    }

    fn prepare_route(
        &mut self,
        route: &'r resource::Route,
        namespace: &'r str,
        selection: &Selection<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Prepared<'r>> {
        let matchers = route
            .matchers
            .iter()
            .map(|matcher| matcher::conditions(matcher, &mut self.patterns, diagnostics))
            .collect::<Vec<_>>();
        let kind = match &route.action.value {
            resource::Action::Delegate(delegate) => {
                self.delegate(route, delegate, namespace, diagnostics)
            }
            resource::Action::Forward(forward) => self
                .forward(forward, route.action.span, namespace, diagnostics)
                .filter(|_| has_variables(forward, &route.matchers, diagnostics))
                .map(Action::Forward)
                .map(Kind::Leaf),
            resource::Action::Redirect(written) => {
                Some(Kind::Leaf(Action::Redirect(redirect(written))))
            }
            resource::Action::DirectResponse(written) => {
                Some(Kind::Leaf(Action::DirectResponse(DirectResponse {
                    status: written.status.value,
                    body: written
                        .body
                        .as_ref()
                        .map(|body| body.value.clone())
                        .unwrap_or_default(),
                })))
            }
        };
        matcher::report_without_path(&route.matchers, diagnostics);
        let mut level = self.level(&route.options, namespace, diagnostics);
        level.policies = selection.of_route(route);
        if matches!(
            kind,
            Some(Kind::Leaf(Action::Redirect(_) | Action::DirectResponse(_)))
        ) {
            report_idle_options(&level, diagnostics);
        }
        Some(Prepared {
            source: route,
            matchers: matchers.into_iter().collect::<Option<_>>()?,
            level: Rare::from(level),
            kind: kind?,
        })
    }

    fn forward(
        &mut self,
        forward: &'r ForwardAction,
        span: Span,
        namespace: &'r str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Forward> {
        let destinations = self.weighted(&forward.destinations, span, namespace, diagnostics);
        Some(Forward {
            destinations: destinations?,
            path_rewrite: forward
                .path_rewrite
                .as_ref()
                .map(|rewrite| rewrite.value.clone()),
            host_rewrite: forward.host_rewrite.clone(),
        })
    }

    /// Looks up destinations that share requests. `span` is the list as a whole. `None` after an error.
    pub(super) fn weighted(
        &mut self,
        written: &'r [resource::WeightedDestination],
        span: Span,
        namespace: &'r str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<WeightedDestination>> {
        let shares = weights::shares(written, span, diagnostics);
        let mut resolved = Vec::with_capacity(written.len());
        for destination in written {
            resolved.push(self.inventory.resolve(destination, namespace, diagnostics));
        }
        resolved
            .into_iter()
            .zip(written)
            .zip(shares?)
            .map(|((found, written), weight)| {
                Some(WeightedDestination {
                    weight,
                    destination: found?,
                    headers: written
                        .options
                        .plain
                        .header_manipulation
                        .as_ref()
                        .map(|headers| Arc::clone(&headers.value)),
                })
            })
            .collect()
    }

    fn delegate(
        &self,
        route: &resource::Route,
        delegate: &DelegateAction,
        namespace: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Kind> {
        let mut usable = true;
        for uri in route
            .matchers
            .iter()
            .filter_map(|matcher| matcher.uri.as_ref())
        {
            if uri.kind != PathKind::Prefix {
                diagnostics.push(
                    Diagnostic::at(
                        Code::DelegateNotPrefix,
                        uri.span,
                        "a delegating route can only match by path prefix",
                    )
                    .remark("the paths of the route tables are appended to this")
                    .help("use `prefix` here and the narrower path in the route table"),
                );
                usable = false;
            }
        }
        let targets = self.targets(delegate, route.action.span, namespace, diagnostics);
        usable.then_some(Kind::Delegate {
            targets,
            sort: delegate.sort,
        })
    }

    /// The tables that routes delegate to. What is wrong with them is reported when they are prepared.
    pub(super) fn delegates_to(
        &self,
        routes: &[resource::Route],
        namespace: &str,
    ) -> BTreeSet<usize> {
        let mut findings = Diagnostics::default();
        routes
            .iter()
            .filter_map(|route| match &route.action.value {
                resource::Action::Delegate(delegate) => {
                    Some(self.targets(delegate, route.action.span, namespace, &mut findings))
                }
                _ => None,
            })
            .flatten()
            .map(|(table, _)| table)
            .collect()
    }

    /// The tables a route delegates to: named ones in order, then selected ones by age, heavier ones first.
    fn targets(
        &self,
        delegate: &DelegateAction,
        span: Span,
        namespace: &str,
        diagnostics: &mut Diagnostics,
    ) -> Vec<(usize, Span)> {
        let mut targets: Vec<(usize, Span)> = Vec::new();
        for reference in &delegate.refs {
            let name = full_name(reference, namespace);
            if let Some(&table) = self.by_name.get(&name) {
                targets.push((table, reference.span));
            } else if let Some(&host) = self.virtual_hosts.get(&name) {
                diagnostics.push(
                    Diagnostic::at(
                        Code::DelegateToVirtualHost,
                        reference.span,
                        format!(
                            "`{name}` is a VirtualHost; a route can only delegate to a RouteTable"
                        ),
                    )
                    .also(host, "declared here")
                    .help("move its routes to a RouteTable"),
                );
            } else {
                diagnostics.push(
                    Diagnostic::at(
                        Code::MissingRouteTable,
                        reference.span,
                        format!("there is no RouteTable `{name}`; nothing is delegated to it until it exists"),
                    )
                    .help("pass its file as well, or correct the name or namespace"),
                );
            }
        }
        if let Some(selector) = &delegate.selector {
            if selector::check(selector, diagnostics) {
                let before = targets.len();
                targets.extend(
                    (0..self.tables.len())
                        .filter(|&at| {
                            selector::selects(selector, namespace, &self.tables[at].metadata)
                        })
                        .map(|at| (at, selector.span)),
                );
                if targets.len() == before {
                    diagnostics.push(empty_selection(selector, namespace, "route table"));
                }
            }
        } else if delegate.refs.is_empty() {
            diagnostics.push(
                Diagnostic::at(
                    Code::DelegateToNothing,
                    span,
                    "the route delegates to nothing: neither `refs` nor `selector` is written",
                )
                .help("name route tables under `refs`; for all tables of the namespace write `selector: {}`"),
            );
        }
        let mut taken = HashSet::with_capacity(targets.len());
        targets.retain(|&(table, _)| taken.insert(table));
        targets.sort_by_key(|&(table, _)| std::cmp::Reverse(self.tables[table].weight));
        targets
    }
}

/// A selector that is valid and selects nothing.
pub(super) fn empty_selection(
    selector: &resource::ObjectSelector,
    namespace: &str,
    what: &str,
) -> Diagnostic {
    let diagnostic = Diagnostic::at(
        Code::EmptySelection,
        selector.span,
        format!("the selector selects no {what}"),
    );
    if selector.namespaces.is_empty() {
        diagnostic.help(format!(
            "without `namespaces` it only looks in namespace `{namespace}`; `namespaces: [\"*\"]` means all"
        ))
    } else {
        diagnostic
    }
}

/// Whether every matcher of a route has the variables of its rewrite by template.
fn has_variables(
    forward: &ForwardAction,
    matchers: &[resource::Matcher],
    diagnostics: &mut Diagnostics,
) -> bool {
    let Some(rewrite) = &forward.path_rewrite else {
        return true;
    };
    let PathRewrite::Template(parts) = &rewrite.value else {
        return true;
    };
    let lacks = |matcher: &&resource::Matcher| {
        let pattern = matcher
            .uri
            .as_ref()
            .filter(|uri| uri.kind == PathKind::Regex);
        pattern.is_none_or(|uri| for_template(&uri.value, parts).is_none())
    };
    let without = matchers.iter().find(lacks);
    if without.is_none() && !matchers.is_empty() {
        return true;
    }
    let mut diagnostic = Diagnostic::at(
        Code::TemplateVariable,
        rewrite.span,
        "`pathTemplateRewrite` needs a `pathTemplate` with all its variables in every matcher",
    );
    if let Some(matcher) = without {
        diagnostic = diagnostic.also(matcher.span, "not in this one");
    }
    diagnostics.push(diagnostic);
    false
}

fn report_duplicate_names(routes: &[resource::Route], diagnostics: &mut Diagnostics) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for name in routes.iter().filter_map(|route| route.name.as_ref()) {
        match seen.entry(&name.value) {
            Entry::Occupied(first) => diagnostics.push(
                Diagnostic::at(
                    Code::DuplicateRouteName,
                    name.span,
                    format!("another route here is named `{}`", name.value),
                )
                .also(*first.get(), "first here")
                .help("logs and metrics cannot tell them apart; rename one"),
            ),
            Entry::Vacant(free) => {
                free.insert(name.span);
            }
        }
    }
}

fn report_idle_options(level: &Level, diagnostics: &mut Diagnostics) {
    let timeout = level
        .options
        .request_timeout
        .as_ref()
        .map(|option| ("requestTimeout", option.span));
    let retries = level
        .options
        .retries
        .as_ref()
        .map(|option| ("retries", option.span));
    let mirrors = level
        .options
        .mirrors
        .as_ref()
        .map(|option| ("mirror", option.span));
    let stickiness = level
        .options
        .stickiness
        .as_ref()
        .map(|option| ("stickiness", option.span));
    let headers = level.options.header_manipulation.as_ref();
    let headers = headers.into_iter().flat_map(|option| {
        let written = option.value.request_fields();
        written.map(|name| (name, option.span))
    });
    let idle = timeout.into_iter().chain(retries).chain(stickiness);
    for (name, span) in idle.chain(mirrors).chain(headers) {
        diagnostics.push(
            Diagnostic::at(
                Code::OptionWithoutEffect,
                span,
                format!("`{name}` means nothing for a route that answers by itself"),
            )
            .help("remove it"),
        );
    }
}

fn redirect(written: &RedirectAction) -> Redirect {
    let path = match (&written.path, &written.prefix_rewrite) {
        _ if let Some(replacement) = &written.regex_rewrite => {
            RedirectPath::Matches(Arc::clone(replacement))
        }
        (Some(path), _) if path.is_empty() => RedirectPath::Keep,
        (Some(path), _) => RedirectPath::Full(with_slash(&path.value)),
        (None, Some(prefix)) if prefix.is_empty() => RedirectPath::Prefix(String::new()),
        (None, Some(prefix)) => RedirectPath::Prefix(with_slash(&prefix.value)),
        (None, None) => RedirectPath::Keep,
    };
    Redirect {
        host: not_empty(written.host.as_ref()),
        path,
        status: written.status.unwrap_or(301),
        scheme: written.scheme.clone().map(Cow::Owned),
        port: written.port,
        strip_query: written.strip_query,
    }
}

/// Paths start with a slash, written or not.
fn with_slash(path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{slash}{path}")
}

/// An empty string is how the API writes "not set".
fn not_empty(text: Option<&Spanned<String>>) -> Option<String> {
    text.map(|text| text.value.clone())
        .filter(|text| !text.is_empty())
}
