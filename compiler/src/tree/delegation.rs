//! Routes that several places delegate to, stored once.
//!
//! [`SharedRoutes`] say what they say below a delegating route: their paths are what follows its prefix, their names
//! what follows its name, and its other conditions are not repeated in them. A [`Delegation`] puts them in a place.
//! [`Delegation::written_out`] is the meaning of one: the same routes as if they stood there.

use std::sync::Arc;

use super::{LiteralPart, Matcher, Options, PathMatch, Route};
use crate::rare::{Empty as _, Rare};

/// An element of a list of routes.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A route.
    Route(Arc<Route>),
    /// A delegating route, instead of the routes it delegates to.
    Delegation(Box<Delegation>),
}

/// A delegating route, and the routes it shares with others. If none of them matches, the search goes on after it.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// Names from the virtual host (or from the first table of the shared routes around it) to the delegating route.
    pub names: Vec<String>,
    /// What holds for all the routes. The path is a prefix, without the slash at its end; what follows it is left to
    /// the routes. There is no method.
    pub matcher: Matcher,
    /// The delegating route as written.
    pub route: crate::source::Span,
    /// Options that it passes down, with the places where they are written. The routes have inherited them already.
    pub options: Rare<Options>,
    /// What it delegates to.
    pub shared: Arc<SharedRoutes>,
}

/// Routes that several delegating routes share.
#[derive(Debug)]
pub struct SharedRoutes {
    /// Routes in first-match order. Paths are matched against what follows the prefix of the delegating route, names
    /// begin with the table.
    pub entries: Vec<Entry>,
    /// Options that one of the delegating routes passes down. All pass down the same, but may have it from other places.
    pub options: Rare<Options>,
}

impl Delegation {
    /// Number of bytes of the path that are not left to the routes.
    pub fn base(&self) -> usize {
        self.matcher.path.literal_len()
    }

    /// The routes as if they stood in this place. What they delegate to remains shared.
    pub fn written_out(&self) -> Vec<Entry> {
        let above = Above {
            names: &self.names,
            matcher: &self.matcher,
            options: [&self.shared.options, &self.options],
        };
        below(above, self.shared.entries.clone())
    }

    /// A route below, with its options from the places that they have here.
    pub(crate) fn with_options(&self, mut route: Arc<Route>) -> Arc<Route> {
        inherit_here(&mut route, [&self.shared.options, &self.options]);
        route
    }
}

/// A delegating route, as the routes below it need it.
#[derive(Clone, Copy)]
pub(crate) struct Above<'a> {
    pub(crate) names: &'a [String],
    pub(crate) matcher: &'a Matcher,
    /// Options as the routes have inherited them, and the same as they are passed down here.
    pub(crate) options: [&'a Options; 2],
}

/// Puts shared routes below a delegating route. Routes that nobody else has are changed where they lie.
pub(crate) fn below(parent: Above<'_>, mut entries: Vec<Entry>) -> Vec<Entry> {
    let Above {
        names,
        matcher: parent,
        options,
    } = parent;
    // Names above the last route, before and after.
    let mut above: Option<[Arc<[String]>; 2]> = None;
    for entry in &mut entries {
        match entry {
            Entry::Route(route) => {
                inherit_here(route, options);
                let route = Arc::make_mut(route);
                let [_, whole] = match above.take() {
                    Some(known) if Arc::ptr_eq(&known[0], &route.name.above) => above.insert(known),
                    _ => {
                        let own = route.name.above.clone();
                        let whole = names.iter().chain(own.iter()).cloned().collect();
                        above.insert([own, whole])
                    }
                };
                route.name.above = Arc::clone(whole);
                for matcher in &mut route.matchers {
                    matcher.move_below(parent);
                }
            }
            Entry::Delegation(delegation) => {
                delegation.names.splice(0..0, names.iter().cloned());
                delegation.matcher.move_below(parent);
                if let Some(options) = moved(&delegation.options, options) {
                    delegation.options = options;
                }
            }
        }
    }
    entries
}

fn inherit_here(route: &mut Arc<Route>, options: [&Options; 2]) {
    if let Some(options) = moved(&route.options, options) {
        Arc::make_mut(route).options = options;
    }
}

/// Options of which those that were inherited as `from` are inherited as `to`. `None` if that changes nothing.
fn moved(own: &Options, [from, to]: [&Options; 2]) -> Option<Rare<Options>> {
    if own.is_empty() {
        return None;
    }
    let mut options = own.clone();
    let changes = options.inherit_instead(from, to);
    changes.then(|| options.into())
}

/// All routes of a list, with everything that is shared written out.
pub fn written_out(entries: &[Entry]) -> Vec<Arc<Route>> {
    let mut routes = Vec::with_capacity(entries.len());
    for entry in entries {
        match entry {
            Entry::Route(route) => routes.push(route.clone()),
            Entry::Delegation(delegation) => {
                routes.extend(written_out(&delegation.written_out()));
            }
        }
    }
    routes
}

impl Matcher {
    /// Adds the conditions of a delegating route, whose path this one continues. Their methods do not contradict each
    /// other.
    pub(crate) fn move_below(&mut self, parent: &Self) {
        self.path.move_below(&parent.path.literal);
        self.add_conditions(parent);
    }

    /// Adds the conditions of a delegating route other than its path: its own come first, and none comes twice.
    pub(crate) fn add_conditions(&mut self, parent: &Self) {
        let mut headers = parent.headers.clone();
        for header in self.headers.drain(..) {
            if !headers.iter().any(|known| known.same(&header)) {
                headers.push(header);
            }
        }
        self.headers = headers;
        let mut query = parent.query.clone();
        for parameter in self.query.drain(..) {
            if !query.iter().any(|known| known.same(&parameter)) {
                query.push(parameter);
            }
        }
        self.query = query;
        if self.method.is_none() {
            self.method.clone_from(&parent.method);
        }
    }
}

impl PathMatch {
    fn move_below(&mut self, prefix: &[LiteralPart]) {
        let mut literal = prefix.to_vec();
        let mut own = std::mem::take(&mut self.literal).into_iter();
        if let Some(first) = own.next() {
            match literal.last_mut() {
                Some(last) if last.ignore_case == first.ignore_case => {
                    last.text.push_str(&first.text);
                }
                _ => literal.push(first),
            }
        }
        literal.extend(own);
        self.literal = literal;
    }
}
