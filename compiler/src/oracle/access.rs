//! Who may send a request.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use meshgate_engine::policy::AddressRange;
use meshgate_engine::{Key, KeyMaterial};
use serde_json::{Map, Value};

use super::policies::text_matches;
use super::{Request, header, header_matches, lower_case};
use crate::answer::Response;
use crate::policy::access::{Authorization, AuthorizationRule, ClaimMatch, Jwt, JwtIssuer};

type Claims = Map<String, Value>;

/// The refusal of a request that may not be sent.
pub(super) fn refusal(
    jwt: Option<&Jwt>,
    credentials: impl Fn(&Request) -> Option<Response>,
    authorization: Option<&Authorization>,
    path: &str,
    request: &Request,
) -> Option<Response> {
    let claims = match jwt.map(|jwt| (jwt, token(jwt, request))) {
        None => None,
        Some((jwt, Token::None)) if jwt.allow_missing => None,
        Some((_, Token::None)) => return Some(unauthorized("Jwt is missing", "Bearer")),
        Some((jwt, Token::One(token))) => match verified(jwt, &token, request) {
            Some(claims) => Some(claims),
            None => return Some(invalid()),
        },
        Some((_, Token::Several)) => return Some(invalid()),
    };
    if let Some(refusal) = credentials(request) {
        return Some(refusal);
    }
    // Rules see what the destination would get: what tells of claims, and not what the client wrote in its place.
    let seen = Request {
        headers: headers_after(jwt, request),
        ..request.clone()
    };
    let is_allowed =
        authorization.is_none_or(|rules| is_allowed(rules, claims.as_ref(), path, &seen));
    (!is_allowed).then(|| Response {
        status: 403,
        headers: Vec::new(),
        body: "RBAC: access denied".to_owned(),
    })
}

/// The headers of a request that may be sent, as they go on.
pub(super) fn headers_after(jwt: Option<&Jwt>, request: &Request) -> Vec<(String, String)> {
    let mut headers = lower_case(&request.headers);
    for (name, value) in changes(jwt, request) {
        headers.retain(|(other, _)| *other != name);
        headers.extend(value.map(|value| (name, value)));
    }
    headers
}

/// Changes the headers of a request that may be sent: names and new values.
fn changes(jwt: Option<&Jwt>, request: &Request) -> Vec<(String, Option<String>)> {
    let Some(jwt) = jwt else {
        return Vec::new();
    };
    let claims = match token(jwt, request) {
        Token::One(token) => verified(jwt, &token, request),
        Token::None | Token::Several => None,
    };
    let value = |path: &[String]| {
        let value = text(claim(claims.as_ref()?, path)?)?;
        (!value.contains(|c: char| c < ' ' || c == '\u{7f}')).then_some(value)
    };
    let mut changes: Vec<_> = jwt
        .claim_headers
        .iter()
        .map(|(path, header)| (header.clone(), value(path)))
        .collect();
    if claims.is_some() && !jwt.forward {
        changes.push((jwt.header.clone(), None));
    }
    changes
}

fn unauthorized(body: &str, challenge: &str) -> Response {
    Response {
        status: 401,
        headers: vec![("www-authenticate".to_owned(), challenge.to_owned())],
        body: body.to_owned(),
    }
}

fn invalid() -> Response {
    unauthorized("Jwt verification fails", "Bearer error=\"invalid_token\"")
}

enum Token {
    None,
    One(String),
    /// Also several headers for one, whatever they hold.
    Several,
}

fn token(jwt: &Jwt, request: &Request) -> Token {
    let lines: Vec<&String> = request
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(&jwt.header))
        .map(|(_, value)| value)
        .collect();
    if lines.len() > 1 {
        return Token::Several;
    }
    let mut tokens = Vec::new();
    if let Some(line) = lines.first()
        && line
            .to_ascii_lowercase()
            .starts_with(&jwt.prefix.to_ascii_lowercase())
    {
        tokens.push(
            line[jwt.prefix.len()..]
                .trim_matches([' ', '\t'])
                .to_owned(),
        );
    }
    let path = request.path.split('#').next().unwrap_or_default();
    if let (Some(wanted), Some((_, query))) = (&jwt.parameter, path.split_once('?')) {
        for parameter in query.split('&') {
            if let Some((name, value)) = parameter.split_once('=')
                && name == wanted
            {
                tokens.push(value.to_owned());
            }
        }
    }
    match tokens.len() {
        0 => Token::None,
        1 => Token::One(tokens.remove(0)),
        _ => Token::Several,
    }
}

