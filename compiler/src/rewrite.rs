//! Rewrites by pattern: of paths and hosts.

use std::collections::HashMap;
use std::sync::Arc;

use meshgate_engine::replace::{self, Look, MAX_GROUPS, MAX_STATES, State};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::look;
use regex_syntax::hir::{Hir, HirKind};

use crate::regex::{Regex, RegexError};

/// A pattern, and what takes the place of what it matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replacement {
    /// RE2, known to be valid.
    pub pattern: String,
    /// What a match becomes.
    pub parts: Vec<Part>,
}

/// A part of what a match becomes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// This text.
    Text(String),
    /// What a group of the pattern has matched; 0 is the match itself.
    Group(u32),
}

/// What happens to the path of a forwarded request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathRewrite {
    /// `pathRewrite`: replaces the matched prefix, or the whole path. Starts with a slash.
    Prefix(String),
    /// `regexRewrite`: replaces every match of a pattern.
    Matches(Arc<Replacement>),
    /// `pathTemplateRewrite`: the path becomes this, with the variables of the matcher's template.
    Template(Arc<Vec<TemplatePart>>),
}

/// A part of a `pathTemplateRewrite`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TemplatePart {
    /// This text.
    Text(String),
    /// What a variable has matched.
    Variable(String),
}

/// What happens to the host of a forwarded request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostRewrite {
    /// `hostRewrite`: it becomes this.
    Text(String),
    /// `hostRewriteHeader`: it becomes the value of this header, if there is one. Lower-case.
    Header(String),
    /// `hostRewritePathRegex`: it becomes the path, with every match of a pattern replaced.
    Path(Arc<Replacement>),
}

/// Reads a substitution: `\0` to `\9` are groups, `\\` is a backslash.
///
/// # Errors
/// Says what is wrong with it.
pub fn substitution(text: &str, pattern: &Regex) -> Result<Vec<Part>, String> {
    let groups = pattern.hir().properties().explicit_captures_len();
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            literal.push(character);
            continue;
        }
        match characters.next() {
            Some('\\') => literal.push('\\'),
            Some(digit) if digit.is_ascii_digit() => {
                let group = digit as usize - '0' as usize;
                if group > groups {
                    return Err(format!(
                        "`\\{group}` is a group that the pattern does not have"
                    ));
                }
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Group(group as u32));
            }
            _ => return Err("a backslash stands before a digit or another backslash".to_owned()),
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

/// What a path becomes that a pattern with named groups has matched. `None` if it lacks one of them.
pub fn for_template(pattern: &str, parts: &[TemplatePart]) -> Option<Replacement> {
    let regex = Regex::parse(pattern).ok()?;
    let mut names = HashMap::new();
    collect_names(regex.hir(), &mut names);
    let part = |part: &TemplatePart| match part {
        TemplatePart::Text(text) => Some(Part::Text(text.clone())),
        TemplatePart::Variable(name) => names.get(name.as_str()).map(|group| Part::Group(*group)),
    };
    Some(Replacement {
        pattern: pattern.to_owned(),
        parts: parts.iter().map(part).collect::<Option<_>>()?,
    })
}

fn collect_names<'h>(hir: &'h Hir, names: &mut HashMap<&'h str, u32>) {
    match hir.kind() {
        HirKind::Capture(group) => {
            if let Some(name) = &group.name {
                names.insert(name, group.index);
            }
            collect_names(&group.sub, names);
        }
        HirKind::Repetition(repetition) => collect_names(&repetition.sub, names),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| collect_names(part, names));
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

/// The states of a pattern, for the engine.
///
/// # Errors
/// When there are more states or groups than the engine takes.
pub fn states(pattern: &Regex) -> Result<Vec<State>, RegexError> {
    if pattern.hir().properties().explicit_captures_len() >= MAX_GROUPS {
        return Err(RegexError::too_complex());
    }
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::All)
                .nfa_size_limit(Some(1 << 20)),
        )
        .build_from_hir(pattern.hir())
        .map_err(|_| RegexError::too_complex())?;
    if nfa.states().len() >= MAX_STATES {
        return Err(RegexError::too_complex());
    }
    // The engine begins with the first state.
    let mut states = vec![State::Split(vec![1 + nfa.start_anchored().as_u32()])];
    for state in nfa.states() {
        states.push(transcribed(state).ok_or_else(RegexError::too_complex)?);
    }
    Ok(states)
}

fn transcribed(state: &thompson::State) -> Option<State> {
    let next = |state: &regex_automata::util::primitives::StateID| 1 + state.as_u32();
    Some(match state {
        thompson::State::ByteRange { trans } => {
            State::Bytes(vec![(trans.start, trans.end, next(&trans.next))])
        }
        thompson::State::Sparse(sparse) => State::Bytes(
            sparse
                .transitions
                .iter()
                .map(|trans| (trans.start, trans.end, next(&trans.next)))
                .collect(),
        ),
        // Only other kinds of automata have these.
        thompson::State::Dense(_) => return None,
        thompson::State::Look {
            look: condition,
            next: target,
        } => {
            let condition = match condition {
                look::Look::Start => Look::Start,
                look::Look::End => Look::End,
                look::Look::StartLF => Look::LineStart,
                look::Look::EndLF => Look::LineEnd,
                look::Look::WordAscii => Look::WordBoundary,
                look::Look::WordAsciiNegate => Look::NoWordBoundary,
                _ => return None,
            };
            State::Look(condition, next(target))
        }
        thompson::State::Union { alternates } => {
            State::Split(alternates.iter().map(next).collect())
        }
        thompson::State::BinaryUnion { alt1, alt2 } => State::Split(vec![next(alt1), next(alt2)]),
        thompson::State::Capture {
            next: target, slot, ..
        } => State::Keep(u32::try_from(slot.as_usize()).ok()?, next(target)),
        thompson::State::Fail => State::Fail,
        thompson::State::Match { .. } => State::Match,
    })
}

/// A replacement, for the engine.
///
/// # Errors
/// When the pattern is too large for it.
pub fn lowered(replacement: &Replacement) -> Result<replace::Replacement, RegexError> {
    let part = |part: &Part| match part {
        Part::Text(text) => replace::Part::Text(text.clone()),
        Part::Group(group) => replace::Part::Group(*group),
    };
    Ok(replace::Replacement {
        states: states(&Regex::parse(&replacement.pattern)?)?,
        parts: replacement.parts.iter().map(part).collect(),
    })
}
