//! The choice of a host by its domains, and whether it wants TLS.

use super::{Request, header};
use crate::resource::RequireTls;
use crate::tree::{Domain, DomainKind, Gateway, Host};

/// The host whose domain fits best.
pub(super) fn find_host<'t>(gateway: &'t Gateway, authority: &str) -> Option<&'t Host> {
    find_domain(gateway, authority).map(|(host, _)| host)
}

/// The host whose domain fits best, and that domain.
pub(super) fn find_domain<'t>(
    gateway: &'t Gateway,
    authority: &str,
) -> Option<(&'t Host, &'t Domain)> {
    let mut best: Option<(Preference, (&Host, &Domain))> = None;
    for host in &gateway.hosts {
        for domain in &host.domains {
            if let Some(preference) = domain_matches(domain, authority)
                && best.as_ref().is_none_or(|(best, _)| preference > *best)
            {
                best = Some((preference, (host, domain)));
            }
        }
    }
    best.map(|(_, found)| found)
}

/// Which of two domains that both match is taken: the greater one.
type Preference = (bool, u8, usize);

fn domain_matches(domain: &Domain, authority: &str) -> Option<Preference> {
    let authority = authority.to_ascii_lowercase();
    let (host, port) = split_port(&authority);
    // Compared as text, like names: `:08080` is another authority than `:8080`.
    let port_matches = domain
        .port
        .is_none_or(|wanted| port == Some(wanted.to_string().as_str()));
    let text = domain.text.as_str();
    let (host_matches, rank) = match domain.kind {
        DomainKind::Exact => (host == text, 3),
        DomainKind::Suffix => (host.len() > text.len() && host.ends_with(text), 2),
        DomainKind::Prefix => (host.len() > text.len() && host.starts_with(text), 1),
        DomainKind::Any => (true, 0),
    };
    (port_matches && host_matches).then_some((domain.port.is_some(), rank, text.len()))
}

/// Splits off a port: digits after a colon. Other colons only stand inside brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port))
        }
        _ => (authority, None),
    }
}

/// Whether a request has to come again over TLS. How it came is what the proxy says, not what the client calls its scheme.
pub(super) fn needs_tls(host: &Host, request: &Request) -> bool {
    let says = |name, value| header(request, name).as_deref() == Some(value);
    let came_without = !says("x-forwarded-proto", "https");
    match host.require_tls() {
        RequireTls::Nobody => false,
        RequireTls::External => came_without && !says("x-envoy-internal", "true"),
        RequireTls::Everybody => came_without,
    }
}
