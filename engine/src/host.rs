//! From the authority of a request to a virtual host.
//!
//! Order: exact, longest suffix, longest prefix, `*`; first the patterns that name the request's port, then the others.
//! Names are compared in lower case. Patterns with a port are stored under `<port>:` followed by the name, reversed
//! for suffixes; a host name cannot begin like that.

use crate::format::{NAMES_PORTS, NONE, Section, size, u32_at};
use crate::hash_table::lookup;
use crate::program::Program;
use crate::trie::{Found, Reading, walk};

/// How much of an authority is looked at, from either end. Patterns are shorter (a DNS name has at most 253 bytes, a
/// port adds six), so a wildcard still stands for at least one byte of what is cut off, and an exact name cannot match.
const MAX: usize = 264;

/// Splits an authority into host and port digits. A `:` without digits only, as in `[::1]`, is not a port.
fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
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

/// Keys of one authority: `<port>:<host>` forward and with the host reversed; the part after `skip` has no port.
struct Keys {
    forward: [u8; MAX],
    reversed: [u8; MAX],
    len: usize,
    skip: usize,
}

impl Keys {
    fn new(authority: &[u8]) -> Self {
        let (host, port) = split_port(authority);
        let mut keys = Self {
            forward: [0; MAX],
            reversed: [0; MAX],
            len: 0,
            skip: 0,
        };
        if let Some(port) = port {
            for &byte in port.iter().chain(b":") {
                keys.push(byte, byte);
            }
            keys.skip = keys.len;
        }
        for (&first, &last) in host.iter().zip(host.iter().rev()) {
            keys.push(first.to_ascii_lowercase(), last.to_ascii_lowercase());
        }
        keys
    }

    fn push(&mut self, forward: u8, reversed: u8) {
        if let (Some(f), Some(r)) = (
            self.forward.get_mut(self.len),
            self.reversed.get_mut(self.len),
        ) {
            (*f, *r) = (forward, reversed);
            self.len += 1;
        }
    }
}

impl Program {
    /// The virtual host of an authority.
    pub(crate) fn virtual_host(&self, gateway: usize, authority: &[u8]) -> Option<u32> {
        let record = self
            .section(Section::Gateways)
            .get(gateway * size::GATEWAY..)?;
        let keys = Keys::new(authority);
        let (forward, reversed) = (
            keys.forward.get(..keys.len)?,
            keys.reversed.get(..keys.len)?,
        );
        let names_ports = u32_at(record, 16) & NAMES_PORTS != 0;
        if keys.skip > 0
            && names_ports
            && let found @ Some(_) = self.named_host(record, forward, reversed)
        {
            return found;
        }
        self.named_host(
            record,
            forward.get(keys.skip..)?,
            reversed.get(keys.skip..)?,
        )
        .or(Some(u32_at(record, 12)).filter(|&any| any != NONE))
    }

    fn named_host(&self, record: &[u8], forward: &[u8], reversed: &[u8]) -> Option<u32> {
        let exact = u32_at(record, 0);
        if exact != NONE {
            let table = self.section(Section::Hosts).get(exact as usize..)?;
            if let found @ Some(_) = lookup(table, self.section(Section::Strings), forward) {
                return found;
            }
        }
        self.longest(u32_at(record, 4), reversed)
            .or_else(|| self.longest(u32_at(record, 8), forward))
    }

    /// The deepest value on the way that leaves at least one byte for the wildcard.
    fn longest(&self, root: u32, key: &[u8]) -> Option<u32> {
        let mut longest = None;
        if root != NONE {
            walk(
                self.section(Section::HostTries),
                root,
                key,
                Reading::AS_IS,
                |Found { value, depth, .. }| {
                    if depth < key.len() {
                        longest = Some(value);
                    }
                },
            );
        }
        longest
    }
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
