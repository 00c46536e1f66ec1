//! Protection against requests that pages of other origins make in the name of a user.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Percentage, Reply, TextMatch};
use crate::program::Program;
use crate::request::{Headers, Request};
use crate::surroundings::Surroundings;

/// Which pages may send requests that change something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Csrf {
    /// Whether other requests are refused; otherwise they are counted.
    pub enforce: bool,
    /// How many of the requests are looked at.
    pub percentage: Percentage,
    /// Hosts, with port if it is not the scheme's own, whose pages may too.
    pub origins: Vec<TextMatch>,
}

impl Csrf {
    /// The refusal of a request that comes from a page of a foreign origin.
    pub(super) fn check<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        program: &Program,
        surroundings: &impl Surroundings,
    ) -> Option<Reply> {
        let changes = matches!(request.method, b"POST" | b"PUT" | b"DELETE" | b"PATCH");
        if !changes || !self.percentage.takes(surroundings) || self.allows(request, program) {
            return None;
        }
        if !self.enforce {
            surroundings.would_refuse();
            return None;
        }
        Some(Reply {
            status: 403,
            headers: Vec::new(),
            body: Cow::Borrowed("Invalid origin"),
            is_refusal: true,
            details: "meshgate_refused_csrf".into(),
        })
    }

    fn allows<H: Headers + ?Sized>(&self, request: &Request<'_, H>, program: &Program) -> bool {
        let header = |name: &[u8]| request.header(name).filter(|value| !value.is_empty());
        // `null` is the origin of pages that keep theirs to themselves.
        let origin = header(b"origin").filter(|origin| **origin != *b"null");
        let Some(page) = origin.or_else(|| header(b"referer")) else {
            return false;
        };
        let source = host_and_port(&page);
        let target = [request.scheme, b"://", request.authority].concat();
        let is_own = !request.authority.is_empty() && source == host_and_port(&target);
        is_own || self.origins.iter().any(|own| own.matches(source, program))
    }
}

/// Host and port of an absolute URL; the whole text if it is none.
fn host_and_port(text: &[u8]) -> &[u8] {
    authority(text).unwrap_or(text)
}

fn authority(url: &[u8]) -> Option<&[u8]> {
    let scheme = url.iter().position(|&b| !is_scheme_byte(b))?;
    let rest = url.get(scheme..)?.strip_prefix(b"://")?;
    url.first().filter(|b| b.is_ascii_alphabetic())?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?'));
    let (server, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    let host = match server.iter().position(|&b| b == b'@') {
        Some(at) => {
            let (user, host) = server.split_at_checked(at)?;
            user.iter().all(|&b| is_user_byte(b)).then_some(())?;
            host.get(1..)?
        }
        None => server,
    };
    let is_sound = is_host_and_port(host) && rest.iter().all(|&b| b > b' ' && b != 0x7f);
    is_sound.then_some(host)
}

fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()%;:&=+$,".contains(&byte)
}

fn is_host_and_port(text: &[u8]) -> bool {
    let end = match text.first() {
        Some(b'[') => text.iter().position(|&b| b == b']').map(|end| end + 1),
        _ => text.iter().position(|&b| b == b':'),
    };
    let Some((host, port)) = text.split_at_checked(end.unwrap_or(text.len())) else {
        return false;
    };
    let host_is_sound = match host {
        [b'[', address @ .., b']'] => {
            let is_address_byte = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
            !address.is_empty() && address.iter().all(is_address_byte)
        }
        name => {
            let is_name_byte = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
            !name.is_empty() && name.iter().all(is_name_byte)
        }
    };
    host_is_sound && is_port(port)
}

/// Nothing, or a colon and a number.
fn is_port(text: &[u8]) -> bool {
    let Some(digits) = text.strip_prefix(b":") else {
        return text.is_empty();
    };
    let number = digits.iter().try_fold(0_u32, |number, &b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        Some(number * 10 + digit).filter(|&number| number <= 0xffff)
    });
    !digits.is_empty() && number.is_some()
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn hosts_of_urls() {
        for (url, host) in [
            ("https://a.com", "a.com"),
            ("HTTPS://A.com:443/x?y", "A.com:443"),
            ("http://user:word@a.com:81/", "a.com:81"),
            ("http://[::1]:80/", "[::1]:80"),
            ("http://a.com?x", "a.com"),
            ("null", "null"),
            ("a.com", "a.com"),
            ("chrome-extension://abc", "abc"),
            ("1a://a.com", "1a://a.com"),
            ("http://a.com:", "http://a.com:"),
            ("http://a.com:65536", "http://a.com:65536"),
            ("http://a@b@c.com", "http://a@b@c.com"),
            ("http://a.com#x", "http://a.com#x"),
            ("http://a.com/ x", "http://a.com/ x"),
            ("http:///x", "http:///x"),
            ("://a.com", "://a.com"),
            ("http://[a.com", "http://[a.com"),
            ("", ""),
        ] {
            assert_eq!(host_and_port(url.as_bytes()), host.as_bytes(), "{url}");
        }
    }
}
