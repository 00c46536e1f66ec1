//! What a decision does to a request or a response.

use std::cell::Cell;

use itoa::Integer;
use meshgate_engine::policy::{Reply, RequestChanges};
use meshgate_engine::{Destination, Forwarding, HeaderOperations, Match, Retries};
use proxy_wasm::types::MapType;

use crate::control::{self, ControlHeaders};
use crate::{headers, host};

/// Removes the control headers that the client sent.
pub(crate) fn remove_control_headers(sent: ControlHeaders) {
    for name in sent.names() {
        host::remove_header(MapType::HttpRequestHeaders, name);
    }
}

/// Gives the request another path.
pub(crate) fn set_path(path: &[u8]) {
    host::replace_header(MapType::HttpRequestHeaders, b":path", path);
}

/// Changes the request into what its destination gets. The control headers come last, so that nothing overrides them.
/// Clusters that get a copy of the request follow its own in the header, for a proxy that reads no filter state.
pub(crate) fn forward(forwarding: &Forwarding<'_>, mirrors: &[&Destination]) {
    for operations in forwarding.headers.into_iter().flatten() {
        change_headers(
            MapType::HttpRequestHeaders,
            &operations.remove_request,
            &operations.set_request,
            &operations.append_request,
        );
    }
    if let Some(path) = &forwarding.path {
        set_path(path);
    }
    if let Some(authority) = &forwarding.host {
        host::replace_header(MapType::HttpRequestHeaders, b":authority", authority);
    }
    if let Some(timeout) = forwarding.forward.timeout_ms {
        set_number(control::TIMEOUT, timeout);
    }
    if let Some(retries) = &forwarding.forward.retries {
        set_retries(retries);
    }
    let cluster = forwarding.destination.cluster.as_bytes();
    match mirrors {
        [] => set_cluster(cluster),
        _ => set_cluster_and_mirrors(cluster, mirrors),
    }
}

fn set_cluster(value: &[u8]) {
    host::replace_header(MapType::HttpRequestHeaders, control::CLUSTER, value);
}

#[cold]
fn set_cluster_and_mirrors(cluster: &[u8], mirrors: &[&Destination]) {
    with_buffer(|buffer| {
        buffer.extend_from_slice(cluster);
        join(mirrors, buffer);
        set_cluster(buffer);
    });
}

fn set_retries(retries: &Retries) {
    // Zero is said too: the catch-all route may retry by default.
    set_number(control::MAX_RETRIES, retries.attempts);
    let conditions = [
        (control::RETRY_ON, &retries.on),
        (control::RETRY_GRPC_ON, &retries.grpc_on),
        (control::RETRIABLE_STATUS_CODES, &retries.status_codes),
    ];
    let told = |(_, names): &(_, &String)| retries.attempts > 0 && !names.is_empty();
    for (header, names) in conditions.into_iter().filter(told) {
        host::replace_header(MapType::HttpRequestHeaders, header, names.as_bytes());
    }
    // The only try has a limit too.
    if let Some(timeout) = retries.per_try_timeout_ms {
        set_number(control::PER_TRY_TIMEOUT, timeout);
    }
}

fn set_number(name: &[u8], number: impl Integer) {
    host::replace_header(
        MapType::HttpRequestHeaders,
        name,
        itoa::Buffer::new().format(number).as_bytes(),
    );
}

/// Whether there is something to do when the response comes.
pub(crate) fn changes_response(operations: &HeaderOperations) -> bool {
    !(operations.remove_response.is_empty()
        && operations.set_response.is_empty()
        && operations.append_response.is_empty())
}

/// Applies the response part of header operations. The type that the proxy gives an answer of the gateway's is one for want
/// of another: what is added takes its place.
pub(crate) fn change_response(operations: &HeaderOperations, is_own: bool) {
    const TYPE: &str = "content-type";
    if is_own
        && operations
            .append_response
            .iter()
            .any(|(name, _)| name == TYPE)
    {
        host::remove_header(MapType::HttpResponseHeaders, TYPE.as_bytes());
    }
    change_headers(
        MapType::HttpResponseHeaders,
        &operations.remove_response,
        &operations.set_response,
        &operations.append_response,
    );
}

