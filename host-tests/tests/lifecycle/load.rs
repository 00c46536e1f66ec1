//! Clients that send requests without a pause, and look at every answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use meshgate_host_tests::envoy::client::{Connection, Response, request_head};
use meshgate_host_tests::upstream::Echo;

use crate::gateway::wait_for;
use crate::shop;

/// What clients do with their connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// Keep them as long as the proxy does.
    Kept,
    /// Open one for each request.
    New,
}

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    /// Requests that were answered well.
    answered: Arc<AtomicU64>,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    /// Number of the program that gave the last answer.
    seen: Arc<AtomicU64>,
    thread: JoinHandle<Result<(), String>>,
}

impl Load {
    /// Starts a number of clients.
    pub(crate) fn start(address: SocketAddr, clients: usize, connections: Connections) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let client = |_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            let seen = Arc::new(AtomicU64::new(0));
            let last = seen.clone();
            let run = move || run(address, connections, &stop, &answered, &last);
            Client {
                seen,
                thread: thread::spawn(run),
            }
        };
        Load {
            clients: (0..clients).map(client).collect(),
            stop,
            answered,
        }
    }

    /// Waits until every client has an answer of this program.
    pub(crate) fn wait_for_program(&self, number: u64) {
        wait_for(&format!("answers of program {number}"), || {
            let arrived = |client: &Client| {
                // A client that has ended says why when it is stopped.
                client.thread.is_finished() || client.seen.load(Ordering::Relaxed) == number
            };
            self.clients.iter().all(arrived).then_some(())
        });
    }

    /// Waits until this many more requests have been answered.
    pub(crate) fn wait_for_requests(&self, count: u64) {
        let target = self.answered.load(Ordering::Relaxed) + count;
        while self.answered.load(Ordering::Relaxed) < target
            && !self
                .clients
                .iter()
                .any(|client| client.thread.is_finished())
        {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets every client finish its request; returns the number of requests, all of which were answered well.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            let result = client.thread.join().expect("a client does not panic");
            result.unwrap_or_else(|reason| panic!("{reason}"));
        }
        self.answered.load(Ordering::Relaxed)
    }
}

fn run(
    address: SocketAddr,
    connections: Connections,
    stop: &AtomicBool,
    answered: &AtomicU64,
    seen: &AtomicU64,
) -> Result<(), String> {
    let requests = REQUESTS.map(|request| (request, request.bytes(connections)));
    let mut connection = None;
    for (request, bytes) in requests.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let lost = |error: io::Error| format!("a request to {} is lost: {error}", request.path);
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(address).map_err(lost)?,
        };
        let response = open.send(bytes).map_err(lost)?;
        if response.text("connection") != Some("close") {
            connection = Some(open);
        }
        let wrong = |reason| {
            let body = String::from_utf8_lossy(&response.body);
            format!(
                "wrong answer to {}: {reason}: {} {body}",
                request.path, response.status
            )
        };
        let program = request.program(&response).map_err(wrong)?;
        if let Some(program) = program {
            let before = seen.swap(program, Ordering::Relaxed);
            if before > program {
                return Err(format!("program {program} answered after program {before}"));
            }
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// A kind of request.
#[derive(Clone, Copy, Debug)]
struct Request {
    method: &'static str,
    path: &'static str,
    body: &'static str,
}

/// One for each way to be answered.
const REQUESTS: [Request; 6] = [
    Request::new("GET", "/orders/17?a=b", ""),
    Request::new("POST", "/orders/new", "two books"),
    Request::new("GET", "/moved", ""),
    Request::new("GET", "/fixed", ""),
    Request::new("GET", "/only-odd", ""),
    Request::new("GET", "/only-even", ""),
];

impl Request {
    const fn new(method: &'static str, path: &'static str, body: &'static str) -> Request {
        Request { method, path, body }
    }

    fn bytes(&self, connections: Connections) -> Vec<u8> {
        let length = self.body.len().to_string();
        let mut headers = vec![("host", b"shop.example".as_slice())];
        if !self.body.is_empty() {
            headers.push(("content-length", length.as_bytes()));
        }
        if connections == Connections::New {
            headers.push(("connection", b"close"));
        }
        let mut bytes = request_head(self.method, self.path.as_bytes(), headers);
        bytes.extend_from_slice(self.body.as_bytes());
        bytes
    }

    /// The program that an answer is of. An answer that no single program gives is an error; one that does not tell is
    /// nobody's.
    fn program(&self, response: &Response) -> Result<Option<u64>, String> {
        let only = self.path.strip_prefix("/only-");
        if only.is_some() && response.status == 404 {
            return Ok(None);
        }
        let marks: Vec<&[u8]> = response
            .headers
            .iter()
            .filter(|(name, _)| name == "x-program")
            .map(|(_, value)| value.as_slice())
            .collect();
        let &[mark] = marks.as_slice() else {
            return Err(format!("{} values of x-program", marks.len()));
        };
        let name = str::from_utf8(mark).map_err(|error| error.to_string())?;
        let number = name
            .strip_prefix('p')
            .and_then(|number| number.parse().ok())
            .ok_or("x-program is no program")?;
        let expected = |what: &str, holds: bool| match holds {
            true => Ok(Some(number)),
            false => Err(format!("{what} is not that of program {number}")),
        };
        if let Some(rest) = self.path.strip_prefix("/orders") {
            let echo: Echo =
                serde_json::from_slice(&response.body).map_err(|error| error.to_string())?;
            let mark = ("x-program".to_owned(), name.to_owned());
            let marks = echo.headers.iter().filter(|header| header.0 == mark.0);
            expected("the status", response.status == 200)?;
            let upstream = shop::cluster(&format!("orders-{}", shop::parity(number)));
            expected("the upstream", echo.upstream == upstream)?;
            expected("the path", echo.path == format!("/{name}{rest}"))?;
            expected("the request header", marks.eq([&mark]))?;
            return expected("the body", echo.body_length == self.body.len());
        }
        if self.path == "/moved" {
            let location = format!("http://shop.example/{name}");
            expected("the status", response.status == 301)?;
            return expected("the location", response.text("location") == Some(&location));
        }
        expected(
            "the route",
            only.is_none_or(|parity| parity == shop::parity(number)),
        )?;
        expected("the status", response.status == 200)?;
        expected("the body", response.body == name.as_bytes())
    }
}
