//! Measures routing in a real Envoy: the filter beside Envoy's own route lists and matcher trees.
//!
//! `cargo xtask bench` builds the filter, finds an Envoy and starts this program. How it measures is written down in
//! `benches/ENVOY.md`.

#![forbid(unsafe_code)]

mod chart;
mod configuration;
mod load;
mod machine;
mod plan;
mod report;
mod routing;
mod statistics;
mod update;
mod verdict;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use meshgate_benches::generated;

use crate::machine::{Cpus, Machine};
use crate::plan::Plan;
use crate::report::Report;

/// Measure routing in a real Envoy, and write a table and a chart
#[derive(Debug, Parser)]
#[command(name = "meshgate-bench-envoy")]
struct Arguments {
    /// The filter's .wasm file
    #[arg(long, value_name = "FILE")]
    filter: PathBuf,

    /// The Envoy to measure
    #[arg(long, value_name = "FILE")]
    envoy: PathBuf,

    /// Folder for envoy.md and envoy.svg
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// How much to measure
    #[arg(long, value_enum, default_value_t = Extent::Full)]
    extent: Extent,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Extent {
    /// Everything, in ten to fifteen minutes
    Full,
    /// Fewer sizes and rounds, in about two minutes
    Quick,
    /// One tiny table once, to see that it works
    Smoke,
}

/// The programs that are measured.
#[derive(Clone, Copy, Debug)]
struct Tools<'a> {
    envoy: &'a Path,
    filter: &'a Path,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // If nobody listens, the exit code is all there is to tell.
            let _ = writeln!(io::stderr(), "error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let plan = match arguments.extent {
        Extent::Full => Plan::full(),
        Extent::Quick => Plan::quick(),
        Extent::Smoke => Plan::smoke(),
    };
    let tools = Tools {
        envoy: &arguments.envoy,
        filter: &arguments.filter,
    };
    let machine = Machine::read(tools.envoy)?;
    let cpus = Cpus::choose()?;
    cpus.pin_client()?;

    let mut servers = Vec::new();
    let mut cells = Vec::new();
    for &table in &plan.tables {
        step(&format!("table `{}`", table.name()));
        let measured = routing::measure(tools, cpus, &plan, table)
            .map_err(|reason| format!("table `{}`: {reason}", table.name()))?;
        servers.extend(measured.servers);
        cells.extend(measured.cells);
    }
    let mut updates = Vec::new();
    for &size in &plan.update_sizes {
        step(&format!("updates of {} KB", size / 1000));
        updates.push(update::measure(tools, cpus, size, plan.updates)?);
    }

    let report = Report {
        machine: &machine,
        cpus,
        plan: &plan,
        servers: &servers,
        cells: &cells,
        updates: &updates,
    };
    let text = report.to_string();
    write(&arguments.out, "envoy.md", &text)?;
    write(&arguments.out, "envoy.svg", &chart::draw(&plan, &cells))?;
    if let Extent::Full = arguments.extent {
        generated::replace_in(generated::README, "cargo xtask bench", &report.summary())?;
    }
    match io::stdout().write_all(text.as_bytes()) {
        // That nobody reads it (a pipe to `head`) is no reason to complain.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write: {error}"))
        }
        _ => Ok(()),
    }
}

/// Announces a step. It goes to standard error, because standard output is for results.
fn step(message: &str) {
    // Progress that nobody reads is no reason to stop.
    let _ = writeln!(io::stderr(), "==> {message}");
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    step(&format!("wrote {}", path.display()));
    Ok(())
}
