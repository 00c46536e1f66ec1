//! The services that gateways ask by gRPC: what they were asked, and that they say yes. Messages are written a second time, from
//! Envoy's published definitions, as far as they are needed here.

use std::collections::BTreeMap;

use meshgate_compiler::answer::{Asks, DescriptorEntry};
use prost::Message;

const AUTHORIZATION: &str = "/envoy.service.auth.v3.Authorization/Check";
const RATE_LIMIT: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

#[derive(Clone, PartialEq, Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(btree_map = "string, string", tag = "10")]
    context_extensions: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct RateLimitRequest {
    #[prost(message, repeated, tag = "2")]
    descriptors: Vec<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct RateLimitResponse {
    #[prost(int32, tag = "1")]
    code: i32,
}

/// The message that lets a request pass, if there is a service that is asked at a path.
pub fn yes(path: &str) -> Option<Vec<u8>> {
    match path {
        AUTHORIZATION => {
            let status = Some(Status { code: 0 });
            Some(CheckResponse { status }.encode_to_vec())
        }
        RATE_LIMIT => Some(RateLimitResponse { code: 1 }.encode_to_vec()),
        _ => None,
    }
}

/// Adds a question to what services were asked. One that is none of gRPC's is one to an authorization service that is asked by HTTP,
/// and tells nothing about the route.
///
/// # Errors
/// When the message cannot be read, or the service was asked already.
pub fn add(asks: &mut Asks, path: &str, message: &[u8]) -> Result<(), String> {
    let error = |reason: prost::DecodeError| format!("`{path}`: {reason}");
    let is_second = match path {
        RATE_LIMIT => {
            let request = RateLimitRequest::decode(message).map_err(error)?;
            let entry = |Entry { key, value }| DescriptorEntry { key, value };
            let entries =
                |descriptor: Descriptor| descriptor.entries.into_iter().map(entry).collect();
            let descriptors = request.descriptors.into_iter().map(entries).collect();
            !std::mem::replace(&mut asks.rate_limit, descriptors).is_empty()
        }
        AUTHORIZATION => {
            let request = CheckRequest::decode(message).map_err(error)?;
            let context = request.attributes.unwrap_or_default().context_extensions;
            asks.extauth.replace(context).is_some()
        }
        _ => asks.extauth.replace(BTreeMap::new()).is_some(),
    };
    match is_second {
        true => Err(format!("`{path}` was asked twice")),
        false => Ok(()),
    }
}
