//! A client that keeps one worker of Envoy busy.
//!
//! One thread serves all connections in turn: it waits for the answers to everything that it has sent on one of them, and
//! sends more. Meanwhile Envoy has the requests of all others to work on. That takes no event loop, and so little CPU time
//! that the client is never what is measured.

mod http1;
mod http2;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use meshgate_benches::OwnedRequest;

/// Status of the answer to a request that a route takes.
pub(crate) const ROUTED: u16 = 200;

/// The protocol between client and Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// 32 connections, with one request at a time.
    Http1,
    /// 8 connections, with 16 requests at a time.
    Http2,
}

impl Protocol {
    /// Number of connections, and of requests at a time on each of them.
    pub(crate) fn connections(self) -> (usize, usize) {
        match self {
            Protocol::Http1 => (32, 1),
            Protocol::Http2 => (8, 16),
        }
    }

    /// Writes requests down as they are sent.
    pub(crate) fn encode<'r>(self, requests: impl Iterator<Item = &'r OwnedRequest>) -> Encoded {
        let mut encoded = Encoded::default();
        for request in requests {
            match self {
                Protocol::Http1 => http1::encode(request, &mut encoded.bytes),
                Protocol::Http2 => http2::encode(request, &mut encoded.bytes),
            }
            encoded.ends.push(encoded.bytes.len());
        }
        encoded
    }
}

/// Requests in the bytes in which they are sent, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    /// The request with a number. After the last one comes the first one again.
    fn get(&self, number: usize) -> &[u8] {
        let index = number % self.ends.len().max(1);
        let end = |index| self.ends.get(index).copied().unwrap_or(0);
        let start = index.checked_sub(1).map_or(0, end);
        self.bytes.get(start..end(index)).unwrap_or_default()
    }
}

/// What a connection can do.
trait Connection {
    /// Sends a number of requests.
    fn send(&mut self, requests: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()>;
    /// Waits for the answers to all requests that were sent since the last time. Returns their number, and the first status
    /// that is not [`ROUTED`], if there is one.
    fn receive(&mut self) -> io::Result<(usize, Option<u16>)>;
}

/// Sends the next requests.
fn send(
    connection: &mut dyn Connection,
    requests: &Encoded,
    next: &mut usize,
    count: usize,
) -> io::Result<()> {
    let mut batch = (*next..*next + count).map(|number| requests.get(number));
    *next += count;
    connection.send(&mut batch)
}

/// A client with its connections and the requests that it sends.
pub(crate) struct Client {
    connections: Vec<Box<dyn Connection>>,
    batch: usize,
    requests: Rc<Encoded>,
    /// Number of the next request.
    next: usize,
}

/// What a client has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// Answers that it got.
    pub(crate) answers: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
}

impl Client {
    /// Opens the connections.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub(crate) fn open(
        address: SocketAddr,
        protocol: Protocol,
        requests: Rc<Encoded>,
    ) -> io::Result<Client> {
        let (connections, batch) = protocol.connections();
        let open = |_| -> io::Result<Box<dyn Connection>> {
            Ok(match protocol {
                Protocol::Http1 => Box::new(http1::Http1::open(address)?),
                Protocol::Http2 => Box::new(http2::Http2::open(address)?),
            })
        };
        Ok(Client {
            connections: (0..connections).map(open).collect::<io::Result<_>>()?,
            batch,
            requests,
            next: 0,
        })
    }

    /// Closes all connections but one. For servers so slow that a batch on each would take far longer than a run.
    pub(crate) fn keep_one_connection(&mut self) {
        self.connections.truncate(1);
    }

    /// Sends requests for some time, then waits for the answers that are missing. At least one batch is sent on each
    /// connection. Goes on with the requests where it stopped the last time.
    ///
    /// # Errors
    /// When a connection fails, or when an answer does not say that a route took the request.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<Done> {
        let started = Instant::now();
        for connection in &mut self.connections {
            send(
                connection.as_mut(),
                &self.requests,
                &mut self.next,
                self.batch,
            )?;
        }
        let mut answers = 0;
        let mut sent = true;
        while sent {
            sent = false;
            for connection in &mut self.connections {
                let (received, other) = connection.receive()?;
                if let Some(status) = other {
                    let error = format!("a request was answered with {status}");
                    return Err(io::Error::other(error));
                }
                answers += received as u64;
                if started.elapsed() < time {
                    send(
                        connection.as_mut(),
                        &self.requests,
                        &mut self.next,
                        self.batch,
                    )?;
                    sent = true;
                }
            }
        }
        Ok(Done {
            answers,
            elapsed: started.elapsed(),
        })
    }
}

/// Status of the answer to a single request over HTTP/1.1.
///
/// # Errors
/// When there is no answer.
pub(crate) fn status(address: SocketAddr, request: &OwnedRequest) -> io::Result<u16> {
    let mut bytes = Vec::new();
    http1::encode(request, &mut bytes);
    Ok(meshgate_host_tests::envoy::client::send(address, &bytes)?.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshgate_benches::{Table, request};

    #[test]
    fn requests_come_in_turn() {
        let requests = [request(Table::Exact, 0), request(Table::OneHeader, 1)];
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let encoded = protocol.encode(requests.iter());
            let [first, second] = [0, 1].map(|number| encoded.get(number));
            assert_eq!([first, second].concat(), encoded.bytes);
            assert!(!first.is_empty() && first != second);
            assert_eq!((encoded.get(2), encoded.get(5)), (first, second));
        }
        assert_eq!(Encoded::default().get(3), b"");
    }
}
