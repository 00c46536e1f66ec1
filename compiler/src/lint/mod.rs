//! Findings about a resolved tree that works, but probably not as meant. All are warnings.
//!
//! A route that is used in several places is looked at in each of them, because whether something comes before it
//! depends on the place; the same finding is made once.

mod conditions;
mod context;
mod coverage;
mod form;
mod lists;
mod rewrite;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::regex::Patterns;
use crate::source::Span;
use crate::tree::{Action, Delegation, Entry, Gateway, Host, Matcher, Route, SharedRoutes, Tree};

use self::context::{Context, Frame, whole};
use self::coverage::Clause;
use self::lists::{By, List};

/// Shared routes are looked at again where something may come before one of them that did not elsewhere; so many of
/// them altogether.
const AGAIN: usize = 250_000;

/// Looks at every host of every gateway.
pub fn lint(tree: &Tree, diagnostics: &mut Diagnostics) {
    let mut linter = Linter {
        lists: HashMap::new(),
        situations: HashSet::new(),
        again: AGAIN,
        seen: HashSet::new(),
        patterns: Patterns::default(),
        diagnostics,
    };
    let mut done = HashSet::new();
    for gateway in &tree.gateways {
        for host in &gateway.hosts {
            // Gateways often serve the same virtual hosts.
            let lists: Vec<_> = host.virtual_hosts.iter().map(Arc::as_ptr).collect();
            if done.insert((lists, host.domains.clone(), gateway.tls, gateway.paths)) {
                linter.host(Place { gateway, host });
            }
        }
    }
}

struct Linter<'t, 'd> {
    /// Shared routes that were read.
    lists: HashMap<*const SharedRoutes, Rc<List<'t>>>,
    /// In which situations shared routes were looked at.
    situations: HashSet<(*const SharedRoutes, String)>,
    /// How many more shared routes are looked at again.
    again: usize,
    /// Code, place, and the other place if there is one.
    seen: HashSet<(Code, Span, Option<Span>)>,
    patterns: Patterns,
    diagnostics: &'d mut Diagnostics,
}

/// The host whose routes are looked at.
#[derive(Clone, Copy)]
struct Place<'t> {
    gateway: &'t Gateway,
    host: &'t Host,
}

/// A matcher and an earlier one that covers it.
struct Covered<'m> {
    matcher: &'m Matcher,
    by: By,
}

