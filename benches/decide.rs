//! What a decision, a load and a compilation cost, by kind and size of the table.

#![forbid(unsafe_code)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use meshgate_benches::{Table, program, program_bytes, requests, tree};
use meshgate_engine::Program;

/// Numbers of routes.
const SIZES: [usize; 3] = [10, 1_000, 10_000];
/// Requests asked in turn, so that no cache learns one of them.
const REQUESTS: usize = 1024;

fn decide(c: &mut Criterion) {
    for table in Table::ALL {
        let mut group = c.benchmark_group(format!("decide/{}", table.name()));
        group.throughput(Throughput::Elements(REQUESTS as u64));
        for n in SIZES {
            let program = program(table, n);
            let requests = requests(table, n, REQUESTS);
            group.bench_function(BenchmarkId::from_parameter(n), |b| {
                b.iter(|| {
                    for request in &requests {
                        black_box(program.decide(0, &request.borrow()));
                    }
                });
            });
        }
    }
}

fn load(c: &mut Criterion) {
    for table in Table::ALL {
        let mut group = c.benchmark_group(format!("load/{}", table.name()));
        for n in SIZES {
            let bytes = program_bytes(&tree(table, n));
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(BenchmarkId::from_parameter(n), |b| {
                b.iter(|| Program::new(bytes.clone()).expect("the compiler writes valid programs"));
            });
        }
    }
}

fn compile(c: &mut Criterion) {
    for table in Table::ALL {
        let mut group = c.benchmark_group(format!("compile/{}", table.name()));
        for n in SIZES {
            let tree = tree(table, n);
            group.throughput(Throughput::Elements(n as u64));
            group.bench_function(BenchmarkId::from_parameter(n), |b| {
                b.iter(|| program_bytes(&tree))
            });
        }
    }
}

criterion_group!(benches, decide, load, compile);
criterion_main!(benches);
