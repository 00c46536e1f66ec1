//! Where a route stands: what comes before it in its virtual host, and in the shared routes it belongs to.

use std::rc::Rc;

use crate::tree::{Above, Delegation, Entry, Matcher, Options, below};

use super::coverage::Clause;
use super::lists::{By, Contact, List};

/// The entries before a route.
#[derive(Clone, Copy)]
pub(super) struct Context<'c, 't> {
    /// Those of the virtual host.
    pub(super) list: &'c List<'t>,
    /// Shared routes around the route, outermost first.
    pub(super) frames: &'c [Frame<'t>],
    /// Those matchers of the route that come before the one that is looked at.
    pub(super) own: Option<&'c List<'t>>,
}

/// Shared routes around a route.
#[derive(Clone)]
pub(super) struct Frame<'t> {
    /// The delegating route, as it looks from the list it stands in.
    pub(super) parent: Clause<'t>,
    pub(super) list: Rc<List<'t>>,
    /// Position of the route, or of what it is in, in the list.
    pub(super) position: usize,
    /// Names and conditions of all delegating routes on the way here.
    pub(super) names: Vec<String>,
    pub(super) matcher: Matcher,
}

impl<'t> Context<'_, 't> {
    /// The earliest clause before the route that covers this one.
    pub(super) fn earlier(&self, clause: &Clause<'t>) -> Option<By> {
        let own = || Some(self.own?.covering(clause)?.1);
        self.before(clause).or_else(own)
    }

    fn before(&self, clause: &Clause<'t>) -> Option<By> {
        if let Some((_, by)) = self.list.covering(clause) {
            return Some(by);
        }
        let mut clause = clause.clone();
        for frame in self.frames {
            clause = clause.below(&frame.parent)?;
            let found = frame.list.covering(&clause);
            if let Some((_, mut by)) = found.filter(|(position, _)| *position < frame.position) {
                by.move_below(&frame.names, &frame.matcher);
                return Some(by);
            }
        }
        None
    }

    /// What the lists around a delegating route do to it.
    pub(super) fn contacts(&self, clause: &Clause<'t>, routes: &List<'t>) -> Vec<Contact> {
        let mut contacts = vec![self.list.contact(clause, routes)];
        let mut clause = clause.clone();
        for frame in self.frames {
            let Some(below) = clause.below(&frame.parent) else {
                break;
            };
            contacts.push(frame.list.contact(&below, routes));
            clause = below;
        }
        contacts
    }

    /// Whether there is one.
    pub(super) fn covers(&self, clause: &Clause<'t>) -> bool {
        self.earlier(clause).is_some()
    }

    /// A shared route as if it stood in the virtual host.
    pub(super) fn written_out(&self, entry: &Entry) -> Option<Entry> {
        let frame = self.frames.last()?;
        let above = Above {
            names: &frame.names,
            matcher: &frame.matcher,
            // No finding is about an option.
            options: [&Options::NONE; 2],
        };
        below(above, vec![entry.clone()]).pop()
    }
}

/// Names and conditions of a delegating route, with all those around it.
pub(super) fn whole(delegation: &Delegation, around: Option<&Frame<'_>>) -> (Vec<String>, Matcher) {
    let mut names = delegation.names.clone();
    let mut matcher = delegation.matcher.clone();
    if let Some(frame) = around {
        names.splice(0..0, frame.names.iter().cloned());
        matcher.move_below(&frame.matcher);
    }
    (names, matcher)
}
