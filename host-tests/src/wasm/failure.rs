//! What can be wrong with a module, a configuration or a run.

use std::fmt;

use super::state::LogLine;

/// Why a module cannot be used as a filter.
#[derive(Debug)]
pub struct LoadError(pub(super) String);

/// The guest trapped, or used up its fuel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap(pub(super) String);

/// A configuration was not accepted.
#[derive(Debug)]
pub struct Refused {
    /// The trap, if the guest trapped rather than saying no.
    pub trap: Option<Trap>,
    /// What the guest logged while it looked at the configuration.
    pub logs: Vec<LogLine>,
}

impl LoadError {
    pub(super) fn because(error: wasmtime::Error) -> LoadError {
        LoadError(format!("{error:#}"))
    }
}

impl Trap {
    pub(super) fn because(error: &wasmtime::Error) -> Trap {
        Trap(format!("{error:#}"))
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the module cannot be loaded: {}", self.0)
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest trapped: {}", self.0)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trap {
            Some(trap) => write!(f, "the configuration was refused: {trap}")?,
            None => write!(f, "the configuration was refused")?,
        }
        self.logs
            .iter()
            .try_for_each(|line| write!(f, "\n{:?}: {}", line.level, line.message))
    }
}

impl std::error::Error for LoadError {}
impl std::error::Error for Trap {}
impl std::error::Error for Refused {}
