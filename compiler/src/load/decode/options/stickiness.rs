//! `stickiness`.

use std::time::Duration;

use super::super::every;
use super::super::value::{duration, header_name, is_token, missing, path, required};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::policy::stickiness::{Cookie, Property, PropertyKind, Stickiness};
use crate::source::Spanned;

pub(super) fn stickiness(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Stickiness> {
    let properties = every(node.list_at("hashPolicies"), |node| {
        property(node, diagnostics)
    })?;
    Some(Stickiness { properties })
}

fn property(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Property> {
    let kind = if let Some(header) = node.text_at("header") {
        header_name(&header, header.span, diagnostics)?;
        PropertyKind::Header(header.to_ascii_lowercase())
    } else if let Some(written) = node.get("cookie") {
        PropertyKind::Cookie(cookie(written, diagnostics)?)
    } else if node.flag("sourceIp") {
        PropertyKind::SourceIp
    } else {
        if !node.faulty {
            let kinds = "header`, `cookie` or `sourceIp: true";
            diagnostics.push(missing(node.span, kinds, "an element of `hashPolicies`"));
        }
        return None;
    };
    Some(Property {
        kind,
        is_terminal: node.flag("terminal"),
    })
}

fn cookie(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Cookie> {
    let name = required(node, "name", "a cookie", diagnostics);
    let name = name.and_then(|name| {
        let rule = "its name consists of letters, digits and the characters !#$%&'*+-.^_`|~";
        sound(name, is_token, "the name", rule, diagnostics)
    });
    let ttl = match node.get("ttl") {
        Some(ttl) => duration(ttl, "`ttl`", Duration::ZERO, diagnostics).map(|ttl| Some(ttl.value)),
        None => Some(None),
    };
    let path = path(node, "path", diagnostics).and_then(|path| match path {
        // Browsers would take the folder of the first path that they happen to ask for.
        None => Some("/".to_owned()),
        Some(path) => {
            let is_path = |path: &str| path.starts_with('/') && !path.contains([';', ',']);
            let rule = "it starts with a slash, and has no semicolon and no comma";
            sound(path, is_path, "the path", rule, diagnostics)
        }
    });
    Some(Cookie {
        name: name?,
        ttl: ttl?,
        path: path?,
    })
}

fn sound(
    text: Spanned<String>,
    is_sound: impl FnOnce(&str) -> bool,
    what: &str,
    rule: &str,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    if is_sound(&text) {
        return Some(text.value);
    }
    diagnostics.push(
        Diagnostic::at(
            Code::InvalidCookie,
            text.span,
            format!("`{}` cannot be {what} of a cookie", text.value),
        )
        .help(rule),
    );
    None
}
