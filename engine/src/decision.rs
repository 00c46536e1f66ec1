//! The answer to a request.

use std::borrow::Cow;
use std::fmt;

use crate::parameters;
use crate::program::{Does, Program};
use crate::search::Chain;
use crate::tables::{Action, HeaderOperations};

/// What to do with a request.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'p> {
    /// No virtual host, or none of its routes, matches.
    NotFound,
    /// A route matches.
    Route(Match<'p>),
}

/// The clause that won.
#[derive(Clone, Copy)]
pub struct Match<'p> {
    program: &'p Program,
    action: &'p Action,
    /// The calls that led to it, then the clause itself.
    chain: Chain,
    len: u32,
    /// Bytes of the path that the calls have put aside.
    base: u32,
    /// The path was matched without its parameters.
    ignores_parameters: bool,
}

impl<'p> Match<'p> {
    pub(crate) fn new(
        program: &'p Program,
        chain: Chain,
        ignores_parameters: bool,
    ) -> Option<Self> {
        let (mut len, mut base) = (0, 0_u32);
        let action = chain.iter().find_map(|&clause| {
            len += 1;
            match program.clause(clause) {
                Does::Action(action) => Some(action),
                Does::Call(call) => {
                    base = base.saturating_add(call.base);
                    None
                }
            }
        })?;
        Some(Self {
            program,
            action: program.head().actions.get(action as usize)?,
            chain,
            len,
            base,
            ignores_parameters,
        })
    }

    fn clauses(&self) -> &[u32] {
        self.chain.get(..self.len as usize).unwrap_or_default()
    }

    /// The route's action.
    pub fn action(&self) -> &'p Action {
        self.action
    }

    /// The route's header operations.
    pub fn headers(&self) -> Option<&'p HeaderOperations> {
        self.program.header_operations(self.action.headers)
    }

    /// Appends the full name of the route, for example `shop.www/api/team-a.orders/list`. Returns the number of its virtual
    /// host's name (see [`Program::root_name`]); `None` for answers that belong to no virtual host.
    pub fn append_name(&self, out: &mut Vec<u8>) -> Option<u32> {
        let start = out.len();
        let mut host = None;
        for &clause in self.clauses() {
            if out.len() > start {
                out.push(b'/');
            }
            let root = self.program.append_clause_name(clause, out);
            host = host.or(root);
        }
        host
    }

    /// The leaf route's own name, if it has one.
    pub fn route_name(&self) -> Option<String> {
        let mut name = Vec::new();
        let has_name = self
            .program
            .append_leaf_name(*self.clauses().last()?, &mut name);
        has_name.then(|| String::from_utf8_lossy(&name).into_owned())
    }

    /// The virtual host as `namespace.name`; the gateway for an inline one. `None` for answers that belong to no virtual
    /// host, such as a gateway-wide redirect to https.
    pub fn virtual_host(&self) -> Option<String> {
        let mut name = Vec::new();
        let has_name = self
            .program
            .append_root_name(*self.clauses().first()?, &mut name);
        has_name.then(|| String::from_utf8_lossy(&name).into_owned())
    }

    /// Bytes of the path before what a rewrite of a prefix counts from.
    pub(crate) fn base(&self) -> usize {
        self.base as usize
    }

    /// A path, with or without query, as it was matched.
    pub(crate) fn matched<'r>(&self, path: &'r [u8]) -> Cow<'r, [u8]> {
        match self.ignores_parameters {
            true => parameters::without(path),
            false => Cow::Borrowed(path),
        }
    }

    /// How many bytes of a path, as it was sent, hold the first `len` bytes of it as it was matched.
    pub(crate) fn sent_len(&self, path: &[u8], len: usize) -> usize {
        match self.ignores_parameters {
            true => parameters::len_with(path, len),
            false => len,
        }
    }

    pub(crate) fn program(&self) -> &'p Program {
        self.program
    }
}

impl fmt::Debug for Match<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = Vec::new();
        self.append_name(&mut name);
        f.debug_struct("Match")
            .field("name", &String::from_utf8_lossy(&name))
            .field("action", self.action)
            .finish()
    }
}
