//! Other ways to find a route, built from the same tables: each is asked only for tables it can express, and its answers
//! are checked before it is measured.

use hashbrown::HashMap;
use regex_automata::dfa::{Automaton, StartKind, dense, sparse};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use crate::linear::Linear;
use crate::requests::OwnedRequest;
use crate::table::{Path, Table, Value};

/// A way to find a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// One route after the other, as tightly as Rust can: the best case of a proxy's route list.
    Linear,
    /// hashbrown with its default hasher.
    HashMap,
    /// matchit, the router of axum.
    Matchit,
    /// wayfind.
    Wayfind,
    /// path-tree.
    PathTree,
    /// regex-automata: one sparse DFA of all patterns.
    RegexAutomata,
}

impl PeerKind {
    /// Every peer.
    pub const ALL: [PeerKind; 6] = [
        PeerKind::Linear,
        PeerKind::HashMap,
        PeerKind::Matchit,
        PeerKind::Wayfind,
        PeerKind::PathTree,
        PeerKind::RegexAutomata,
    ];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            PeerKind::Linear => "linear scan",
            PeerKind::HashMap => "hashbrown",
            PeerKind::Matchit => "matchit",
            PeerKind::Wayfind => "wayfind",
            PeerKind::PathTree => "path-tree",
            PeerKind::RegexAutomata => "regex-automata",
        }
    }

    /// Whether it can express a table.
    pub fn can(self, table: Table) -> bool {
        match self {
            PeerKind::Linear => true,
            PeerKind::HashMap => matches!(table, Table::Exact | Table::OneHeader),
            PeerKind::Matchit | PeerKind::Wayfind | PeerKind::PathTree => table.is_by_path(),
            PeerKind::RegexAutomata => table.is_by_path() || table == Table::HeaderRegex,
        }
    }

    /// The largest table worth the wait.
    pub fn largest(self) -> usize {
        match self {
            PeerKind::Linear | PeerKind::RegexAutomata => 10_000,
            PeerKind::PathTree => 100_000,
            PeerKind::HashMap | PeerKind::Matchit | PeerKind::Wayfind => 1_000_000,
        }
    }
}

/// A peer with the routes of a table.
#[derive(Debug)]
pub struct Peer(Router);

#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and an indirection would be measured with it"
)]
enum Router {
    Linear(Linear),
    ByPath(HashMap<String, u32>),
    ByHeader(&'static str, HashMap<Vec<u8>, u32>),
    Matchit(matchit::Router<u32>),
    Wayfind(wayfind::Router<u32>),
    PathTree(path_tree::PathTree<u32>),
    Regex(Option<&'static str>, sparse::DFA<Vec<u8>>),
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Router::Linear(_) => "Linear",
            Router::ByPath(_) => "ByPath",
            Router::ByHeader(..) => "ByHeader",
            Router::Matchit(_) => "Matchit",
            Router::Wayfind(_) => "Wayfind",
            Router::PathTree(_) => "PathTree",
            Router::Regex(..) => "Regex",
        })
    }
}

