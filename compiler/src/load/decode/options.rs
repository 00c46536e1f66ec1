//! Route options: decoding of those that are supported, value checks of all.

use std::time::Duration;

use super::value::{
    duration, header_name, header_safe, integer_in, is_token, missing, string_entries,
};
use super::{every, matcher};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Entry, Node};
use crate::resource::options::HeaderValue;
use crate::resource::{HeaderManipulation, Options, Retries};
use crate::source::{Span, Spanned};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Options of one level. An option that is not supported yet is checked all the same and kept by name.
pub(super) fn options(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Options> {
    let mut options = Options::default();
    let mut sound = true;
    for Entry {
        key,
        key_span,
        value,
    } in node.entries()
    {
        let read = match key.as_ref() {
            "requestTimeout" => {
                options.request_timeout =
                    duration(value, "`requestTimeout`", Duration::ZERO, diagnostics);
                options.request_timeout.is_some()
            }
            "retries" => {
                options.retries =
                    retries(value, diagnostics).map(|retries| Spanned::new(retries, *key_span));
                options.retries.is_some()
            }
            "headerManipulation" => {
                options.header_manipulation = header_manipulation(value, diagnostics)
                    .map(|headers| Spanned::new(headers, *key_span));
                options.header_manipulation.is_some()
            }
            name => {
                options
                    .unsupported
                    .push(Spanned::new(name.to_owned(), *key_span));
                match name {
                    "faultInjection" => fault_injection(value, diagnostics),
                    "corsPolicy" => cors_policy(value, diagnostics),
                    "mirror" => mirror(value, diagnostics),
                    "csrf" => csrf(value, diagnostics),
                    _ => Some(()),
                }
                .is_some()
            }
        };
        sound &= read;
    }
    sound.then_some(options)
}

fn retries(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Retries> {
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
        Some(timeout) => duration(timeout, "`perTryTimeout`", MILLISECOND, diagnostics)
            .map(|timeout| Some(timeout.value)),
        None => Some(None),
    };
    Some(Retries {
        attempts: u32::try_from(attempts?.value).ok()?,
        per_try_timeout: per_try_timeout?,
    })
}

fn header_manipulation(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<HeaderManipulation> {
    let remove_request = removed(node, "removeRequestHeaders", diagnostics);
    let append_request = appended(node, "appendRequestHeaders", diagnostics);
    let remove_response = removed(node, "removeResponseHeaders", diagnostics);
    let append_response = appended(node, "appendResponseHeaders", diagnostics);
    Some(HeaderManipulation {
        remove_request: remove_request?,
        append_request: append_request?,
        remove_response: remove_response?,
        append_response: append_response?,
    })
}

fn removed(
    node: &Node<'_>,
    key: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Spanned<String>>> {
    every(node.list_at(key), |node| {
        let name = node.text()?;
        changeable_header(&name, name.span, diagnostics)?;
        Some(Spanned::new(name.to_ascii_lowercase(), name.span))
    })
}

fn appended(node: &Node<'_>, key: &str, diagnostics: &mut Diagnostics) -> Option<Vec<HeaderValue>> {
    let mut sound = true;
    let mut headers = Vec::new();
    for (entry, value) in string_entries(node, key) {
        let span = Span {
            end: entry.value.span.end.max(entry.key_span.end),
            ..entry.key_span
        };
        let name = changeable_header(&entry.key, entry.key_span, diagnostics);
        let safe = header_safe(
            value,
            "the value of this header",
            entry.value.span,
            diagnostics,
        );
        sound &= name.is_some() && safe.is_some();
        if let Some(operator) = command_operator(value) {
            diagnostics.push(
                Diagnostic::at(
                    Code::CommandOperator,
                    entry.value.span,
                    format!("`{}` is sent as it stands, not replaced", operator),
                )
                .help("values of headers are literal text"),
            );
        }
        headers.push(HeaderValue {
            name: entry.key.to_ascii_lowercase(),
            value: value.to_owned(),
            span,
        });
    }
    headers.sort_by(|a, b| a.name.cmp(&b.name));
    sound.then_some(headers)
}

/// Checks that a header may be changed: it has a legal name and does not steer routing.
fn changeable_header(name: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<()> {
    if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
        diagnostics.push(Diagnostic::at(
            Code::ProtectedHeader,
            span,
            format!("the header `{}` cannot be added or removed", name),
        ));
        return None;
    }
    header_name(name, span, diagnostics)
}

/// A `%NAME%` or `%NAME(…)%` in a header value, which some proxies replace.
fn command_operator(value: &str) -> Option<&str> {
    let start = value.find('%')?;
    let rest = &value[start + 1..];
    let name = rest
        .bytes()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        .count();
    let after = &rest[name..];
    let arguments = match after.strip_prefix('(') {
        Some(arguments) => arguments.find(')').map_or(0, |end| end + 2),
        None => 0,
    };
    let length = name + arguments;
    if name > 0 && rest.as_bytes().get(length) == Some(&b'%') {
        return value.get(start..start + length + 2);
    }
    command_operator(rest)
}

fn percentage(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
    let Some(percentage) = node.get("percentage") else {
        return Some(());
    };
    let value = percentage.number()?;
    if (0.0..=100.0).contains(&value) {
        return Some(());
    }
    diagnostics.push(Diagnostic::at(
        Code::NumberOutOfRange,
        percentage.span,
        format!("a percentage must be between 0 and 100, but is {value}"),
    ));
    None
}

fn fault_injection(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
    let percentage = percentage(node, diagnostics);
    let fault = if let Some(delay) = node.get("fixedDelay") {
        duration(delay, "`fixedDelay`", MILLISECOND, diagnostics).map(|_| ())
    } else if let Some(abort) = node.get("abort") {
        match abort.get("httpStatus") {
            Some(status) => {
                integer_in(status, "the status of a fault", 200..=599, diagnostics).map(|_| ())
            }
            None => {
                if !abort.faulty {
                    diagnostics.push(missing(abort.span, "httpStatus", "`abort`"));
                }
                None
            }
        }
    } else {
        if !node.faulty {
            diagnostics.push(missing(
                node.span,
                "fixedDelay` or `abort",
                "`faultInjection`",
            ));
        }
        None
    };
    percentage.and(fault)
}

fn cors_policy(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
    let origins = every(node.list_at("allowOrigins"), |node| {
        matcher::string_match(node, diagnostics)
    });
    let headers = every(
        node.list_at("allowHeaders")
            .iter()
            .chain(node.list_at("exposeHeaders")),
        |node| header_name(node.string()?, node.span, diagnostics),
    );
    let methods = every(node.list_at("allowMethods"), |node| {
        let method = node.string()?;
        // `*` stands for every method.
        if KNOWN_METHODS.contains(&method) || method == "*" {
            return Some(());
        }
        let message = if is_token(method) {
            "is not a known method"
        } else {
            "is not a legal method"
        };
        diagnostics.push(
            Diagnostic::at(
                Code::UnknownMethod,
                node.span,
                format!("`{}` {message}", method),
            )
            .help(format!("known methods are {}", KNOWN_METHODS.join(", "))),
        );
        None
    });
    let max_age = match node.get("maxAge") {
        Some(node) => duration(node, "`maxAge`", Duration::ZERO, diagnostics).and_then(|max_age| {
            if max_age.subsec_nanos() == 0 {
                return Some(());
            }
            diagnostics.push(Diagnostic::at(
                Code::InvalidDuration,
                max_age.span,
                "`maxAge` is sent in whole seconds",
            ));
            None
        }),
        None => Some(()),
    };
    origins
        .is_some()
        .then_some(())
        .and(headers.map(|_| ()))
        .and(methods.map(|_| ()))
        .and(max_age)
}

const KNOWN_METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

fn mirror(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
    let percentage = percentage(node, diagnostics);
    if node.get("kubeService").is_none() && !node.faulty {
        diagnostics.push(missing(node.span, "kubeService", "`mirror`"));
        return None;
    }
    percentage
}

fn csrf(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
    let origins = every(node.list_at("additionalOrigins"), |node| {
        matcher::string_match(node, diagnostics)
    });
    percentage(node, diagnostics).and(origins.map(|_| ()))
}
