//! Policies that say who may send requests.

use std::hash::{Hash, Hasher};

use meshgate_engine::Key;
use meshgate_engine::policy::AddressRange;

use super::TextMatch;
use crate::tree::HeaderMatch;

/// `authorization`: who may send which requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Authorization {
    /// At least one. One that denies beats all that allow; if any allows, what none of them allows is denied.
    pub rules: Vec<AuthorizationRule>,
    /// Which entry of `x-forwarded-for` is the client's address, counted from the end; 0 = the client is who connects.
    pub trusted_hops: u32,
}

/// A rule. All its parts must hold; the entries of a part are alternatives, and an empty part always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuthorizationRule {
    /// Name, for access logs; may be empty.
    pub name: String,
    /// Whether it denies; otherwise it allows.
    pub denies: bool,
    /// Where the client's address must lie.
    pub sources: Vec<AddressRange>,
    /// Where it must not lie.
    pub not_sources: Vec<AddressRange>,
    /// URI or DNS names of the client's certificate.
    pub identities: Vec<TextMatch>,
    /// Claims of the verified token. Each one is a part.
    pub claims: Vec<ClaimMatch>,
    /// Methods.
    pub methods: Vec<String>,
    /// Paths, without query.
    pub paths: Vec<TextMatch>,
    /// Headers. Each one is a part.
    pub headers: Vec<SameHeader>,
    /// Server names of the TLS handshake.
    pub server_names: Vec<TextMatch>,
}

/// A condition on a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimMatch {
    /// The names that lead to it, outermost first.
    pub path: Vec<String>,
    /// Alternatives for its value, or for one of its values if it is a list.
    pub values: Vec<TextMatch>,
}

/// A header condition that equals those which say the same, wherever they were written.
#[derive(Clone, Debug)]
pub struct SameHeader(pub HeaderMatch);

impl PartialEq for SameHeader {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }
}

impl Eq for SameHeader {}

impl Hash for SameHeader {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
        self.0.invert.hash(state);
    }
}

/// `jwt`: tokens that requests must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Jwt {
    /// Who issues them; at least one.
    pub issuers: Vec<JwtIssuer>,
    /// The header that has them, lower-case.
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct JwtIssuer {
    /// `iss`.
    pub issuer: String,
    /// `aud` must have one of them; none = it does not matter.
    pub audiences: Vec<String>,
    /// Its keys, which are sound; at least one.
    pub keys: Vec<Key>,
}
