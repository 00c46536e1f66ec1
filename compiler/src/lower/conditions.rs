//! Conditions of matchers: where a path condition is stored, and predicates for the rest.

use std::borrow::Cow;
use std::collections::HashMap;

use meshgate_engine::write::{
    Automaton, MAX_KEY, MAX_TAILS, Predicate, Subject, Test, TooLarge, Writer,
};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Dot, Hir, Repetition};

use super::paths::{Place, Slot, Trie};
use crate::regex::{self, Budget, Pattern, Patterns, Regex, RegexError};
use crate::resource::RequireTls;
use crate::source::{Span, Spanned};
use crate::tree::{HeaderMatch, LiteralPart, Matcher, PathMatch, PathTail, TextPlace, ValueMatch};

/// Most conditions of a matcher together with those of the routes that delegate to it.
const MAX_PREDICATES: usize = 4096;

/// Why a matcher cannot be lowered.
pub(super) enum Failure {
    Regex {
        error: RegexError,
        span: Span,
    },
    /// A part of it does not fit. Says which.
    Limit(String),
}

impl From<TooLarge> for Failure {
    fn from(error: TooLarge) -> Self {
        Self::Limit(error.to_string())
    }
}

/// A path whose literal text fits into a trie, and whose pattern can be referred to from there.
fn fits(place: Place<'_>) -> Result<Place<'_>, Failure> {
    match place.key.len() {
        0..=MAX_KEY if place.tail.is_none_or(|tail| tail < MAX_TAILS) => Ok(place),
        0..=MAX_KEY => Err(Failure::Limit(format!(
            "there are more than {MAX_TAILS} different patterns before it"
        ))),
        bytes => Err(Failure::Limit(format!(
            "its path, with those of the routes that delegate to it, has {bytes} bytes of literal text; there may be {MAX_KEY}"
        ))),
    }
}

/// Compiled patterns, by their text.
#[derive(Default)]
pub(super) struct Conditions {
    patterns: Patterns,
    automata: HashMap<String, Result<u32, RegexError>>,
}

impl Conditions {
    /// Where a clause with this path condition is stored.
    pub(super) fn place<'t>(
        &mut self,
        path: &'t PathMatch,
        writer: &mut Writer,
    ) -> Result<Place<'t>, Failure> {
        fits(self.any_place(path, writer)?)
    }

    fn any_place<'t>(
        &mut self,
        path: &'t PathMatch,
        writer: &mut Writer,
    ) -> Result<Place<'t>, Failure> {
        let (first, others) = match path.literal.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, [].as_slice()),
        };
        if let (None, PathTail::Suffix(suffix), false) = (first, &path.tail, path.whole_segments) {
            let trie = if suffix.ignore_case {
                Trie::ReversedFolded
            } else {
                Trie::Reversed
            };
            let mut key = suffix.text.clone().into_bytes();
            key.reverse();
            if suffix.ignore_case {
                key.make_ascii_lowercase();
            }
            let key = key.into();
            return Ok(Place {
                trie,
                key,
                slot: Slot::Prefix,
                tail: None,
            });
        }
        let folded = first.is_some_and(|part| part.ignore_case);
        let trie = if folded { Trie::Folded } else { Trie::Forward };
        let mut key = Cow::Borrowed(first.map_or("", |part| &part.text).as_bytes());
        if folded {
            key = key.to_ascii_lowercase().into();
        }
        if path.whole_segments
            && let Some(tail) = self.whole_segments(others, &path.tail, writer)?
        {
            return Ok(Place {
                trie,
                key,
                slot: Slot::Prefix,
                tail: Some(tail),
            });
        }
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
                let parsed = self.parse(pattern)?;
                if tail.is_empty() && !folded {
                    let [plain, literal] = parsed.literal();
                    key = [&key, plain, literal].concat().into();
                    let rest = parsed.tail();
                    let (slot, tail) = if rest.regex.is_empty() {
                        (Slot::End, None)
                    } else {
                        let id = self.automaton(&rest.text, &rest.regex, pattern.span, writer)?;
                        (Slot::Prefix, Some(id))
                    };
                    return Ok(Place {
                        trie,
                        key,
                        slot,
                        tail,
                    });
                }
                let id = self.regex_after(others, &parsed.hir(), false, pattern.span, writer)?;
                return Ok(Place {
                    trie,
                    key,
                    slot: Slot::Prefix,
                    tail: Some(id),
                });
            }
        };
        let tail = match tail.is_empty() {
            true => None,
            false => Some(self.expression(Hir::concat(tail), Span::default(), writer)?),
        };
        Ok(Place {
            trie,
            key,
            slot,
            tail,
        })
    }

    /// The automaton for literal parts and what follows them, which is nothing or begins with a slash. `None` if the tail
    /// says so itself.
    fn whole_segments(
        &mut self,
        parts: &[LiteralPart],
        tail: &PathTail,
        writer: &mut Writer,
    ) -> Result<Option<u32>, Failure> {
        let (hir, span) = match tail {
            PathTail::End => return Ok(None),
            PathTail::Any => (anything(), Span::default()),
            PathTail::Suffix(suffix) => {
                let hir = Hir::concat(vec![anything(), literal(suffix)]);
                (hir, Span::default())
            }
            PathTail::Regex(pattern) => {
                let parsed = self.parse(pattern)?;
                if parsed.literal().concat().starts_with(b"/") {
                    return Ok(None);
                }
                (parsed.hir(), pattern.span)
            }
        };
        let automaton = self.regex_after(parts, &hir, true, span, writer)?;
        Ok(Some(automaton))
    }

    /// Predicates for everything but the path: cheap ones first.
    pub(super) fn predicates(
        &mut self,
        matcher: &Matcher,
        writer: &mut Writer,
    ) -> Result<Vec<u32>, Failure> {
        let conditions = matcher.headers.len() + matcher.query.len();
        if conditions > MAX_PREDICATES {
            return Err(Failure::Limit(format!(
                "with the routes that delegate to it, it has {conditions} conditions in one matcher; there may be {MAX_PREDICATES}"
            )));
        }
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
                missing_as_empty: false,
            })?);
        }
        for header in &matcher.headers {
            add(self.header(header, writer)?);
        }
        for parameter in &matcher.query {
            let subject = Subject::Parameter(&parameter.name);
            add(self.predicate(subject, &parameter.value, [false; 2], writer)?);
        }
        Ok(predicates)
    }

    /// The predicate for a header.
    pub(super) fn header(
        &mut self,
        header: &HeaderMatch,
        writer: &mut Writer,
    ) -> Result<u32, Failure> {
        let subject = Subject::Header(&header.name);
        let negation = [header.invert, header.missing_as_empty];
        self.predicate(subject, &header.value, negation, writer)
    }

    fn predicate(
        &mut self,
        subject: Subject<'_>,
        value: &ValueMatch,
        [invert, missing_as_empty]: [bool; 2],
        writer: &mut Writer,
    ) -> Result<u32, Failure> {
        let prefix;
        let test = match value {
            ValueMatch::Present => Test::Present,
            ValueMatch::Exact(text) => Test::Exact(text),
            ValueMatch::Regex(pattern) => {
                let parsed = self.parse(pattern)?;
                let id = self.expression(parsed.hir(), pattern.span, writer)?;
                prefix = parsed.literal().concat();
                Test::Automaton {
                    id,
                    prefix: &prefix,
                }
            }
            ValueMatch::Text(place, part) => {
                let (before, after) = match place {
                    TextPlace::Whole => (None, None),
                    TextPlace::Start => (None, Some(anything())),
                    TextPlace::End => (Some(anything()), None),
                    TextPlace::Anywhere => (Some(anything()), Some(anything())),
                };
                let parts = before.into_iter().chain([literal(part)]).chain(after);
                let id = self.expression(Hir::concat(parts.collect()), Span::default(), writer)?;
                let begins = *place == TextPlace::Start && !part.ignore_case;
                Test::Automaton {
                    id,
                    prefix: if begins { part.text.as_bytes() } else { b"" },
                }
            }
            ValueMatch::Range(start, end) => Test::Range(*start, *end),
        };
        Ok(writer.predicate(&Predicate {
            subject,
            test,
            invert,
            missing_as_empty,
        })?)
    }

    /// An automaton for all of a text, by a pattern that is known to be valid.
    pub(super) fn whole(&mut self, pattern: &str, writer: &mut Writer) -> Result<u32, Failure> {
        let pattern = Spanned::new(pattern.to_owned(), Span::default());
        let hir = self.parse(&pattern)?.hir();
        self.expression(hir, pattern.span, writer)
    }

    fn parse<'p>(&mut self, pattern: &'p Spanned<String>) -> Result<Pattern<'p>, Failure> {
        self.patterns
            .parse(&pattern.value)
            .map_err(|error| Failure::Regex {
                error,
                span: pattern.span,
            })
    }

    fn expression(&mut self, hir: Hir, span: Span, writer: &mut Writer) -> Result<u32, Failure> {
        self.automaton(&hir.to_string(), &Regex::from_hir(hir), span, writer)
    }

    /// A pattern for what follows literal text, which may have to be empty or begin with a slash.
    fn regex_after(
        &mut self,
        parts: &[LiteralPart],
        hir: &Hir,
        whole_segments: bool,
        span: Span,
        writer: &mut Writer,
    ) -> Result<u32, Failure> {
        let bytes = |part: &LiteralPart| {
            let ignore_case = part.ignore_case;
            let either = move |byte: u8| match ignore_case {
                true => [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()],
                false => [byte, byte],
            };
            part.text.bytes().map(either).collect::<Vec<_>>()
        };
        let steps: Vec<[u8; 2]> = parts.iter().flat_map(bytes).collect();
        // A key of its own: no expression begins like this.
        let text = format!("{steps:?} {whole_segments}\n{hir}");
        self.compiled(text, span, writer, || {
            let rest = regex::compile(&Regex::from_hir(hir.clone()), Budget::default())?;
            regex::after(&steps, whole_segments, &rest, Budget::default())
        })
    }

    fn automaton(
        &mut self,
        text: &str,
        regex: &Regex,
        span: Span,
        writer: &mut Writer,
    ) -> Result<u32, Failure> {
        self.compiled(text.to_owned(), span, writer, || {
            regex::compile(regex, Budget::default())
        })
    }

    /// Equal expressions are made deterministic once, whether that succeeds or fails.
    fn compiled(
        &mut self,
        text: String,
        span: Span,
        writer: &mut Writer,
        compile: impl FnOnce() -> Result<Automaton, RegexError>,
    ) -> Result<u32, Failure> {
        if let Some(known) = self.automata.get(&text) {
            return known
                .clone()
                .map_err(|error| Failure::Regex { error, span });
        }
        let compiled = match compile() {
            Ok(automaton) => Ok(writer.automaton(&automaton)?),
            Err(error) => Err(error),
        };
        self.automata.insert(text, compiled.clone());
        compiled.map_err(|error| Failure::Regex { error, span })
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

/// Predicates for the requests that have to come again over TLS; `None` if none has to. How a request came and whether its
/// client is internal is what the proxy says in headers, whatever the client has written there.
pub(super) fn needs_tls(
    require_tls: RequireTls,
    writer: &mut Writer,
) -> Result<Option<Vec<u32>>, TooLarge> {
    let headers: &[(&str, &str)] = match require_tls {
        RequireTls::Nobody => return Ok(None),
        RequireTls::External => &[("x-forwarded-proto", "https"), ("x-envoy-internal", "true")],
        RequireTls::Everybody => &[("x-forwarded-proto", "https")],
    };
    let says_not = |(header, value): &(&str, &str)| {
        writer.predicate(&Predicate {
            subject: Subject::Header(header),
            test: Test::Exact(value),
            invert: true,
            missing_as_empty: false,
        })
    };
    let predicates: Result<_, _> = headers.iter().map(says_not).collect();
    predicates.map(Some)
}
