//! Names with passwords, and API keys, of which programs hold hashes only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::Reply;
use crate::request::{Headers, Request};

/// Bytes of a hash.
pub const HASH: usize = 32;

/// A check of what a request says about its sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CredentialCheck {
    /// A name and a password (RFC 7617).
    Basic {
        /// What the client is told to ask its user for.
        realm: String,
        /// Who may pass.
        users: Vec<User>,
    },
    /// One of several keys, in a header.
    ApiKey {
        /// The header.
        header: String,
        /// SHA-256 of each key, one after the other.
        #[serde(with = "serde_bytes")]
        hashes: Vec<u8>,
    },
    /// A check that cannot be made: nobody passes.
    Impossible,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct User {
    /// Name.
    pub name: String,
    /// What comes before the password when it is hashed.
    pub salt: String,
    /// SHA-256 of salt and password.
    #[serde(with = "serde_bytes")]
    pub hash: Vec<u8>,
}

impl CredentialCheck {
    /// The refusal of a request that does not pass.
    pub(super) fn refusal<H: Headers + ?Sized>(&self, request: &Request<'_, H>) -> Option<Reply> {
        let (passes, status, headers) = match self {
            Self::Basic { realm, users } => {
                let challenge = format!("Basic realm=\"{realm}\"").into_bytes();
                let headers = vec![("www-authenticate", challenge)];
                (is_user(users, request), 401, headers)
            }
            Self::ApiKey { header, hashes } => (has_key(header, hashes, request), 401, Vec::new()),
            Self::Impossible => (false, 403, Vec::new()),
        };
        (!passes).then_some(Reply {
            status,
            headers,
            body: "".into(),
            is_refusal: true,
            details: "meshgate_refused_extauth".into(),
        })
    }
}

/// The only value of a header.
fn only<'r, H: Headers + ?Sized>(request: &Request<'r, H>, name: &str) -> Option<&'r [u8]> {
    let fields = request.headers.iter();
    let mut values = fields.filter(|(field, _)| *field == name.as_bytes());
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

fn is_user<H: Headers + ?Sized>(users: &[User], request: &Request<'_, H>) -> bool {
    let pair = only(request, "authorization").and_then(|value| {
        let (scheme, pair) = value.split_at_checked(b"Basic ".len())?;
        let is_basic = scheme.eq_ignore_ascii_case(b"Basic ");
        is_basic.then(|| STANDARD.decode(pair.trim_ascii()).ok())?
    });
    let Some(pair) = pair else {
        return false;
    };
    let mut parts = pair.splitn(2, |&byte| byte == b':');
    let (Some(name), Some(password)) = (parts.next(), parts.next()) else {
        return false;
    };
    let user = users.iter().find(|user| user.name.as_bytes() == name);
    // Unknown names take as long as known ones.
    let (salt, hash) = user.map_or(("", &[][..]), |user| (&user.salt, &user.hash));
    let hashed = Sha256::new()
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    hashed.as_slice().ct_eq(hash).into()
}

fn has_key<H: Headers + ?Sized>(header: &str, hashes: &[u8], request: &Request<'_, H>) -> bool {
    let Some(key) = only(request, header).filter(|key| !key.is_empty()) else {
        return false;
    };
    let hashed = Sha256::digest(key);
    let found = hashes
        .chunks_exact(HASH)
        .fold(Choice::from(0), |found, hash| found | hash.ct_eq(&hashed));
    found.into()
}
