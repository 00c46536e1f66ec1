//! Verification of the policies that say who may send requests.

use std::net::IpAddr;

use super::policies::is_text_match;
use super::{check, is_header_name, is_text};
use crate::error::FormatError;
use crate::policy::{AddressRange, Authorization, CredentialCheck, HASH, Jwt, Policies, Rule};

/// How many records there are that policies refer to.
#[derive(Clone, Copy)]
pub(in crate::verify) struct Records {
    pub(in crate::verify) automata: usize,
    pub(in crate::verify) predicates: usize,
}

pub(super) fn verify(
    policies: &Policies,
    records: Records,
    keys: usize,
) -> Result<(), FormatError> {
    check(
        policies.jwt.as_ref().is_none_or(|jwt| is_jwt(jwt, keys)),
        "token policy is malformed",
    )?;
    check(
        policies.credentials.iter().all(is_credential_check),
        "credentials are malformed",
    )?;
    check(
        policies
            .authorization
            .as_ref()
            .is_none_or(|authorization| is_authorization(authorization, records)),
        "authorization is malformed",
    )
}

fn is_jwt(jwt: &Jwt, keys: usize) -> bool {
    let mut used = jwt.issuers.iter().flat_map(|issuer| &issuer.keys);
    let mut headers = jwt.claim_headers.iter().map(|(_, header)| header);
    is_header_name(&jwt.header)
        && headers.all(|header| is_header_name(header))
        && used.all(|&key| (key as usize) < keys)
}

fn is_credential_check(check: &CredentialCheck) -> bool {
    match check {
        CredentialCheck::Basic { realm, users } => {
            is_text(realm) && users.iter().all(|user| user.hash.len() == HASH)
        }
        CredentialCheck::ApiKey { header, hashes } => {
            is_header_name(header) && hashes.len().is_multiple_of(HASH)
        }
        CredentialCheck::Impossible => true,
    }
}

fn is_authorization(authorization: &Authorization, records: Records) -> bool {
    let mut rules = authorization.deny.iter().chain(&authorization.allow);
    rules.all(|rule| is_rule(rule, records))
}

fn is_rule(rule: &Rule, records: Records) -> bool {
    let claims = rule.claims.iter().flat_map(|claim| &claim.values);
    let mut texts = rule
        .identities
        .iter()
        .chain(&rule.paths)
        .chain(&rule.server_names)
        .chain(claims);
    let mut ranges = rule.sources.iter().chain(&rule.not_sources);
    let mut predicates = rule.predicates.iter();
    texts.all(|text| is_text_match(text, records.automata))
        && ranges.all(is_range)
        && predicates.all(|&id| (id as usize) < records.predicates)
}

fn is_range(range: &AddressRange) -> bool {
    range.bits
        <= match range.address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        }
}
