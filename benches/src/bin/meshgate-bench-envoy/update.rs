//! What a request notices when the program is replaced: the worker that would answer it takes over the new program first.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use meshgate_benches::{OwnedRequest, Table, program_bytes, request, tree};
use meshgate_host_tests::envoy::client::{Connection, request_head};
use meshgate_host_tests::envoy::delivery::{Delivery, Payload, WatchedFile};
use meshgate_host_tests::envoy::{Envoy, Settings};

use crate::configuration::with_filter;
use crate::machine::{Cpus, Thread};
use crate::{Tools, step};

/// The kind of table that the programs are made of.
const TABLE: Table = Table::Prefix;

/// How long Envoy is watched after a new program has answered for the first time.
const AFTERWARDS: Duration = Duration::from_millis(100);

/// How long a new program may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Updates of one size.
#[derive(Clone, Debug)]
pub(crate) struct Updates {
    /// Size of the program in bytes.
    pub(crate) bytes: usize,
    /// Its routes.
    pub(crate) routes: usize,
    /// One for each update.
    pub(crate) seen: Vec<Update>,
    /// Slowest answer in as much time without an update, once for each.
    pub(crate) quiet: Vec<Duration>,
}

/// An update, as a client sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    /// Slowest answer.
    pub(crate) slowest: Duration,
    /// From the moment when the file was there to the first answer of the new program.
    pub(crate) effective: Duration,
}

/// Replaces programs of about `size` bytes by one another, a number of times.
///
/// # Errors
/// When Envoy does not start, or does not take a program.
pub(crate) fn measure(
    tools: Tools<'_>,
    cpus: Cpus,
    size: usize,
    updates: usize,
) -> Result<Updates, String> {
    let routes = routes_for(size);
    // The second one has a route more. Its request tells which of them answers.
    let trees = [tree(TABLE, routes), tree(TABLE, routes + 1)];
    let programs = trees.each_ref().map(program_bytes);
    let bytes = programs.each_ref().map(Vec::len)[0];
    let mut bootstrap = with_filter(&trees[0], &[], tools.filter);
    let failed = |error: std::io::Error| format!("cannot write a program for Envoy: {error}");
    let mut file = WatchedFile::take_listener(Delivery::Filter, &mut bootstrap).map_err(failed)?;
    let payloads = programs.map(Payload::Bytes);
    file.write(&payloads[0]).map_err(failed)?;
    let bootstrap = bootstrap.to_string();
    let settings = Settings {
        binary: tools.envoy,
        bootstrap: &bootstrap,
        workers: 1,
    };
    // A program is read and verified by Envoy's main thread first. It gets the CPU that has time.
    let envoy = cpus.on_both(|| Envoy::start(&settings))?;
    cpus.pin_worker(Thread::worker(envoy.id())?)?;
    let address = envoy.listener().ok_or("Envoy does not listen")?;
    let mut probe = Probe::open(address, &request(TABLE, routes))?;
    let mut measured = Updates {
        bytes,
        routes,
        seen: Vec::new(),
        quiet: Vec::new(),
    };
    for update in 0..updates {
        let new = (update + 1) % 2;
        let status = if new == 1 { 200 } else { 404 };
        file.write(&payloads[new]).map_err(failed)?;
        let (seen, watched) = probe.watch_update(status)?;
        measured.seen.push(seen);
        // What the update has left behind for later is not part of what is quiet.
        thread::sleep(AFTERWARDS);
        measured.quiet.push(probe.watch(watched)?);
    }
    step(&format!("  {updates} updates of {routes} routes"));
    Ok(measured)
}

/// Number of routes whose program has about this size.
fn routes_for(size: usize) -> usize {
    const SAMPLE: usize = 10_000;
    let sample = program_bytes(&tree(TABLE, SAMPLE)).len();
    (size * SAMPLE / sample).max(1)
}

/// A client that sends one request after the other.
#[derive(Debug)]
struct Probe {
    connection: Connection,
    request: Vec<u8>,
}

impl Probe {
    fn open(address: SocketAddr, request: &OwnedRequest) -> Result<Probe, String> {
        let borrowed = request.borrow();
        let host = [("host", borrowed.authority)];
        Ok(Probe {
            connection: Connection::open(address)
                .map_err(|error| format!("cannot connect to Envoy: {error}"))?,
            request: request_head("GET", borrowed.path, host),
        })
    }

    /// Status of an answer, and how long it took.
    fn ask(&mut self) -> Result<(u16, Duration), String> {
        let started = Instant::now();
        let response = self
            .connection
            .send(&self.request)
            .map_err(|error| format!("a request is lost during an update: {error}"))?;
        Ok((response.status, started.elapsed()))
    }

    /// Asks until the status says that the new program answers, and a little longer. Returns what was seen, and how long
    /// it was looked at.
    fn watch_update(&mut self, status: u16) -> Result<(Update, Duration), String> {
        let started = Instant::now();
        let mut slowest = Duration::ZERO;
        let effective = loop {
            let (answered, time) = self.ask()?;
            slowest = slowest.max(time);
            if answered == status {
                break started.elapsed();
            }
            if started.elapsed() > PATIENCE {
                return Err("Envoy does not take the new program".to_owned());
            }
        };
        slowest = slowest.max(self.watch(AFTERWARDS)?);
        let update = Update { slowest, effective };
        Ok((update, started.elapsed()))
    }

    /// The slowest answer in some time.
    fn watch(&mut self, time: Duration) -> Result<Duration, String> {
        let started = Instant::now();
        let mut slowest = Duration::ZERO;
        while started.elapsed() < time {
            slowest = slowest.max(self.ask()?.1);
        }
        Ok(slowest)
    }
}
