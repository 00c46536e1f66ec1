//! Conditions of one matcher that never hold together, and regexes that match no path.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::regex::{Patterns, Regex};
use crate::tree::{Matcher, PathTail, ValueMatch};

/// Findings about one matcher on its own.
pub(super) fn check(matcher: &Matcher, patterns: &mut Patterns) -> [Option<Diagnostic>; 2] {
    [
        contradiction(matcher),
        regex_without_slash(matcher, patterns),
    ]
}

/// The first two conditions on one header or parameter that exclude each other.
fn contradiction(matcher: &Matcher) -> Option<Diagnostic> {
    let headers: Vec<Term<'_>> = matcher
        .headers
        .iter()
        // What holds for a missing header as well excludes little.
        .filter(|h| !h.missing_as_empty)
        .map(|h| Term {
            name: &h.name,
            value: &h.value,
            invert: h.invert,
        })
        .collect();
    let query: Vec<Term<'_>> = matcher
        .query
        .iter()
        .map(|q| Term {
            name: &q.name,
            value: &q.value,
            invert: false,
        })
        .collect();
    let (what, name) = first_contradiction(&headers)
        .map(|name| ("header", name))
        .or_else(|| first_contradiction(&query).map(|name| ("query parameter", name)))?;
    Some(
        Diagnostic::at(
            Code::ContradictoryHeaders,
            matcher.span,
            format!("the conditions on {what} `{name}` never hold together"),
        )
        .help("conditions of delegating routes hold too; use several matchers for alternatives"),
    )
}

struct Term<'t> {
    name: &'t str,
    value: &'t ValueMatch,
    invert: bool,
}

fn first_contradiction<'t>(terms: &[Term<'t>]) -> Option<&'t str> {
    terms.iter().enumerate().find_map(|(at, one)| {
        let excluded = |other: &Term<'_>| {
            one.name == other.name && (excludes(one, other) || excludes(other, one))
        };
        terms[at + 1..].iter().any(excluded).then_some(one.name)
    })
}

/// Whether nothing that fulfils the first condition fulfils the second.
fn excludes(one: &Term<'_>, other: &Term<'_>) -> bool {
    match (one.value, other.value) {
        _ if one.invert => false,
        (_, ValueMatch::Present) => other.invert,
        (ValueMatch::Exact(text), ValueMatch::Exact(wanted)) => (text == wanted) == other.invert,
        (ValueMatch::Exact(text), ValueMatch::Regex(pattern)) => Regex::parse(&pattern.value)
            .and_then(|regex| regex.matcher())
            .is_ok_and(|matcher| matcher.matches(text.as_bytes()) == other.invert),
        (value, wanted) => other.invert && value.same(wanted),
    }
}

/// A regex that cannot match a slash where one has to follow.
fn regex_without_slash(matcher: &Matcher, patterns: &mut Patterns) -> Option<Diagnostic> {
    let PathTail::Regex(pattern) = &matcher.path.tail else {
        return None;
    };
    let known = patterns.parse(&pattern.value).ok()?;
    let (plain, rest) = known.parts();
    let start = match plain.bytes().next() {
        Some(first) => Start {
            slash: first == b'/',
            empty: false,
        },
        None => Start::of(rest),
    };
    let Some(last) = matcher.path.literal.last() else {
        return (!start.slash).then(|| {
            Diagnostic::at(
                Code::RegexWithoutSlash,
                pattern.span,
                format!("`{}` matches no path: paths start with `/`", pattern.value),
            )
            .help(format!("write `/{}`", pattern.value))
        });
    };
    let prefix = matcher.path.literal_text();
    (!start.slash && !start.empty && !last.text.ends_with('/')).then(|| {
        Diagnostic::at(
            Code::RegexWithoutSlash,
            pattern.span,
            format!(
                "`{}` is appended to `{prefix}` without a `/` between them",
                pattern.value
            ),
        )
        .help(format!("write `/{}`", pattern.value))
    })
}

/// How the texts that an expression matches can start.
#[derive(Clone, Copy)]
struct Start {
    /// One starts with a slash.
    slash: bool,
    /// One is empty.
    empty: bool,
}

impl Start {
    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self {
                slash: false,
                empty: true,
            },
            HirKind::Literal(text) => Self {
                slash: text.0.first() == Some(&b'/'),
                empty: text.0.is_empty(),
            },
            HirKind::Class(Class::Unicode(class)) => Self {
                slash: class
                    .ranges()
                    .iter()
                    .any(|r| (r.start()..=r.end()).contains(&'/')),
                empty: false,
            },
            HirKind::Class(Class::Bytes(class)) => Self {
                slash: class
                    .ranges()
                    .iter()
                    .any(|r| (r.start()..=r.end()).contains(&b'/')),
                empty: false,
            },
            HirKind::Repetition(repetition) => {
                let inner = Self::of(&repetition.sub);
                Self {
                    slash: inner.slash && repetition.max != Some(0),
                    empty: inner.empty || repetition.min == 0,
                }
            }
            HirKind::Capture(group) => Self::of(&group.sub),
            HirKind::Concat(parts) => parts.iter().fold(
                Self {
                    slash: false,
                    empty: true,
                },
                |before, part| {
                    let part = Self::of(part);
                    Self {
                        slash: before.slash || (before.empty && part.slash),
                        empty: before.empty && part.empty,
                    }
                },
            ),
            HirKind::Alternation(parts) => parts.iter().fold(
                Self {
                    slash: false,
                    empty: false,
                },
                |before, part| {
                    let part = Self::of(part);
                    Self {
                        slash: before.slash || part.slash,
                        empty: before.empty || part.empty,
                    }
                },
            ),
        }
    }
}
