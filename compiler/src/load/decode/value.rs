//! Values that occur in many places: durations, header names and values, paths, numbers with limits.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Entry, Node};
use crate::resource::{ObjectRef, ServicePort, TargetPort};
use crate::source::{Span, Spanned};

/// A text that must be there and not be empty; `what` names its owner in the message.
pub(super) fn required(
    owner: &Node<'_>,
    key: &str,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<String>> {
    let text = owner.text_at(key);
    if text.as_ref().is_none_or(|text| text.is_empty()) {
        // A field that is misspelt or of a wrong type was reported.
        if !owner.faulty {
            let span = text.map_or(owner.span, |text| text.span);
            diagnostics.push(missing(span, key, what));
        }
        return None;
    }
    text
}

/// The finding for a field that must be there.
pub(super) fn missing(span: Span, key: &str, what: &str) -> Diagnostic {
    Diagnostic::at(Code::MissingField, span, format!("{what} needs `{key}`"))
}

/// `{name, namespace}`.
pub(super) fn object_ref(
    node: &Node<'_>,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<ObjectRef> {
    Some(ObjectRef {
        name: required(node, "name", what, diagnostics)?,
        namespace: non_empty(node.text_at("namespace")),
        span: node.span,
    })
}

/// An empty string means the same as an absent one, as everywhere in the API.
pub(super) fn non_empty(text: Option<Spanned<String>>) -> Option<Spanned<String>> {
    text.filter(|text| !text.is_empty())
}

/// An integer within limits.
pub(super) fn integer_in(
    node: &Node<'_>,
    what: &str,
    range: RangeInclusive<i64>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<i64>> {
    let value = node.integer()?;
    if range.contains(&value) {
        return Some(Spanned::new(value, node.span));
    }
    // What does not even fit the field's type was reported by the schema check.
    if !node.faulty {
        diagnostics.push(Diagnostic::at(
            Code::NumberOutOfRange,
            node.span,
            format!(
                "{what} must be between {} and {}, but is {value}",
                range.start(),
                range.end()
            ),
        ));
    }
    None
}

/// A port number.
pub(super) fn port(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Spanned<u16>> {
    let port = integer_in(node, "a port", 1..=65535, diagnostics)?;
    Some(Spanned::new(u16::try_from(port.value).ok()?, port.span))
}

/// A port of a list of ports, with the key under which its number stands.
pub(super) fn service_port(
    node: &Node<'_>,
    number: &str,
    diagnostics: &mut Diagnostics,
) -> Option<ServicePort> {
    let Some(value) = node.get(number) else {
        diagnostics.push(missing(node.span, number, "a port"));
        return None;
    };
    let text = |key| {
        node.get(key)
            .and_then(Node::string)
            .unwrap_or_default()
            .to_owned()
    };
    let number = |key| u16::try_from(node.get(key)?.integer()?).ok();
    let target = number("targetPort")
        .or_else(|| number("targetPortNumber"))
        .map(TargetPort::Number);
    let named = || {
        node.text_at("targetPort")
            .or_else(|| node.text_at("targetPortName"))
            .map(|name| TargetPort::Name(name.value))
    };
    Some(ServicePort {
        number: port(value, diagnostics)?.value,
        name: text("name"),
        protocol: text("protocol"),
        node_port: number("nodePort"),
        target: target.or_else(named),
    })
}

/// A duration in Go's notation, such as `1m30s` or `100ms`, not shorter than `minimum`.
pub(super) fn duration(
    node: &Node<'_>,
    what: &str,
    minimum: Duration,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Duration>> {
    let text = node.string()?;
    let reason = match parse_duration(text) {
        Ok(duration) if duration >= minimum => return Some(Spanned::new(duration, node.span)),
        Ok(_) => format!("{what} must be at least {minimum:?}, but is `{text}`"),
        Err(DurationError::Negative) => format!("{what} cannot be negative, but is `{text}`"),
        Err(DurationError::Syntax) => format!("{what} is not a duration: `{text}`"),
        Err(DurationError::TooLong) => format!("{what} is too long: `{text}`"),
    };
    diagnostics.push(
        Diagnostic::at(Code::InvalidDuration, node.span, reason)
            .help("write numbers with units (h, m, s, ms, us, ns), such as `1m30s` or `100ms`"),
    );
    None
}

/// A limit, where 0 is none. Proxies count milliseconds, so a part of one would be none as well.
pub(super) fn duration_or_zero(
    node: &Node<'_>,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Duration>> {
    let minimum = match parse_duration(node.string()?) {
        Ok(Duration::ZERO) => Duration::ZERO,
        _ => Duration::from_millis(1),
    };
    duration(node, what, minimum, diagnostics)
}

#[derive(Debug, PartialEq)]
enum DurationError {
    Negative,
    Syntax,
    TooLong,
}

/// Longest duration that the API's own 64-bit nanoseconds can hold.
const MAX_NANOSECONDS: u128 = i64::MAX as u128;

fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Syntax);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (whole, tail) = rest.split_at(digits);
        let (fraction, tail) = match tail.strip_prefix('.') {
            Some(tail) => tail.split_at(
                tail.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(tail.len()),
            ),
            None => ("", tail),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(DurationError::Syntax);
        }
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(DurationError::Syntax),
        };
        if whole.len() > 19 {
            return Err(DurationError::TooLong);
        }
        let whole: u128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| DurationError::Syntax)?
        };
        total += whole * unit;
        let mut scale = unit;
        for digit in fraction.bytes().take(13) {
            // Digits below a nanosecond vanish.
            total += u128::from(digit - b'0') * scale / 10 % scale.max(1);
            scale /= 10;
        }
        if total > MAX_NANOSECONDS {
            return Err(DurationError::TooLong);
        }
        rest = tail;
    }
    if negative && total > 0 {
        return Err(DurationError::Negative);
    }
    u64::try_from(total)
        .map(Duration::from_nanos)
        .map_err(|_| DurationError::TooLong)
}

