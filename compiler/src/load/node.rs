//! The document tree: YAML and JSON alike, every key and value with its place.
//!
//! A tree borrows its text from the source where it can and lives only until the object in it is decoded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::diagnostic::Diagnostics;
use crate::resource::Route;
use crate::source::{Span, Spanned};

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node<'s> {
    pub(crate) span: Span,
    pub(crate) value: Value<'s>,
    /// Something in here was reported; what holds it must not be used as if it were whole.
    pub(crate) faulty: bool,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value<'s> {
    Scalar(Scalar<'s>),
    List(Vec<Node<'s>>),
    Map(Vec<Entry<'s>>),
    /// A list of routes that were decoded as they were read.
    Routes(Box<Routes>),
}

/// What became of a list of routes. The tree of a long list would take many times the room of its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// Elements so far.
    pub(crate) count: usize,
    /// The routes that could be decoded.
    pub(crate) decoded: Vec<Route>,
    /// Findings of the schema check.
    pub(crate) checks: Diagnostics,
    /// Findings of decoding, which are of interest only if the object around the list is decoded.
    pub(crate) findings: Diagnostics,
}

/// A scalar as written. What a plain one means is decided by [`Scalar::kind`].
#[derive(Clone, Debug)]
pub(crate) struct Scalar<'s> {
    pub(crate) text: Cow<'s, str>,
    /// Quoted, a block scalar or tagged as a string: a string whatever it looks like.
    pub(crate) string: bool,
}

/// A key of a map and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'s> {
    pub(crate) key: Cow<'s, str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node<'s>,
}

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ScalarKind {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String,
}

impl Scalar<'_> {
    /// Reads plain scalars the way the Kubernetes tools do, which is YAML 1.1: `yes`, `on` and `y` are booleans,
    /// `0777` is octal, `1_000` a number. What kubectl would send as a boolean must not pass here as a string.
    pub(crate) fn kind(&self) -> ScalarKind {
        if self.string {
            return ScalarKind::String;
        }
        match self.text.as_ref() {
            "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
            "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                return ScalarKind::Boolean(true);
            }
            "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off"
            | "OFF" => {
                return ScalarKind::Boolean(false);
            }
            _ => {}
        }
        let first = self.text.bytes().next().unwrap_or_default();
        if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
            return ScalarKind::String;
        }
        number(&self.text).unwrap_or(ScalarKind::String)
    }
}

