//! What it costs Envoy to find a route, by who finds it and among how many.

use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use meshgate_benches::{OwnedRequest, Table, request};
use meshgate_host_tests::envoy::{Envoy, Settings};

use crate::configuration::{Router, bootstrap_for};
use crate::load::{self, Client, Done, Encoded, Protocol};
use crate::machine::{CpuTime, Cpus, Thread, resident_kilobytes};
use crate::plan::Plan;
use crate::statistics::{maximum, minimum};
use crate::{Tools, step};

/// Requests that are sent in turn, if they are for routes all over the table.
const REQUESTS: usize = 65_536;

/// A cell that takes much longer than the others is measured this often at least.
const FEWEST_ROUNDS: usize = 3;

/// Status of the answer to a request that no route takes.
const NOT_FOUND: u16 = 404;

/// Which routes the requests are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Any of them, all as likely.
    Spread,
    /// The last one of the table.
    Last,
}

/// A router with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Kind of table.
    pub(crate) table: Table,
    /// Number of routes; 0 where there is no table.
    pub(crate) routes: usize,
    /// Who finds the route.
    pub(crate) router: Router,
}

/// What it takes to have a router.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    /// Which one.
    pub(crate) subject: Subject,
    /// From the start of the process until it was ready.
    pub(crate) start: Duration,
    /// Resident memory after the requests, in kilobytes.
    pub(crate) resident_kilobytes: u64,
}

/// What it takes to route requests.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Who routes them.
    pub(crate) subject: Subject,
    /// What they are for.
    pub(crate) target: Target,
    /// How they are sent.
    pub(crate) protocol: Protocol,
    /// One for each time that it was measured.
    pub(crate) rounds: Vec<Round>,
}

impl Cell {
    /// Least CPU time of the worker for each request, in microseconds.
    pub(crate) fn least_micros(&self) -> f64 {
        minimum(self.rounds.iter().map(Round::worker_micros))
    }

    /// Most requests per second.
    pub(crate) fn best_rate(&self) -> f64 {
        maximum(self.rounds.iter().map(Round::rate))
    }
}

/// The cell of a router with a table, if it was measured. Where there is no table, it is the same for all sizes.
pub(crate) fn find(
    cells: &[Cell],
    protocol: Protocol,
    table: Table,
    router: Router,
    routes: usize,
    target: Target,
) -> Option<&Cell> {
    let routes = if router == Router::CatchAll {
        0
    } else {
        routes
    };
    let subject = Subject {
        table,
        routes,
        router,
    };
    cells
        .iter()
        .find(|cell| (cell.subject, cell.target, cell.protocol) == (subject, target, protocol))
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// What the client did.
    pub(crate) done: Done,
    /// What Envoy's worker spent.
    pub(crate) worker: CpuTime,
    /// What the client spent.
    pub(crate) client: CpuTime,
}

impl Round {
    /// CPU time of the worker for each request, in microseconds.
    pub(crate) fn worker_micros(&self) -> f64 {
        self.worker.running.as_secs_f64() * 1e6 / self.done.answers as f64
    }

    /// CPU time of the client for each request, in microseconds.
    pub(crate) fn client_micros(&self) -> f64 {
        self.client.running.as_secs_f64() * 1e6 / self.done.answers as f64
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.done.answers as f64 / self.done.elapsed.as_secs_f64()
    }

    /// Share of the time in which the worker had nothing to do.
    pub(crate) fn worker_idle(&self) -> f64 {
        let busy = self.worker.running + self.worker.waiting;
        (1.0 - busy.as_secs_f64() / self.done.elapsed.as_secs_f64()).max(0.0)
    }

    /// Share of the time in which something else kept the worker from its CPU.
    pub(crate) fn worker_kept_waiting(&self) -> f64 {
        self.worker.waiting.as_secs_f64() / self.done.elapsed.as_secs_f64()
    }

    /// Share of the time in which something else kept the client from its CPU.
    pub(crate) fn client_kept_waiting(&self) -> f64 {
        self.client.waiting.as_secs_f64() / self.done.elapsed.as_secs_f64()
    }
}

/// Everything about a table.
#[derive(Debug)]
pub(crate) struct Measured {
    /// One for each router and size.
    pub(crate) servers: Vec<Server>,
    /// One for each way to use them.
    pub(crate) cells: Vec<Cell>,
}