impl<'t> Linter<'t, '_> {
    fn host(&mut self, place: Place<'t>) {
        let mut list = List::default();
        let entries = || {
            place
                .host
                .virtual_hosts
                .iter()
                .flat_map(|host| &host.routes)
        };
        let delegates = entries().any(|entry| matches!(entry, Entry::Delegation(_)));
        for entry in entries() {
            let context = Context {
                list: &list,
                frames: &[],
                own: None,
            };
            match entry {
                Entry::Route(route) => {
                    for (clause, matcher) in self.route(place, context, route) {
                        list.add_clause(&clause, route, matcher, delegates);
                    }
                }
                Entry::Delegation(delegation) => {
                    if self.delegation(place, context, delegation) {
                        let shared = self.list(&delegation.shared);
                        let clause = Clause::new(&delegation.matcher, &mut self.patterns);
                        list.add_delegation(clause, delegation, shared);
                    }
                }
            }
            list.len += 1;
        }
    }

    /// Looks at a route as it stands in the host. Those of its matchers that are not covered.
    fn route<'r>(
        &mut self,
        place: Place<'_>,
        context: Context<'_, 'r>,
        route: &'r Route,
    ) -> Vec<(Clause<'r>, &'r Matcher)> {
        self.report(rewrite::check_kinds(route));
        // Matchers come before later ones of their route.
        let mut own = List::default();
        let mut uncovered = Vec::with_capacity(route.matchers.len());
        let mut covered: Vec<Option<Covered<'_>>> = Vec::with_capacity(route.matchers.len());
        for matcher in &route.matchers {
            for finding in conditions::check(matcher, &mut self.patterns) {
                self.report(finding);
            }
            self.report(form::check(place.gateway, place.host, matcher));
            let clause = Clause::new(matcher, &mut self.patterns);
            let earlier = Context {
                own: Some(&own),
                ..context
            };
            self.report(rewrite::check_slashes(route, matcher, &clause, &earlier));
            self.report(rewrite::check_loop(
                place.gateway,
                place.host,
                route,
                matcher,
                &clause,
                &earlier,
            ));
            let by = earlier.earlier(&clause);
            if by.is_none() {
                if route.matchers.len() > 1 {
                    own.add_clause(&clause, route, matcher, false);
                }
                uncovered.push((clause, matcher));
            }
            covered.push(by.map(|by| Covered { matcher, by }));
        }
        self.report_covered(place.host, route, &covered);
        uncovered
    }

    /// Looks at a delegating route, and at the routes it shares if that may tell something new. Whether it is reached.
    fn delegation(
        &mut self,
        place: Place<'_>,
        context: Context<'_, 't>,
        delegation: &'t Delegation,
    ) -> bool {
        let around = context.frames.last();
        let (names, matcher) = whole(delegation, around);
        // A table that is delegated to twice is reached the first time; that may not hold for each of its routes.
        let twice = |by: &By| by.shared.contains(&Arc::as_ptr(&delegation.shared));
        let earlier = context.earlier(&Clause::new(&matcher, &mut self.patterns));
        if let Some(by) = earlier.filter(|by| !twice(by)) {
            self.report_unreachable_delegation(place.host, &names, delegation, &matcher, by);
            return false;
        }
        let list = self.list(&delegation.shared);
        let looks = self.tells_something_new(place, context, delegation, &matcher, &list);
        if !looks && !list.has_redirects {
            return true;
        }
        let parent = match around {
            None => Clause::new(&delegation.matcher, &mut self.patterns),
            Some(_) => Clause::shared(&delegation.matcher, &mut self.patterns),
        };
        let frame = Frame {
            parent,
            list,
            position: 0,
            names,
            matcher,
        };
        let mut frames: Vec<Frame<'t>> = context.frames.to_vec();
        frames.push(frame);
        for (position, entry) in delegation.shared.entries.iter().enumerate() {
            if let Some(frame) = frames.last_mut() {
                frame.position = position;
            }
            let context = Context {
                frames: &frames,
                ..context
            };
            match entry {
                Entry::Delegation(delegation) => {
                    self.delegation(place, context, delegation);
                }
                Entry::Route(route) if looks || self.may_loop(place, route) => {
                    if let Some(Entry::Route(route)) = context.written_out(entry) {
                        self.route(place, context, &route);
                    }
                }
                Entry::Route(_) => {}
            }
        }
        true
    }

    /// Whether shared routes were not yet looked at in such a situation: below such conditions, and after such routes.
    fn tells_something_new(
        &mut self,
        place: Place<'_>,
        context: Context<'_, 't>,
        delegation: &Delegation,
        matcher: &Matcher,
        list: &List<'t>,
    ) -> bool {
        let shared = Arc::as_ptr(&delegation.shared);
        let is_first = self.situations.insert((shared, String::new()));
        let clause = Clause::new(matcher, &mut self.patterns);
        let contacts = context.contacts(&clause, list);
        let situation = format!(
            "{} {:?} {} {} {:?} {:?}",
            place.gateway.tls,
            place.gateway.paths,
            place.host.ignores_path_parameters(),
            matcher.path.literal.is_empty(),
            clause.conditions(),
            contacts
                .iter()
                .map(|contact| &contact.shared)
                .collect::<Vec<_>>()
        );
        let is_new = self.situations.insert((shared, situation))
            || contacts.iter().any(|contact| contact.is_close);
        if is_first || !is_new {
            return is_first;
        }
        let left = self.again.checked_sub(list.size);
        self.again = left.unwrap_or(self.again);
        left.is_some()
    }

    /// Whether a route redirects to what may be a place of this host.
    fn may_loop(&mut self, place: Place<'_>, route: &Route) -> bool {
        let Action::Redirect(redirect) = &route.action else {
            return false;
        };
        if !rewrite::stays(redirect, place.gateway, place.host) {
            return false;
        }
        let left = self.again.checked_sub(1);
        self.again = left.unwrap_or(0);
        left.is_some()
    }

    /// Reads shared routes.
    fn list(&mut self, shared: &'t Arc<SharedRoutes>) -> Rc<List<'t>> {
        let key = Arc::as_ptr(shared);
        if let Some(list) = self.lists.get(&key) {
            return list.clone();
        }
        let mut list = List::default();
        for entry in &shared.entries {
            match entry {
                Entry::Route(route) => {
                    for matcher in &route.matchers {
                        let clause = Clause::shared(matcher, &mut self.patterns);
                        list.add_conditions(&clause, None);
                        list.add_clause(&clause, route, matcher, true);
                    }
                }
                Entry::Delegation(delegation) => {
                    let inner = self.list(&delegation.shared);
                    let clause = Clause::shared(&delegation.matcher, &mut self.patterns);
                    list.add_conditions(&clause, Some(&inner));
                    list.add_delegation(clause, delegation, inner);
                }
            }
            list.len += 1;
        }
        let list = Rc::new(list);
        self.lists.insert(key, list.clone());
        list
    }

    fn report_unreachable_delegation(
        &mut self,
        host: &Host,
        names: &[String],
        delegation: &Delegation,
        matcher: &Matcher,
        by: By,
    ) {
        let message = format!(
            "route `{}` is never reached{}: `{}` takes all its requests first",
            names.join("/"),
            scope(host),
            by.name
        );
        let diagnostic = Diagnostic::at(Code::UnreachableRoute, delegation.route, message)
            .also(by.matcher.span, "takes them");
        let found = Covered { matcher, by };
        self.report(Some(with_boundary_hint(diagnostic, &found)));
    }

    fn report_covered(&mut self, host: &Host, route: &Route, covered: &[Option<Covered<'_>>]) {
        if covered.iter().all(Option::is_none) {
            return;
        }
        if covered.iter().all(Option::is_some) {
            self.report_unreachable(host, route, covered);
            return;
        }
        // A matcher written once stands in the list once for every matcher of its delegating routes. It is useless
        // only if all of them are covered.
        let live: HashSet<Span> = route
            .matchers
            .iter()
            .zip(covered)
            .filter(|(_, covered)| covered.is_none())
            .map(|(matcher, _)| matcher.span)
            .collect();
        for found in covered.iter().flatten() {
            let by = &found.by;
            if live.contains(&found.matcher.span) || by.matcher.span == found.matcher.span {
                continue;
            }
            let owner = if by.span == route.span {
                "an earlier one of the same route".to_owned()
            } else {
                format!("route `{}`", by.name)
            };
            let message = format!(
                "this matcher of route `{}` is covered by {owner}{}",
                route.name,
                scope(host)
            );
            let diagnostic = Diagnostic::at(Code::UnreachableMatcher, found.matcher.span, message)
                .also(by.matcher.span, "covers it");
            self.report(Some(with_boundary_hint(diagnostic, found)));
        }
    }

    fn report_unreachable(&mut self, host: &Host, route: &Route, covered: &[Option<Covered<'_>>]) {
        let Some(first) = covered.iter().flatten().next() else {
            return;
        };
        let by = &first.by;
        if by.span == route.span {
            // Its table is delegated to twice; the route itself is reached the first time.
            return;
        }
        let alone = covered
            .iter()
            .flatten()
            .all(|found| found.by.span == by.span);
        let takes = if !alone {
            "and others take all its requests"
        } else if covers_same(first) {
            "takes the same requests"
        } else {
            "takes all its requests"
        };
        let message = format!(
            "route `{}` is never reached{}: `{}` {takes} first",
            route.name,
            scope(host),
            by.name
        );
        let diagnostic = Diagnostic::at(Code::UnreachableRoute, route.span, message)
            .also(by.matcher.span, "takes them");
        self.report(Some(with_boundary_hint(diagnostic, first)));
    }

    fn report(&mut self, diagnostic: Option<Diagnostic>) {
        let Some(diagnostic) = diagnostic else { return };
        let place = diagnostic
            .primary
            .as_ref()
            .map(|label| label.span)
            .unwrap_or_default();
        let other = diagnostic.secondary.first().map(|label| label.span);
        if self.seen.insert((diagnostic.code, place, other)) {
            self.diagnostics.push(diagnostic);
        }
    }
}

/// Where virtual hosts share a domain, a route that is covered there may well be reached through another domain.
fn scope(host: &Host) -> String {
    match host.domains.first() {
        Some(domain) if host.virtual_hosts.len() > 1 => format!(" on `{domain}`"),
        _ => String::new(),
    }
}

fn covers_same(found: &Covered<'_>) -> bool {
    let by = &found.by.matcher;
    by.path == found.matcher.path
        && by.method == found.matcher.method
        && by.headers.len() == found.matcher.headers.len()
        && by.query.len() == found.matcher.query.len()
}

/// `/foo` also takes `/foobar`, which surprises people.
fn with_boundary_hint(diagnostic: Diagnostic, found: &Covered<'_>) -> Diagnostic {
    let (prefix, path) = (
        found.by.matcher.path.literal_text(),
        found.matcher.path.literal_text(),
    );
    let continues = path
        .strip_prefix(&prefix)
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if continues && found.by.matcher.path.rewrite_len().is_some() && !prefix.ends_with('/') {
        diagnostic.help(format!(
            "prefixes do not stop at slashes: write `pathSeparatedPrefix: {prefix}`, or put the longer path first"
        ))
    } else {
        diagnostic.help("put the narrower one first, or remove it")
    }
}
