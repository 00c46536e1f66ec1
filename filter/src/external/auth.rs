//! External authorization: what the service is asked, and what its answer means.

use std::collections::BTreeMap;

use meshgate_engine::policy::{Auth, AuthHttp};
use meshgate_engine::{Headers, Request};
use prost::Message;

use super::changes::{Change, Operation};
use super::proto::{
    Address, AppendAction, AttributeContext, CheckRequest, CheckResponse, HeaderValueOption,
    HttpRequest, HttpResponse, Peer, Request as AttributedRequest, SocketAddress, Timestamp,
    TlsSession,
};
use super::{Refusal, text};
use crate::body::Part;
use crate::control;
use crate::headers::HeaderPairs;

/// What a service decides.
#[derive(Debug)]
pub(super) enum Decision {
    /// The request passes, after these changes; its response gets the others.
    Pass {
        request: Vec<Change>,
        response: Vec<Change>,
    },
    /// It is refused.
    Refuse(Refusal),
}

/// What the proxy knows about a connection.
pub(super) struct Connection<P> {
    /// A property, by its path with zero bytes between the parts.
    pub(super) property: P,
    /// Nanoseconds of the Unix epoch.
    pub(super) now: u64,
}

/// Tells the service whether the body that it gets is only the beginning.
const PARTIAL: &[u8] = b"x-envoy-auth-partial-body";

fn is_partial(part: &Part) -> &'static str {
    match part.is_whole {
        true => "false",
        false => "true",
    }
}

/// Whether what follows the headers is no body, but a connection of its own, which waits for the answer. A body that has a
/// length is one, whatever else the headers say.
pub(super) fn is_tunnel(request: &Request<'_, HeaderPairs>) -> bool {
    let has = |name| request.header(name).is_some();
    let is_websocket = || {
        let upgrade = request.header(b"upgrade");
        upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket"))
            && !has(b"content-length")
            && !has(b"transfer-encoding")
    };
    request.method == b"CONNECT" || is_websocket()
}

/// The message that asks whether a request may pass. `body`: what the service gets of it, and whether as bytes.
pub(super) fn question<P: Fn(&[u8]) -> Option<Vec<u8>>>(
    auth: &Auth,
    request: &Request<'_, HeaderPairs>,
    body: Option<(Part, bool)>,
    connection: &Connection<P>,
) -> Vec<u8> {
    let property = |path: &[u8]| (connection.property)(path).map(|value| text(&value));
    let peer = |address: &[u8], principal: &[u8]| Peer {
        address: property(address).map(|address| socket_address(&address)),
        principal: property(principal).unwrap_or_default(),
    };
    let length = request.header(b"content-length");
    let mut headers = headers(request);
    let (mut body_text, mut raw_body) = (String::new(), Vec::new());
    if let Some((part, as_bytes)) = body {
        headers.insert(text(PARTIAL), is_partial(&part).to_owned());
        match as_bytes {
            true => raw_body = part.bytes,
            false => body_text = text(&part.bytes),
        }
    }
    let http = HttpRequest {
        id: property(b"request\0id").unwrap_or_default(),
        method: text(request.method),
        headers,
        path: text(request.path),
        host: text(request.authority),
        scheme: text(request.scheme),
        size: length
            .and_then(|length| text(&length).parse().ok())
            .unwrap_or(-1),
        protocol: property(b"request\0protocol").unwrap_or_default(),
        body: body_text,
        raw_body,
    };
    let sni = property(b"connection\0requested_server_name").filter(|name| !name.is_empty());
    let attributes = AttributeContext {
        source: Some(peer(
            b"source\0address",
            b"connection\0uri_san_peer_certificate",
        )),
        destination: Some(peer(
            b"destination\0address",
            b"connection\0uri_san_local_certificate",
        )),
        request: Some(AttributedRequest {
            time: Some(timestamp(connection.now)),
            http: Some(http),
        }),
        context_extensions: auth.context.iter().cloned().collect(),
        tls_session: sni.map(|sni| TlsSession { sni }),
    };
    let question = CheckRequest {
        attributes: Some(attributes),
    };
    question.encode_to_vec()
}

/// Headers and pseudo headers, without those that only the proxy may set. Values of repeated ones are joined.
fn headers(request: &Request<'_, HeaderPairs>) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers.iter() {
        if control::is_control(name) || name == PARTIAL {
            continue;
        }
        let value = text(value);
        headers
            .entry(text(name))
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert(value);
    }
    headers
}

fn socket_address(address: &str) -> Address {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    Address {
        socket_address: Some(SocketAddress {
            address: host.to_owned(),
            port_value: port.parse().unwrap_or_default(),
        }),
    }
}

fn timestamp(nanoseconds: u64) -> Timestamp {
    const SECOND: u64 = 1_000_000_000;
    Timestamp {
        seconds: i64::try_from(nanoseconds / SECOND).unwrap_or_default(),
        nanos: i32::try_from(nanoseconds % SECOND).unwrap_or_default(),
    }
}