/// A running Envoy.
#[derive(Debug)]
struct Running {
    envoy: Envoy,
    address: SocketAddr,
    worker: Thread,
    subject: Subject,
    start: Duration,
}

/// Measures a table in all sizes with all routers that can express it.
///
/// All Envoys run from the beginning to the end, and take turns. So whatever changes in the meantime, such as the speed of
/// the machine, changes for all of them.
///
/// # Errors
/// When an Envoy does not start, or does not route the requests as the table says.
pub(crate) fn measure(
    tools: Tools<'_>,
    cpus: Cpus,
    plan: &Plan,
    table: Table,
) -> Result<Measured, String> {
    let mut running = Vec::new();
    for subject in subjects(plan, table) {
        let name = format!("{}, {} routes", subject.router.name(), subject.routes);
        let started = start(tools, cpus, subject).map_err(|reason| format!("{name}: {reason}"))?;
        running.extend(started);
    }
    let mut cells = cells(plan, table, &running)?;
    for (cell, running, client) in &mut cells {
        let first =
            run(client, running.worker, plan.time / 4).map_err(|reason| in_cell(cell, &reason))?;
        if first.done.elapsed > 2 * plan.time {
            client.keep_one_connection();
        }
    }
    for round in 0..plan.rounds {
        step(&format!("  round {} of {}", round + 1, plan.rounds));
        // Whoever came first in this round comes last in the next.
        cells.reverse();
        for (cell, running, client) in &mut cells {
            let spent: Duration = cell.rounds.iter().map(|round| round.done.elapsed).sum();
            if round >= FEWEST_ROUNDS && spent > 2 * plan.time * plan.rounds as u32 {
                continue;
            }
            let measured = run(client, running.worker, plan.time);
            cell.rounds
                .push(measured.map_err(|reason| in_cell(cell, &reason))?);
        }
    }
    let cells = cells.into_iter().map(|(cell, ..)| cell).collect();
    let servers = running.iter().map(|running| {
        Ok(Server {
            subject: running.subject,
            start: running.start,
            resident_kilobytes: resident_kilobytes(running.envoy.id())?,
        })
    });
    Ok(Measured {
        servers: servers.collect::<Result<_, String>>()?,
        cells,
    })
}

fn subjects(plan: &Plan, table: Table) -> Vec<Subject> {
    let subject = |router, routes| Subject {
        table,
        routes,
        router,
    };
    let mut subjects = vec![subject(Router::CatchAll, 0)];
    for router in [Router::Meshgate, Router::List, Router::MatcherTree] {
        subjects.extend(plan.sizes.iter().map(|&routes| subject(router, routes)));
    }
    subjects
}

/// Starts an Envoy; none if the router cannot express the table.
fn start(tools: Tools<'_>, cpus: Cpus, subject: Subject) -> Result<Option<Running>, String> {
    let Subject {
        table,
        routes,
        router,
    } = subject;
    let Some(bootstrap) = bootstrap_for(router, table, routes, tools.filter) else {
        return Ok(None);
    };
    let bootstrap = bootstrap.to_string();
    let settings = Settings {
        binary: tools.envoy,
        bootstrap: &bootstrap,
        workers: 1,
    };
    let (envoy, start) = cpus.on_envoys(|| {
        let started = Instant::now();
        let envoy = Envoy::start(&settings)?;
        Ok((envoy, started.elapsed()))
    })?;
    let address = envoy.listener().ok_or("Envoy does not listen")?;
    if router != Router::CatchAll {
        let status =
            load::status(address, &stray(table)).map_err(|error| format!("no answer: {error}"))?;
        if status != NOT_FOUND {
            return Err(format!(
                "a request that no route takes was answered with {status}, not {NOT_FOUND}"
            ));
        }
    }
    Ok(Some(Running {
        worker: Thread::worker(envoy.id())?,
        envoy,
        address,
        subject,
        start,
    }))
}

/// A request that no route of a table takes.
fn stray(table: Table) -> OwnedRequest {
    let mut stray = request(table, 0);
    stray.path = "/no/such/path".to_owned();
    stray
        .headers
        .retain(|(name, _)| !matches!(name.as_slice(), b"x-tenant" | b"x-user"));
    stray
}

