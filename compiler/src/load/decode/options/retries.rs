//! `retries`: how often, and under which conditions.

use std::time::Duration;

use super::super::value::{duration, integer_in, missing};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Node, Value};
use crate::resource::{Retries, RetryConditions};
use crate::source::Span;
use crate::suggest::closest;

/// Conditions that look at a response or at the lack of one, by Envoy's names.
const HTTP: [&str; 10] = [
    "5xx",
    "connect-failure",
    "envoy-ratelimited",
    "gateway-error",
    "http3-post-connect-failure",
    "refused-stream",
    "reset",
    "reset-before-request",
    "retriable-4xx",
    STATUS_CODES,
];
/// Conditions that look at the status of a gRPC response.
const GRPC: [&str; 5] = [
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];
/// Its statuses stand in a list of their own.
const STATUS_CODES: &str = "retriable-status-codes";
/// A condition of Envoy's that there is no field for.
const HEADERS: &str = "retriable-headers";

pub(super) fn retries(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Retries> {
    let attempts = match node.get("attempts") {
        Some(attempts) => integer_in(
            attempts,
            "the number of attempts",
            0..=i64::from(i32::MAX),
            diagnostics,
        ),
        None => {
            if !node.faulty {
                diagnostics.push(missing(node.span, "attempts", "`retries`"));
            }
            None
        }
    };
    let per_try_timeout = match node.get("perTryTimeout") {
        Some(timeout) => duration(
            timeout,
            "`perTryTimeout`",
            Duration::from_millis(1),
            diagnostics,
        )
        .map(|timeout| Some(timeout.value)),
        None => Some(None),
    };
    let conditions = conditions(node, diagnostics);
    Some(Retries {
        attempts: u32::try_from(attempts?.value).ok()?,
        per_try_timeout: per_try_timeout?,
        conditions: conditions?,
    })
}

/// What `retryOn` and `retriableStatusCodes` come to.
fn conditions(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<RetryConditions> {
    let retry_on = node.get("retryOn");
    let names = retry_on.map(|written| names(written, diagnostics));
    let codes = node
        .get("retriableStatusCodes")
        .map(|written| codes(written, diagnostics));
    let (names, codes) = match (names, codes) {
        (None, None) => return Some(RetryConditions::default()),
        (None, Some(codes)) => {
            let default = RetryConditions::default();
            (
                default.http.into_iter().chain(default.grpc).collect(),
                codes?,
            )
        }
        (Some(names), codes) => (names?, codes.unwrap_or(Some(Vec::new()))?),
    };
    if codes.is_empty()
        && names.contains(&STATUS_CODES)
        && let Some(written) = retry_on
    {
        diagnostics.push(missing(
            written.span,
            "retriableStatusCodes",
            "the condition `retriable-status-codes`",
        ));
        return None;
    }
    // In one order and each once, however they are written.
    let of = |known: &[&'static str]| {
        let wanted = |name: &&str| match *name {
            STATUS_CODES => !codes.is_empty(),
            name => names.contains(&name),
        };
        known.iter().copied().filter(wanted).collect()
    };
    Some(RetryConditions {
        http: of(&HTTP),
        grpc: of(&GRPC),
        status_codes: codes.clone(),
    })
}

/// `retryOn`: a list, or a text with commas.
fn names(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<&'static str>> {
    let elements = match &node.value {
        Value::List(list) => list.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut sound = true;
    let mut names = Vec::new();
    for element in elements {
        let Some(text) = element.string() else {
            match element.integer() {
                Some(number) => unknown(&number.to_string(), element.span, diagnostics),
                None if element.faulty => {}
                None => diagnostics.push(
                    Diagnostic::at(
                        Code::WrongType,
                        element.span,
                        "expected the name of a condition for retries".to_owned(),
                    )
                    .help("write a list of names, or one text with commas between them"),
                ),
            }
            sound = false;
            continue;
        };
        for name in text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            match HTTP.iter().chain(&GRPC).find(|known| **known == name) {
                Some(known) => names.push(*known),
                None => {
                    sound = false;
                    unknown(name, element.span, diagnostics);
                }
            }
        }
    }
    if sound && names.is_empty() {
        diagnostics.push(
            Diagnostic::at(
                Code::UnknownRetryCondition,
                node.span,
                "`retryOn` has no condition".to_owned(),
            )
            .help("write `attempts: 0` for no retries, or leave `retryOn` out for the usual ones"),
        );
        return None;
    }
    sound.then_some(names)
}

fn unknown(name: &str, span: Span, diagnostics: &mut Diagnostics) {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    let help = match (
        name.parse::<u16>(),
        closest(&lower, HTTP.into_iter().chain(GRPC)),
    ) {
        (Ok(code), _) => format!("write `retriableStatusCodes: [{code}]` for a status"),
        _ if name == HEADERS => {
            "retries because of a response header are not supported; use another condition"
                .to_owned()
        }
        (_, Some(similar)) => format!("did you mean `{similar}`?"),
        _ => format!(
            "write some of {}",
            [HTTP.join(", "), GRPC.join(", ")].join(", ")
        ),
    };
    diagnostics.push(
        Diagnostic::at(
            Code::UnknownRetryCondition,
            span,
            format!("`{name}` is not a condition for retries"),
        )
        .help(help),
    );
}

/// `retriableStatusCodes`, sorted.
fn codes(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<u16>> {
    let mut codes = super::every(node.list(), |node| {
        let code = integer_in(node, "a status to retry on", 100..=599, diagnostics)?;
        u16::try_from(code.value).ok()
    })?;
    codes.sort_unstable();
    codes.dedup();
    Some(codes)
}
