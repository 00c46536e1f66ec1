//! JSON Web Tokens (RFC 7519), signed ones: who sends a request, as an issuer says that is trusted.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Reply, RequestChanges};
use crate::program::Program;
use crate::request::{Headers, Request};
use crate::signature::Algorithm;

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// Most keys that one token is tried with.
pub const MAX_TRIES: usize = 4;

/// Tokens that requests must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Jwt {
    /// Who issues them.
    pub issuers: Vec<Issuer>,
    /// The header that has them.
    pub header: String,
    /// What stands before them in the header, in letters of any case.
    pub prefix: String,
    /// The query parameter that may have them as well.
    pub parameter: Option<String>,
    /// Claims, by the names that lead to them, and the headers that tell the destination about them.
    pub claim_headers: Vec<(Vec<String>, String)>,
    /// Whether the destination gets the token.
    pub forward: bool,
    /// Whether requests may come without.
    pub allow_missing: bool,
    /// By how many seconds clocks may differ.
    pub clock_skew: u64,
}

/// An issuer of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Issuer {
    /// `iss`.
    pub name: String,
    /// `aud` must have one of them; none = it does not matter.
    pub audiences: Vec<String>,
    /// Its keys, by their index in the program.
    pub keys: Vec<u32>,
}

/// What there is to say about a token that is not taken.
enum Refused {
    Missing,
    Invalid,
}

/// The first part of a token. A name that comes twice makes it unreadable.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    /// Extensions that must be understood. There are none.
    crit: Option<IgnoredAny>,
}

impl Jwt {
    /// The claims of the request's token; `None` if it has none and needs none. Says what changes about the request, also
    /// when it is refused.
    pub(super) fn check<'p, H: Headers + ?Sized>(
        &'p self,
        request: &Request<'_, H>,
        program: &Program,
        now: u64,
        changes: &mut RequestChanges<'p>,
    ) -> Result<Option<Value>, Reply> {
        let claims = match self.claims(request, program, now) {
            Ok(claims) => Some(claims),
            Err(Refused::Missing) if self.allow_missing => None,
            Err(Refused::Missing) => return Err(refusal("Jwt is missing", b"Bearer")),
            Err(Refused::Invalid) => {
                let challenge = b"Bearer error=\"invalid_token\"";
                return Err(refusal("Jwt verification fails", challenge));
            }
        };
        for (path, header) in &self.claim_headers {
            let value = claims
                .as_ref()
                .and_then(|claims| find(claims, path))
                .and_then(text);
            // Nothing that could end a header line.
            let value =
                value.filter(|value| !value.bytes().any(|byte| byte < b' ' || byte == 0x7f));
            changes.push((header, value.map(|value| value.into_owned().into_bytes())));
        }
        if claims.is_some() && !self.forward {
            changes.push((&self.header, None));
        }
        Ok(claims)
    }

    fn claims<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        program: &Program,
        now: u64,
    ) -> Result<Value, Refused> {
        let token = self.token(request)?;
        let claims = self.verified(token, program).ok_or(Refused::Invalid)?;
        let is_in_time = is_in_time(&claims, now, self.clock_skew);
        is_in_time.then_some(claims).ok_or(Refused::Invalid)
    }

    /// The request's only token.
    fn token<'r, H: Headers + ?Sized>(
        &self,
        request: &Request<'r, H>,
    ) -> Result<&'r [u8], Refused> {
        let fields = request.headers.iter();
        let mut lines = fields.filter(|(name, _)| *name == self.header.as_bytes());
        let line = lines.next();
        if lines.next().is_some() {
            return Err(Refused::Invalid);
        }
        let in_header = line.and_then(|(_, value)| {
            let (prefix, token) = value.split_at_checked(self.prefix.len())?;
            prefix
                .eq_ignore_ascii_case(self.prefix.as_bytes())
                .then_some(token.trim_ascii())
        });
        let in_query = self.parameter.iter().flat_map(|wanted| {
            let query = request.query().unwrap_or_default();
            query.split(|&byte| byte == b'&').filter_map(|parameter| {
                parameter
                    .strip_prefix(wanted.as_bytes())?
                    .strip_prefix(b"=")
            })
        });
        let mut tokens = in_header.into_iter().chain(in_query);
        let token = tokens.next().ok_or(Refused::Missing)?;
        match tokens.next() {
            Some(_) => Err(Refused::Invalid),
            None => Ok(token),
        }
    }

    /// The claims of a token that one of the issuers signed, for one of its audiences.
    fn verified(&self, token: &[u8], program: &Program) -> Option<Value> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let mut parts = token.split(|&byte| byte == b'.');
        let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let signed = token.get(..header.len() + 1 + claims.len())?;
        let decoded = |part| URL_SAFE_NO_PAD.decode(part).ok();
        let (header, claims, signature) = (decoded(header)?, decoded(claims)?, decoded(signature)?);
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        let algorithm = Algorithm::of(&header.alg).filter(|_| header.crit.is_none())?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let name = claims.get("iss")?.as_str()?;
        let issuer = self.issuers.iter().find(|issuer| issuer.name == name)?;
        let keys = issuer.keys.iter().filter_map(|&id| program.key(id));
        let mut tries = keys
            .filter(|(key, _)| {
                let is_named = match (&key.id, &header.kid) {
                    (Some(id), Some(named)) => id == named,
                    _ => true,
                };
                is_named && key.is_for(algorithm)
            })
            .take(MAX_TRIES);
        let is_signed = tries.any(|(_, key)| key.verifies(algorithm, signed, &signature));
        (is_signed && issuer.is_for(&claims)).then_some(claims)
    }
}

impl Issuer {
    /// Whether a token is for one of the audiences.
    fn is_for(&self, claims: &Value) -> bool {
        let is_audience = |value: &Value| {
            value
                .as_str()
                .is_some_and(|name| self.audiences.iter().any(|audience| audience == name))
        };
        self.audiences.is_empty()
            || match claims.get("aud") {
                Some(Value::Array(names)) => names.iter().any(is_audience),
                Some(name) => is_audience(name),
                None => false,
            }
    }
}

/// Whether a token is valid at a time in seconds. Times that are no numbers are never.
fn is_in_time(claims: &Value, now: u64, skew: u64) -> bool {
    let (now, skew) = (now as f64, skew as f64);
    let holds = |name, holds: &dyn Fn(f64) -> bool| match claims.get(name) {
        Some(time) => time.as_f64().is_some_and(holds),
        None => true,
    };
    holds("exp", &|end| now <= end + skew) && holds("nbf", &|start| start <= now + skew)
}

fn find<'c>(claims: &'c Value, path: &[String]) -> Option<&'c Value> {
    path.iter().try_fold(claims, |value, name| value.get(name))
}

/// The text of a claim. Lists and objects have none.
pub(super) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(_) | Value::Number(_) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn refusal(body: &'static str, challenge: &[u8]) -> Reply {
    Reply {
        status: 401,
        headers: vec![("www-authenticate", challenge.to_vec())],
        body: body.into(),
        is_refusal: true,
        details: "meshgate_refused_jwt".into(),
    }
}
