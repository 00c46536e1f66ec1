//! The services that gateways ask by gRPC: what they were asked, and that they say yes.

use std::collections::BTreeMap;

use meshgate_compiler::answer::{Asks, DescriptorEntry};
use prost::Message;

use crate::proto::{
    CheckRequest, CheckResponse, Descriptor, Header, RateLimitRequest, RateLimitResponse, Status,
};

const AUTHORIZATION: &str = "/envoy.service.auth.v3.Authorization/Check";
const RATE_LIMIT: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// The message that lets a request pass, if there is a service that is asked at a path.
pub fn yes(path: &str) -> Option<Vec<u8>> {
    match path {
        AUTHORIZATION => {
            let answer = CheckResponse {
                status: Some(Status { code: 0 }),
                ..CheckResponse::default()
            };
            Some(answer.encode_to_vec())
        }
        RATE_LIMIT => {
            let answer = RateLimitResponse {
                code: 1,
                ..RateLimitResponse::default()
            };
            Some(answer.encode_to_vec())
        }
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
            let entry = |Header { key, value }| DescriptorEntry { key, value };
            let entries =
                |descriptor: Descriptor| descriptor.entries.into_iter().map(entry).collect();
            let descriptors = request.descriptors.into_iter().map(entries).collect();
            !std::mem::replace(&mut asks.rate_limit, descriptors).is_empty()
        }
        AUTHORIZATION => {
            let request = CheckRequest::decode(message).map_err(error)?;
            let context = request.attributes.unwrap_or_default().context_extensions;
            asks.extauth
                .replace(context.into_iter().collect())
                .is_some()
        }
        _ => asks.extauth.replace(BTreeMap::new()).is_some(),
    };
    match is_second {
        true => Err(format!("`{path}` was asked twice")),
        false => Ok(()),
    }
}
