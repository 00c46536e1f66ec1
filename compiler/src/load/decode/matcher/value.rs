//! What the value of a header or query parameter must be like.

use super::empty_regex;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::decode::value::missing;
use crate::load::node::Node;
use crate::resource::{TextPlace, ValueMatcher};
use crate::source::Spanned;

/// Fields that say what text a value has, and where.
const TEXTS: [(&str, TextPlace); 4] = [
    ("value", TextPlace::Whole),
    ("prefixMatch", TextPlace::Start),
    ("suffixMatch", TextPlace::End),
    ("containsMatch", TextPlace::Anywhere),
];

/// The condition on the value. An empty text is the same as none: every value begins with it.
pub(super) fn condition(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<ValueMatcher> {
    let text = TEXTS.iter().find_map(|&(key, place)| {
        let text = node.text_at(key)?;
        (!text.is_empty()).then_some((place, text))
    });
    let ignore_case = node.flag("ignoreCase");
    let found = match (node.flag("regex"), text) {
        (true, Some((TextPlace::Whole, pattern))) => ValueMatcher::Regex(pattern),
        (true, Some(_)) => {
            regex_without_value(node, diagnostics);
            return None;
        }
        (true, None) => {
            if !node.faulty {
                let value = node.text_at("value");
                let value = value.unwrap_or(Spanned::new(String::new(), node.span));
                diagnostics.push(empty_regex(&value));
            }
            return None;
        }
        (false, Some((place, text))) => ValueMatcher::Text {
            place,
            text,
            ignore_case,
        },
        (false, None) => match node.get("rangeMatch") {
            Some(range) => self::range(range, diagnostics)?,
            None => ValueMatcher::Present,
        },
    };
    if ignore_case && !matches!(found, ValueMatcher::Text { .. }) {
        idle_ignore_case(node, &found, diagnostics);
    }
    Some(found)
}

fn regex_without_value(node: &Node<'_>, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::at(
            Code::ExclusiveFields,
            node.span,
            "`regex` says that `value` is a regular expression, but there is other text instead",
        )
        .help("write the regular expression as `value`, or remove `regex`"),
    );
}

fn range(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<ValueMatcher> {
    let mut bound = |key| {
        let Some(bound) = node.get(key) else {
            if !node.faulty {
                diagnostics.push(missing(node.span, key, "a range"));
            }
            return None;
        };
        bound.integer()
    };
    let (start, end) = (bound("start"), bound("end"));
    let (start, end) = (start?, end?);
    if start >= end {
        diagnostics.push(
            Diagnostic::at(
                Code::NumberOutOfRange,
                node.span,
                format!("no number is at least {start} and below {end}"),
            )
            .help("`end` is not part of the range; it must be greater than `start`"),
        );
        return None;
    }
    Some(ValueMatcher::Range(start, end))
}

fn idle_ignore_case(node: &Node<'_>, found: &ValueMatcher, diagnostics: &mut Diagnostics) {
    let (what, help) = match found {
        ValueMatcher::Regex(_) => ("a regex", "start the regex with `(?i)`"),
        _ => ("this condition", "remove it"),
    };
    let span = node.get("ignoreCase").map_or(node.span, |flag| flag.span);
    diagnostics.push(
        Diagnostic::at(
            Code::IgnoreCaseWithRegex,
            span,
            format!("`ignoreCase` has no effect on {what}"),
        )
        .help(help),
    );
}
