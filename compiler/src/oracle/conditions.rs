//! Whether a request meets the conditions of a matcher.

use super::Request;
use crate::regex::Regex;
use crate::tree::{
    HeaderMatch, LiteralPart, Matcher, PathMatch, PathTail, QueryMatch, TextPlace, ValueMatch,
};

pub(super) fn matches(matcher: &Matcher, base: usize, path: &str, request: &Request) -> bool {
    path.as_bytes()
        .get(base..)
        .is_some_and(|rest| path_matches(&matcher.path, rest))
        && matcher
            .headers
            .iter()
            .all(|condition| header_matches(condition, request))
        && matcher
            .query
            .iter()
            .all(|condition| query_matches(condition, &request.path))
        && matcher
            .method
            .as_ref()
            .is_none_or(|method| *method == request.method)
}

/// The path, and its query or fragment.
pub(super) fn split_path(path: &str) -> (&str, &str) {
    path.split_at(path.find(['?', '#']).unwrap_or(path.len()))
}

pub(super) fn path_matches(condition: &PathMatch, path: &[u8]) -> bool {
    let mut rest = path;
    for part in &condition.literal {
        let Some((start, end)) = rest.split_at_checked(part.text.len()) else {
            return false;
        };
        if !text_matches(part, start) {
            return false;
        }
        rest = end;
    }
    if condition.whole_segments && !rest.is_empty() && !rest.starts_with(b"/") {
        return false;
    }
    match &condition.tail {
        PathTail::End => rest.is_empty(),
        PathTail::Any => true,
        PathTail::Suffix(suffix) => rest
            .len()
            .checked_sub(suffix.text.len())
            .is_some_and(|at| text_matches(suffix, rest.split_at(at).1)),
        PathTail::Regex(pattern) => regex_matches(&pattern.value, rest),
    }
}

pub(super) fn text_matches(part: &LiteralPart, text: &[u8]) -> bool {
    if part.ignore_case {
        part.text.as_bytes().eq_ignore_ascii_case(text)
    } else {
        part.text.as_bytes() == text
    }
}

pub(super) fn header_matches(condition: &HeaderMatch, request: &Request) -> bool {
    let mut value = match condition.name.as_str() {
        ":authority" => Some(request.authority.clone()),
        ":method" => Some(request.method.clone()),
        ":path" => Some(request.path.clone()),
        ":scheme" => Some(request.scheme.clone()),
        name => header(request, name),
    };
    if condition.missing_as_empty {
        value.get_or_insert_default();
    }
    value.is_some_and(|value| value_matches(&condition.value, &value)) != condition.invert
}

/// The value of a header; those of one that comes several times are joined with `,`. The scheme with which a request came is
/// always in one.
pub(super) fn header(request: &Request, name: &str) -> Option<String> {
    let values = request
        .headers
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str());
    let values: Vec<&str> = values.collect();
    match values.is_empty() {
        true => (name == "x-forwarded-proto").then(|| request.scheme.clone()),
        false => Some(values.join(",")),
    }
}

pub(super) fn query_matches(condition: &QueryMatch, path: &str) -> bool {
    let path = path.split('#').next().unwrap_or_default();
    let Some((_, query)) = path.split_once('?') else {
        return false;
    };
    query
        .split('&')
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .find(|(name, _)| *name == condition.name)
        .is_some_and(|(_, value)| value_matches(&condition.value, value))
}

pub(super) fn value_matches(condition: &ValueMatch, value: &str) -> bool {
    match condition {
        ValueMatch::Present => true,
        ValueMatch::Exact(text) => text == value,
        ValueMatch::Regex(pattern) => regex_matches(&pattern.value, value.as_bytes()),
        ValueMatch::Text(place, part) => {
            let fold = |text: &str| match part.ignore_case {
                true => text.to_ascii_lowercase(),
                false => text.to_owned(),
            };
            let (value, text) = (fold(value), fold(&part.text));
            match place {
                TextPlace::Whole => value == text,
                TextPlace::Start => value.starts_with(&text),
                TextPlace::End => value.ends_with(&text),
                TextPlace::Anywhere => value.contains(&text),
            }
        }
        ValueMatch::Range(start, end) => value
            .parse()
            .is_ok_and(|number: i64| (*start..*end).contains(&number)),
    }
}

/// Whether a pattern matches all of a text. Patterns in a tree are valid.
pub(super) fn regex_matches(pattern: &str, text: &[u8]) -> bool {
    Regex::parse(pattern)
        .and_then(|regex| regex.matcher())
        .is_ok_and(|matcher| matcher.matches(text))
}
