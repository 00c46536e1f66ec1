//! Explanations: a response header that says what was decided about its request, for those who know a token.

use meshgate_engine::policy::Policies;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::stats::Outcome;

/// The token that requests must have in `x-meshgate-explain`.
#[derive(Debug)]
pub(crate) struct Token {
    sha256: [u8; 32],
}

/// The token as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Written {
    token_sha256: String,
}

impl Written {
    /// The token; `None` if it is not 64 hexadecimal digits.
    pub(crate) fn token(&self) -> Option<Token> {
        let mut sha256 = [0; 32];
        let (pairs, []) = self.token_sha256.as_bytes().as_chunks::<2>() else {
            return None;
        };
        if pairs.len() != sha256.len() {
            return None;
        }
        for (byte, [high, low]) in sha256.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
        }
        Some(Token { sha256 })
    }
}

impl Token {
    /// Whether a value is the token.
    pub(crate) fn is(&self, value: &[u8]) -> bool {
        Sha256::digest(value).as_slice().ct_eq(&self.sha256).into()
    }
}

/// What has been decided about a request.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    pub(crate) generation: &'a str,
    /// Namespace and name.
    pub(crate) gateway: Option<(&'a str, &'a str)>,
    pub(crate) host: Option<&'a [u8]>,
    /// Full name; empty if no route matches.
    pub(crate) route: &'a [u8],
    pub(crate) policies: Option<&'a Policies>,
    pub(crate) outcome: Outcome,
    /// The cluster, or the response code details of what a policy has answered.
    pub(crate) detail: &'a str,
}

impl Account<'_> {
    /// The value of the response header: names and values, such as `route=shop.www/api; outcome=forwarded`.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut add = |name: &str, value: &[u8]| {
            if value.is_empty() {
                return;
            }
            if !text.is_empty() {
                text.extend_from_slice(b"; ");
            }
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            // Names of routes may have any characters.
            let plain = |byte: &u8| match byte {
                b';' => b'_',
                byte if byte.is_ascii_graphic() => *byte,
                _ => b'_',
            };
            text.extend(value.iter().map(plain));
        };
        add("generation", self.generation.as_bytes());
        if let Some((namespace, name)) = self.gateway {
            add("gateway", format!("{namespace}.{name}").as_bytes());
        }
        add("virtual-host", self.host.unwrap_or_default());
        add("route", self.route);
        let policies = self.policies.map(names).unwrap_or_default();
        add("policies", policies.join(",").as_bytes());
        add("outcome", self.outcome.name().as_bytes());
        if self.outcome == Outcome::Forwarded {
            add("cluster", self.detail.as_bytes());
        } else {
            let word = self.detail.strip_prefix("meshgate_").unwrap_or_default();
            let word = word.strip_prefix("refused_").unwrap_or(word);
            add("policy", word.as_bytes());
        }
        text
    }
}

/// The policies of a route, in the order in which they are looked at.
fn names(policies: &Policies) -> Vec<&'static str> {
    let there = [
        ("fault", policies.fault.is_some()),
        ("cors", policies.cors.is_some()),
        ("csrf", policies.csrf.is_some()),
        ("jwt", policies.jwt.is_some()),
        (
            "extauth",
            !policies.credentials.is_empty() || policies.auth.is_some(),
        ),
        ("authorization", policies.authorization.is_some()),
        ("rate_limit", policies.rate_limit.is_some()),
        ("mirror", !policies.mirrors.is_empty()),
    ];
    let there = there.into_iter().filter(|(_, is_there)| *is_there);
    there.map(|(name, _)| name).collect()
}
