//! The form Envoy gives to a reply that a filter sends by itself.

use super::headers::Headers;

/// What the filter asked for.
#[derive(Clone, Debug)]
pub(super) struct SentReply {
    pub(super) status: u32,
    pub(super) details: String,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    pub(super) grpc_status: i32,
}

/// What the client gets, before the response callbacks.
pub(super) struct ShapedReply {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

/// Turns what the filter asked for into a response to `request`: gRPC clients get the status in `grpc-status`, the others a
/// plain response, without body when they asked with HEAD.
pub(super) fn shape(reply: &SentReply, request: &Headers) -> ShapedReply {
    if is_grpc(request) {
        shape_grpc(reply)
    } else {
        shape_http(reply, request)
    }
}

fn is_grpc(request: &Headers) -> bool {
    let content_type = request.get("content-type").unwrap_or_default();
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

fn shape_grpc(reply: &SentReply) -> ShapedReply {
    let code = u32::try_from(reply.grpc_status).unwrap_or_else(|_| grpc_status(reply.status));
    let mut headers = Headers::new();
    headers.add(":status", "200");
    headers.add("content-type", "application/grpc");
    headers.add("grpc-status", code.to_string());
    if !reply.body.is_empty() {
        headers.add("grpc-message", percent_encode(&reply.body));
    }
    for (name, value) in reply.headers.iter() {
        headers.add(name, value);
    }
    ShapedReply {
        headers,
        body: Vec::new(),
    }
}

fn shape_http(reply: &SentReply, request: &Headers) -> ShapedReply {
    let mut headers = Headers::new();
    headers.add(":status", reply.status.to_string());
    for (name, value) in reply.headers.iter() {
        headers.add(name, value);
    }
    if !reply.body.is_empty() {
        headers.replace("content-length", reply.body.len().to_string());
        if headers.get("content-type").is_none() {
            headers.add("content-type", "text/plain");
        }
    }
    let head = request.get(":method") == Some(b"HEAD");
    ShapedReply {
        headers,
        body: if head { Vec::new() } else { reply.body.clone() },
    }
}

/// The gRPC code that Envoy puts in place of an HTTP status.
fn grpc_status(status: u32) -> u32 {
    match status {
        200 => 0,
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

fn percent_encode(message: &[u8]) -> String {
    message
        .iter()
        .map(|&byte| match byte {
            b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
