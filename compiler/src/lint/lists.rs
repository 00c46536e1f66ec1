//! What is known of a list of routes, so that later routes can be compared with it.
//!
//! Shared routes are read once, however many lists refer to them. Looking for a clause that covers another one follows
//! those references that the path of the other one leads to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::source::Span;
use crate::tree::{Action, Delegation, Matcher, Route, SharedRoutes};

use super::coverage::{Clause, Condition, Index};

/// With more clauses than this around a delegating route, some are taken to matter without a look at their conditions.
const COMPARED: usize = 64;

/// A list, or what has been added of it.
#[derive(Default)]
pub(super) struct List<'t> {
    index: Index<'t>,
    /// Position, route and matcher of each clause in the index.
    clauses: Vec<(usize, &'t Route, &'t Matcher)>,
    delegations: Index<'t>,
    delegated: Vec<Delegated<'t>>,
    /// Prefixes of the delegating routes, in lower case.
    prefixes: BTreeMap<Vec<u8>, Vec<usize>>,
    /// What the paths of the clauses begin with, in lower case.
    starts: BTreeSet<Vec<u8>>,
    /// The conditions of clauses for all paths that begin with a text, by this text, in lower case.
    wide: HashMap<Vec<u8>, Vec<Vec<Condition<'t>>>>,
    /// Conditions of clauses, and what follows from them.
    conditions: HashSet<Condition<'t>>,
    /// Number of entries.
    pub(super) len: usize,
    /// Number of clauses, those of shared routes included.
    pub(super) size: usize,
    /// Whether some route redirects.
    pub(super) has_redirects: bool,
}

/// A delegating route in a list.
struct Delegated<'t> {
    position: usize,
    clause: Clause<'t>,
    delegation: &'t Delegation,
    list: Rc<List<'t>>,
}

/// A matcher that covers another one.
#[derive(Clone)]
pub(super) struct By {
    pub(super) span: Span,
    pub(super) name: String,
    /// With all conditions of delegating routes.
    pub(super) matcher: Matcher,
    /// The shared routes it belongs to.
    pub(super) shared: Vec<*const SharedRoutes>,
}

impl By {
    pub(super) fn move_below(&mut self, names: &[String], matcher: &Matcher) {
        self.name = format!("{}/{}", names.join("/"), self.name);
        self.matcher.move_below(matcher);
    }
}

/// What a list does to a delegating route that comes after it.
pub(super) struct Contact {
    /// A route of the list itself may cover one of the delegating route's.
    pub(super) is_close: bool,
    /// The shared routes that may: which ones, and how their paths begin in comparison.
    pub(super) shared: Vec<(*const SharedRoutes, String)>,
}

impl<'t> List<'t> {
    /// Adds a matcher. `delegates`: there may be delegating routes to be compared with it.
    pub(super) fn add_clause(
        &mut self,
        clause: &Clause<'t>,
        route: &'t Route,
        matcher: &'t Matcher,
        delegates: bool,
    ) {
        if delegates {
            self.starts.insert(clause.start());
            if clause.is_prefix() {
                let conditions = clause.conditions().to_vec();
                let same = self.wide.entry(clause.literal()).or_default();
                same.push(conditions);
            }
        }
        self.size += 1;
        self.has_redirects |= matches!(route.action, Action::Redirect(_));
        self.index.add(clause, matcher);
        self.clauses.push((self.len, route, matcher));
    }

    /// Adds a delegating route.
    pub(super) fn add_delegation(
        &mut self,
        clause: Clause<'t>,
        delegation: &'t Delegation,
        list: Rc<List<'t>>,
    ) {
        self.size += list.size;
        self.has_redirects |= list.has_redirects;
        let prefix = clause.literal();
        let number = self.delegations.add(&clause, &delegation.matcher);
        self.prefixes.entry(prefix).or_default().push(number);
        self.delegated.push(Delegated {
            position: self.len,
            clause,
            delegation,
            list,
        });
    }

