//! A route list: every route is tested in turn.

use std::rc::Rc;

use regex_automata::dfa::{Automaton, dense};
use regex_automata::{Anchored, Input};

use crate::requests::OwnedRequest;
use crate::table::{Path, Table, Value};

/// A list of routes, with what is common to them taken out of the loop.
pub(crate) struct Linear {
    routes: Vec<Route>,
    /// The headers that routes ask for. They are looked up once for a request.
    names: Vec<&'static str>,
}

struct Route {
    path: Path,
    /// In the order of [`Linear::names`].
    headers: Vec<Condition>,
}

enum Condition {
    Is(Vec<u8>),
    Matches { literal: Vec<u8>, tail: Rc<Tail> },
}

type Tail = dense::DFA<Vec<u32>>;

/// No table asks for more headers than this.
const MOST_HEADERS: usize = 2;

impl Linear {
    pub(crate) fn new(table: Table, n: usize) -> Self {
        // Routes that have the same tail share its automaton.
        let mut tails: Vec<(&str, Rc<Tail>)> = Vec::new();
        let mut condition = |value| match value {
            Value::Exact(text) => Condition::Is(text.into_bytes()),
            Value::Regex { literal, tail } => {
                let known = tails.iter().position(|(pattern, _)| *pattern == tail);
                let at = known.unwrap_or_else(|| {
                    let automaton = dense::DFA::new(&format!("(?:{tail})$"))
                        .expect("the patterns of the tables are small");
                    tails.push((tail, Rc::new(automaton)));
                    tails.len() - 1
                });
                Condition::Matches {
                    literal: literal.into_bytes(),
                    tail: tails[at].1.clone(),
                }
            }
        };
        let first = table.route(0).headers;
        Self {
            names: first.iter().map(|(name, _)| *name).collect(),
            routes: (0..n)
                .map(|i| {
                    let shape = table.route(i);
                    Route {
                        path: shape.path,
                        headers: shape
                            .headers
                            .into_iter()
                            .map(|(_, value)| condition(value))
                            .collect(),
                    }
                })
                .collect(),
        }
    }

    pub(crate) fn find(&self, request: &OwnedRequest) -> Option<usize> {
        let mut values = [None; MOST_HEADERS];
        for (value, name) in values.iter_mut().zip(&self.names) {
            *value = request.header(name);
        }
        self.routes.iter().position(|route| {
            takes_path(&route.path, &request.path)
                && route
                    .headers
                    .iter()
                    .zip(&values)
                    .all(|(condition, value)| value.is_some_and(|value| condition.holds(value)))
        })
    }
}

impl Condition {
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Condition::Is(text) => text == value,
            Condition::Matches { literal, tail } => {
                let Some(rest) = value.strip_prefix(literal.as_slice()) else {
                    return false;
                };
                let input = Input::new(rest).anchored(Anchored::Yes);
                matches!(tail.try_search_fwd(&input), Ok(Some(_)))
            }
        }
    }
}

fn takes_path(condition: &Path, path: &str) -> bool {
    match condition {
        Path::Exact(text) => text == path,
        Path::Prefix(text) => path.starts_with(text),
        Path::Parameter {
            base,
            before,
            after,
        } => {
            let rest = path
                .strip_prefix(base.as_str())
                .and_then(|rest| rest.strip_prefix(before));
            let segment = rest.and_then(|rest| rest.strip_suffix(after));
            segment.is_some_and(|segment| !segment.is_empty() && !segment.contains('/'))
        }
    }
}