fn verified(jwt: &Jwt, token: &str, request: &Request) -> Option<Claims> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        return None;
    };
    if token.len() > 16384 {
        return None;
    }
    let base64 = |text: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let signed = format!("{header}.{payload}");
    let header = fields(&base64(header)?, &["alg", "kid", "crit"])?;
    let claims: Claims = serde_json::from_slice(&base64(payload)?).ok()?;
    let algorithm = header.get("alg")?.as_str()?;
    if header.get("crit").is_some_and(|crit| !crit.is_null()) {
        return None;
    }
    let kid = match header.get("kid") {
        None | Some(Value::Null) => None,
        Some(kid) => Some(kid.as_str()?),
    };
    let mut issuers = jwt.issuers.iter();
    let issuer = issuers
        .find(|issuer| Some(issuer.issuer.as_str()) == claims.get("iss").and_then(Value::as_str))?;
    let signature = base64(signature)?;
    let is_named = |key: &&Key| kid.is_none() || key.id.is_none() || key.id.as_deref() == kid;
    let fits = |key: &&Key| {
        let fits = match key.material {
            KeyMaterial::Rsa { .. } => algorithm.starts_with("RS") || algorithm.starts_with("PS"),
            KeyMaterial::P256(_) => algorithm == "ES256",
            KeyMaterial::Ed25519(_) => algorithm == "EdDSA",
        };
        fits && key.algorithm.is_none_or(|only| only.name() == algorithm)
    };
    let keys = issuer.keys.iter().filter(is_named).filter(fits);
    let is_signed = keys
        .take(4)
        .any(|key| is_signature(key, algorithm, signed.as_bytes(), &signature));
    let now = request.connection.time as f64;
    let skew = jwt.clock_skew as f64;
    let time = |name: &str, otherwise: f64| match claims.get(name) {
        None => Some(otherwise),
        Some(time) => time.as_f64(),
    };
    let in_time =
        time("exp", f64::INFINITY)? + skew >= now && time("nbf", f64::NEG_INFINITY)? - skew <= now;
    (is_signed && in_time && has_audience(issuer, &claims)).then_some(claims)
}

/// The fields of an object, unless one of `unique` comes twice.
fn fields(json: &[u8], unique: &[&str]) -> Option<Claims> {
    let fields: Claims = serde_json::from_slice(json).ok()?;
    let text = str::from_utf8(json).ok()?;
    let reader = serde_json::from_str::<Pairs>(text).ok()?;
    let once = |name: &&str| reader.0.iter().filter(|other| other == name).count() <= 1;
    unique.iter().all(once).then_some(fields)
}