/// What an answer by gRPC means; nothing if it is no answer.
pub(super) fn decision(answer: &[u8]) -> Option<Decision> {
    const OK: i32 = 0;
    let answer = CheckResponse::decode(answer).ok()?;
    let code = answer.status.map_or(OK, |status| status.code);
    Some(match (code, answer.http_response) {
        (OK, Some(HttpResponse::Ok(ok))) => {
            let removed = ok.headers_to_remove.iter();
            let removed = removed.filter_map(|name| Change::new(Operation::Remove, name, b""));
            Decision::Pass {
                request: removed.chain(changes(&ok.headers)).collect(),
                response: changes(&ok.response_headers_to_add).collect(),
            }
        }
        // As for Envoy, the status alone decides.
        (OK, _) => Decision::Pass {
            request: Vec::new(),
            response: Vec::new(),
        },
        (_, Some(HttpResponse::Denied(denied))) => Decision::Refuse(Refusal {
            status: status(denied.status.map_or(0, |status| status.code)),
            headers: changes(&denied.headers).collect(),
            body: denied.body,
        }),
        _ => Decision::Refuse(Refusal::with_status(FORBIDDEN)),
    })
}

const FORBIDDEN: u16 = 403;

/// A status that can be sent, or the one of a refusal that names none.
fn status(code: i32) -> u16 {
    match u16::try_from(code) {
        Ok(status @ 200..=599) => status,
        _ => FORBIDDEN,
    }
}

fn changes(options: &[HeaderValueOption]) -> impl Iterator<Item = Change> {
    options.iter().filter_map(|option| {
        let (name, value) = option.header.as_ref()?.parts();
        let appends = option.append.is_some_and(|append| append.value);
        let operation = match option.append_action() {
            _ if appends => Operation::Add,
            AppendAction::AddIfAbsent => Operation::AddIfAbsent,
            AppendAction::OverwriteIfExists => Operation::SetIfPresent,
            AppendAction::Default | AppendAction::Overwrite => Operation::Set,
        };
        Change::new(operation, name, value)
    })
}

/// Headers that a service which speaks HTTP always gets.
const ALWAYS: [&[u8]; 1] = [b"authorization"];

/// The request that asks whether a request may pass: pairs of names and values.
pub(super) fn http_question(
    http: &AuthHttp,
    request: &Request<'_, HeaderPairs>,
    part: Option<&Part>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    let path = [http.path_prefix.as_bytes(), request.path].concat();
    let length = part.map_or(0, |part| part.bytes.len());
    let mut question = vec![
        pair(b":method", request.method),
        pair(b":path", &path),
        pair(b":authority", request.authority),
        pair(b":scheme", request.scheme),
        pair(b"content-length", length.to_string().as_bytes()),
    ];
    if let Some(part) = part {
        question.push(pair(PARTIAL, is_partial(part).as_bytes()));
    }
    let is_allowed = |name: &[u8]| {
        let mut allowed = http.allowed_headers.iter();
        ALWAYS.contains(&name) || allowed.any(|allowed| allowed.as_bytes() == name)
    };
    let is_added =
        |name: &[u8]| (http.headers_to_add.iter()).any(|(added, _)| added.as_bytes() == name);
    let sent = request.headers.iter().filter(|(name, _)| {
        // Checked like what a service asks for: it must not be steered either.
        is_allowed(name)
            && !is_added(name)
            && **name != *PARTIAL
            && Change::new(Operation::Set, name, b"").is_some()
    });
    question.extend(sent.map(|(name, value)| pair(name, value)));
    let added = http.headers_to_add.iter();
    question.extend(added.map(|(name, value)| pair(name.as_bytes(), value.as_bytes())));
    question
}

/// Headers that the client gets with every refusal that has them.
const CLIENT_ALWAYS: [&[u8]; 2] = [b"location", b"www-authenticate"];

/// What an answer by HTTP means; nothing if it is none, or says that the service failed.
pub(super) fn http_decision(
    http: &AuthHttp,
    headers: &HeaderPairs,
    body: Vec<u8>,
) -> Option<Decision> {
    let status = headers.iter().find(|(name, _)| *name == b":status")?.1;
    let status: u16 = text(status).parse().ok()?;
    let listed = |list: &[String], name: &[u8]| list.iter().any(|listed| listed.as_bytes() == name);
    match status {
        200 => {
            let passed = headers
                .iter()
                .filter(|(name, _)| listed(&http.upstream_headers, name));
            let changes =
                passed.filter_map(|(name, value)| Change::new(Operation::Set, name, value));
            Some(Decision::Pass {
                request: changes.collect(),
                response: Vec::new(),
            })
        }
        201..=499 => {
            let for_client = |name: &[u8]| {
                http.client_headers.is_empty()
                    || CLIENT_ALWAYS.contains(&name)
                    || listed(&http.client_headers, name)
            };
            let passed = headers.iter().filter(|(name, _)| for_client(name));
            let changes =
                passed.filter_map(|(name, value)| Change::new(Operation::Add, name, value));
            Some(Decision::Refuse(Refusal {
                status,
                headers: changes.collect(),
                body,
            }))
        }
        _ => None,
    }
}
