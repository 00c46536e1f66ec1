//! Decides requests in a loop, for counting instructions:
//! `valgrind --tool=callgrind target/release/examples/instructions TABLE ROUTES REQUESTS`.
//! The difference between two numbers of requests is what they cost.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::ExitCode;

use meshgate_benches::{Table, program, requests};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match arguments.as_slice() {
        [table, routes, count] => Table::ALL
            .into_iter()
            .find(|known| known.name() == table)
            .zip(routes.parse().ok().zip(count.parse().ok())),
        _ => None,
    };
    let Some((table, (routes, count))) = parsed else {
        eprintln!("usage: instructions rest|prefix|exact|one-header|two-headers ROUTES REQUESTS");
        return ExitCode::from(2);
    };
    let program = program(table, routes);
    let requests = requests(table, routes, 4096);
    for request in requests.iter().cycle().take(count) {
        black_box(program.decide(0, &request.borrow()));
    }
    ExitCode::SUCCESS
}