/// Whether the text is a token of RFC 9110, as header names and methods are.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Longest name of a header, in bytes.
const MAX_HEADER_NAME: usize = 256;

/// Checks the name of a header.
pub(super) fn header_name(name: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<()> {
    if is_token(name) && name.len() <= MAX_HEADER_NAME {
        return Some(());
    }
    let message = if name.is_empty() {
        "the name of a header is empty".to_owned()
    } else if name.len() > MAX_HEADER_NAME {
        format!(
            "the name of this header has {} bytes; there may be {MAX_HEADER_NAME}",
            name.len()
        )
    } else {
        format!("`{}` is not a legal header name", name)
    };
    diagnostics.push(
        Diagnostic::at(Code::InvalidHeaderName, span, message)
            .help("header names consist of letters, digits and the characters !#$%&'*+-.^_`|~"),
    );
    None
}

/// Checks that a text can stand in a header: no line breaks, no other control characters.
pub(super) fn header_safe(
    text: &str,
    what: &str,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    let Some(found) = text.chars().find(|c| c.is_control() && *c != '\t') else {
        return Some(());
    };
    diagnostics.push(
        Diagnostic::at(
            Code::ControlCharacter,
            span,
            format!("{what} contains the control character `{}`", found),
        )
        .help("it would end up in a header, where it could inject further headers; remove it"),
    );
    None
}

/// A text that becomes a path, or part of one.
pub(super) fn path(
    owner: &Node<'_>,
    key: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Option<Spanned<String>>> {
    let Some(text) = owner.text_at(key) else {
        return Some(None);
    };
    header_safe(&text, &format!("`{key}`"), text.span, diagnostics)?;
    if text.contains([' ', '\t']) {
        diagnostics.push(
            Diagnostic::at(
                Code::ControlCharacter,
                text.span,
                format!("`{key}` contains a space"),
            )
            .help("write `%20`"),
        );
        return None;
    }
    Some(Some(text))
}

/// Elements of a list of strings with their places.
pub(super) fn strings(owner: &Node<'_>, key: &str) -> Vec<Spanned<String>> {
    owner.list_at(key).iter().filter_map(Node::text).collect()
}

/// Elements of a map of strings.
pub(super) fn string_entries<'n, 's>(
    owner: &'n Node<'s>,
    key: &str,
) -> impl Iterator<Item = (&'n Entry<'s>, &'n str)> {
    owner
        .get(key)
        .map_or(&[][..], Node::entries)
        .iter()
        .filter_map(|entry| Some((entry, entry.value.string()?)))
}
