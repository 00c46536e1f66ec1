//! Regular expressions: RE2 syntax and meaning, compiled to automata.
//!
//! Users of Envoy and Istio write RE2, so that is what patterns mean here: the whole value has to match; `.` is any
//! character but a line break; `\d`, `\w`, `\s`, `\b` are ASCII; look-around and back-references do not exist.
//! Patterns are translated for, and parsed by, the `regex-syntax` crate; `regex-automata` makes them deterministic.

mod automaton;
mod chain;
mod patterns;
mod syntax;

use std::fmt;

use regex_automata::nfa::thompson::{self, pikevm::PikeVM};
use regex_automata::util::syntax as automata_syntax;
use regex_syntax::hir::{Hir, HirKind, Look};

pub use automaton::{Budget, compile};
pub(crate) use chain::after;
pub(crate) use patterns::{Pattern, Patterns};

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexError {
    /// One line, lower-case.
    pub message: String,
    /// Byte offset in the pattern.
    pub offset: usize,
    /// The pattern is RE2, but costs too much.
    pub is_budget: bool,
}

impl RegexError {
    pub(crate) fn too_complex() -> Self {
        let message =
            "regular expression is too complex: its automaton would be too large".to_owned();
        Self {
            message,
            offset: 0,
            is_budget: true,
        }
    }
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RegexError {}

/// A pattern that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regex {
    hir: Hir,
}

impl Regex {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is not RE2.
    pub fn parse(pattern: &str) -> Result<Self, RegexError> {
        syntax::parse(pattern).map(|hir| Self { hir })
    }

    pub(crate) fn from_hir(hir: Hir) -> Self {
        Self { hir }
    }

    pub(crate) fn hir(&self) -> &Hir {
        &self.hir
    }

    /// Splits off the literal text that every match begins with. The rest is to match what follows it.
    ///
    /// A pattern whose assertions could look back across the cut is left whole.
    pub fn split_literal(&self) -> (Vec<u8>, Regex) {
        let mut parts = Vec::new();
        flatten(&self.hir, &mut parts);
        let start = parts
            .iter()
            .take_while(|part| is_look(part, Look::Start))
            .count();
        let end = parts
            .iter()
            .rev()
            .take_while(|part| is_look(part, Look::End))
            .count();
        let inner = parts
            .get(start..parts.len().saturating_sub(end))
            .unwrap_or_default();
        if inner
            .iter()
            .any(|part| !part.properties().look_set().is_empty())
        {
            return (Vec::new(), self.clone());
        }
        let mut literal = Vec::new();
        let mut rest = inner;
        while let [first, others @ ..] = rest
            && let HirKind::Literal(text) = first.kind()
        {
            literal.extend_from_slice(&text.0);
            rest = others;
        }
        (
            literal,
            Self {
                hir: Hir::concat(rest.to_vec()),
            },
        )
    }

    /// Whether the only match is the empty text.
    pub fn is_empty(&self) -> bool {
        matches!(self.hir.kind(), HirKind::Empty)
    }

    /// A machine that runs the pattern step by step and tells what its groups have matched, for the oracle.
    ///
    /// # Errors
    /// When the pattern is too large to run.
    pub(crate) fn capturing(&self) -> Result<PikeVM, RegexError> {
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(1 << 24)),
            )
            .build_from_hir(&self.hir)
            .map_err(|_| RegexError::too_complex())?;
        PikeVM::builder()
            .syntax(automata_syntax::Config::new().utf8(false))
            .build_from_nfa(nfa)
            .map_err(|_| RegexError::too_complex())
    }

    /// A matcher that runs the pattern step by step, for the oracle.
    ///
    /// # Errors
    /// When the pattern is too large to run.
    pub fn matcher(&self) -> Result<Matcher, RegexError> {
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(1 << 24)),
            )
            .build_from_hir(&Hir::concat(vec![
                Hir::look(Look::Start),
                self.hir.clone(),
                Hir::look(Look::End),
            ]))
            .map_err(|_| RegexError::too_complex())?;
        PikeVM::builder()
            .syntax(automata_syntax::Config::new().utf8(false))
            .build_from_nfa(nfa)
            .map(Matcher)
            .map_err(|_| RegexError::too_complex())
    }
}

/// Runs a pattern step by step.
#[derive(Debug)]
pub struct Matcher(PikeVM);

impl Matcher {
    /// Whether the whole text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(&mut self.0.create_cache(), text)
    }
}

/// The parts of a concatenation, without groups.
fn flatten(hir: &Hir, parts: &mut Vec<Hir>) {
    match hir.kind() {
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(group) => flatten(&group.sub, parts),
        _ => parts.push(hir.clone()),
    }
}

fn is_look(hir: &Hir, look: Look) -> bool {
    matches!(hir.kind(), HirKind::Look(found) if *found == look)
}
