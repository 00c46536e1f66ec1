//! Flattening: a virtual host's routes with every delegating route replaced, in place, by the routes of its tables, or
//! by a reference to routes that it shares with others.
//!
//! Invariants: the output order is first-match order; a table may be flattened any number of times, but nothing is
//! flattened into itself; recursion is bounded by [`MAX_DEPTH`], and what is built by the limit on routes, which is
//! checked before anything is multiplied out.

mod leaf;
mod refer;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{ObjectName, PathKind, SortMethod, VirtualHostSpec};
use crate::source::Span;
use crate::tree::{Action, Matcher, PathMatch, PathTail, Route, RouteName, VirtualHost};

use super::matcher::Conditions;
use super::options::Level;
use super::prepare::{Kind, Prepared, Table};
use super::share::{self, Draft, Facts, List, MAX_NESTING, Units};
use super::traffic_policy::{Merged, Policies, PolicySet};
use super::{ResolveOptions, Sharing, path};

/// Longest chain of route tables.
const MAX_DEPTH: usize = 64;

/// Flattens virtual hosts over a fixed list of tables.
#[derive(Debug)]
pub(super) struct Flattener<'t, 'r> {
    tables: &'t [Table<'r>],
    pub(super) policies: &'t Policies<'r>,
    /// What policies say together, by their set.
    merged: HashMap<PolicySet, Rc<Merged>>,
    /// Policies that have shifted traffic.
    has_shifted: HashSet<usize>,
    /// Which tables were reached.
    reached: Vec<bool>,
    sharing: Sharing,
    limit: usize,
    /// How much of the limit is left.
    left: usize,
    units: Units<'r>,
    /// What was met so far in the unit that is being made.
    facts: Facts<'r>,
    /// The virtual hosts so far.
    hosts: Vec<(VirtualHost, List)>,
    /// Findings made before, so that one place is reported once however often it is used.
    reported: HashSet<(Code, Span)>,
    /// The names above the last leaf route.
    above: Arc<[String]>,
}

/// Where a list of routes is being flattened.
#[derive(Clone, Copy)]
struct Scope<'s> {
    /// Conditions of the delegating routes above, multiplied out; `None` in a virtual host.
    parents: Option<&'s [Matcher]>,
    /// Options inherited so far.
    level: &'s Level,
    /// Names so far.
    names: &'s [String],
    /// In a unit: how many of these names lie outside.
    outside: Option<usize>,
    /// In a unit: whether text of the path stands before what the parents say.
    below_text: bool,
    /// Tables on the way here, each with the place that led to it.
    through: &'s [(usize, Span)],
    /// Whether routes can be shared here at all.
    may_share: bool,
    /// Whether the routes are sorted one by one, so that those of a table do not stay together.
    is_sorted: bool,
    /// How many references may follow one another from here on.
    nesting: usize,
}

/// The limit was reached.
struct LimitReached;

