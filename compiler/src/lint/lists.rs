//! What is known of a list of routes, so that later routes can be compared with it.
//!
//! Shared routes are read once, however many lists refer to them. Looking for a clause that covers another one follows
//! those references that the path of the other one leads to.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::source::Span;
use crate::tree::{Action, Delegation, Matcher, Route, SharedRoutes};

use super::coverage::{Clause, Condition, Index};

/// A list, or what has been added of it.
#[derive(Default)]
pub(super) struct List<'t> {
    index: Index<'t>,
    /// Position, route and matcher of each clause in the index.
    clauses: Vec<(usize, &'t Route, &'t Matcher)>,
    delegations: Index<'t>,
    /// Position, delegating route and its routes, for each clause of the other index.
    delegated: Vec<(usize, &'t Delegation, Rc<List<'t>>)>,
    /// Prefixes of the delegating routes, in lower case.
    prefixes: BTreeMap<Vec<u8>, Vec<usize>>,
    /// What the paths of the clauses begin with, in lower case.
    starts: BTreeSet<Vec<u8>>,
    /// Conditions of clauses, and what follows from them.
    conditions: HashSet<Condition<'t>>,
    /// Number of entries.
    pub(super) len: usize,
    /// Number of clauses, those of shared routes included.
    pub(super) size: usize,
    /// Whether some route redirects.
    pub(super) has_redirects: bool,
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
    pub(super) fn add_clause(
        &mut self,
        clause: Clause<'t>,
        route: &'t Route,
        matcher: &'t Matcher,
        keeps_starts: bool,
    ) {
        if keeps_starts {
            self.starts.insert(clause.start());
        }
        self.size += 1;
        self.has_redirects |= matches!(route.action, Action::Redirect(_));
        self.index.add(clause);
        self.clauses.push((self.len, route, matcher));
    }

    pub(super) fn add_delegation(
        &mut self,
        clause: Clause<'t>,
        delegation: &'t Delegation,
        list: Rc<List<'t>>,
    ) {
        self.size += list.size;
        self.has_redirects |= list.has_redirects;
        let prefix = clause.literal();
        let number = self.delegations.add(clause);
        self.prefixes.entry(prefix).or_default().push(number);
        self.delegated.push((self.len, delegation, list));
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
        let shared = self
            .delegations
            .all_covering(clause)
            .into_iter()
            .filter(|&number| {
                let position = self.delegated.get(number).map(|(position, ..)| *position);
                own.is_none_or(|(own, ..)| position.is_some_and(|position| position < *own))
            })
            .filter_map(|number| {
                let (position, delegation, list) = self.delegated.get(number)?;
                let below = clause.below(self.delegations.clause(number)?)?;
                let (_, mut by) = list.covering(&below)?;
                by.move_below(&delegation.names, &delegation.matcher);
                by.shared.push(Arc::as_ptr(&delegation.shared));
                Some((*position, by))
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
        let narrower = |number: &usize| {
            let wider = self.index.clause(*number);
            wider.is_some_and(|wider| {
                wider.conditions().iter().all(|condition| {
                    delegating.implies(condition) || routes.conditions.contains(condition)
                })
            })
        };
        let inside = |text: &Vec<u8>| {
            text.get(prefix.len()..)
                .is_some_and(|rest| routes.may_begin_with(rest))
        };
        let is_close = self.index.prefixes_of(&prefix).iter().any(narrower)
            || below(&self.starts, &prefix).any(inside);
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
                if let Some((_, delegation, _)) = self.delegated.get(*number) {
                    let conditions = self.delegations.clause(*number).map(Clause::conditions);
                    let relation = format!("{relation}{conditions:?}");
                    shared.push((Arc::as_ptr(&delegation.shared), relation));
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
