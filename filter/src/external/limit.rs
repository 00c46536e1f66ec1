//! Rate limits that a service counts: what it is asked, and what its answer means.

use meshgate_engine::policy::Descriptor;
use prost::Message;

use super::auth::Decision;
use super::changes::{Change, Operation};
use super::proto::{
    DescriptorEntry, HeaderValue, LimitCode, RateLimitDescriptor, RateLimitRequest,
    RateLimitResponse,
};
use super::{Refusal, text};

/// What servers know the limits of these resources by.
const DOMAIN: &str = "solo.io";

/// The message that asks whether descriptors are within their limits.
pub(super) fn question(descriptors: &[Descriptor<'_>]) -> Vec<u8> {
    let entry = |(key, value): &(&str, Vec<u8>)| DescriptorEntry {
        key: (*key).to_owned(),
        value: text(value),
    };
    let descriptors = descriptors.iter().map(|entries| RateLimitDescriptor {
        entries: entries.iter().map(entry).collect(),
    });
    let question = RateLimitRequest {
        domain: DOMAIN.to_owned(),
        descriptors: descriptors.collect(),
    };
    question.encode_to_vec()
}

/// What an answer means; nothing if it is none.
pub(super) fn decision(answer: &[u8]) -> Option<Decision> {
    let answer = RateLimitResponse::decode(answer).ok()?;
    match answer.overall_code() {
        LimitCode::Ok => Some(Decision::Pass {
            request: added(&answer.request_headers_to_add).collect(),
            response: added(&answer.response_headers_to_add).collect(),
        }),
        LimitCode::OverLimit => {
            let mut refusal = over_limit();
            refusal
                .headers
                .extend(added(&answer.response_headers_to_add));
            refusal.body = answer.raw_body;
            Some(Decision::Refuse(refusal))
        }
        LimitCode::Unknown => None,
    }
}

/// The answer to requests beyond a limit, as Envoy has it.
pub(super) fn over_limit() -> Refusal {
    let mark = Change::new(Operation::Add, b"x-envoy-ratelimited", b"true");
    Refusal {
        headers: mark.into_iter().collect(),
        ..Refusal::with_status(429)
    }
}

fn added(headers: &[HeaderValue]) -> impl Iterator<Item = Change> {
    headers.iter().filter_map(|header| {
        let (name, value) = header.parts();
        Change::new(Operation::Add, name, value)
    })
}