/// The names in an object, in order and as often as they stand there.
struct Pairs(Vec<String>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pairs, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                    names.push(name);
                }
                Ok(Pairs(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

fn is_signature(key: &Key, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
    use ed25519_dalek::Verifier as _;
    use sha2::{Digest, Sha256, Sha384, Sha512};
    match &key.material {
        KeyMaterial::Rsa { modulus, exponent } => {
            use rsa::{BoxedUint, Pkcs1v15Sign, Pss, PublicKey};
            let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
            let Ok(key) = PublicKey::new(number(modulus), number(exponent)) else {
                return false;
            };
            let result = match algorithm {
                "RS256" => key.verify(
                    Pkcs1v15Sign::new::<Sha256>(),
                    &Sha256::digest(message),
                    signature,
                ),
                "RS384" => key.verify(
                    Pkcs1v15Sign::new::<Sha384>(),
                    &Sha384::digest(message),
                    signature,
                ),
                "RS512" => key.verify(
                    Pkcs1v15Sign::new::<Sha512>(),
                    &Sha512::digest(message),
                    signature,
                ),
                "PS256" => key.verify(Pss::<Sha256>::new(), &Sha256::digest(message), signature),
                "PS384" => key.verify(Pss::<Sha384>::new(), &Sha384::digest(message), signature),
                "PS512" => key.verify(Pss::<Sha512>::new(), &Sha512::digest(message), signature),
                _ => return false,
            };
            result.is_ok()
        }
        KeyMaterial::P256(point) => {
            let point = [&[4], point.as_slice()].concat();
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point);
            let signature = p256::ecdsa::Signature::from_slice(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
        }
        KeyMaterial::Ed25519(point) => {
            let key = point.as_slice().try_into().ok();
            let key = key.and_then(|point| ed25519_dalek::VerifyingKey::from_bytes(point).ok());
            let signature = ed25519_dalek::Signature::from_slice(signature);
            matches!((key, signature), (Some(key), Ok(signature)) if key.verify_strict(message, &signature).is_ok())
        }
    }
}

fn has_audience(issuer: &JwtIssuer, claims: &Claims) -> bool {
    let names = match claims.get("aud") {
        Some(Value::Array(names)) => names.clone(),
        Some(name) => vec![name.clone()],
        None => Vec::new(),
    };
    issuer.audiences.is_empty()
        || issuer
            .audiences
            .iter()
            .any(|wanted| names.contains(&Value::from(wanted.as_str())))
}

fn claim<'c>(claims: &'c Claims, path: &[String]) -> Option<&'c Value> {
    let (first, others) = path.split_first()?;
    others.iter().try_fold(claims.get(first)?, |value, name| {
        value.as_object()?.get(name)
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn is_allowed(
    authorization: &Authorization,
    claims: Option<&Claims>,
    path: &str,
    request: &Request,
) -> bool {
    let source = source(authorization.trusted_hops, request);
    let rules = || authorization.rules.iter();
    let holds = |rule: &&AuthorizationRule| holds(rule, source, claims, path, request);
    if rules().filter(|rule| rule.denies).any(|rule| holds(&rule)) {
        return false;
    }
    let allowing: Vec<_> = rules().filter(|rule| !rule.denies).collect();
    allowing.is_empty() || allowing.iter().any(holds)
}

/// The client's address.
fn source(trusted_hops: u32, request: &Request) -> Option<IpAddr> {
    let peer = request.connection.source?.to_canonical();
    if trusted_hops == 0 {
        return Some(peer);
    }
    let forwarded = header(request, "x-forwarded-for")?;
    let parse = |text: &str| {
        let text = text.trim_matches([' ', '\t', '\n', '\r', '\u{c}']);
        match text.parse::<SocketAddr>() {
            Ok(address) => Some(address.ip().to_canonical()),
            Err(_) => text
                .parse::<IpAddr>()
                .ok()
                .map(|address| address.to_canonical()),
        }
    };
    let entries: Vec<_> = forwarded.split(',').map(parse).collect();
    let at = entries.len().checked_sub(trusted_hops as usize)?;
    *entries.get(at)?
}

fn holds(
    rule: &AuthorizationRule,
    source: Option<IpAddr>,
    claims: Option<&Claims>,
    path: &str,
    request: &Request,
) -> bool {
    let is_in =
        |ranges: &[AddressRange], source| ranges.iter().any(|range| contains(range, source));
    let asks = !rule.sources.is_empty() || !rule.not_sources.is_empty();
    let source_fits = match source {
        Some(source) => {
            (rule.sources.is_empty() || is_in(&rule.sources, source))
                && !is_in(&rule.not_sources, source)
        }
        // Who is unknown is denied, and not allowed.
        None => !asks || rule.denies,
    };
    let connection = &request.connection;
    source_fits
        && (rule.methods.is_empty() || rule.methods.contains(&request.method))
        && (rule.paths.is_empty() || rule.paths.iter().any(|wanted| text_matches(wanted, path)))
        && rule
            .headers
            .iter()
            .all(|wanted| header_matches(&wanted.0, request))
        && (rule.server_names.is_empty()
            || connection.server_name.as_deref().is_some_and(|name| {
                rule.server_names
                    .iter()
                    .any(|wanted| text_matches(wanted, name))
            }))
        && (rule.identities.is_empty()
            || connection.identities.iter().any(|name| {
                rule.identities
                    .iter()
                    .any(|wanted| text_matches(wanted, name))
            }))
        && rule.claims.iter().all(|wanted| has_claim(wanted, claims))
}

fn has_claim(wanted: &ClaimMatch, claims: Option<&Claims>) -> bool {
    let values = match claims.and_then(|claims| claim(claims, &wanted.path)) {
        Some(Value::Array(values)) => values.clone(),
        Some(value) => vec![value.clone()],
        None => return false,
    };
    let mut texts = values.iter().filter_map(text);
    texts.any(|text| wanted.values.iter().any(|value| text_matches(value, &text)))
}

/// Whether the first bits of an address are those of a range.
fn contains(range: &AddressRange, address: IpAddr) -> bool {
    let bits = |address: IpAddr| -> String {
        match address {
            IpAddr::V4(address) => format!("4{:032b}", address.to_bits()),
            IpAddr::V6(address) => format!("6{:0128b}", address.to_bits()),
        }
    };
    let prefix = bits(range.address);
    bits(address).starts_with(&prefix[..=usize::from(range.bits)])
}