impl Peer {
    /// Builds a peer for a table of `n` routes; `None` if it cannot express the table.
    ///
    /// # Panics
    /// When the peer refuses a route: a mistake in this file.
    pub fn new(kind: PeerKind, table: Table, n: usize) -> Option<Self> {
        if !kind.can(table) {
            return None;
        }
        let patterns =
            |syntax: Syntax| (0..n).map(move |i| (i as u32, syntax.pattern(table.route(i).path)));
        let router = match kind {
            PeerKind::Linear => Router::Linear(Linear::new(table, n)),
            PeerKind::HashMap if table == Table::OneHeader => {
                let (name, _) = table.route(0).headers.first()?.clone();
                let values = (0..n).filter_map(|i| match table.route(i).headers.pop()?.1 {
                    Value::Exact(value) => Some((value.into_bytes(), i as u32)),
                    Value::Regex { .. } => None,
                });
                Router::ByHeader(name, values.collect())
            }
            PeerKind::HashMap => {
                let paths = (0..n).filter_map(|i| match table.route(i).path {
                    Path::Exact(path) => Some((path, i as u32)),
                    _ => None,
                });
                Router::ByPath(paths.collect())
            }
            PeerKind::Matchit => {
                let mut router = matchit::Router::new();
                for (i, pattern) in patterns(MATCHIT) {
                    router.insert(pattern, i).expect("patterns do not conflict");
                }
                Router::Matchit(router)
            }
            PeerKind::Wayfind => {
                let mut builder = wayfind::RouterBuilder::new();
                for (i, pattern) in patterns(WAYFIND) {
                    builder
                        .insert(&pattern, i)
                        .expect("patterns do not conflict");
                }
                Router::Wayfind(builder.build())
            }
            PeerKind::PathTree => {
                let mut tree = path_tree::PathTree::new();
                for (i, pattern) in patterns(PATH_TREE) {
                    let _ = tree.insert(&pattern, i);
                }
                Router::PathTree(tree)
            }
            PeerKind::RegexAutomata => regex(table, n),
        };
        Some(Self(router))
    }

    /// The number of the route that takes a request.
    #[inline]
    pub fn find(&self, request: &OwnedRequest) -> Option<usize> {
        let path = request.path.as_str();
        let found = match &self.0 {
            Router::Linear(routes) => return routes.find(request),
            Router::ByPath(map) => map.get(path).copied(),
            Router::ByHeader(name, map) => map.get(request.header(name)?).copied(),
            Router::Matchit(router) => router.at(path).ok().map(|found| *found.value),
            Router::Wayfind(router) => router.search(path).map(|found| *found.data()),
            Router::PathTree(tree) => tree.find(path).map(|(value, _)| *value),
            Router::Regex(header, dfa) => {
                let text = match header {
                    Some(name) => request.header(name)?,
                    None => path.as_bytes(),
                };
                let input = Input::new(text).anchored(Anchored::Yes);
                let found = dfa.try_search_fwd(&input).ok()??;
                Some(found.pattern().as_u32())
            }
        };
        found.map(|n| n as usize)
    }
}

/// How a router writes a parameter and the rest of a path.
#[derive(Clone, Copy)]
struct Syntax {
    parameter: &'static str,
    rest: &'static str,
}

const MATCHIT: Syntax = Syntax {
    parameter: "{id}",
    rest: "{*rest}",
};
const WAYFIND: Syntax = Syntax {
    parameter: "<id>",
    rest: "<*rest>",
};
const PATH_TREE: Syntax = Syntax {
    parameter: ":id",
    rest: ":rest+",
};
const REGEX: Syntax = Syntax {
    parameter: "[^/]+",
    rest: "",
};

impl Syntax {
    fn pattern(self, path: Path) -> String {
        match path {
            Path::Exact(text) => text,
            Path::Prefix(text) => text + self.rest,
            Path::Parameter {
                base,
                before,
                after,
            } => base + before + self.parameter + after,
        }
    }
}

fn regex(table: Table, n: usize) -> Router {
    let header = table.route(0).headers.first().map(|(name, _)| *name);
    let patterns: Vec<String> = (0..n)
        .map(|i| {
            let mut route = table.route(i);
            match (route.headers.pop(), route.path) {
                (Some((_, Value::Exact(text))), _) => text + "$",
                (Some((_, Value::Regex { literal, tail })), _) => literal + tail + "$",
                (None, prefix @ Path::Prefix(_)) => REGEX.pattern(prefix),
                (None, path) => REGEX.pattern(path) + "$",
            }
        })
        .collect();
    let dfa = dense::Builder::new()
        .configure(dense::Config::new().start_kind(StartKind::Anchored))
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build_many(&patterns)
        .expect("the patterns share their beginnings and stay small");
    let dfa = dfa.to_sparse().expect("a sparse automaton is smaller");
    Router::Regex(header, dfa)
}
