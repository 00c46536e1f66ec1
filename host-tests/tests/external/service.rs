//! A service as a gateway asks it: by gRPC or by HTTP, well-behaved or not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What the service does with a question.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// Answers by gRPC with a message.
    Message(Vec<u8>),
    /// Answers by gRPC with a status that is no success.
    GrpcStatus(u16),
    /// Answers by HTTP: status, headers, body.
    Http(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// Answers after a time with a message.
    Late(Duration, Vec<u8>),
    /// Closes the connection.
    HangUp,
}

/// A question as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) headers: HeaderMap,
    /// Body; the message of a gRPC call.
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
struct State {
    behaviour: Mutex<Behaviour>,
    asked: Mutex<Vec<Asked>>,
}

/// A running service. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    _runtime: Runtime,
}

#[derive(Debug)]
struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("told to hang up")
    }
}

impl std::error::Error for Gone {}

type Body = BoxBody<Bytes, std::convert::Infallible>;

impl Service {
    pub(crate) fn start(behaviour: Behaviour) -> Service {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            behaviour: Mutex::new(behaviour),
            asked: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&state), request));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Service {
            address,
            state,
            _runtime: runtime,
        }
    }

    /// Tells what to do from now on.
    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap() = behaviour;
    }

    /// How often it was asked.
    pub(crate) fn questions(&self) -> usize {
        self.state.asked.lock().unwrap().len()
    }

    /// The last question.
    pub(crate) fn last(&self) -> Asked {
        let asked = self.state.asked.lock().unwrap();
        asked.last().expect("it was asked").clone()
    }
}

/// An answer by gRPC.
pub(crate) fn message(message: &impl Message) -> Behaviour {
    Behaviour::Message(message.encode_to_vec())
}

async fn answer(
    state: Arc<State>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, Gone> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Gone)?.to_bytes();
    let is_grpc = head.headers.get("content-type").is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/grpc")
    });
    let asked = Asked {
        path: head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        method: head.method.to_string(),
        headers: head.headers,
        body: match is_grpc {
            true => body.get(5..).unwrap_or_default().to_vec(),
            false => body.to_vec(),
        },
    };
    state.asked.lock().unwrap().push(asked);
    let behaviour = state.behaviour.lock().unwrap().clone();
    Ok(match behaviour {
        Behaviour::Message(message) => grpc(&message),
        Behaviour::Late(delay, message) => {
            tokio::time::sleep(delay).await;
            grpc(&message)
        }
        Behaviour::GrpcStatus(status) => hyper::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", status.to_string())
            .body(Full::default().boxed())
            .unwrap(),
        Behaviour::Http(status, headers, body) => {
            let mut response = hyper::Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response
                .body(Full::new(Bytes::from_static(body.as_bytes())).boxed())
                .unwrap()
        }
        Behaviour::HangUp => return Err(Gone),
    })
}

fn grpc(message: &[u8]) -> hyper::Response<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [&[0], length.as_slice(), message].concat();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let body = Full::new(Bytes::from(framed)).with_trailers(async { Some(Ok(trailers)) });
    hyper::Response::builder()
        .header("content-type", "application/grpc")
        .body(body.boxed())
        .unwrap()
}
