//! A quick look at the figures: `cargo run --release -p meshgate-benches --example quick [N…]`.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use meshgate_benches::{Table, program_bytes, requests, tree};
use meshgate_engine::Program;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    for table in Table::ALL {
        for &n in &sizes {
            let tree = tree(table, n);
            let start = Instant::now();
            let bytes = program_bytes(&tree);
            let compile = start.elapsed();
            let len = bytes.len();
            let start = Instant::now();
            let program = Program::new(bytes).expect("the compiler writes valid programs");
            let load = start.elapsed();
            let requests = requests(table, n, 8192);
            let mut best = f64::MAX;
            let began = Instant::now();
            for _ in 0..31 {
                if began.elapsed().as_secs() >= 3 {
                    break;
                }
                let start = Instant::now();
                for request in &requests {
                    black_box(program.decide(0, &request.borrow()));
                }
                best = best.min(start.elapsed().as_secs_f64() / requests.len() as f64);
            }
            println!(
                "{:12} {n:8}  {:7.0} ns  {:6.1} B/route  compile {:?}  load {:?}",
                table.name(),
                best * 1e9,
                len as f64 / n as f64,
                compile,
                load
            );
        }
    }
}
