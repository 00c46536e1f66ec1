//! HTTP/1.1, by the client of the tests.

use std::io;
use std::net::SocketAddr;

use meshgate_benches::OwnedRequest;
use meshgate_host_tests::envoy::client::{self, request_head};

use super::{Connection, ROUTED};

/// A connection that is kept open.
#[derive(Debug)]
pub(super) struct Http1 {
    connection: client::Connection,
    missing: usize,
}

impl Http1 {
    pub(super) fn open(address: SocketAddr) -> io::Result<Http1> {
        Ok(Http1 {
            connection: client::Connection::open(address)?,
            missing: 0,
        })
    }
}

impl Connection for Http1 {
    fn send(&mut self, requests: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        for request in requests {
            self.connection.write(request)?;
            self.missing += 1;
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<(usize, Option<u16>)> {
        let mut other = None;
        let count = std::mem::take(&mut self.missing);
        for _ in 0..count {
            let status = self.connection.receive()?.status;
            if status != ROUTED {
                other.get_or_insert(status);
            }
        }
        Ok((count, other))
    }
}

/// Appends a request.
pub(super) fn encode(request: &OwnedRequest, bytes: &mut Vec<u8>) {
    let request = request.borrow();
    let host = [("host", request.authority)];
    let headers = request
        .headers
        .iter()
        .filter_map(|(name, value)| Some((std::str::from_utf8(name).ok()?, value.as_slice())));
    bytes.extend(request_head(
        "GET",
        request.path,
        host.into_iter().chain(headers),
    ));
}
