//! Findings about a resolved tree that works, but probably not as meant. All are warnings.
//!
//! A route that is used in several places is looked at in each of them, because whether something comes before it
//! depends on the place; the same finding is made once.

mod conditions;
mod coverage;
mod rewrite;

use std::collections::HashSet;
use std::sync::Arc;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::regex::Patterns;
use crate::source::Span;
use crate::tree::{Gateway, Host, Matcher, Route, Tree};

use self::coverage::{Clause, Index};

/// Looks at every host of every gateway.
pub fn lint(tree: &Tree, diagnostics: &mut Diagnostics) {
    let mut linter = Linter {
        seen: HashSet::new(),
        patterns: Patterns::default(),
        diagnostics,
    };
    let mut done = HashSet::new();
    for gateway in &tree.gateways {
        for host in &gateway.hosts {
            // Gateways often serve the same virtual hosts.
            let lists: Vec<_> = host.virtual_hosts.iter().map(Arc::as_ptr).collect();
            if done.insert((lists, host.domains.clone(), gateway.tls)) {
                linter.host(gateway, host);
            }
        }
    }
}

struct Linter<'d> {
    /// Code, place, and the other place if there is one.
    seen: HashSet<(Code, Span, Option<Span>)>,
    patterns: Patterns,
    diagnostics: &'d mut Diagnostics,
}

/// A matcher and an earlier one that covers it.
struct Covered<'t> {
    matcher: &'t Matcher,
    by: (&'t Route, &'t Matcher),
}

impl Linter<'_> {
    fn host(&mut self, gateway: &Gateway, host: &Host) {
        let mut index = Index::default();
        let mut indexed: Vec<(&Route, &Matcher)> = Vec::new();
        for route in host
            .virtual_hosts
            .iter()
            .flat_map(|virtual_host| &virtual_host.routes)
        {
            self.report(rewrite::check_kinds(route));
            let mut covered: Vec<Option<Covered<'_>>> = Vec::with_capacity(route.matchers.len());
            for matcher in &route.matchers {
                for finding in conditions::check(matcher, &mut self.patterns) {
                    self.report(finding);
                }
                let clause = Clause::new(matcher, &mut self.patterns);
                self.report(rewrite::check_slashes(route, matcher, &clause, &index));
                self.report(rewrite::check_loop(
                    gateway, host, route, matcher, &clause, &index,
                ));
                match index.covering(&clause) {
                    Some(earlier) => covered.push(Some(Covered {
                        matcher,
                        by: indexed[earlier],
                    })),
                    None => {
                        index.add(&clause, matcher);
                        indexed.push((route, matcher));
                        covered.push(None);
                    }
                }
            }
            self.report_covered(host, route, &covered);
        }
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
            let (by, by_matcher) = found.by;
            if live.contains(&found.matcher.span) || by_matcher.span == found.matcher.span {
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
                .also(by_matcher.span, "covers it");
            self.report(Some(with_boundary_hint(diagnostic, found)));
        }
    }

    fn report_unreachable(&mut self, host: &Host, route: &Route, covered: &[Option<Covered<'_>>]) {
        let Some(first) = covered.iter().flatten().next() else {
            return;
        };
        let (by, by_matcher) = first.by;
        if by.span == route.span {
            // Its table is delegated to twice; the route itself is reached the first time.
            return;
        }
        let alone = covered
            .iter()
            .flatten()
            .all(|found| found.by.0.span == by.span);
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
            .also(by_matcher.span, "takes them");
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
    let (_, by) = found.by;
    by.path == found.matcher.path
        && by.method == found.matcher.method
        && by.headers.len() == found.matcher.headers.len()
        && by.query.len() == found.matcher.query.len()
}

/// `/foo` also takes `/foobar`, which surprises people.
fn with_boundary_hint(diagnostic: Diagnostic, found: &Covered<'_>) -> Diagnostic {
    let (prefix, path) = (
        found.by.1.path.literal_text(),
        found.matcher.path.literal_text(),
    );
    let continues = path
        .strip_prefix(&prefix)
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if continues && found.by.1.path.rewrite_len().is_some() && !prefix.ends_with('/') {
        diagnostic.help(format!(
            "prefixes do not stop at slashes: match `{prefix}` exactly and `{prefix}/` as a prefix, or put the longer path first"
        ))
    } else {
        diagnostic.help("put the narrower one first, or remove it")
    }
}
