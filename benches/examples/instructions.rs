//! Finds routes in a loop, for counting instructions:
//! `valgrind --tool=callgrind target/release/examples/instructions TABLE ROUTES REQUESTS`.
//! The difference between two numbers of requests is what they cost; `--toggle-collect='*ask_all*'` counts them alone.
//! Prints the number of allocations that the requests took.
//!
//! A fourth argument names another router, such as `matchit`; `-` reads the program from standard input instead of
//! compiling it, which takes long in valgrind.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::Read;
use std::process::ExitCode;

use meshgate_benches::{OwnedRequest, Peer, PeerKind, Table, program, requests};
use meshgate_engine::Program;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (required, router) = match arguments.as_slice() {
        [required @ .., router] if arguments.len() == 4 => (required, Some(router.as_str())),
        required => (required, None),
    };
    let parsed = match required {
        [table, routes, count] => {
            Table::from_name(table).zip(routes.parse().ok().zip(count.parse().ok()))
        }
        _ => None,
    };
    let Some((table, (routes, count))) = parsed else {
        let tables = Table::ALL.map(Table::name).join("|");
        let peers = PeerKind::ALL.map(PeerKind::name).join("|");
        eprintln!("usage: instructions {tables} ROUTES REQUESTS [{peers}|-]");
        return ExitCode::from(2);
    };
    let requests = requests(table, routes, 4096);
    let requests = requests.iter().cycle().take(count);
    let peer = router
        .and_then(|name| PeerKind::ALL.into_iter().find(|kind| kind.name() == name))
        .and_then(|kind| Peer::new(kind, table, routes));
    let allocations = match (peer, router) {
        (Some(peer), _) => allocations(|| ask_all(requests, |request| peer.find(request))),
        (None, None) => decide_all(&program(table, routes), requests),
        (None, Some("-")) => match program_from_input() {
            Ok(program) => decide_all(&program, requests),
            Err(message) => {
                eprintln!("error: {message}");
                return ExitCode::FAILURE;
            }
        },
        (None, Some(router)) => {
            eprintln!("error: no router `{router}` for table `{}`", table.name());
            return ExitCode::FAILURE;
        }
    };
    println!("{allocations}");
    ExitCode::SUCCESS
}

fn program_from_input() -> Result<Program, String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read the program: {error}"))?;
    Program::new(bytes).map_err(|error| format!("cannot load the program: {error}"))
}

fn decide_all<'r>(program: &Program, requests: impl Iterator<Item = &'r OwnedRequest>) -> u64 {
    allocations(|| ask_all(requests, |request| program.decide(0, &request.borrow())))
}

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

/// Asks for every request. There is no closure in it, whose name would contain this one's.
#[inline(never)]
fn ask_all<'r, T>(
    requests: impl Iterator<Item = &'r OwnedRequest>,
    find: impl Fn(&'r OwnedRequest) -> T,
) {
    for request in requests {
        black_box(find(request));
    }
}
