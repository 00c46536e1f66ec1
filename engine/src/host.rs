//! From the authority of a request to a virtual host.
//!
//! Order: exact, longest suffix, longest prefix, `*`; first the patterns that name the request's port, then the others.
//! Names are compared in lower case. Exact names and suffixes that name a port are stored with it at the end, prefixes
//! with `<port>:` before them; suffixes are reversed.

use std::ops::Range;

use crate::format::{NAMES_PORTS, NONE, Section, size, u32_at};
use crate::hash_table::lookup;
use crate::program::Program;
use crate::trie::{Reading, walk};

/// How much of an authority is copied, where it has to be. Patterns are shorter (a DNS name has at most 253 bytes, a
/// port adds six), so a wildcard still stands for at least one byte of what is cut off, and an exact name cannot match.
const MAX: usize = 264;

const REVERSED: Reading = Reading {
    reversed: true,
    folded: true,
};
const FORWARD: Reading = Reading {
    reversed: false,
    folded: true,
};

/// Splits an authority into host and port digits. A `:` without digits only, as in `[::1]`, is not a port.
fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    if !authority.last().is_some_and(u8::is_ascii_digit) {
        return (authority, None);
    }
    let digits = authority
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match authority.split_at(authority.len() - digits) {
        ([host @ .., b':'], [_, ..]) if !host.contains(&b':') || host.ends_with(b"]") => {
            (host, authority.get(authority.len() - digits..))
        }
        _ => (authority, None),
    }
}

/// The beginning of the pieces, one after the other, in lower case.
fn lower_case(pieces: &[&[u8]]) -> ([u8; MAX], usize) {
    let mut copy = [0; MAX];
    let mut len = 0;
    for (slot, &byte) in copy.iter_mut().zip(pieces.iter().copied().flatten()) {
        *slot = byte.to_ascii_lowercase();
        len += 1;
    }
    (copy, len)
}

impl Program {
    /// The virtual host of an authority.
    pub(crate) fn virtual_host(&self, gateway: usize, authority: &[u8]) -> Option<u32> {
        let record = self
            .section(Section::Gateways)
            .get(gateway * size::GATEWAY..)?;
        let (host, port) = split_port(authority);
        if u32_at(record, 16) & NAMES_PORTS != 0 {
            return self.host_among_ports(record, authority, host, port);
        }
        self.exact(record, host)
            .or_else(|| self.longest(u32_at(record, 4), host, REVERSED, 0..host.len()))
            .or_else(|| self.longest(u32_at(record, 8), host, FORWARD, 0..host.len()))
            .or_else(|| any(record))
    }

    /// The virtual host of an authority where some patterns name a port.
    #[cold]
    fn host_among_ports(
        &self,
        record: &[u8],
        authority: &[u8],
        host: &[u8],
        port: Option<&[u8]>,
    ) -> Option<u32> {
        let (suffixes, prefixes) = (u32_at(record, 4), u32_at(record, 8));
        let with_port = port.and_then(|port| {
            // Values at a lesser depth belong to patterns without a port, of which a port is no part.
            let depths = port.len() + 1..authority.len();
            self.exact(record, authority)
                .or_else(|| self.longest(suffixes, authority, REVERSED, depths.clone()))
                .or_else(|| {
                    let (key, len) = lower_case(&[port, b":", host]);
                    let depths = depths.start..depths.end.min(len);
                    self.longest(prefixes, key.get(..len)?, FORWARD, depths)
                })
        });
        // In `a:b:81` and `81:a` no port is named, so what ends or begins like a pattern with a port is none.
        let is_colon = |byte: &u8| *byte == b':';
        let suffix = host.iter().rev().position(is_colon);
        let suffix = suffix.filter(|_| !host.ends_with(b"]"));
        let prefix = host.iter().position(is_colon);
        let prefix = prefix.filter(|_| !host.starts_with(b"["));
        let depths = |longest: Option<usize>| 0..longest.map_or(host.len(), |longest| longest + 1);
        with_port
            .or_else(|| self.exact(record, host))
            .or_else(|| self.longest(suffixes, host, REVERSED, depths(suffix)))
            .or_else(|| self.longest(prefixes, host, FORWARD, depths(prefix)))
            .or_else(|| any(record))
    }

    fn exact(&self, record: &[u8], name: &[u8]) -> Option<u32> {
        let offset = u32_at(record, 0);
        if offset == NONE {
            return None;
        }
        let table = self.section(Section::Hosts).get(offset as usize..)?;
        let strings = self.section(Section::Strings);
        // Nearly all clients send lower case.
        lookup(table, strings, name).or_else(|| {
            if !name.iter().any(u8::is_ascii_uppercase) {
                return None;
            }
            let (name, len) = lower_case(&[name]);
            lookup(table, strings, name.get(..len)?)
        })
    }

    /// The deepest value on the way, of those at the given depths. A wildcard stands for at least one byte.
    fn longest(
        &self,
        root: u32,
        key: &[u8],
        reading: Reading,
        depths: Range<usize>,
    ) -> Option<u32> {
        let mut longest = None;
        if root != NONE {
            walk(
                self.section(Section::HostTries),
                root,
                key,
                reading,
                |found| {
                    if depths.contains(&found.depth) {
                        longest = Some(found.value);
                    }
                },
            );
        }
        longest
    }
}

/// The virtual host of `*`.
fn any(record: &[u8]) -> Option<u32> {
    Some(u32_at(record, 12)).filter(|&any| any != NONE)
}

#[cfg(test)]
mod tests {
    use super::split_port;

    #[test]
    fn ports() {
        let split = |authority: &'static str| {
            let (host, port) = split_port(authority.as_bytes());
            (
                str::from_utf8(host).unwrap(),
                port.map(|port| str::from_utf8(port).unwrap()),
            )
        };
        assert_eq!(split("example.com"), ("example.com", None));
        assert_eq!(split("example.com:80"), ("example.com", Some("80")));
        assert_eq!(split("example.com:"), ("example.com:", None));
        assert_eq!(split("10.0.0.1"), ("10.0.0.1", None));
        assert_eq!(split("[::1]"), ("[::1]", None));
        assert_eq!(split("[::1]:8080"), ("[::1]", Some("8080")));
        assert_eq!(split("::1"), ("::1", None));
        assert_eq!(split(":80"), ("", Some("80")));
        assert_eq!(split(""), ("", None));
    }
}
