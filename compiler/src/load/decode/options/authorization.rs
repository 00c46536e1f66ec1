//! `authorization`.

use std::net::IpAddr;

use meshgate_engine::policy::AddressRange;

use super::super::value::{integer_in, missing};
use super::super::{every, matcher};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::policy::TextMatch;
use crate::policy::access::{Authorization, AuthorizationRule, ClaimMatch, SameHeader};
use crate::regex::Patterns;
use crate::resolve::matcher::header_match;
use crate::source::Spanned;

/// Most proxies that can be in front of a gateway.
const MAX_HOPS: i64 = 100;

pub(super) fn authorization(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Authorization> {
    let trusted_hops = match node.get("trustedHops") {
        Some(node) => integer_in(node, "`trustedHops`", 0..=MAX_HOPS, diagnostics),
        None => Some(Spanned::new(0, node.span)),
    };
    let rules = every(node.list_at("rules"), |node| rule(node, diagnostics));
    if rules.as_ref().is_some_and(Vec::is_empty) && !node.faulty {
        diagnostics.push(
            missing(node.span, "rules", "`authorization`")
                .help("a rule without conditions, `rules: [{}]`, allows everything"),
        );
        return None;
    }
    Some(Authorization {
        rules: rules?,
        trusted_hops: u32::try_from(trusted_hops?.value).ok()?,
    })
}

fn rule(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<AuthorizationRule> {
    let mut texts = |owner: &Node<'_>, key| {
        every(owner.list_at(key), |node| {
            matcher::text_match(node, diagnostics)
        })
    };
    let (paths, server_names) = (texts(node, "paths"), texts(node, "sni"));
    let from = node.get("from");
    let identities = from.map_or(Some(Vec::new()), |from| texts(from, "identities"));
    let mut ranges = |key| match from {
        Some(from) => every(from.list_at(key), |node| {
            address_range(&node.text()?, diagnostics)
        }),
        None => Some(Vec::new()),
    };
    let (sources, not_sources) = (ranges("sourceAddresses"), ranges("notSourceAddresses"));
    let claims = every(
        from.map_or(&[][..], |from| from.list_at("claims")),
        |node| claim(node, diagnostics),
    );
    let mut patterns = Patterns::default();
    let headers = every(node.list_at("headers"), |node| {
        let header = matcher::header(node, diagnostics)?;
        header_match(&header, &mut patterns, diagnostics).map(SameHeader)
    });
    let methods = every(node.list_at("methods"), |node| {
        let method = node.text()?;
        matcher::check_method(&method, diagnostics);
        Some(method.value)
    });
    if node.faulty {
        return None;
    }
    Some(AuthorizationRule {
        name: node
            .get("name")
            .and_then(Node::string)
            .unwrap_or_default()
            .to_owned(),
        denies: node.get("action").and_then(Node::string) == Some("DENY"),
        sources: sources?,
        not_sources: not_sources?,
        identities: identities?,
        claims: claims?,
        methods: methods?,
        paths: paths?,
        headers: headers?,
        server_names: server_names?,
    })
}

fn claim(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<ClaimMatch> {
    let path = claim_path(node, diagnostics);
    let values: Option<Vec<TextMatch>> = every(node.list_at("values"), |node| {
        matcher::text_match(node, diagnostics)
    });
    if values.as_ref().is_some_and(Vec::is_empty) && !node.faulty {
        diagnostics.push(missing(node.span, "values", "a condition on a claim"));
        return None;
    }
    Some(ClaimMatch {
        path: path?,
        values: values?,
    })
}

/// `claim`: the names that lead to a claim.
pub(super) fn claim_path(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
    let names = every(node.list_at("claim"), |node| node.text());
    if names.as_ref().is_some_and(Vec::is_empty) && !node.faulty {
        diagnostics.push(
            missing(node.span, "claim", "this")
                .help("write the names that lead to it, as in `claim: [realm_access, roles]`"),
        );
        return None;
    }
    Some(names?.into_iter().map(|name| name.value).collect())
}

/// `10.0.0.0/8`, or one address.
fn address_range(text: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<AddressRange> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text.as_str(), None),
    };
    let mut wrong = |reason: String, help: String| {
        diagnostics.push(Diagnostic::at(Code::InvalidAddress, text.span, reason).help(help));
        None
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return wrong(
            format!("`{}` is no address", text.value),
            "write addresses like `10.0.0.0/8`, `192.0.2.1` or `2001:db8::/32`".to_owned(),
        );
    };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let is_number = |bits: &str| bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits = match bits {
        None => Some(width),
        Some(bits) if is_number(bits) => bits.parse().ok().filter(|bits| *bits <= width),
        Some(_) => None,
    };
    let Some(bits) = bits else {
        return wrong(
            format!("the length in `{}` is no number up to {width}", text.value),
            format!("write how many of the {width} bits count, as in `{address}/{width}`"),
        );
    };
    let masked = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    };
    if masked != address {
        return wrong(
            format!("`{}` has bits beyond its first {bits}", text.value),
            format!("write `{masked}/{bits}`, or `{address}` for the one address"),
        );
    }
    if address.to_canonical() != address {
        return wrong(
            format!(
                "`{}` is an IPv4 address in the form of an IPv6 address",
                text.value
            ),
            "write it in the form of IPv4: that is how addresses are compared".to_owned(),
        );
    }
    Some(AddressRange { address, bits })
}