/// Greatest number up to which a float is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a number in any of the notations of YAML 1.1 and 1.2. Integers beyond 64 bits become floats, and floats without
/// a fraction integers, as they do on the way through JSON.
fn number(text: &str) -> Option<ScalarKind> {
    let text = text.replace('_', "");
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text.as_str()),
    };
    match digits {
        ".inf" | ".Inf" | ".INF" => {
            return Some(ScalarKind::Float(if negative {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            }));
        }
        ".nan" | ".NaN" | ".NAN" => return Some(ScalarKind::Float(f64::NAN)),
        _ => {}
    }
    let (radix, magnitude) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] if digits.bytes().all(|b| b.is_ascii_digit()) => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` would accept another sign.
    if magnitude
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric())
        && let Ok(value) = i128::from_str_radix(magnitude, radix)
        && let Ok(value) = i64::try_from(if negative { -value } else { value })
    {
        return Some(ScalarKind::Integer(value));
    }
    // Rust reads more as a number than YAML does: a second sign, `inf`.
    let is_float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_float {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    let value = if negative { -value } else { value };
    let is_whole = value.fract() == 0.0 && value.abs() <= EXACT;
    Some(match is_whole {
        true => ScalarKind::Integer(value as i64),
        false => ScalarKind::Float(value),
    })
}

impl<'s> Node<'s> {
    /// The tree as JSON, without places.
    pub(crate) fn json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Scalar(scalar) => match scalar.kind() {
                ScalarKind::Null => Json::Null,
                ScalarKind::Boolean(value) => value.into(),
                ScalarKind::Integer(value) => value.into(),
                ScalarKind::Float(value) => value.into(),
                ScalarKind::String => scalar.text.as_ref().into(),
            },
            Value::List(list) => list.iter().map(Node::json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone().into_owned(), entry.value.json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            // Only objects of our own API have routes.
            Value::Routes(_) => Json::Null,
        }
    }

    /// A node without faults.
    pub(crate) fn new(span: Span, value: Value<'s>) -> Self {
        Self {
            span,
            value,
            faulty: false,
        }
    }

    /// Whether it is `null`, written or by omission.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind() == ScalarKind::Null)
    }

    /// Number of nodes in this tree.
    pub(crate) fn size(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 1,
            Value::Routes(_) => 1,
            Value::List(list) => 1 + list.iter().map(Node::size).sum::<usize>(),
            Value::Map(entries) => {
                1 + entries
                    .iter()
                    .map(|entry| entry.value.size())
                    .sum::<usize>()
            }
        }
    }

    /// Entries; none unless it is a map.
    pub(crate) fn entries(&self) -> &[Entry<'s>] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Elements; none unless it is a list.
    pub(crate) fn list(&self) -> &[Node<'s>] {
        match &self.value {
            Value::List(list) => list,
            _ => &[],
        }
    }

    /// The entry of a key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry<'s>> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of a key; `null` counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'s>> {
        self.entry(key)
            .map(|entry| &entry.value)
            .filter(|node| !node.is_null())
    }

    /// The elements under a key.
    pub(crate) fn list_at(&self, key: &str) -> &[Node<'s>] {
        self.get(key).map_or(&[], Node::list)
    }

    /// The string it holds.
    pub(crate) fn string(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if scalar.kind() == ScalarKind::String => Some(&scalar.text),
            _ => None,
        }
    }

    /// The string it holds, with its place.
    pub(crate) fn text(&self) -> Option<Spanned<String>> {
        self.string()
            .map(|text| Spanned::new(text.to_owned(), self.span))
    }

    /// The string under a key.
    pub(crate) fn text_at(&self, key: &str) -> Option<Spanned<String>> {
        self.get(key).and_then(Node::text)
    }

    /// The boolean it holds.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar(scalar) => match scalar.kind() {
                ScalarKind::Boolean(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The boolean under a key, `false` when absent.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Node::boolean).unwrap_or(false)
    }

    /// The integer it holds.
    pub(crate) fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Scalar(scalar) => match scalar.kind() {
                ScalarKind::Integer(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The number it holds.
    pub(crate) fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Scalar(scalar) => match scalar.kind() {
                ScalarKind::Integer(value) => Some(value as f64),
                ScalarKind::Float(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value of a key, to be changed.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node<'s>> {
        let Value::Map(entries) = &mut self.value else {
            return None;
        };
        entries
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.value)
    }

    /// The elements under a key, to be taken out.
    pub(crate) fn list_mut(&mut self, key: &str) -> Option<&mut Vec<Node<'s>>> {
        match &mut self.get_mut(key)?.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The map of strings under a key; values that are not strings were reported and are left out.
    pub(crate) fn string_map_at(&self, key: &str) -> BTreeMap<String, String> {
        let entries = self.get(key).map_or(&[][..], Node::entries);
        entries
            .iter()
            .filter_map(|entry| {
                Some((
                    entry.key.clone().into_owned(),
                    entry.value.string()?.to_owned(),
                ))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Scalar, ScalarKind};

    fn kind(text: &str) -> ScalarKind {
        Scalar {
            text: text.into(),
            string: false,
        }
        .kind()
    }

    #[test]
    fn numbers_in_all_notations() {
        for (text, value) in [
            ("0", 0),
            ("-7", -7),
            ("+7", 7),
            ("1_000", 1000),
            ("0777", 511),
            ("0o777", 511),
            ("0x1F", 31),
            ("-0b11", -3),
            ("-9223372036854775808", i64::MIN),
            ("80.0", 80),
            ("1e3", 1000),
            ("-0.0", 0),
        ] {
            assert_eq!(kind(text), ScalarKind::Integer(value), "{text}");
        }
        for (text, value) in [
            ("1.5", 1.5),
            (".5", 0.5),
            ("1.5e-1", 0.15),
            ("9223372036854775808", 9.223372036854776e18),
        ] {
            assert_eq!(kind(text), ScalarKind::Float(value), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_number_is_a_string() {
        for text in [
            "1.2.3.4",
            "10.0.0.0/8",
            "5s",
            "0x",
            "--1",
            "+",
            "-",
            ".",
            "1-2",
            "2021-01-01T00:00:00Z",
            "08:30",
        ] {
            assert_eq!(kind(text), ScalarKind::String, "{text}");
        }
    }
}
