//! The `meshgate` command.
//!
//! Exit codes: 0 success, 1 findings in the configuration (or a failure while running), 2 arguments that are wrong or
//! cannot be read.

mod check;
mod compile;
mod diff;
mod explain;
mod input;
mod inspect;
mod istio;
mod output;
mod package;
mod requests;
mod route;
mod router;
mod run;
mod serving;
mod settings;
mod status;
mod test;
mod validation;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::Failure;

/// Compiles VirtualGateway, VirtualHost and RouteTable resources into a routing program for Envoy
#[derive(Debug, Parser)]
#[command(name = "meshgate", version)]
#[command(after_help = "\
Exit codes: 0 success, 1 findings in the configuration, 2 arguments that are wrong or cannot be read.

Examples:
  meshgate check config/
  meshgate route -f config/ GET http://www.example.com/ratings
  meshgate test -f config/ requests.yaml
  meshgate run config/ --upstream ratings.bookinfo=127.0.0.1:9081
  meshgate compile config/ --target envoy -o envoy.json")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Compile(compile::Args),
    Run(run::Args),
    Route(route::Args),
    Explain(explain::Args),
    Test(test::Args),
    Diff(diff::Args),
    Inspect(inspect::Args),
    Status(status::Args),
    Package(package::Args),
    Verify(verify::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => check::run(args),
        Command::Compile(args) => compile::run(args),
        Command::Run(args) => run::run(args),
        Command::Route(args) => route::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Test(args) => test::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Status(args) => status::run(args),
        Command::Package(args) => package::run(args),
        Command::Verify(args) => verify::run(args),
    };
    result.map_or_else(Failure::exit, |()| ExitCode::SUCCESS)
}
