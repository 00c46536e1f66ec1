//! Who may send a request: rules over where it comes from and what it asks for.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Reply, TextMatch};
use crate::predicate::Context;
use crate::program::Program;
use crate::request::{Headers, Request};
use crate::surroundings::Surroundings;

/// Rules that allow and deny. One that denies beats all that allow; where rules allow, what none of them allows is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Authorization {
    /// Rules that deny.
    pub deny: Vec<Rule>,
    /// Rules that allow.
    pub allow: Vec<Rule>,
    /// Which entry of `x-forwarded-for` is the client's address, counted from the end; 0 = the client is who connects.
    pub trusted_hops: u32,
}

/// A rule. All its parts must hold; the entries of a part are alternatives, and an empty part always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Name, for access logs; may be empty.
    pub name: String,
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
    /// Predicates of the program. Each one is a part.
    pub predicates: Vec<u32>,
    /// Server names that the client asked for in the TLS handshake.
    pub server_names: Vec<TextMatch>,
}

/// A condition on a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClaimMatch {
    /// The names that lead to it, outermost first.
    pub path: Vec<String>,
    /// Alternatives for its value, or for one of its values if it is a list.
    pub values: Vec<TextMatch>,
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddressRange {
    /// One of them.
    pub address: IpAddr,
    /// How many bits they have in common: at most 32 or 128.
    pub bits: u8,
}

impl AddressRange {
    /// Whether an address is one of them.
    fn contains(&self, address: IpAddr) -> bool {
        let (wanted, other, width) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(a.to_bits()), u128::from(b.to_bits()), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let unlike = wanted ^ other;
        match u32::from(self.bits) {
            0 => true,
            bits => unlike.checked_shr(width - bits.min(width)) == Some(0),
        }
    }
}

impl Authorization {
    /// The refusal, if the request is not allowed. An address that cannot be found out is where rules that deny want it, and
    /// not where rules that allow want it.
    pub(super) fn refusal<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        program: &Program,
        claims: Option<&Value>,
        surroundings: &impl Surroundings,
    ) -> Option<Reply> {
        let mut all = self.deny.iter().chain(&self.allow);
        let asks_for_source =
            all.any(|rule| !(rule.sources.is_empty() && rule.not_sources.is_empty()));
        let source = match asks_for_source {
            true => self.source(request, surroundings),
            false => None,
        };
        let facts = Facts {
            request,
            program,
            claims,
            source,
            surroundings,
        };
        let denies = self.deny.iter().find(|rule| facts.meet(rule, true));
        let is_allowed =
            self.allow.is_empty() || self.allow.iter().any(|rule| facts.meet(rule, false));
        if denies.is_none() && is_allowed {
            return None;
        }
        const DETAILS: &str = "meshgate_refused_authorization";
        Some(Reply {
            status: 403,
            headers: Vec::new(),
            body: "RBAC: access denied".into(),
            is_refusal: true,
            details: match denies {
                Some(Rule { name, .. }) if !name.is_empty() => format!("{DETAILS}[{name}]").into(),
                _ => DETAILS.into(),
            },
        })
    }

    /// The client's address: who connects, or what one of the trusted proxies has added to the list of those before it.
    fn source<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        surroundings: &impl Surroundings,
    ) -> Option<IpAddr> {
        let peer = surroundings.source()?.to_canonical();
        let Some(before_last) = self.trusted_hops.checked_sub(1) else {
            return Some(peer);
        };
        let forwarded = request.header(b"x-forwarded-for")?;
        let mut entries = forwarded.rsplit(|&byte| byte == b',');
        address(entries.nth(before_last as usize)?)
    }
}

/// An address, perhaps with a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text.trim_ascii()).ok()?;
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let address = text.parse().ok().or_else(with_port)?;
    Some(IpAddr::to_canonical(&address))
}

/// What rules look at.
struct Facts<'a, H: ?Sized, S> {
    request: &'a Request<'a, H>,
    program: &'a Program,
    claims: Option<&'a Value>,
    source: Option<IpAddr>,
    surroundings: &'a S,
}

impl<H: Headers + ?Sized, S: Surroundings> Facts<'_, H, S> {
    /// Whether a rule holds. What costs more to find out comes later.
    fn meet(&self, rule: &Rule, if_unknown: bool) -> bool {
        let is_within = |ranges: &[AddressRange], source| {
            let mut ranges = ranges.iter();
            ranges.any(|range| range.contains(source))
        };
        let is_any = |texts: &[TextMatch], text: &[u8]| {
            texts
                .iter()
                .any(|wanted| wanted.matches(text, self.program))
        };
        let method = |wanted: &String| wanted.as_bytes() == self.request.method;
        let mut context = Context::new(self.program, self.request);
        (rule.methods.is_empty() || rule.methods.iter().any(method))
            && match self.source {
                _ if rule.sources.is_empty() && rule.not_sources.is_empty() => true,
                None => if_unknown,
                Some(source) => {
                    (rule.sources.is_empty() || is_within(&rule.sources, source))
                        && !is_within(&rule.not_sources, source)
                }
            }
            && (rule.paths.is_empty() || is_any(&rule.paths, self.request.path_only()))
            && rule.predicates.iter().all(|id| context.holds(*id))
            && rule.claims.iter().all(|claim| self.has_claim(claim))
            && (rule.server_names.is_empty()
                || self
                    .surroundings
                    .server_name()
                    .is_some_and(|name| is_any(&rule.server_names, &name)))
            && (rule.identities.is_empty()
                || self
                    .surroundings
                    .identities()
                    .iter()
                    .any(|identity| is_any(&rule.identities, identity)))
    }

    fn has_claim(&self, wanted: &ClaimMatch) -> bool {
        let value = wanted
            .path
            .iter()
            .try_fold(self.claims, |value, name| Some(value?.get(name)));
        let is = |value: &Value| {
            super::jwt::text(value).is_some_and(|text| {
                let mut values = wanted.values.iter();
                values.any(|wanted| wanted.matches(text.as_bytes(), self.program))
            })
        };
        match value.flatten() {
            Some(Value::Array(values)) => values.iter().any(is),
            Some(value) => is(value),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_what_begins_with_their_bits() {
        for (range, bits, address, contained) in [
            ("10.0.0.0", 8, "10.255.0.1", true),
            ("10.0.0.0", 8, "11.0.0.0", false),
            ("10.0.0.1", 32, "10.0.0.1", true),
            ("10.0.0.1", 32, "10.0.0.0", false),
            ("0.0.0.0", 0, "255.255.255.255", true),
            ("0.0.0.0", 0, "::1", false),
            ("fe80::", 10, "febf::1", true),
            ("fe80::", 10, "fec0::1", false),
            ("::1", 128, "::1", true),
            ("::", 0, "ff::", true),
            ("::", 0, "1.2.3.4", false),
        ] {
            let range = AddressRange {
                address: range.parse().expect("an address"),
                bits,
            };
            let address = address.parse().expect("an address");
            assert_eq!(range.contains(address), contained, "{range:?} {address}");
        }
    }

    #[test]
    fn addresses_may_have_ports() {
        for (text, expected) in [
            (" 10.0.0.1 ", Some("10.0.0.1")),
            ("10.0.0.1:80", Some("10.0.0.1")),
            ("[::1]:80", Some("::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("010.0.0.1", None),
            ("unknown", None),
            ("", None),
            ("10.0.0.1 10.0.0.2", None),
        ] {
            let expected = expected.map(|text| text.parse().expect("an address"));
            assert_eq!(address(text.as_bytes()), expected, "{text}");
        }
    }
}
