//! A gRPC client, as far as the gateway can tell.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// An empty message: not compressed, of no length.
pub(crate) const MESSAGE: [u8; 5] = [0; 5];

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: hyper::HeaderMap,
}

impl Answer {
    /// Value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Calls a method of the shop's, over HTTP/2 without TLS.
#[track_caller]
pub(crate) fn call(address: SocketAddr, path: &str) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let request = hyper::Request::post(format!("http://shop.example{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(&MESSAGE)))
        .unwrap();
    runtime.block_on(send(address, request)).unwrap()
}

async fn send(
    address: SocketAddr,
    request: hyper::Request<Full<Bytes>>,
) -> Result<Answer, Box<dyn std::error::Error>> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    let driver = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    body.collect().await?;
    drop(sender);
    driver.await??;
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
    })
}
