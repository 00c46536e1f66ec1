//! Which of several destinations a client stays with: weighted rendezvous hashing.
//!
//! What a request has of certain properties becomes a number, the key. Every destination draws a lot that depends on the key
//! and on its own name only, and the best lot wins. A destination that is added takes its share from all others, and nothing
//! else moves. The functions here are part of the format: gateways that disagreed would tear clients apart.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::request::{Headers, Request};
use crate::tables::Share;

/// How a destination is chosen by what a request has, instead of by chance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stickiness {
    /// Properties of requests, in order.
    pub properties: Vec<Property>,
    /// Name of the destination of each share, by which it draws its lots.
    pub names: Vec<String>,
}

/// One of the properties.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Property {
    /// Where its value stands.
    pub kind: PropertyKind,
    /// Those that follow do not count for requests that have this one.
    pub is_terminal: bool,
}

/// Where a value stands in a request. An empty value is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PropertyKind {
    /// In a header, by its lower-case name.
    Header(String),
    /// In a cookie.
    Cookie {
        /// Its name.
        name: String,
        /// What follows name and value of the cookie that a client without one is given; absent = it is given none.
        attributes: Option<String>,
    },
    /// The address of who connects.
    SourceAddress,
}

/// What a request comes to.
#[derive(Debug, Default)]
pub(crate) struct Key {
    /// Decides between destinations; `None` if the request has none of the properties.
    pub(crate) value: Option<u64>,
    /// Values of `set-cookie` for the response.
    pub(crate) cookies: Vec<Vec<u8>>,
}

impl Stickiness {
    /// The key of a request. New cookies are made of a random number, 0 ≤ r < 1.
    pub(crate) fn key<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        random: &impl Fn() -> f64,
        source: &impl Fn() -> Option<IpAddr>,
    ) -> Key {
        let mut key = Key::default();
        for property in &self.properties {
            let value = match &property.kind {
                PropertyKind::Header(name) => request.header(name.as_bytes()),
                PropertyKind::Cookie { name, attributes } => {
                    let sent = cookie(request, name.as_bytes());
                    sent.filter(|value| !value.is_empty()).or_else(|| {
                        let value = new_cookie(random());
                        let set = format!("{name}=\"{value}\"{}", attributes.as_ref()?);
                        key.cookies.push(set.into_bytes());
                        Some(value.into_bytes().into())
                    })
                }
                PropertyKind::SourceAddress => source().map(|address| octets(address).into()),
            };
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            let hash = xxh64(&value, 0);
            key.value = Some(match key.value {
                Some(before) => before.rotate_left(1) ^ hash,
                None => hash,
            });
            if property.is_terminal {
                break;
            }
        }
        key
    }

    /// The share with the best lot for a key, which is the smallest.
    pub(crate) fn choose<'s>(&self, shares: &'s [Share], key: u64) -> Option<&'s Share> {
        let drawn = shares.iter().zip(&self.names);
        let drawn = drawn.filter(|(share, _)| share.weight > 0);
        let lots = drawn.map(|(share, name)| (lot(name, key, share.weight), share));
        let best = lots.min_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map(|(_, share)| share)
    }
}

/// Exponentially distributed with the weight as rate, so that the smallest of several is that of a destination as often as
/// its weight says.
fn lot(name: &str, key: u64, weight: u32) -> f64 {
    // 52 bits and a half: more than 0, less than 1, and exact.
    let uniform = ((xxh64(name.as_bytes(), key) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    // Not the logarithm of the platform: it may be another one in its last bit.
    -libm::log(uniform) / f64::from(weight)
}

/// The value of a cookie, without the quotes around it.
fn cookie<'a, H: Headers + ?Sized>(request: &Request<'a, H>, name: &[u8]) -> Option<Cow<'a, [u8]>> {
    let headers = request.headers.iter();
    let headers = headers.filter(|(field, _)| *field == b"cookie");
    let mut cookies = headers.flat_map(|(_, value)| value.split(|&byte| byte == b';'));
    cookies.find_map(|cookie| {
        let value = cookie.trim_ascii().strip_prefix(name)?.strip_prefix(b"=")?;
        let inner = value.strip_prefix(b"\"");
        let inner = inner.and_then(|value| value.strip_suffix(b"\""));
        Some(inner.unwrap_or(value).into())
    })
}

/// 13 hexadecimal digits.
fn new_cookie(random: f64) -> String {
    format!("{:013x}", (random * (1_u64 << 52) as f64) as u64)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
