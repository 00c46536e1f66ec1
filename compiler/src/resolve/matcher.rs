//! Matchers: from what is written to conditions that are known to be valid.

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::regex::Patterns;
use crate::resource::{self, HeaderMatcher, PathKind, QueryMatcher, TextPlace, Uri, ValueMatcher};
use crate::source::{Span, Spanned};
use crate::tree::{HeaderMatch, LiteralPart, QueryMatch, ValueMatch};

/// One alternative of a route.
#[derive(Debug)]
pub(super) struct Conditions<'r> {
    /// As written.
    pub(super) source: &'r resource::Matcher,
    /// Path, before it is joined.
    pub(super) uri: Option<&'r Uri>,
    /// Header conditions.
    pub(super) headers: Vec<HeaderMatch>,
    /// Query conditions.
    pub(super) query: Vec<QueryMatch>,
}

/// Reads the conditions of a matcher. `None` after an error: a matcher may not become weaker by losing a condition.
pub(super) fn conditions<'r>(
    matcher: &'r resource::Matcher,
    patterns: &mut Patterns,
    diagnostics: &mut Diagnostics,
) -> Option<Conditions<'r>> {
    let path = matcher
        .uri
        .as_ref()
        .filter(|uri| uri.kind == PathKind::Regex);
    let path_valid = path.is_none_or(|uri| is_regex(&uri.value, patterns, diagnostics));
    let grpc = matcher.grpc.then(|| Some(grpc_match(matcher.span)));
    let headers = matcher.headers.iter();
    let headers: Vec<_> = grpc
        .into_iter()
        .chain(headers.map(|header| header_match(header, patterns, diagnostics)))
        .collect();
    let query: Vec<_> = matcher
        .query
        .iter()
        .map(|parameter| query_match(parameter, patterns, diagnostics))
        .collect();
    Some(Conditions {
        source: matcher,
        uri: path_valid.then_some(matcher.uri.as_ref())?,
        headers: headers.into_iter().collect::<Option<_>>()?,
        query: query.into_iter().collect::<Option<_>>()?,
    })
}

/// gRPC requests are told by their content type.
fn grpc_match(span: Span) -> HeaderMatch {
    let pattern = r"application/grpc(?:\+(?s:.*))?".to_owned();
    HeaderMatch {
        name: "content-type".to_owned(),
        value: ValueMatch::Regex(Spanned::new(pattern, span)),
        invert: false,
        missing_as_empty: false,
    }
}

pub(crate) fn header_match(
    header: &HeaderMatcher,
    patterns: &mut Patterns,
    diagnostics: &mut Diagnostics,
) -> Option<HeaderMatch> {
    let name = header.name.to_ascii_lowercase();
    Some(HeaderMatch {
        // Clients send the host as `Host` or `:authority`; Envoy keeps it under the latter name.
        name: if name == "host" {
            ":authority".to_owned()
        } else {
            name
        },
        value: value_match(&header.value, patterns, diagnostics)?,
        invert: header.invert,
        missing_as_empty: header.missing_as_empty,
    })
}

fn query_match(
    parameter: &QueryMatcher,
    patterns: &mut Patterns,
    diagnostics: &mut Diagnostics,
) -> Option<QueryMatch> {
    Some(QueryMatch {
        name: parameter.name.value.clone(),
        value: value_match(&parameter.value, patterns, diagnostics)?,
    })
}

fn value_match(
    value: &ValueMatcher,
    patterns: &mut Patterns,
    diagnostics: &mut Diagnostics,
) -> Option<ValueMatch> {
    Some(match value {
        ValueMatcher::Present => ValueMatch::Present,
        ValueMatcher::Regex(pattern) => {
            is_regex(pattern, patterns, diagnostics).then(|| ValueMatch::Regex(pattern.clone()))?
        }
        ValueMatcher::Text {
            place: TextPlace::Whole,
            text,
            ignore_case: false,
        } => ValueMatch::Exact(text.value.clone()),
        ValueMatcher::Text {
            place,
            text,
            ignore_case,
        } => ValueMatch::Text(
            *place,
            LiteralPart {
                text: text.value.clone(),
                ignore_case: *ignore_case,
            },
        ),
        ValueMatcher::Range(start, end) => ValueMatch::Range(*start, *end),
    })
}

/// Whether a pattern is valid; reports it if not.
fn is_regex(
    pattern: &Spanned<String>,
    patterns: &mut Patterns,
    diagnostics: &mut Diagnostics,
) -> bool {
    let result = patterns.parse(&pattern.value);
    if let Err(error) = &result {
        diagnostics.push(Diagnostic::at(
            Code::InvalidRegex,
            pattern.span,
            format!("`{}` is not a valid RE2 expression: {error}", pattern.value),
        ));
    }
    result.is_ok()
}

/// A list of matchers reads like "and" to some; it is "or".
pub(super) fn report_without_path(matchers: &[resource::Matcher], diagnostics: &mut Diagnostics) {
    let Some(with_path) = matchers.iter().find(|matcher| matcher.uri.is_some()) else {
        return;
    };
    for matcher in matchers.iter().filter(|matcher| matcher.uri.is_none()) {
        diagnostics.push(
            Diagnostic::at(
                Code::MatcherWithoutPath,
                matcher.span,
                "matchers are alternatives: this one takes every path",
            )
            .also(with_path.span, "this one asks for a path")
            .help("put both conditions into one matcher if both have to hold"),
        );
    }
}
