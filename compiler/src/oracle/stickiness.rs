//! Destinations that clients stay with.

use std::net::IpAddr;

use xxhash_rust::xxh64::xxh64;

use super::{Request, header};
use crate::policy::stickiness::{self, Cookie, Property, PropertyKind, Stickiness};
use crate::tree::WeightedDestination;

/// The destination of a request, if it has one of the properties or is given a cookie.
pub(super) fn choose<'d>(
    stickiness: &Stickiness,
    destinations: &'d [WeightedDestination],
    request: &Request,
) -> Option<&'d WeightedDestination> {
    let key = values(stickiness, request)
        .into_iter()
        .map(|value| xxh64(&value, 0))
        .reduce(|key, next| key.rotate_left(1) ^ next)?;
    let names = stickiness::names(destinations);
    let mut best: Option<(f64, &WeightedDestination)> = None;
    for (name, destination) in names.iter().zip(destinations) {
        // A number between 0 and 1, as large as it is likely that the destination is not chosen.
        let number = (xxh64(name.as_bytes(), key) as f64 + 0.5) / 2_f64.powi(64);
        let lot = -number.ln() / f64::from(destination.weight);
        if destination.weight > 0 && best.is_none_or(|(best, _)| lot < best) {
            best = Some((lot, destination));
        }
    }
    best.map(|(_, destination)| destination)
}

/// Values of `set-cookie` that the response gets.
pub(super) fn cookies(stickiness: &Stickiness, request: &Request) -> Vec<String> {
    let given = counted(stickiness, request).into_iter();
    let given = given.filter_map(|property| match &property.kind {
        PropertyKind::Cookie(cookie) if sent(cookie, request).is_none() => Some(format!(
            "{}=\"{}\"{}",
            cookie.name,
            fresh(request),
            cookie.attributes()?
        )),
        _ => None,
    });
    given.collect()
}

/// The properties that count: up to the first terminal one that the request has.
fn counted<'s>(stickiness: &'s Stickiness, request: &Request) -> Vec<&'s Property> {
    let mut counted = Vec::new();
    for property in &stickiness.properties {
        counted.push(property);
        if property.is_terminal && value(property, request).is_some() {
            break;
        }
    }
    counted
}

fn values(stickiness: &Stickiness, request: &Request) -> Vec<Vec<u8>> {
    let counted = counted(stickiness, request).into_iter();
    counted
        .filter_map(|property| value(property, request))
        .collect()
}

fn value(property: &Property, request: &Request) -> Option<Vec<u8>> {
    match &property.kind {
        PropertyKind::Header(name) => header(request, name)
            .filter(|value| !value.is_empty())
            .map(String::into_bytes),
        PropertyKind::Cookie(cookie) => sent(cookie, request)
            .or_else(|| cookie.ttl.map(|_| fresh(request)))
            .map(String::into_bytes),
        PropertyKind::SourceIp => Some(match request.connection.source?.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }),
    }
}

/// The value of a cookie that the request has.
fn sent(cookie: &Cookie, request: &Request) -> Option<String> {
    let cookies = request.headers.iter();
    let cookies = cookies.filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let mut pairs = cookies
        .flat_map(|(_, value)| value.split(';'))
        .filter_map(|pair| pair.trim_ascii().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == cookie.name)?;
    let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    let value = match quoted {
        true => &value[1..value.len() - 1],
        false => value,
    };
    (!value.is_empty()).then(|| value.to_owned())
}

/// The value of a cookie that the client is given: the random number in hexadecimal digits.
fn fresh(request: &Request) -> String {
    let digits = (request.random * 16_f64.powi(13)) as u64;
    format!("{digits:013x}")
}