type Measuring<'r> = (Cell, &'r Running, Client);

/// What is measured with the Envoys that run, and a client for each.
fn cells<'r>(
    plan: &Plan,
    table: Table,
    running: &'r [Running],
) -> Result<Vec<Measuring<'r>>, String> {
    let mut protocols = vec![Protocol::Http2];
    if plan.http1 == Some(table) {
        protocols.push(Protocol::Http1);
    }
    let mut cells = Vec::new();
    for protocol in protocols {
        let mut encoded: Vec<(usize, Rc<Encoded>)> = Vec::new();
        for &size in &plan.sizes {
            encoded.push((size, Rc::new(protocol.encode(spread(table, size).iter()))));
        }
        for running in running {
            let subject = running.subject;
            // Without routes of its own, it gets the requests for the most routes.
            let spread = encoded
                .iter()
                .find(|(size, _)| *size == subject.routes)
                .or(encoded.last())
                .ok_or("there are no sizes to measure")?;
            let mut targets = vec![(Target::Spread, Rc::clone(&spread.1))];
            if subject.router == Router::List {
                let last = [request(table, subject.routes.saturating_sub(1))];
                targets.push((Target::Last, Rc::new(protocol.encode(last.iter()))));
            }
            for (target, requests) in targets {
                let client = Client::open(running.address, protocol, requests)
                    .map_err(|error| format!("cannot connect to Envoy: {error}"))?;
                let cell = Cell {
                    subject,
                    target,
                    protocol,
                    rounds: Vec::new(),
                };
                cells.push((cell, running, client));
            }
        }
    }
    Ok(cells)
}

/// Requests for routes all over a table, in no order that a cache could learn.
fn spread(table: Table, routes: usize) -> Vec<OwnedRequest> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        request(table, (state >> 33) as usize % routes)
    };
    (0..REQUESTS).map(|_| next()).collect()
}

fn run(client: &mut Client, worker: Thread, time: Duration) -> Result<Round, String> {
    let before = (worker.spent()?, CpuTime::of_this_thread()?);
    let done = client.run(time).map_err(|error| error.to_string())?;
    // The worker is still closing its last streams.
    thread::sleep(Duration::from_millis(1));
    Ok(Round {
        done,
        worker: worker.spent()?.since(before.0),
        client: CpuTime::of_this_thread()?.since(before.1),
    })
}

fn in_cell(cell: &Cell, reason: &str) -> String {
    let Subject { router, routes, .. } = cell.subject;
    format!("{}, {routes} routes: {reason}", router.name())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A cell of the table of prefixes that was measured once.
    pub(crate) fn cell(router: Router, routes: usize, target: Target, micros: u64) -> Cell {
        let time = Duration::from_micros(micros);
        Cell {
            subject: Subject {
                table: Table::Prefix,
                routes,
                router,
            },
            target,
            protocol: Protocol::Http2,
            rounds: vec![Round {
                done: Done {
                    answers: 1,
                    elapsed: time,
                },
                worker: CpuTime {
                    running: time,
                    waiting: Duration::ZERO,
                },
                client: CpuTime::default(),
            }],
        }
    }

    #[test]
    fn a_round_is_told_in_microseconds_and_shares() {
        let milliseconds = Duration::from_millis;
        let time = |running, waiting| CpuTime {
            running: milliseconds(running),
            waiting: milliseconds(waiting),
        };
        let round = Round {
            done: Done {
                answers: 1_000,
                elapsed: milliseconds(100),
            },
            worker: time(80, 15),
            client: time(20, 5),
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
        close(round.worker_micros(), 80.0);
        close(round.client_micros(), 20.0);
        close(round.rate(), 10_000.0);
        close(round.worker_idle(), 0.05);
        close(round.worker_kept_waiting(), 0.15);
        close(round.client_kept_waiting(), 0.05);
    }

    #[test]
    fn requests_are_spread_over_all_routes() {
        let requests = spread(Table::Prefix, 10);
        for n in 0..10 {
            let path = request(Table::Prefix, n).path;
            let count = requests
                .iter()
                .filter(|request| request.path == path)
                .count();
            assert!((6_000..7_000).contains(&count), "route {n}: {count}");
        }
    }
}
