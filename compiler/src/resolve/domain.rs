//! Domains of virtual hosts.

use crate::tree::{Domain, DomainKind};

/// Longest name in DNS, with a port.
const MAX_LEN: usize = 253 + ":65535".len();

/// Reads a domain as written. The error says what is wrong with it.
pub(super) fn parse(written: &str) -> Result<Domain, String> {
    if written.is_empty() {
        return Err("a domain may not be empty".to_owned());
    }
    if !written.is_ascii() {
        return Err(format!(
            "`{written}` is not ASCII; write it in its `xn--` form, as clients send it"
        ));
    }
    if written.len() > MAX_LEN {
        return Err(format!(
            "a domain has at most {MAX_LEN} bytes, this one has {}",
            written.len()
        ));
    }
    let lower = written.to_ascii_lowercase();
    let (host, port) = split_port(&lower)?;
    let (kind, text) = match (host.strip_prefix('*'), host.strip_suffix('*')) {
        _ if host == "*" => (DomainKind::Any, ""),
        (Some(_), Some(_)) => return Err(format!("`{written}` has more than one wildcard")),
        (Some(suffix), None) => (DomainKind::Suffix, suffix),
        (None, Some(prefix)) => (DomainKind::Prefix, prefix),
        (None, None) => (DomainKind::Exact, host),
    };
    if text.contains('*') {
        return Err(format!(
            "the wildcard of `{written}` is neither at its start nor at its end"
        ));
    }
    if host.is_empty() {
        return Err(format!("`{written}` has no host"));
    }
    let bracketed = text.starts_with('[');
    let legal = |c: char| match c {
        'a'..='z' | '0'..='9' | '-' | '.' | '_' => true,
        '[' | ']' | ':' | '%' => bracketed,
        _ => false,
    };
    match text.chars().find(|&c| !legal(c)) {
        Some(c) => Err(format!(
            "`{written}` is not a domain: {c:?} cannot be part of one"
        )),
        None => Ok(Domain {
            kind,
            text: text.to_owned(),
            port,
        }),
    }
}

/// Splits `host:port`; a host in brackets may contain colons.
fn split_port(domain: &str) -> Result<(&str, Option<u16>), String> {
    let host_end = domain.rfind(']').map_or(0, |at| at + 1);
    match domain[host_end..].rfind(':') {
        None => Ok((domain, None)),
        Some(at) => {
            let (host, port) = domain.split_at(host_end + at);
            let port = &port[1..];
            match port.parse::<u16>() {
                Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => {
                    Ok((host, Some(number)))
                }
                _ => Err(format!(
                    "`{port}` is not a port; a domain is `host` or `host:port`"
                )),
            }
        }
    }
}

/// Whether every host that `narrow` takes is also taken by `wide`, a wildcard.
pub(super) fn covers(wide: &Domain, narrow: &Domain) -> bool {
    if wide.port.is_some() && wide.port != narrow.port {
        return false;
    }
    // A wildcard stands for at least one character, so `*.bar` does not cover `.bar`; two equal wildcards are the
    // same domain, unless only one of them names a port.
    let longer = narrow.text.len() > wide.text.len();
    let same_wildcard = wide.kind == narrow.kind && wide.port != narrow.port;
    match wide.kind {
        DomainKind::Any => narrow.kind != DomainKind::Any || same_wildcard,
        DomainKind::Suffix => {
            matches!(narrow.kind, DomainKind::Exact | DomainKind::Suffix)
                && narrow.text.ends_with(&wide.text)
                && (longer || same_wildcard)
        }
        DomainKind::Prefix => {
            matches!(narrow.kind, DomainKind::Exact | DomainKind::Prefix)
                && narrow.text.starts_with(&wide.text)
                && (longer || same_wildcard)
        }
        DomainKind::Exact => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(kind: DomainKind, text: &str, port: Option<u16>) -> Domain {
        Domain {
            kind,
            text: text.to_owned(),
            port,
        }
    }

    #[test]
    fn forms() {
        use DomainKind::{Any, Exact, Prefix, Suffix};
        for (written, expected) in [
            ("WWW.Example.com", domain(Exact, "www.example.com", None)),
            ("example.com:8443", domain(Exact, "example.com", Some(8443))),
            ("*.example.com", domain(Suffix, ".example.com", None)),
            (
                "*w.example.com:80",
                domain(Suffix, "w.example.com", Some(80)),
            ),
            ("www.example.*", domain(Prefix, "www.example.", None)),
            ("*", domain(Any, "", None)),
            ("*:8443", domain(Any, "", Some(8443))),
            ("[::1]", domain(Exact, "[::1]", None)),
            ("[::1]:321", domain(Exact, "[::1]", Some(321))),
            ("127.0.0.1", domain(Exact, "127.0.0.1", None)),
        ] {
            assert_eq!(parse(written), Ok(expected));
        }
        for written in [
            "",
            "a*b",
            "*a*",
            "**",
            "a b",
            "a/b",
            "https://a",
            "ä.de",
            "a:0",
            "a:99999",
            "a:+80",
            ":80",
            "a:",
            "::1",
        ] {
            assert!(parse(written).is_err(), "{written}");
        }
        assert!(parse(&"a".repeat(259)).is_ok());
        assert!(parse(&"a".repeat(260)).is_err());
    }

    #[test]
    fn coverage() {
        let covers = |wide, narrow| {
            super::covers(
                &parse(wide).expect("a domain"),
                &parse(narrow).expect("a domain"),
            )
        };
        assert!(covers("*.bar", "*.foo.bar"));
        assert!(covers("*.bar", "foo.bar:80"));
        assert!(covers("*", "foo.bar"));
        assert!(covers("*", "*:80"));
        assert!(covers("foo.*", "foo.bar"));
        assert!(!covers("*.bar", "bar"));
        assert!(!covers("*.bar", ".bar"));
        assert!(!covers("*.bar:80", "foo.bar"));
        assert!(!covers("*.bar", "*.bar"));
        assert!(!covers("*", "*"));
    }
}
