//! The answer to a request.

use std::fmt;

use crate::format::{Section, size, u32_at};
use crate::program::Program;
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
    name: u32,
}

impl<'p> Match<'p> {
    pub(crate) fn new(program: &'p Program, clause: u32) -> Option<Self> {
        let clauses = program.section(Section::Clauses);
        let at = clause as usize * size::CLAUSE;
        let action = program.head().actions.get(u32_at(clauses, at) as usize)?;
        Some(Self {
            program,
            action,
            name: u32_at(clauses, at + 4),
        })
    }

    /// The route's action.
    pub fn action(&self) -> &'p Action {
        self.action
    }

    /// The route's header operations.
    pub fn headers(&self) -> Option<&'p HeaderOperations> {
        self.program.header_operations(self.action.headers)
    }

    /// Appends the full name of the route, for example `shop.www/api/team-a.orders/list`.
    pub fn append_name(&self, out: &mut Vec<u8>) {
        self.program.append_name(self.name, out);
    }

    /// The leaf route's own name, if it has one.
    pub fn route_name(&self) -> Option<&'p str> {
        self.program
            .leaf_name(self.name)
            .and_then(|name| str::from_utf8(name).ok())
    }

    /// Namespace and name of the virtual host; of the gateway for an inline one. `None` for answers that belong to
    /// no virtual host, such as a gateway-wide redirect to https.
    pub fn virtual_host(&self) -> Option<(&'p str, &'p str)> {
        let name = self.program.root_name(self.name)?;
        str::from_utf8(name).ok()?.split_once('.')
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
