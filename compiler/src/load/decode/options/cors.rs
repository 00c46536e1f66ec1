//! `corsPolicy`.

use std::time::Duration;

use super::super::value::{duration, header_name, is_token};
use super::super::{every, matcher};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::policy::Cors;

pub(super) fn cors_policy(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Cors> {
    let origins = every(node.list_at("allowOrigins"), |node| {
        matcher::text_match(node, diagnostics)
    });
    let headers = names(node, "allowHeaders", diagnostics);
    let expose = names(node, "exposeHeaders", diagnostics);
    let methods = every(node.list_at("allowMethods"), |node| {
        method(node, diagnostics)
    });
    let max_age = match node.get("maxAge") {
        Some(node) => max_age(node, diagnostics).map(Some),
        None => Some(None),
    };
    Some(Cors {
        origins: origins?,
        methods: methods?,
        headers: headers?,
        expose: expose?,
        max_age: max_age?,
        credentials: node
            .get("allowCredentials")
            .and_then(Node::boolean)
            .unwrap_or_default(),
    })
}

fn names(node: &Node<'_>, key: &str, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
    every(node.list_at(key), |node| {
        let name = node.string()?;
        header_name(name, node.span, diagnostics)?;
        Some(name.to_owned())
    })
}

fn method(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let method = node.string()?;
    // `*` stands for every method.
    if KNOWN_METHODS.contains(&method) || method == "*" {
        return Some(method.to_owned());
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
            format!("`{method}` {message}"),
        )
        .help(format!("known methods are {}", KNOWN_METHODS.join(", "))),
    );
    None
}

fn max_age(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Duration> {
    let max_age = duration(node, "`maxAge`", Duration::ZERO, diagnostics)?;
    if max_age.subsec_nanos() == 0 {
        return Some(max_age.value);
    }
    diagnostics.push(Diagnostic::at(
        Code::InvalidDuration,
        max_age.span,
        "`maxAge` is sent in whole seconds",
    ));
    None
}

const KNOWN_METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];
