//! Names with passwords, and API keys.

use base64::Engine as _;
use meshgate_engine::policy::CredentialCheck;
use sha2::{Digest, Sha256};

use super::Request;
use crate::answer::Response;

/// The refusal by the first check that a request does not pass.
pub(super) fn refusal(checks: &[CredentialCheck], request: &Request) -> Option<Response> {
    checks.iter().find_map(|check| {
        let (passes, status, headers) = match check {
            CredentialCheck::Basic { realm, users } => {
                let challenge = format!("Basic realm=\"{realm}\"");
                let passes = password(request).is_some_and(|(name, password)| {
                    users.iter().any(|user| {
                        let salted = [user.salt.as_bytes(), &password].concat();
                        user.name.as_bytes() == name && Sha256::digest(salted)[..] == user.hash
                    })
                });
                let headers = vec![("www-authenticate".to_owned(), challenge)];
                (passes, 401, headers)
            }
            CredentialCheck::ApiKey { header, hashes } => {
                let hash = only(request, header).map(Sha256::digest);
                let passes =
                    hash.is_some_and(|hash| hashes.chunks(32).any(|known| known == &hash[..]));
                (passes, 401, Vec::new())
            }
            CredentialCheck::Impossible => (false, 403, Vec::new()),
        };
        (!passes).then_some(Response {
            status,
            headers,
            body: String::new(),
        })
    })
}

fn only<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let fields = request.headers.iter();
    let values: Vec<_> = fields
        .filter(|(other, _)| other.eq_ignore_ascii_case(name))
        .collect();
    match values.as_slice() {
        [(_, value)] if !value.is_empty() => Some(value),
        _ => None,
    }
}

fn password(request: &Request) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, pair) = only(request, "authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::prelude::BASE64_STANDARD.decode(pair.trim()).ok()?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some((pair[..colon].to_vec(), pair[colon + 1..].to_vec()))
}
