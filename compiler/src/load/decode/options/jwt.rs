//! `jwt`.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use meshgate_engine::{Algorithm, Key, KeyMaterial};
use serde::Deserialize;

use super::super::every;
use super::super::value::{duration, header_safe, missing, required};
use super::authorization::claim_path;
use super::{changeable_header, settable_header};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::policy::access::{Jwt, JwtIssuer};
use crate::source::Spanned;

/// How much clocks may differ unless something else is said.
const CLOCK_SKEW: Duration = Duration::from_mins(1);

pub(super) fn jwt(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Jwt> {
    let issuers = every(node.list_at("issuers"), |node| issuer(node, diagnostics));
    let claim_headers = every(node.list_at("claimsToHeaders"), |node| {
        claim_header(node, diagnostics)
    });
    let clock_skew = match node.get("clockSkew") {
        Some(node) => duration(node, "`clockSkew`", Duration::ZERO, diagnostics),
        None => Some(Spanned::new(CLOCK_SKEW, node.span)),
    };
    let place = place(node.get("tokenFrom"), diagnostics);
    if issuers.as_ref().is_some_and(Vec::is_empty) && !node.faulty {
        diagnostics.push(missing(node.span, "issuers", "`jwt`"));
        return None;
    }
    if node.faulty {
        return None;
    }
    let (header, prefix, parameter) = place?;
    Some(Jwt {
        issuers: issuers?,
        header,
        prefix,
        parameter,
        claim_headers: claim_headers?,
        forward: node.flag("forward"),
        allow_missing: node.flag("allowMissing"),
        clock_skew: clock_skew?.as_secs(),
    })
}

/// Header, prefix and query parameter of tokens.
fn place(
    node: Option<&Node<'_>>,
    diagnostics: &mut Diagnostics,
) -> Option<(String, String, Option<String>)> {
    let text = |key| node.and_then(|node| node.text_at(key));
    let prefix = text("prefix").map(|prefix| prefix.value);
    let (header, prefix) = match text("header") {
        Some(header) => {
            changeable_header(&header, header.span, diagnostics)?;
            (header.to_ascii_lowercase(), prefix.unwrap_or_default())
        }
        None => {
            let prefix = prefix.unwrap_or_else(|| "Bearer ".to_owned());
            ("authorization".to_owned(), prefix)
        }
    };
    let parameter = text("queryParameter").map(|name| name.value);
    Some((header, prefix, parameter.filter(|name| !name.is_empty())))
}

fn claim_header(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<(Vec<String>, String)> {
    let path = claim_path(node, diagnostics);
    let header = required(node, "header", "a header for a claim", diagnostics)?;
    settable_header(&header, header.span, diagnostics)?;
    Some((path?, header.to_ascii_lowercase()))
}

fn issuer(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<JwtIssuer> {
    let issuer = required(node, "issuer", "an issuer of tokens", diagnostics);
    let keys = required(node, "jwks", "an issuer of tokens", diagnostics)
        .and_then(|text| keys(&text, diagnostics));
    let audiences = every(node.list_at("audiences"), |node| {
        let audience = node.text()?;
        header_safe(&audience, "an audience", audience.span, diagnostics)?;
        Some(audience.value)
    });
    if node.faulty {
        return None;
    }
    Some(JwtIssuer {
        issuer: issuer?.value,
        audiences: audiences?,
        keys: keys?,
    })
}

/// A set of keys (RFC 7517).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<WrittenKey>,
}

/// A key as it is written. Fields that do not concern its use for signatures are not read.
#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
    k: Option<String>,
}

/// The keys of a set that tokens can be verified with; there must be some.
fn keys(text: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Vec<Key>> {
    let set: KeySet = match serde_json::from_str(text) {
        Ok(set) => set,
        Err(error) => {
            diagnostics.push(
                Diagnostic::at(
                    Code::InvalidKeys,
                    text.span,
                    format!("this is no set of keys: {error}"),
                )
                .help("write the issuer's JWKS as JSON: `{\"keys\": [{\"kty\": …}]}`"),
            );
            return None;
        }
    };
    let mut keys = Vec::new();
    for (n, written) in set.keys.iter().enumerate() {
        let name = match &written.kid {
            Some(kid) => format!("key `{kid}`"),
            None => format!("key number {}", n + 1),
        };
        if written.d.is_some() || written.k.is_some() {
            diagnostics.push(
                Diagnostic::at(Code::InvalidKeys, text.span, format!("{name} is secret"))
                    .help("write the public key only, and take the secret one for known to others"),
            );
            return None;
        }
        match key(written) {
            Ok(key) => keys.push(key),
            Err(reason) => diagnostics.push(
                Diagnostic::at(
                    Code::UnusableKey,
                    text.span,
                    format!("{name} is left out: {reason}"),
                )
                .help("tokens that it signed are refused"),
            ),
        }
    }
    if keys.is_empty() {
        diagnostics.push(Diagnostic::at(
            Code::InvalidKeys,
            text.span,
            "there is no key that tokens could be verified with",
        ));
        return None;
    }
    Some(keys)
}

fn key(written: &WrittenKey) -> Result<Key, String> {
    if let Some(usage) = &written.usage
        && usage != "sig"
    {
        return Err(format!("its use is `{usage}`, not `sig`"));
    }
    let algorithm = match &written.alg {
        None => None,
        Some(name) => {
            let known = Algorithm::of(name);
            Some(known.ok_or_else(|| format!("the algorithm `{name}` is not supported"))?)
        }
    };
    let bytes = |name: &str, field: &Option<String>| {
        let text = field
            .as_ref()
            .ok_or_else(|| format!("it has no `{name}`"))?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
        bytes.map_err(|_| format!("its `{name}` is not base64url without padding"))
    };
    let kind = (written.kty.as_str(), written.crv.as_deref());
    let material = match kind {
        ("RSA", _) => KeyMaterial::Rsa {
            modulus: bytes("n", &written.n)?,
            exponent: bytes("e", &written.e)?,
        },
        ("EC", Some("P-256")) => {
            KeyMaterial::P256([bytes("x", &written.x)?, bytes("y", &written.y)?].concat())
        }
        ("OKP", Some("Ed25519")) => KeyMaterial::Ed25519(bytes("x", &written.x)?),
        (kty, Some(crv)) => return Err(format!("the curve `{crv}` of `{kty}` is not supported")),
        (kty, None) => return Err(format!("the type `{kty}` is not supported")),
    };
    let key = Key {
        id: written.kid.clone(),
        algorithm,
        material,
    };
    match key.is_sound() {
        true => Ok(key),
        false => Err(
            "it is no sound key of its type, fit for its algorithm (RSA: 2048 to 4096 bits)"
                .to_owned(),
        ),
    }
}
