//! Upstream servers on loopback that answer with what they received.
//!
//! Each server has a name. It answers a request with a JSON object ([`Echo`]) that tells its name and the request as it
//! arrived, unless a test has told it to do something else ([`Reply`]). HTTP/1.1 and HTTP/2 without TLS; a request for a
//! protocol upgrade is granted, and what follows on the connection is sent back. Asked by gRPC whether a request may pass, it says
//! yes.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::services;

type Body = BoxBody<Bytes, Infallible>;

/// A request as an upstream received it. Values that are not UTF-8 are read as Latin-1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Name of the upstream that answered.
    pub upstream: String,
    /// Method.
    pub method: String,
    /// `Host` header or `:authority`.
    pub authority: String,
    /// Path with query.
    pub path: String,
    /// All other headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Size of the body in bytes.
    pub body_length: usize,
    /// The body, which the answer does not tell.
    #[serde(skip)]
    pub body: Bytes,
}

/// What an upstream does with its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status of the answer.
    pub status: u16,
    /// Headers of the answer, besides `content-type`.
    pub headers: Vec<(String, String)>,
    /// How long to wait before answering.
    pub delay: Duration,
    /// Close the connection (with HTTP/2, reset the stream) instead of answering.
    pub hang_up: bool,
    /// With HTTP/2, refuse the stream instead of answering.
    pub refuse_stream: bool,
}

impl Default for Reply {
    /// 200, at once, without further headers.
    fn default() -> Reply {
        Reply {
            status: 200,
            headers: Vec::new(),
            delay: Duration::ZERO,
            hang_up: false,
            refuse_stream: false,
        }
    }
}

/// A set of upstream servers. They stop when it is dropped.
#[derive(Debug)]
pub struct Upstreams {
    runtime: Runtime,
    servers: BTreeMap<String, Server>,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    state: Arc<State>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    name: String,
    reply: Mutex<Reply>,
    /// What comes before it.
    next_replies: Mutex<VecDeque<Reply>>,
    last_request: Mutex<Option<Echo>>,
    requests: AtomicU64,
}

impl Upstreams {
    /// Starts a server for each name, each on a port of its own.
    ///
    /// # Errors
    /// When threads or ports are not to be had.
    pub fn start<I: IntoIterator<Item = impl Into<String>>>(names: I) -> io::Result<Upstreams> {
        let names = names.into_iter();
        Upstreams::start_at(names.map(|name| (name.into(), Ipv4Addr::LOCALHOST)))
    }

    /// Starts a server for each name, each at an address of its own, for meshes that tell pods apart by their addresses.
    ///
    /// # Errors
    /// When threads or ports are not to be had.
    pub fn start_apart<I: IntoIterator<Item = impl Into<String>>>(
        names: I,
    ) -> io::Result<Upstreams> {
        let addresses = (1..=u8::MAX).map(|n| Ipv4Addr::new(127, 0, 1, n));
        let names = names.into_iter().map(Into::into);
        Upstreams::start_at(names.zip(addresses))
    }

    fn start_at(names: impl Iterator<Item = (String, Ipv4Addr)>) -> io::Result<Upstreams> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let servers = names
            .map(|(name, address)| {
                let address = SocketAddr::from((address, 0));
                let server = runtime.block_on(Server::start(name.clone(), address))?;
                Ok((name, server))
            })
            .collect::<io::Result<_>>()?;
        Ok(Upstreams { runtime, servers })
    }

    /// Address of a server.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.servers.get(name).map(|server| server.address)
    }

    /// Tells a server what to do with its requests from now on.
    pub fn set_reply(&self, name: &str, reply: Reply) {
        if let Some(server) = self.servers.get(name) {
            *lock(&server.state.reply) = reply;
        }
    }

    /// Tells a server what to do with its next requests, one after the other. For those that follow, the reply stays that was
    /// set before.
    pub fn set_next_replies(&self, name: &str, replies: impl IntoIterator<Item = Reply>) {
        if let Some(server) = self.servers.get(name) {
            *lock(&server.state.next_replies) = replies.into_iter().collect();
        }
    }

    /// Tells every server what to do with its requests from now on.
    pub fn set_every_reply(&self, reply: &Reply) {
        for server in self.servers.values() {
            *lock(&server.state.reply) = reply.clone();
        }
    }

    /// How many requests a server has received.
    pub fn requests(&self, name: &str) -> u64 {
        self.servers
            .get(name)
            .map_or(0, |server| server.state.requests.load(Ordering::Relaxed))
    }

    /// The last request that a server has answered.
    pub fn last_request(&self, name: &str) -> Option<Echo> {
        lock(&self.servers.get(name)?.state.last_request).clone()
    }

    /// The last request that a server has answered, if nobody has taken it since.
    pub fn take_request(&self, name: &str) -> Option<Echo> {
        lock(&self.servers.get(name)?.state.last_request).take()
    }

    /// Stops a server: its port is closed, and so are its connections.
    pub fn stop(&mut self, name: &str) {
        let Some(server) = self.servers.remove(name) else {
            return;
        };
        // The server's tasks hold a receiver each; all are gone when the last one has ended.
        server.stop.send_replace(true);
        self.runtime.block_on(server.stop.closed());
    }

    /// Starts a server where one was that has been stopped.
    ///
    /// # Errors
    /// When the port is not to be had any more.
    pub fn start_again(&mut self, name: &str, address: SocketAddr) -> io::Result<()> {
        let server = Server::start(name.to_owned(), address);
        let server = self.runtime.block_on(server)?;
        self.servers.insert(name.to_owned(), server);
        Ok(())
    }
}

