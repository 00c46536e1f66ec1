//! Matchers of routes.

mod value;

use super::value::{header_name, header_safe, is_token, non_empty};
use super::{every, template};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::policy::TextMatch;
use crate::regex::{self, Regex};
use crate::resource::{
    HeaderMatcher, Matcher, PathKind, QueryMatcher, TextPlace, Uri, ValueMatcher,
};
use crate::source::Spanned;

/// Most conditions of one matcher besides its path.
const MAX_CONDITIONS: usize = 256;

/// One alternative of a route.
pub(super) fn matcher(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Matcher> {
    let uri = match node.get("uri") {
        Some(uri) => self::uri(uri, diagnostics).map(Some),
        None => Some(None),
    };
    let headers = every(node.list_at("headers"), |node| header(node, diagnostics));
    let query = every(node.list_at("queryParameters"), |node| {
        query_parameter(node, diagnostics)
    });
    let method = non_empty(node.text_at("method"));
    if let Some(method) = &method {
        check_method(method, diagnostics);
    }
    let conditions = node.list_at("headers").len() + node.list_at("queryParameters").len();
    if conditions > MAX_CONDITIONS {
        diagnostics.push(
            Diagnostic::at(
                Code::MatcherTooLarge,
                node.span,
                format!("this matcher has {conditions} conditions; there may be {MAX_CONDITIONS}"),
            )
            .help("write several routes, or one pattern for several values"),
        );
        return None;
    }
    Some(Matcher {
        name: non_empty(node.text_at("name")).map(Box::new),
        uri: uri?,
        headers: headers?,
        query: query?,
        method,
        grpc: node.flag("grpc"),
        span: node.span,
    })
}

fn uri(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Uri> {
    let separated = node.text_at("pathSeparatedPrefix");
    let whole_segments = separated.is_some();
    let (kind, value) = match (node.text_at("pathTemplate"), separated) {
        (Some(template), _) => {
            let pattern = template::pattern(&template, diagnostics)?;
            (PathKind::Regex, Spanned::new(pattern, template.span))
        }
        (None, Some(prefix)) => {
            check_separated(&prefix, diagnostics)?;
            (PathKind::Prefix, prefix)
        }
        (None, None) => string_match(node, diagnostics)?,
    };
    let ignore_case = node
        .get("ignoreCase")
        .and_then(|flag| Some(Spanned::new(flag.boolean()?, flag.span)));
    header_safe(&value, "a path condition", value.span, diagnostics)?;
    check_path(kind, &value, diagnostics);
    if kind == PathKind::Regex
        && let Some(flag) = &ignore_case
        && flag.value
    {
        diagnostics.push(
            Diagnostic::at(
                Code::IgnoreCaseWithRegex,
                flag.span,
                "`ignoreCase` has no effect on a regex",
            )
            .help("start the regex with `(?i)`"),
        );
    }
    Some(Uri {
        kind,
        value,
        whole_segments,
        ignore_case,
        span: node.span,
    })
}

/// One of `exact`, `prefix`, `suffix` and `regex`. Several are reported by the schema check.
pub(super) fn string_match(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<(PathKind, Spanned<String>)> {
    const KINDS: [(&str, PathKind); 4] = [
        ("exact", PathKind::Exact),
        ("prefix", PathKind::Prefix),
        ("suffix", PathKind::Suffix),
        ("regex", PathKind::Regex),
    ];
    let Some((kind, value)) = KINDS
        .iter()
        .find_map(|(key, kind)| Some((*kind, node.get(key)?)))
    else {
        if !node.faulty {
            diagnostics.push(
                Diagnostic::at(
                    Code::EmptyStringMatch,
                    node.span,
                    "this condition does not say what to match",
                )
                .help("add one of `exact`, `prefix`, `suffix` and `regex`"),
            );
        }
        return None;
    };
    let value = value.text()?;
    if kind == PathKind::Regex && value.is_empty() {
        diagnostics.push(empty_regex(&value));
        return None;
    }
    Some((kind, value))
}

/// The same, with its case option; a regex is checked.
pub(super) fn text_match(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<TextMatch> {
    let (kind, value) = string_match(node, diagnostics)?;
    if kind == PathKind::Regex {
        check_regex(&value, diagnostics)?;
    }
    Some(TextMatch {
        kind,
        value: value.value,
        ignore_case: node
            .get("ignoreCase")
            .and_then(Node::boolean)
            .unwrap_or_default(),
    })
}

/// Whether a pattern is valid and small enough to be made deterministic.
pub(super) fn check_regex(pattern: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<()> {
    let compiled = Regex::parse(&pattern.value)
        .and_then(|regex| regex::compile(&regex, regex::Budget::default()));
    let error = match compiled {
        Ok(_) => return Some(()),
        Err(error) => error,
    };
    let (code, message) = match error.is_budget {
        true => (Code::RegexTooComplex, error.message),
        false => {
            let message = format!("`{}` is not a valid RE2 expression: {error}", pattern.value);
            (Code::InvalidRegex, message)
        }
    };
    diagnostics.push(Diagnostic::at(code, pattern.span, message));
    None
}

fn empty_regex(value: &Spanned<String>) -> Diagnostic {
    Diagnostic::at(
        Code::EmptyRegex,
        value.span,
        "this regex is empty and matches only the empty text",
    )
    .help("remove the condition, or write `.*` to match everything")
}

/// Conditions that can never hold because of what every path looks like.
fn check_path(kind: PathKind, value: &Spanned<String>, diagnostics: &mut Diagnostics) {
    let anchored = matches!(kind, PathKind::Exact | PathKind::Prefix);
    // `OPTIONS *` is the one request whose path has no leading slash.
    if anchored && !value.starts_with('/') && value.as_str() != "*" {
        let consequence = if kind == PathKind::Prefix && value.is_empty() {
            "matches every path"
        } else {
            "can never match"
        };
        diagnostics.push(
            Diagnostic::at(
                Code::PathWithoutSlash,
                value.span,
                format!(
                    "the path `{}` does not start with `/` and {consequence}",
                    value.value
                ),
            )
            .help(format!("write `/{}`", value.value)),
        );
    }
    if kind != PathKind::Regex {
        check_sent("paths", value, &[' '], diagnostics);
    }
    if kind != PathKind::Regex && value.contains(['?', '#']) {
        diagnostics.push(
            Diagnostic::at(
                Code::QueryInPath,
                value.span,
                "paths are matched without query and fragment, so this can never match",
            )
            .help("match query parameters with `queryParameters`"),
        );
    }
}

/// A prefix of whole segments ends where a segment does: before a slash, not after it.
fn check_separated(prefix: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<()> {
    let without = prefix.trim_end_matches('/');
    let help = match (without, prefix.is_empty()) {
        (_, false) if without.len() == prefix.len() => return Some(()),
        ("", _) => "write `prefix: /` to match every path".to_owned(),
        (without, _) => format!(
            "write `pathSeparatedPrefix: {without}`, which takes `{without}` and what follows `{without}/`; \
             or `prefix: {}` for the latter alone",
            prefix.value
        ),
    };
    let fault = if prefix.is_empty() {
        "is empty"
    } else {
        "ends in a slash"
    };
    diagnostics.push(
        Diagnostic::at(
            Code::SeparatedPrefixSlash,
            prefix.span,
            format!("a `pathSeparatedPrefix` stops before a slash, but this one {fault}"),
        )
        .help(help),
    );
    None
}

/// Texts that a part of no request can have: what would end it, or what clients encode.
fn check_sent(what: &str, text: &Spanned<String>, never: &[char], diagnostics: &mut Diagnostics) {
    let Some(found) = text.chars().find(|c| never.contains(c)) else {
        return;
    };
    let help = match found {
        ' ' => {
            "nothing is decoded before it is compared: write a space as `%20`, or as `+` if that is what clients send"
        }
        _ => {
            "every parameter has a condition of its own, and other characters are written as clients encode them"
        }
    };
    diagnostics.push(
        Diagnostic::at(
            Code::NeverSent,
            text.span,
            format!(
                "{what} have no `{found}`, so `{}` never matches",
                text.value
            ),
        )
        .help(help),
    );
}

pub(super) fn check_method(method: &Spanned<String>, diagnostics: &mut Diagnostics) {
    if !is_token(method) || method.bytes().any(|b| b.is_ascii_lowercase()) {
        let help = match is_token(method) {
            true => format!("write `{}`", method.to_ascii_uppercase()),
            false => "a method is one word; other methods are in matchers of their own".to_owned(),
        };
        diagnostics.push(
            Diagnostic::at(
                Code::UnlikelyMethod,
                method.span,
                format!(
                    "methods are case-sensitive; no common client sends `{}`",
                    method
                ),
            )
            .help(help),
        );
    }
}

/// Parts of a request that are no headers, but that conditions on headers can look at.
const PSEUDO_HEADERS: [&str; 4] = [":authority", ":method", ":path", ":scheme"];

pub(super) fn header(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<HeaderMatcher> {
    let name = condition_name(node, "a header condition", diagnostics)?;
    if !name.starts_with(':') {
        header_name(&name, name.span, diagnostics)?;
    } else if !PSEUDO_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        diagnostics.push(
            Diagnostic::at(
                Code::UnsupportedField,
                name.span,
                format!("there are no conditions on the pseudo header `{name}`"),
            )
            .help("there are some on `:authority`, `:method`, `:path` and `:scheme`"),
        );
        return None;
    }
    let present = node.get("presentMatch").and_then(Node::boolean);
    let value = value::condition(node, diagnostics)?;
    check_trimmed(&value, diagnostics);
    Some(HeaderMatcher {
        name,
        value,
        invert: node.flag("invertMatch") != (present == Some(false)),
        missing_as_empty: node.flag("treatMissingAsEmpty"),
        span: node.span,
    })
}

/// HTTP takes away the space around the value of a header.
fn check_trimmed(value: &ValueMatcher, diagnostics: &mut Diagnostics) {
    let ValueMatcher::Text { place, text, .. } = value else {
        return;
    };
    let starts = matches!(place, TextPlace::Whole | TextPlace::Start);
    let ends = matches!(place, TextPlace::Whole | TextPlace::End);
    let space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    if (starts && text.starts_with(space)) || (ends && text.ends_with(space)) {
        diagnostics.push(
            Diagnostic::at(
                Code::NeverSent,
                text.span,
                "values of headers have no space at their ends, so this never matches",
            )
            .help(format!("write `{}`", text.trim())),
        );
    }
}

fn query_parameter(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<QueryMatcher> {
    let name = condition_name(node, "a query parameter condition", diagnostics)?;
    check_sent(
        "names of query parameters",
        &name,
        &['=', '&', '#', ' '],
        diagnostics,
    );
    let value = value::condition(node, diagnostics)?;
    if let ValueMatcher::Text { text, .. } = &value {
        check_sent(
            "values of query parameters",
            text,
            &['&', '#', ' '],
            diagnostics,
        );
    }
    Some(QueryMatcher {
        name,
        value,
        span: node.span,
    })
}

fn condition_name(
    node: &Node<'_>,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<String>> {
    if let Some(node) = node.get("name") {
        let name = node.text()?;
        if !name.is_empty() {
            return Some(name);
        }
    }
    if !node.faulty {
        let span = node.get("name").map_or(node.span, |name| name.span);
        diagnostics.push(Diagnostic::at(
            Code::ConditionWithoutName,
            span,
            format!("{what} needs a `name`"),
        ));
    }
    None
}
