//! What goes into the host and what comes out: requests, outcomes, replies.

use std::collections::BTreeMap;

use super::failure::Trap;
use super::headers::Headers;

/// A request as the filter gets to see it.
#[derive(Clone, Debug)]
pub struct Request {
    /// All headers, the pseudo headers (`:method`, `:path`, …) included.
    pub headers: Headers,
    /// Properties of the stream by dotted path (`destination.port`), in the encoding of the ABI (numbers: 8 bytes,
    /// little-endian).
    pub properties: BTreeMap<String, Vec<u8>>,
    /// Whether the request ends with its headers, that is, has no body.
    pub end_of_stream: bool,
}

impl Request {
    /// A request without body over plain HTTP.
    pub fn new(method: &str, authority: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Request {
        let mut headers = Headers::new();
        headers.add(":authority", authority);
        headers.add(":path", path);
        headers.add(":method", method);
        headers.add(":scheme", "http");
        Request {
            headers,
            properties: BTreeMap::new(),
            end_of_stream: true,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Request {
        self.headers.add(name, value);
        self
    }

    /// Takes a header away, a pseudo header for instance.
    pub fn without(mut self, name: &str) -> Request {
        self.headers.remove(name);
        self
    }

    /// Sets the port of the listener that received the request (property `destination.port`).
    pub fn listener_port(mut self, port: u16) -> Request {
        self.properties.insert(
            "destination.port".to_owned(),
            u64::from(port).to_le_bytes().to_vec(),
        );
        self
    }

    /// Sets a property of the stream, by its dotted path.
    pub fn property(mut self, path: &str, value: impl AsRef<[u8]>) -> Request {
        let value = value.as_ref().to_vec();
        self.properties.insert(path.to_owned(), value);
        self
    }

    /// Announces a body, which comes with [`Vm::body`](super::Vm::body).
    pub fn with_body(mut self) -> Request {
        self.end_of_stream = false;
        self
    }
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The filter let the request go on to the router.
    Forwarded(Forwarded),
    /// The filter answered by itself; the stream is closed.
    LocalReply(LocalReply),
    /// The filter holds the request back, to go on later.
    Paused(OpenStream),
    /// The guest trapped. The VM is dead: every later request traps too.
    Trapped(Trap),
}

/// A request on its way to the router.
#[derive(Debug)]
pub struct Forwarded {
    /// The stream, to be answered with [`Vm::respond`](super::Vm::respond) or closed with
    /// [`Vm::close`](super::Vm::close).
    pub stream: OpenStream,
    /// The request headers as the router gets them.
    pub headers: Headers,
    /// The properties of the stream, the ones set by the filter included.
    pub properties: BTreeMap<String, Vec<u8>>,
}

/// An answer of the filter itself, in the form in which the client gets it.
#[derive(Debug)]
pub struct LocalReply {
    /// Status code on the wire; 200 for gRPC clients, whatever the filter said.
    pub status: u16,
    /// Response headers, after the response callback of the filter, with `:status`.
    pub headers: Headers,
    /// Body, empty for HEAD and gRPC requests.
    pub body: Vec<u8>,
    /// The request headers as access logs find them.
    pub request: Headers,
    /// The response code details that access logs print.
    pub details: String,
    /// The properties of the stream, the ones set by the filter included.
    pub properties: BTreeMap<String, Vec<u8>>,
}

/// A stream that waits for its response. A stream that is dropped stays open in the guest for ever.
#[derive(Debug)]
#[must_use = "an open stream is closed by `Vm::respond` or `Vm::close`"]
pub struct OpenStream {
    pub(super) context: u32,
}
