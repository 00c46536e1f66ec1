//! What compiling costs, stage by stage: `compile yaml one-host|tables|files ROUTES` from YAML,
//! `compile tree rest|exact|one-header|two-headers ROUTES` from a tree in memory. Prints for each stage its time,
//! the part of it that was spent on the processor, which other processes disturb less, and the memory of the process and
//! its peak so far, in bytes per route.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use meshgate_benches::yaml::{self, Layout};
use meshgate_benches::{Table, tree};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::resolve::{self, ResolveOptions};
use meshgate_compiler::{lint, load, lower};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, kind, routes] = arguments.as_slice() else {
        return usage();
    };
    let Ok(routes) = routes.parse() else {
        return usage();
    };
    match from.as_str() {
        "yaml" => match Layout::ALL.into_iter().find(|known| known.name() == kind) {
            Some(layout) => from_yaml(layout, routes),
            None => return usage(),
        },
        "tree" => match Table::ALL.into_iter().find(|known| known.name() == kind) {
            Some(table) => from_tree(table, routes),
            None => return usage(),
        },
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: compile yaml one-host|tables|files ROUTES
       compile tree rest|exact|one-header|two-headers ROUTES"
    );
    ExitCode::from(2)
}

fn from_yaml(layout: Layout, routes: usize) {
    let mut stages = Stages::new(routes);
    let sources = stages.time("input text", || yaml::sources(layout, routes));
    let mut diagnostics = Diagnostics::default();
    let resources = stages.time("load", || load::parse(&sources, &mut diagnostics));
    let tree = stages.time("resolve", || {
        resolve::resolve(&resources, &ResolveOptions::default(), &mut diagnostics)
    });
    stages.time("lint", || lint::lint(&tree, &mut diagnostics));
    let program = stages.time("lower", || {
        lower::lower(&tree, &lower::Options::default(), &mut diagnostics)
    });
    stages.end(program.as_ref(), &diagnostics);
}

fn from_tree(table: Table, routes: usize) {
    let mut stages = Stages::new(routes);
    let tree = stages.time("tree", || tree(table, routes));
    let mut diagnostics = Diagnostics::default();
    stages.time("lint", || lint::lint(&tree, &mut diagnostics));
    let program = stages.time("lower", || {
        lower::lower(&tree, &lower::Options::default(), &mut diagnostics)
    });
    stages.end(program.as_ref(), &diagnostics);
}

struct Stages {
    routes: usize,
    /// Memory before the first stage: what the executable itself takes.
    floor: usize,
}

impl Stages {
    fn new(routes: usize) -> Self {
        println!("stage             ms    cpu ms   bytes/route   peak/route");
        let floor = memory("VmRSS:");
        Self { routes, floor }
    }

    fn time<T>(&mut self, name: &str, stage: impl FnOnce() -> T) -> T {
        let (start, processor) = (Instant::now(), processor_time());
        let result = stage();
        let elapsed = start.elapsed();
        let processor = processor_time().saturating_sub(processor);
        let per_route = |field| memory(field).saturating_sub(self.floor) / self.routes.max(1);
        println!(
            "{name:<10} {:>9.1} {:>9.1} {:>13} {:>12}",
            elapsed.as_secs_f64() * 1e3,
            processor.as_secs_f64() * 1e3,
            per_route("VmRSS:"),
            per_route("VmHWM:")
        );
        result
    }

    fn end(&self, program: Option<&Vec<u8>>, diagnostics: &Diagnostics) {
        println!(
            "{} bytes of program per route, {} findings",
            program.map_or(0, Vec::len) / self.routes.max(1),
            diagnostics.list().len()
        );
    }
}

/// Time that this thread has had on a processor. Linux only; 0 elsewhere.
fn processor_time() -> Duration {
    std::fs::read_to_string("/proc/self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_nanos)
}

/// A field of this process' status, in bytes. Linux only; 0 elsewhere.
fn memory(field: &str) -> usize {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|value| {
            value
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse::<usize>()
                .ok()
        })
        .map_or(0, |kib| kib << 10)
}
