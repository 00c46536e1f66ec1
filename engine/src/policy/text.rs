//! Conditions on texts.

use serde::{Deserialize, Serialize};

use crate::program::Program;

/// A condition on a text, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TextMatch {
    /// How it is compared, and with what.
    pub kind: TextKind,
    /// Compare ASCII letters without case. Not for automata, which have it built in.
    pub ignore_case: bool,
}

/// How a text is compared, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TextKind {
    /// It is this.
    Exact(String),
    /// It begins with this.
    Prefix(String),
    /// It ends with this.
    Suffix(String),
    /// An automaton of the program accepts it.
    Automaton(u32),
}

impl TextMatch {
    /// Whether it holds for a text.
    pub(crate) fn matches(&self, text: &[u8], program: &Program) -> bool {
        let same = |part: Option<&[u8]>, wanted: &str| {
            part.is_some_and(|part| match self.ignore_case {
                true => part.eq_ignore_ascii_case(wanted.as_bytes()),
                false => part == wanted.as_bytes(),
            })
        };
        match &self.kind {
            TextKind::Exact(wanted) => same(Some(text), wanted),
            TextKind::Prefix(wanted) => same(text.get(..wanted.len()), wanted),
            TextKind::Suffix(wanted) => {
                let start = text.len().checked_sub(wanted.len());
                same(start.and_then(|start| text.get(start..)), wanted)
            }
            TextKind::Automaton(id) => program
                .automaton(*id)
                .is_some_and(|automaton| automaton.accepts(text)),
        }
    }
}
