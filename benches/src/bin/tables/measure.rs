//! The measurements. Every time is the least of several, because whatever disturbs a run only makes it longer.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use meshgate_benches::{
    Delegated, Guest, OwnedRequest, Peer, PeerKind, Table, compile_sources, program_bytes,
    requests, tree,
};
use meshgate_engine::{Decision, Program, SectionSize};

use crate::callgrind::{Counter, Counts};

/// Requests asked in turn, so that no cache learns one of them.
const REQUESTS: usize = 8_192;
/// How often they are asked.
const REPETITIONS: usize = 31;
/// How often a program is loaded.
const LOADS: usize = 7;

/// Sizes at which the instructions of peers are counted; building a large one takes long in valgrind.
pub(crate) const COUNTED: [usize; 2] = [1_000, 100_000];

/// Trees with delegation.
pub(crate) const DELEGATED: [Delegated; 4] = [
    shape(10, 1, 10),
    shape(100, 1, 100),
    shape(100, 10, 1_000),
    shape(1_000, 1, 1_000),
];

/// The same number of routes as in YAML without sharing: each table has one host.
const FROM_YAML: Delegated = shape(100, 100, 1_000);

const fn shape(hosts: usize, tables: usize, routes: usize) -> Delegated {
    Delegated {
        hosts,
        tables,
        routes,
    }
}

/// What a request costs.
#[derive(Clone, Copy)]
pub(crate) struct Decided {
    pub(crate) nanoseconds: f64,
    /// Absent where it would take too long.
    pub(crate) counts: Option<Counts>,
}

/// Everything about one table of one size.
pub(crate) struct Meshgate {
    pub(crate) table: Table,
    pub(crate) routes: usize,
    pub(crate) compile: Duration,
    pub(crate) bytes: usize,
    pub(crate) sections: Vec<SectionSize>,
    pub(crate) load: Duration,
    pub(crate) load_in_wasm: Duration,
    pub(crate) native: Decided,
    /// Nanoseconds.
    pub(crate) in_wasm: f64,
}

/// Everything about one tree with delegation.
pub(crate) struct DelegatedRow {
    pub(crate) shape: Delegated,
    pub(crate) compile: Duration,
    pub(crate) bytes: usize,
    /// Nanoseconds.
    pub(crate) native: f64,
    /// Nanoseconds.
    pub(crate) in_wasm: f64,
}

/// Compiling from YAML.
pub(crate) struct FromYaml {
    pub(crate) routes: usize,
    pub(crate) compile: Duration,
    pub(crate) megabytes: f64,
}

pub(crate) fn meshgate(
    table: Table,
    routes: usize,
    guest: &Path,
    counter: &Counter,
) -> Result<Meshgate, Box<dyn Error>> {
    let tree = tree(table, routes);
    let times = (1_000_000 / routes).clamp(2, 20);
    let (compile, bytes) = least(times, || program_bytes(&tree));
    drop(tree);
    let mut load = Duration::MAX;
    let mut sections = Vec::new();
    for _ in 0..LOADS {
        let bytes = bytes.clone();
        let start = Instant::now();
        let program = Program::new(bytes)?;
        load = load.min(start.elapsed());
        sections = program.sections();
    }
    let requests = requests(table, routes, REQUESTS);
    let (native, in_wasm, load_in_wasm) = decide(&bytes, &requests, guest)?;
    Ok(Meshgate {
        table,
        routes,
        compile,
        bytes: bytes.len(),
        sections,
        load,
        load_in_wasm,
        native: Decided {
            nanoseconds: native,
            counts: Some(counter.engine(table, routes, &bytes)?),
        },
        in_wasm,
    })
}

pub(crate) fn delegated(shape: Delegated, guest: &Path) -> Result<DelegatedRow, Box<dyn Error>> {
    let sources = shape.sources();
    let (compile, compiled) = least(2, || compile_sources(&sources));
    let bytes = compiled.program.ok_or("there is no gateway")?;
    let (native, in_wasm, _) = decide(&bytes, &shape.requests(REQUESTS), guest)?;
    Ok(DelegatedRow {
        shape,
        compile,
        bytes: bytes.len(),
        native,
        in_wasm,
    })
}

pub(crate) fn from_yaml() -> FromYaml {
    let sources = FROM_YAML.sources();
    let (compile, _) = least(2, || compile_sources(&sources));
    let bytes: usize = sources.files().iter().map(|file| file.text.len()).sum();
    FromYaml {
        routes: FROM_YAML.effective_routes(),
        compile,
        megabytes: bytes as f64 / 1e6,
    }
}

/// Measures a peer; `None` if it cannot express the table.
pub(crate) fn peer(
    kind: PeerKind,
    table: Table,
    routes: usize,
    counter: &Counter,
) -> Result<Option<Decided>, Box<dyn Error>> {
    let Some(peer) = Peer::new(kind, table, routes) else {
        return Ok(None);
    };
    let requests = requests(table, routes, REQUESTS);
    check(&requests, kind.name(), |_, request| Ok(peer.find(request)))?;
    let nanoseconds = nanoseconds(|| {
        for request in &requests {
            black_box(peer.find(request));
        }
    });
    let counts = if COUNTED.contains(&routes) {
        Some(counter.peer(kind, table, routes)?)
    } else {
        None
    };
    Ok(Some(Decided {
        nanoseconds,
        counts,
    }))
}

/// Nanoseconds for a request, native and in wasm, and the time that loading takes in wasm.
fn decide(
    bytes: &[u8],
    requests: &[OwnedRequest],
    guest: &Path,
) -> Result<(f64, f64, Duration), Box<dyn Error>> {
    let program = Program::new(bytes.to_vec())?;
    check(requests, "the engine", |_, request| {
        let Decision::Route(found) = program.decide(0, &request.borrow()) else {
            return Ok(None);
        };
        let name = found.route_name().unwrap_or_default();
        let number = name.strip_prefix('r').ok_or("a route has no number")?;
        Ok(Some(number.parse()?))
    })?;
    let native = nanoseconds(|| {
        for request in requests {
            black_box(program.decide(0, &request.borrow()));
        }
    });
    drop(program);

    let mut guest = Guest::new(guest, requests)?;
    let mut load = Duration::MAX;
    for _ in 0..LOADS {
        load = load.min(guest.load(bytes)?);
    }
    check(requests, "the engine in wasm", |n, _| Ok(guest.answer(n)?))?;
    let mut result = Ok(0);
    let in_wasm = nanoseconds(|| result = guest.decide());
    result?;
    Ok((native, in_wasm, load))
}

/// Compares the answers to all requests with the expected ones.
fn check(
    requests: &[OwnedRequest],
    who: &str,
    mut find: impl FnMut(usize, &OwnedRequest) -> Result<Option<usize>, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for (n, request) in requests.iter().enumerate() {
        let found = find(n, request)?;
        if found != request.expected {
            return Err(format!("{who} answers {found:?} to {request:?}").into());
        }
    }
    Ok(())
}

/// Nanoseconds for one request of a function that asks for all of them.
fn nanoseconds(run: impl FnMut()) -> f64 {
    let (took, ()) = least(REPETITIONS, run);
    took.as_secs_f64() * 1e9 / REQUESTS as f64
}

/// The least time that something took, and its last result.
fn least<T>(times: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut timed = || {
        let start = Instant::now();
        let result = run();
        (start.elapsed(), result)
    };
    let mut best = timed();
    for _ in 1..times {
        let next = timed();
        best = (best.0.min(next.0), next.1);
    }
    best
}