    /// Remembers the conditions of an entry.
    pub(super) fn add_conditions(&mut self, clause: &Clause<'t>, inner: Option<&List<'t>>) {
        let own = clause.conditions().iter();
        self.conditions.extend(
            own.flat_map(|condition| [Some(*condition), condition.weaker()])
                .flatten(),
        );
        self.conditions.extend(
            inner
                .into_iter()
                .flat_map(|list| list.conditions.iter().copied()),
        );
    }

    /// The earliest clause that covers this one, with the position of its entry.
    pub(super) fn covering(&self, clause: &Clause<'t>) -> Option<(usize, By)> {
        let own = self.index.covering(clause);
        let own = own.and_then(|number| self.clauses.get(number));
        let delegated = self.delegations.all_covering(clause).into_iter();
        let shared = delegated
            .filter_map(|number| self.delegated.get(number))
            .filter(|found| own.is_none_or(|(own, ..)| found.position < *own))
            .filter_map(|found| {
                let Delegation {
                    names,
                    matcher,
                    shared,
                    ..
                } = found.delegation;
                let (_, mut by) = found.list.covering(&clause.below(&found.clause)?)?;
                by.move_below(names, matcher);
                by.shared.push(Arc::as_ptr(shared));
                Some((found.position, by))
            })
            .min_by_key(|(position, _)| *position);
        shared.or_else(|| {
            own.map(|&(position, route, matcher)| {
                let by = By {
                    span: route.span,
                    name: route.name.to_string(),
                    matcher: matcher.clone(),
                    shared: Vec::new(),
                };
                (position, by)
            })
        })
    }

    /// Whether clauses of this list may cover routes that a delegating route leads to.
    pub(super) fn contact(&self, delegating: &Clause<'t>, routes: &List<'t>) -> Contact {
        let prefix = delegating.literal();
        let may_follow = |conditions: &Vec<Condition<'t>>| {
            conditions.iter().all(|condition| {
                delegating.implies(condition) || routes.conditions.contains(condition)
            })
        };
        let mut wide = (0..prefix.len())
            .filter_map(|len| self.wide.get(prefix.get(..len)?))
            .flatten();
        let is_close = wide.by_ref().take(COMPARED).any(may_follow) || wide.next().is_some();
        let inside = |text: &Vec<u8>| {
            text.get(prefix.len()..)
                .is_some_and(|rest| routes.may_begin_with(rest))
        };
        let is_close = is_close || below(&self.starts, &prefix).any(inside);
        let wider = (0..prefix.len()).filter_map(|len| {
            let numbers = self.prefixes.get(prefix.get(..len)?)?;
            Some((numbers, format!("-{:?}", prefix.get(len..))))
        });
        let narrower = self
            .prefixes
            .range(prefix.clone()..)
            .take_while(|(longer, _)| longer.starts_with(&prefix))
            .map(|(longer, numbers)| (numbers, format!("+{:?}", longer.get(prefix.len()..))));
        let mut shared = Vec::new();
        for (numbers, relation) in wider.chain(narrower) {
            for number in numbers {
                if let Some(found) = self.delegated.get(*number) {
                    let relation = format!("{relation}{:?}", found.clause.conditions());
                    shared.push((Arc::as_ptr(&found.delegation.shared), relation));
                }
            }
        }
        Contact { is_close, shared }
    }

    fn may_begin_with(&self, text: &[u8]) -> bool {
        below(&self.starts, text).next().is_some()
            || self
                .prefixes
                .range(text.to_vec()..)
                .next()
                .is_some_and(|(p, _)| p.starts_with(text))
            || (0..=text.len()).any(|len| {
                text.get(..len)
                    .is_some_and(|t| self.prefixes.contains_key(t))
            })
    }
}

/// Texts that begin with a prefix.
fn below<'s>(texts: &'s BTreeSet<Vec<u8>>, prefix: &'s [u8]) -> impl Iterator<Item = &'s Vec<u8>> {
    texts
        .range(prefix.to_vec()..)
        .take_while(move |text| text.starts_with(prefix))
}
