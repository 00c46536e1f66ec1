//! The project's own tooling, run as `cargo xtask <command>`.
//!
//! It gets whatever a command needs and the machine lacks: the wasm target for the filter, an Envoy
//! to run it in. Every step says what it does, is skipped when it has been done before, and fails
//! with one line that says what to install. Nothing outside the standard library is used, so that
//! the tooling itself builds in a second on a fresh machine.
//!
//! Everything it produces is below `target/` of the workspace, whatever `CARGO_TARGET_DIR` says, so
//! that the paths in the documentation hold everywhere.

#![forbid(unsafe_code)]

mod apt;
mod bench;
mod bench_tables;
mod cli;
mod demo;
mod envoy;
mod filter;
mod fuzz;
mod istio;
mod link;
mod pip;
mod process;
mod report;
mod servers;
mod tally;
mod test;
mod wasm_toolchain;
mod workspace;

use std::process::ExitCode;

use cli::Command;

/// The exit code for a command line that cannot be understood.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let command = match cli::parse(&args) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("error: {message}\n\n{}", cli::USAGE);
            return ExitCode::from(USAGE_ERROR);
        }
    };
    let result = match command {
        Command::Help => {
            println!("{}", cli::USAGE);
            Ok(())
        }
        Command::Filter => filter::command(),
        Command::Envoy { version } => envoy::command(version.as_deref()),
        Command::BenchTables => bench_tables::command(),
        Command::Demo { keep } => demo::run(keep),
        Command::IstioE2e => istio::command(),
        Command::Bench { quick } => bench::run(quick),
        Command::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Command::Test if test::run() => Ok(()),
        // The report has said it all, and its last line is to stay the last one.
        Command::Test => return ExitCode::FAILURE,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
