//! Conditions of matchers: where a path condition is stored, and predicates for the rest.

use std::collections::HashMap;

use meshgate_engine::write::{Predicate, Subject, Test, TooLarge, Writer};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Dot, Hir, Repetition};

use super::paths::{Place, Slot, Trie};
use crate::regex::{self, Budget, Regex, RegexError};
use crate::source::{Span, Spanned};
use crate::tree::{LiteralPart, Matcher, PathMatch, PathTail, ValueMatch};

/// Why a matcher cannot be lowered.
pub(super) enum Failure {
    Regex { error: RegexError, span: Span },
    TooLarge(TooLarge),
}

impl From<TooLarge> for Failure {
    fn from(error: TooLarge) -> Self {
        Self::TooLarge(error)
    }
}

/// Compiled patterns, by their text.
#[derive(Default)]
pub(super) struct Conditions {
    automata: HashMap<String, Result<u32, RegexError>>,
}

impl Conditions {
    /// Where a clause with this path condition is stored.
    pub(super) fn place(
        &mut self,
        path: &PathMatch,
        writer: &mut Writer,
    ) -> Result<Place, Failure> {
        let (first, others) = match path.literal.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, [].as_slice()),
        };
        if let (None, PathTail::Suffix(suffix)) = (first, &path.tail) {
            let trie = if suffix.ignore_case {
                Trie::ReversedFolded
            } else {
                Trie::Reversed
            };
            let key = suffix
                .text
                .bytes()
                .rev()
                .map(|byte| fold(byte, suffix.ignore_case))
                .collect();
            return Ok(Place {
                trie,
                key,
                slot: Slot::Prefix,
                tail: None,
            });
        }
        let folded = first.is_some_and(|part| part.ignore_case);
        let trie = if folded { Trie::Folded } else { Trie::Forward };
        let mut key: Vec<u8> = first
            .map_or("", |part| &part.text)
            .bytes()
            .map(|byte| fold(byte, folded))
            .collect();
        let mut tail: Vec<Hir> = others.iter().map(literal).collect();
        let slot = match &path.tail {
            PathTail::End if tail.is_empty() => Slot::End,
            PathTail::Any if tail.is_empty() => Slot::Prefix,
            PathTail::End => Slot::Prefix,
            PathTail::Any => {
                tail.push(anything());
                Slot::Prefix
            }
            PathTail::Suffix(suffix) => {
                tail.extend([anything(), literal(suffix)]);
                Slot::Prefix
            }
            PathTail::Regex(pattern) => {
                let regex = self.parse(pattern)?;
                if tail.is_empty() && !folded {
                    let (text, rest) = regex.split_literal();
                    key.extend(text);
                    if rest.is_empty() {
                        return Ok(Place {
                            trie,
                            key,
                            slot: Slot::End,
                            tail: None,
                        });
                    }
                    tail.push(rest.hir().clone());
                } else {
                    tail.push(regex.hir().clone());
                }
                Slot::Prefix
            }
        };
        let tail = match (tail.is_empty(), &path.tail) {
            (true, _) => None,
            (false, PathTail::Regex(pattern)) => {
                Some(self.automaton(Hir::concat(tail), pattern.span, writer)?)
            }
            (false, _) => Some(self.automaton(Hir::concat(tail), Span::default(), writer)?),
        };
        Ok(Place {
            trie,
            key,
            slot,
            tail,
        })
    }

    /// Predicates for everything but the path: cheap ones first.
    pub(super) fn predicates(
        &mut self,
        matcher: &Matcher,
        writer: &mut Writer,
    ) -> Result<Vec<u32>, Failure> {
        let mut predicates = Vec::new();
        let mut add = |id| {
            if !predicates.contains(&id) {
                predicates.push(id);
            }
        };
        if let Some(method) = &matcher.method {
            add(writer.predicate(&Predicate {
                subject: Subject::Method,
                test: Test::Exact(method),
                invert: false,
            })?);
        }
        for header in &matcher.headers {
            let subject = Subject::Header(&header.name);
            add(self.predicate(subject, &header.value, header.invert, writer)?);
        }
        for parameter in &matcher.query {
            let subject = Subject::Parameter(&parameter.name);
            add(self.predicate(subject, &parameter.value, false, writer)?);
        }
        Ok(predicates)
    }

    fn predicate(
        &mut self,
        subject: Subject<'_>,
        value: &ValueMatch,
        invert: bool,
        writer: &mut Writer,
    ) -> Result<u32, Failure> {
        let prefix;
        let test = match value {
            ValueMatch::Present => Test::Present,
            ValueMatch::Exact(text) => Test::Exact(text),
            ValueMatch::Regex(pattern) => {
                let regex = self.parse(pattern)?;
                let id = self.automaton(regex.hir().clone(), pattern.span, writer)?;
                prefix = regex.split_literal().0;
                Test::Automaton {
                    id,
                    prefix: &prefix,
                }
            }
        };
        Ok(writer.predicate(&Predicate {
            subject,
            test,
            invert,
        })?)
    }

    fn parse(&self, pattern: &Spanned<String>) -> Result<Regex, Failure> {
        Regex::parse(pattern).map_err(|error| Failure::Regex {
            error,
            span: pattern.span,
        })
    }

    /// Equal patterns are made deterministic once, whether that succeeds or fails.
    fn automaton(&mut self, hir: Hir, span: Span, writer: &mut Writer) -> Result<u32, Failure> {
        let text = hir.to_string();
        if let Some(known) = self.automata.get(&text) {
            return known
                .clone()
                .map_err(|error| Failure::Regex { error, span });
        }
        let compiled = match regex::compile(&Regex::from_hir(hir), Budget::default()) {
            Ok(automaton) => Ok(writer.automaton(&automaton)?),
            Err(error) => Err(error),
        };
        self.automata.insert(text, compiled.clone());
        compiled.map_err(|error| Failure::Regex { error, span })
    }
}

fn fold(byte: u8, ignore_case: bool) -> u8 {
    if ignore_case {
        byte.to_ascii_lowercase()
    } else {
        byte
    }
}

/// Literal text; without case only ASCII letters are folded, as everywhere in paths.
fn literal(part: &LiteralPart) -> Hir {
    if !part.ignore_case {
        return Hir::literal(part.text.as_bytes());
    }
    let either = |byte: u8| {
        let (lower, upper) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
        let ranges = [
            ClassBytesRange::new(lower, lower),
            ClassBytesRange::new(upper, upper),
        ];
        Hir::class(Class::Bytes(ClassBytes::new(ranges)))
    };
    Hir::concat(part.text.bytes().map(either).collect())
}

fn anything() -> Hir {
    Hir::repetition(Repetition {
        min: 0,
        max: None,
        greedy: true,
        sub: Box::new(Hir::dot(Dot::AnyByte)),
    })
}