impl<'t, 'r> Flattener<'t, 'r> {
    /// Starts with a limit for all virtual hosts together: every matcher of a flattened route counts, and every table
    /// that is looked at.
    pub(super) fn new(
        tables: &'t [Table<'r>],
        policies: &'t Policies<'r>,
        options: &ResolveOptions,
    ) -> Self {
        Self {
            tables,
            policies,
            merged: HashMap::new(),
            has_shifted: HashSet::new(),
            reached: vec![false; tables.len()],
            sharing: options.sharing,
            limit: options.max_routes,
            left: options.max_routes,
            units: Units::default(),
            facts: Facts::default(),
            hosts: Vec::new(),
            reported: HashSet::new(),
            above: Arc::default(),
        }
    }

    /// The virtual hosts, by number.
    pub(super) fn finish(self) -> Vec<Arc<VirtualHost>> {
        let mut heads = Vec::with_capacity(self.hosts.len());
        let mut lists = Vec::with_capacity(self.hosts.len());
        for (head, list) in self.hosts {
            heads.push(head);
            lists.push(list.entries);
        }
        let lists = share::settle(self.units.list, lists, self.sharing);
        heads
            .into_iter()
            .zip(lists)
            .map(|(head, routes)| Arc::new(VirtualHost { routes, ..head }))
            .collect()
    }

    /// Whether a policy has shifted the traffic of a route.
    pub(super) fn has_shifted(&self, policy: usize) -> bool {
        self.has_shifted.contains(&policy)
    }

    /// Tables that no virtual host reached. What is wrong with their routes is reported all the same, so that a mistake
    /// further up does not hide it.
    pub(super) fn unreached(&mut self, diagnostics: &mut Diagnostics) -> Vec<&'t Table<'r>> {
        let unreached: Vec<usize> = (0..self.tables.len())
            .filter(|&at| !self.reached[at])
            .collect();
        for &at in &unreached {
            // One that another one leads to has been looked at by now. What lies beyond a chain that is too long would
            // only give more of the same finding.
            let is_cut_off = self
                .reported
                .iter()
                .any(|(code, _)| *code == Code::DelegationTooDeep);
            if !self.reached[at] && !is_cut_off {
                self.look_through(at, diagnostics);
            }
        }
        let tables = self.tables;
        unreached.into_iter().map(|at| &tables[at]).collect()
    }

    fn look_through(&mut self, table: usize, diagnostics: &mut Diagnostics) {
        let span = self.tables[table].source.metadata.span;
        let scope = Scope {
            parents: Some(&[everything(PathMatch::any(), span)]),
            level: &Level::default(),
            names: &[],
            outside: None,
            below_text: false,
            through: &[],
            may_share: false,
            is_sorted: false,
            nesting: 0,
        };
        let before = self.left;
        // Nothing is kept, so the limit has nothing to protect.
        let _ = self.expand(
            &[(table, span)],
            SortMethod::TableWeight,
            scope,
            &mut List::default(),
            diagnostics,
        );
        self.left = before;
    }

    /// Flattens the routes of one virtual host; its number among all of them.
    pub(super) fn virtual_host(
        &mut self,
        name: &ObjectName,
        span: Span,
        routes: &[Prepared<'r>],
        level: &Level,
        spec: &VirtualHostSpec,
        diagnostics: &mut Diagnostics,
    ) -> usize {
        let names = [dotted(name)];
        let scope = Scope {
            parents: None,
            level,
            names: &names,
            outside: None,
            below_text: false,
            through: &[],
            may_share: self.sharing != Sharing::Never,
            is_sorted: false,
            nesting: MAX_NESTING,
        };
        let mut flat = List::default();
        for route in routes {
            let before = (flat.entries.len(), self.units.list.len(), self.left);
            self.facts = Facts::default();
            if self.route(route, scope, &mut flat, diagnostics).is_err() {
                // The whole branch goes: half of one would answer some of its requests with the wrong route.
                let (entries, units, left) = before;
                flat.truncate(entries);
                self.units.truncate(units);
                self.left = left;
                diagnostics.push(
                    Diagnostic::at(
                        Code::TooManyRoutes,
                        route.source.span,
                        format!(
                            "with this route there are more than {} routes, matchers and delegations",
                            self.limit
                        ),
                    )
                    .remark("left out with everything it delegates to")
                    .help("delegate to fewer tables from fewer places, or use fewer matchers on delegating routes"),
                );
            }
        }
        let head = VirtualHost {
            name: name.clone(),
            routes: Vec::new(),
            ignore_path_parameters: spec.ignore_path_parameters,
            require_tls: spec.require_tls,
            span,
        };
        self.hosts.push((head, flat));
        self.hosts.len() - 1
    }

    fn route(
        &mut self,
        route: &Prepared<'r>,
        scope: Scope<'_>,
        flat: &mut List,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), LimitReached> {
        let matchers = self.matchers(route, scope, diagnostics)?;
        if matchers.is_empty() {
            return Ok(());
        }
        let mut names = scope.names.to_vec();
        names.push(match &route.source.name {
            Some(name) => name.value.clone(),
            None => format!("#{}", route.source.index),
        });
        let level = route.level.inherit(scope.level);
        match &route.kind {
            Kind::Leaf(action) => {
                let Some((action, mut options)) = self.leaf(action, level, diagnostics)? else {
                    return Ok(());
                };
                let name = RouteName {
                    above: self.above(&scope.names[scope.outside.unwrap_or(0)..]),
                    own: names.pop().unwrap_or_default(),
                    is_named: route.source.name.is_some(),
                };
                if !matches!(&action, Action::Forward(_)) {
                    options.request_timeout = None;
                    options.retries = None;
                    options.stickiness = None;
                    options.mirrors = None;
                }
                flat.entries.push(Draft::Route(Arc::new(Route {
                    name,
                    matchers,
                    action,
                    options: options.into(),
                    span: route.source.span,
                })));
                Ok(())
            }
            Kind::Delegate { targets, sort } => {
                let scope = Scope {
                    parents: Some(&matchers),
                    level: &level,
                    names: &names,
                    // Routes of several tables are sorted one by one.
                    may_share: scope.may_share && !scope.is_sorted,
                    is_sorted: *sort == SortMethod::RouteSpecificity,
                    ..scope
                };
                self.delegate(route.source.span, targets, *sort, scope, flat, diagnostics)
            }
        }
    }

    /// Replaces a delegating route by the routes of its tables.
    fn expand(
        &mut self,
        targets: &[(usize, Span)],
        sort: SortMethod,
        scope: Scope<'_>,
        flat: &mut List,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), LimitReached> {
        let start = flat.entries.len();
        let mut weights = Vec::new();
        for &(target, span) in targets {
            self.spend(1)?;
            if let Some(first) = scope.through.iter().position(|&(table, _)| table == target) {
                self.facts.is_cut = true;
                if self.is_new(Code::DelegationCycle, span) {
                    diagnostics.push(self.cycle(&scope.through[first..], target, span));
                }
                continue;
            }
            if scope.through.len() == MAX_DEPTH {
                self.facts.is_cut = true;
                if self.is_new(Code::DelegationTooDeep, span) {
                    diagnostics.push(
                        Diagnostic::at(
                            Code::DelegationTooDeep,
                            span,
                            format!("route tables delegate to one another more than {MAX_DEPTH} times in a row"),
                        )
                        .remark("left out with everything it delegates to"),
                    );
                }
                continue;
            }
            let tables = self.tables;
            let Some(table) = tables.get(target) else {
                continue;
            };
            if !std::mem::replace(&mut self.reached[target], true) && table.source.routes.is_empty()
            {
                self.report_empty_table(table, span, diagnostics);
            }
            let mut names = scope.names.to_vec();
            names.push(dotted(&table.source.metadata.id));
            let mut through = scope.through.to_vec();
            through.push((target, span));
            let level = table.level.inherit(scope.level);
            if scope.outside.is_some() {
                self.facts.reach(target);
                self.facts.depth = self.facts.depth.max(through.len());
            }
            let inner = Scope {
                level: &level,
                names: &names,
                through: &through,
                ..scope
            };
            for route in &table.routes {
                self.route(route, inner, flat, diagnostics)?;
            }
            weights.resize(flat.entries.len() - start, table.source.weight);
        }
        if sort == SortMethod::RouteSpecificity {
            let mut weighted: Vec<(i32, Draft)> = weights
                .into_iter()
                .zip(flat.entries.drain(start..))
                .collect();
            weighted.sort_by_cached_key(|(weight, draft)| (Reverse(*weight), specificity(draft)));
            flat.entries
                .extend(weighted.into_iter().map(|(_, draft)| draft));
        }
        Ok(())
    }

    /// The alternatives of a route, each conjoined with each alternative of its parents. Empty = the route never
    /// matches here, which was reported.
    fn matchers(
        &mut self,
        route: &Prepared<'r>,
        scope: Scope<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Result<Vec<Matcher>, LimitReached> {
        let alternatives = route.matchers.len().max(1);
        let parents = scope.parents.unwrap_or_default();
        let count = parents.len().max(1).saturating_mul(alternatives);
        // What is long is copied as often.
        let copied: usize = parents.iter().map(size).sum();
        self.spend(count.saturating_add(copied.saturating_mul(alternatives)))?;
        let Some(parents) = scope.parents else {
            if route.matchers.is_empty() {
                return Ok(vec![everything(PathMatch::any(), route.source.span)]);
            }
            return Ok(route
                .matchers
                .iter()
                .map(|own| alone(own, path::own(own.uri)))
                .collect());
        };
        if route.matchers.is_empty() {
            return Ok(parents
                .iter()
                .map(|parent| Matcher {
                    name: None,
                    span: route.source.span,
                    ..parent.clone()
                })
                .collect());
        }
        let mut matchers = Vec::with_capacity(count);
        for parent in parents {
            for own in &route.matchers {
                self.check_repetition(parent, own, scope, diagnostics);
                if let Some(method) = &own.source.method
                    && parent
                        .method
                        .as_ref()
                        .is_some_and(|required| *required != method.value)
                {
                    if self.is_new(Code::ContradictoryMethod, method.span) {
                        diagnostics.push(
                            Diagnostic::at(
                                Code::ContradictoryMethod,
                                method.span,
                                format!(
                                    "method `{}` never comes here: the delegating route only takes `{}`",
                                    method.value,
                                    parent.method.as_deref().unwrap_or_default()
                                ),
                            )
                            .also(parent.span, "delegates here"),
                        );
                    }
                    continue;
                }
                matchers.push(conjoin(parent, own, scope.below_text));
            }
        }
        if matchers.is_empty() && self.is_new(Code::NothingLeftToMatch, route.source.span) {
            diagnostics.push(Diagnostic::at(
                Code::NothingLeftToMatch,
                route.source.span,
                "the route is left out: none of its matchers agrees with the routes that delegate to it",
            ));
        }
        Ok(matchers)
    }

    fn cycle(&self, cycle: &[(usize, Span)], target: usize, span: Span) -> Diagnostic {
        let source = |table: usize| &self.tables[table].source.metadata;
        let names: Vec<String> = cycle
            .iter()
            .map(|&(table, _)| table)
            .chain([target])
            .map(|table| format!("`{}`", source(table).id))
            .collect();
        let mut diagnostic = Diagnostic::at(
            Code::DelegationCycle,
            span,
            format!("delegation cycle: {}", names.join(" -> ")),
        )
        .remark(format!("leads back to `{}`", source(target).id))
        .help("remove one of these delegations; this one is left out");
        for (&(_, place), name) in cycle.iter().zip(&names).skip(1) {
            diagnostic = diagnostic.also(place, format!("leads to {name}"));
        }
        diagnostic.also(source(target).span, "the cycle starts here")
    }

    fn report_empty_table(&mut self, table: &Table<'_>, span: Span, diagnostics: &mut Diagnostics) {
        if !super::has_error_inside(diagnostics, table.source.span) {
            let name = &table.source.metadata;
            let message = format!("route table `{}` has no routes", name.id);
            diagnostics.push(
                Diagnostic::at(Code::EmptyRouteTable, name.span, message)
                    .also(span, "delegates to it"),
            );
        }
    }

    /// The names above a route, as the routes before it in the same list have them.
    fn above(&mut self, names: &[String]) -> Arc<[String]> {
        if *self.above != *names {
            self.above = names.into();
        }
        Arc::clone(&self.above)
    }

    /// Whether a finding about a place is new.
    fn is_new(&mut self, code: Code, place: Span) -> bool {
        self.reported.insert((code, place))
    }

    /// Takes from what is left of the limit.
    fn spend(&mut self, count: usize) -> Result<(), LimitReached> {
        self.left = self.left.checked_sub(count).ok_or(LimitReached)?;
        Ok(())
    }
}

/// Object names inside route names: names of objects contain no slash, so the dot keeps them in one segment.
fn dotted(name: &ObjectName) -> String {
    format!("{}.{}", name.namespace, name.name)
}

fn everything(path: PathMatch, span: Span) -> Matcher {
    Matcher {
        name: None,
        path,
        headers: Vec::new(),
        query: Vec::new(),
        method: None,
        span,
    }
}

fn alone(own: &Conditions<'_>, path: PathMatch) -> Matcher {
    Matcher {
        name: own.source.name.as_ref().map(|name| name.value.clone()),
        path,
        headers: own.headers.clone(),
        query: own.query.clone(),
        method: own
            .source
            .method
            .as_ref()
            .map(|method| method.value.clone()),
        span: own.source.span,
    }
}

/// How much a matcher that others are conjoined with counts beside itself: nothing, unless it is large.
fn size(matcher: &Matcher) -> usize {
    let literal = matcher.path.literal.iter().map(|part| part.text.len());
    let conditions = matcher.headers.len() + matcher.query.len();
    literal.sum::<usize>() / 1024 + conditions / 16
}

/// Both conditions. Their methods are known not to contradict each other.
fn conjoin(parent: &Matcher, own: &Conditions<'_>, below_text: bool) -> Matcher {
    let mut matcher = alone(own, path::join(&parent.path, own.uri, below_text));
    matcher.add_conditions(parent);
    matcher
}

/// Sort key of a route under `ROUTE_SPECIFICITY`, smallest first: by the kind of its most specific path, then by that
/// path's length.
fn specificity(draft: &Draft) -> Option<(u8, Reverse<usize>)> {
    draft
        .matchers()
        .iter()
        .map(|matcher| {
            let kind = match matcher.path.kind() {
                PathKind::Exact => 0,
                PathKind::Regex | PathKind::Suffix => 1,
                PathKind::Prefix => 2,
            };
            let tail = match &matcher.path.tail {
                PathTail::End | PathTail::Any => 0,
                PathTail::Suffix(suffix) => suffix.text.len(),
                PathTail::Regex(pattern) => pattern.len(),
            };
            let literal: usize = matcher
                .path
                .literal
                .iter()
                .map(|part| part.text.len())
                .sum();
            (kind, Reverse(literal + tail))
        })
        .min()
}