fn change_headers(
    map: MapType,
    remove: &[String],
    set: &[(String, String)],
    append: &[(String, String)],
) {
    for name in remove {
        host::remove_header(map, name.as_bytes());
    }
    for (name, value) in set {
        host::replace_header(map, name.as_bytes(), value.as_bytes());
    }
    for (name, value) in append {
        host::add_header(map, name.as_bytes(), value.as_bytes());
    }
}

/// Answers with a redirect.
pub(crate) fn redirect(status: u16, location: &[u8]) {
    with_buffer(|buffer| {
        headers::encode_pairs(&[(b"location", location)], buffer);
        host::send_local_response(status, b"meshgate_redirect", buffer, b"");
    });
}

/// Answers with a fixed response. `details` is a word for access logs.
pub(crate) fn respond(status: u16, details: &[u8], body: &[u8]) {
    // The proxy drops the body of these, but would still announce its length.
    let body = if matches!(status, 204 | 205 | 304) {
        b""
    } else {
        body
    };
    host::send_local_response(status, details, b"", body);
}

/// Answers a request that a policy refuses.
pub(crate) fn refuse(status: u16, details: &[u8], headers: &[(&[u8], &[u8])], body: &[u8]) {
    with_buffer(|buffer| {
        headers::encode_pairs(headers, buffer);
        host::send_local_response(status, details, buffer, body);
    });
}

/// Answers as a policy wants it.
pub(crate) fn reply(reply: &Reply) {
    let headers: Vec<(&[u8], &[u8])> = reply
        .headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_slice()))
        .collect();
    with_buffer(|buffer| {
        headers::encode_pairs(&headers, buffer);
        let body = reply.body.as_bytes();
        host::send_local_response(reply.status, reply.details.as_bytes(), buffer, body);
    });
}

/// Makes values the only ones of request headers, and removes those without.
pub(crate) fn set_request_headers(changes: &RequestChanges<'_>) {
    for (name, value) in changes {
        match value {
            Some(value) => {
                host::replace_header(MapType::HttpRequestHeaders, name.as_bytes(), value)
            }
            None => host::remove_header(MapType::HttpRequestHeaders, name.as_bytes()),
        }
    }
}

/// Makes values the only ones of response headers.
pub(crate) fn set_response_headers(headers: &[(&'static str, Vec<u8>)]) {
    for (name, value) in headers {
        host::replace_header(MapType::HttpResponseHeaders, name.as_bytes(), value);
    }
}

/// Gives the client cookies.
pub(crate) fn add_cookies(cookies: &[Vec<u8>]) {
    for cookie in cookies {
        host::add_header(MapType::HttpResponseHeaders, b"set-cookie", cookie);
    }
}

/// Tells access logs which program decided.
pub(crate) fn set_generation(generation: &str) {
    host::set_property(b"meshgate_generation", generation.as_bytes());
}

/// Tells access logs the full name of the route. Returns the number of its virtual host's name.
pub(crate) fn set_route(found: &Match<'_>) -> Option<u32> {
    with_buffer(|buffer| {
        let host = found.append_name(buffer);
        host::set_property(b"meshgate_route", buffer);
        host
    })
}

/// Tells the client what has been decided about its request.
#[cold]
pub(crate) fn explain(explanation: &[u8]) {
    host::replace_header(MapType::HttpResponseHeaders, control::EXPLAIN, explanation);
}

/// Tells the proxy which clusters get a copy of the request: its routes have a name for each choice of mirrors. The header of
/// the cluster is set later, which makes the proxy look for its route again.
pub(crate) fn set_mirrors(mirrors: &[&Destination]) {
    with_buffer(|buffer| {
        join(mirrors, buffer);
        host::set_property(b"meshgate_mirrors", buffer);
    });
}

/// Appends the names of clusters, with commas between.
fn join(destinations: &[&Destination], buffer: &mut Vec<u8>) {
    for destination in destinations {
        if !buffer.is_empty() {
            buffer.push(b',');
        }
        buffer.extend_from_slice(destination.cluster.as_bytes());
    }
}

/// Lends an empty buffer, whose memory is used again by the next one.
fn with_buffer<R>(use_it: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    /// What is larger than this is given back.
    const MOST_KEPT: usize = 4096;
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    BUFFER.with(|kept| {
        let mut buffer = kept.take();
        let result = use_it(&mut buffer);
        if buffer.capacity() <= MOST_KEPT {
            buffer.clear();
            kept.set(buffer);
        }
        result
    })
}