impl Server {
    async fn start(name: String, address: SocketAddr) -> io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            name,
            reply: Mutex::default(),
            next_replies: Mutex::default(),
            last_request: Mutex::default(),
            requests: AtomicU64::new(0),
        });
        let (stop, mut stopped) = watch::channel(false);
        let connections = state.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stopped.changed() => break,
                };
                // A connection that is gone before it was accepted is no reason to stop.
                if let Ok((stream, _)) = accepted {
                    // Small answers must not wait for acknowledgements.
                    stream.set_nodelay(true).ok();
                    let (state, mut stopped) = (connections.clone(), stopped.clone());
                    tokio::spawn(async move {
                        let service = service_fn(|request| answer(state.clone(), request));
                        let builder = auto::Builder::new(TokioExecutor::new());
                        let connection =
                            builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                        // How a connection ends is the client's affair.
                        tokio::select! {
                            _ = connection => {}
                            _ = stopped.changed() => {}
                        }
                    });
                }
            }
        });
        Ok(Server {
            address,
            state,
            stop,
        })
    }
}

/// What the locks guard is replaced as a whole, so it is good even if a panic came in between.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// There is to be no answer.
#[derive(Debug)]
struct HangUp {
    /// What an HTTP/2 client is told.
    reason: h2::Error,
}

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("told to hang up")
    }
}

impl std::error::Error for HangUp {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

async fn answer(
    state: Arc<State>,
    mut request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, HangUp> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let next = lock(&state.next_replies).pop_front();
    let reply = next.unwrap_or_else(|| lock(&state.reply).clone());
    tokio::time::sleep(reply.delay).await;
    let reason = match (reply.refuse_stream, reply.hang_up) {
        (true, _) => Some(h2::Reason::REFUSED_STREAM),
        (false, true) => Some(h2::Reason::INTERNAL_ERROR),
        (false, false) => None,
    };
    if let Some(reason) = reason {
        return Err(HangUp {
            reason: reason.into(),
        });
    }
    if let Some(protocol) = request.headers().get(UPGRADE).cloned() {
        return Ok(upgrade(&mut request, protocol));
    }
    let mut echo = Echo::of(&state.name, &request);
    // A client that goes away in the middle of its body does not wait for the answer.
    let body = request.into_body().collect().await;
    echo.body = body.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    echo.body_length = echo.body.len();
    let body = serde_json::to_vec(&echo).unwrap_or_default();
    let yes = services::yes(&echo.path);
    *lock(&state.last_request) = Some(echo);
    if let Some(message) = yes {
        return Ok(grpc(&message));
    }
    let mut response = hyper::Response::builder()
        .status(reply.status)
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response
        .body(Full::new(Bytes::from(body)).boxed())
        .or_else(|error| Ok(server_error(&error.to_string())))
}

/// The answer to a call by gRPC.
fn grpc(message: &[u8]) -> hyper::Response<Body> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let framed = [&[0], &length.to_be_bytes()[..], message].concat();
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = Full::new(Bytes::from(framed)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = hyper::Response::new(body.boxed());
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Switches protocols and sends back what comes.
fn upgrade(request: &mut hyper::Request<Incoming>, protocol: HeaderValue) -> hyper::Response<Body> {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(stream) = upgrade.await {
            let (mut from, mut to) = tokio::io::split(TokioIo::new(stream));
            tokio::io::copy(&mut from, &mut to).await.ok();
        }
    });
    let mut response = hyper::Response::new(Full::default().boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(UPGRADE, protocol);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

/// The answer when a test asked for one that cannot be sent.
fn server_error(reason: &str) -> hyper::Response<Body> {
    let body = Full::new(Bytes::from(reason.to_owned()));
    let mut response = hyper::Response::new(body.boxed());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

impl Echo {
    fn of(upstream: &str, request: &hyper::Request<Incoming>) -> Echo {
        let uri = request.uri();
        let authority = uri
            .authority()
            .map(|authority| authority.as_str().to_owned())
            .or_else(|| request.headers().get(HOST).map(text));
        let path = match (request.method(), uri.path_and_query()) {
            (&Method::CONNECT, _) | (_, None) => String::new(),
            (_, Some(path)) => path.as_str().to_owned(),
        };
        Echo {
            upstream: upstream.to_owned(),
            method: request.method().to_string(),
            authority: authority.unwrap_or_default(),
            path,
            headers: request
                .headers()
                .iter()
                .filter(|(name, _)| **name != HOST)
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body_length: 0,
            body: Bytes::new(),
        }
    }
}

fn text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
