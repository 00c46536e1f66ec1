//! What a decision, a load and a compilation cost, by kind and size of the table, native and in wasm, and what other
//! routers cost on the same tables.
//!
//! The wasm module is built by `cargo xtask bench-tables`; without it the measurements in wasm are left out.

#![forbid(unsafe_code)]

use std::cell::LazyCell;
use std::hint::black_box;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use meshgate_benches::{
    Delegated, Guest, OwnedRequest, Peer, PeerKind, Table, compile_sources, program_bytes,
    requests, tree,
};
use meshgate_engine::Program;

/// Requests asked in turn, so that no cache learns one of them.
const REQUESTS: usize = 8_192;

/// Numbers of routes.
fn sizes(table: Table) -> &'static [usize] {
    match table {
        Table::Rest | Table::OneHeader => &[10, 1_000, 100_000, 1_000_000],
        _ => &[10, 1_000, 100_000],
    }
}

/// Everything made from one table is made once, and only if a benchmark that was asked for needs it.
fn tables(c: &mut Criterion) {
    for table in Table::ALL {
        for &n in sizes(table) {
            let tree = LazyCell::new(|| tree(table, n));
            let bytes = LazyCell::new(|| program_bytes(&tree));
            let requests = LazyCell::new(|| requests(table, n, REQUESTS));
            decide(c, table.name(), n, &bytes, &requests);
            load(c, table, n, &bytes);
            let mut group = c.benchmark_group(format!("compile/{}", table.name()));
            group.throughput(Throughput::Elements(n as u64));
            group.bench_function(BenchmarkId::from_parameter(n), |b| {
                b.iter(|| program_bytes(&tree))
            });
        }
    }
}

fn decide(
    c: &mut Criterion,
    name: &str,
    n: usize,
    bytes: &impl Deref<Target = Vec<u8>>,
    requests: &impl Deref<Target = Vec<OwnedRequest>>,
) {
    let mut group = c.benchmark_group(format!("decide/{name}"));
    group.throughput(Throughput::Elements(REQUESTS as u64));
    group.bench_function(BenchmarkId::from_parameter(n), |b| {
        let program = Program::new(bytes.to_vec()).expect("the compiler writes valid programs");
        b.iter(|| {
            for request in requests.iter() {
                black_box(program.decide(0, &request.borrow()));
            }
        });
    });
    group.finish();

    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/meshgate_bench_guest.wasm");
    if !guest.exists() {
        return;
    }
    let is_current = Guest::new(&guest, requests).and_then(|mut guest| guest.load(bytes));
    if let Err(error) = is_current {
        eprintln!(
            "decide-in-wasm is left out: {error}; `cargo xtask bench-tables` builds the guest anew"
        );
        return;
    }
    let mut group = c.benchmark_group(format!("decide-in-wasm/{name}"));
    group.throughput(Throughput::Elements(REQUESTS as u64));
    group.bench_function(BenchmarkId::from_parameter(n), |b| {
        let mut guest = Guest::new(&guest, requests).expect("the module is the guest");
        guest.load(bytes).expect("the program is valid");
        b.iter(|| guest.decide().expect("the guest does not trap"));
    });
}

fn load(c: &mut Criterion, table: Table, n: usize, bytes: &impl Deref<Target = Vec<u8>>) {
    let mut group = c.benchmark_group(format!("load/{}", table.name()));
    group.bench_function(BenchmarkId::from_parameter(n), |b| {
        b.iter_batched(
            || bytes.to_vec(),
            |bytes| Program::new(bytes).expect("the compiler writes valid programs"),
            BatchSize::PerIteration,
        );
    });
}

fn delegated(c: &mut Criterion) {
    for (hosts, routes) in [(10, 10), (100, 100)] {
        let delegated = Delegated {
            hosts,
            tables: 1,
            routes,
        };
        let n = delegated.effective_routes();
        let sources = LazyCell::new(|| delegated.sources());
        let bytes = LazyCell::new(|| {
            let compiled = compile_sources(&sources);
            compiled.program.expect("there is a gateway")
        });
        let requests = LazyCell::new(|| delegated.requests(REQUESTS));
        decide(c, "delegated", n, &bytes, &requests);
        c.benchmark_group("compile-yaml/delegated")
            .throughput(Throughput::Elements(n as u64))
            .bench_function(BenchmarkId::from_parameter(n), |b| {
                b.iter(|| compile_sources(&sources));
            });
    }
}

fn peers(c: &mut Criterion) {
    for table in Table::ALL {
        for kind in PeerKind::ALL.into_iter().filter(|kind| kind.can(table)) {
            let mut group = c.benchmark_group(format!("{}/{}", kind.name(), table.name()));
            group.throughput(Throughput::Elements(REQUESTS as u64));
            let sizes = sizes(table).iter().filter(|&&n| n <= kind.largest());
            for &n in sizes {
                group.bench_function(BenchmarkId::from_parameter(n), |b| {
                    let peer = Peer::new(kind, table, n).expect("the peer can express the table");
                    let requests = requests(table, n, REQUESTS);
                    for request in &requests {
                        assert_eq!(peer.find(request), request.expected);
                    }
                    b.iter(|| {
                        for request in &requests {
                            black_box(peer.find(request));
                        }
                    });
                });
            }
        }
    }
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = settings();
    targets = tables, delegated, peers
}
criterion_main!(benches);
