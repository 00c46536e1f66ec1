//! `meshgate compile`: a program, or a bootstrap that holds one.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use crate::output::{self, Failure};
use crate::serving::{BuildArgs, EnvoyArgs};

/// Compile resources into a routing program
///
/// Errors in the resources end the command, and nothing is written, unless it is told to keep going: then whatever has
/// errors is left out, and the exit code is 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Targets:
  envoy    a complete Envoy bootstrap (JSON) with the filter, the program and the upstreams, for an Envoy without a mesh.
           It serves plain HTTP, also for gateways with TLS.
  program  the bare routing program
  rate-limits
           the configuration file (YAML) of the standard rate limit server (envoyproxy/ratelimit), from
           RateLimitServerConfig objects

Examples:
  meshgate compile config/ --target envoy --upstream ratings.bookinfo=127.0.0.1:9081 -o envoy.json
  meshgate compile config/ --target program --generation v42 -o routes.bin")]
pub(crate) struct Args {
    #[command(flatten)]
    build: BuildArgs,

    /// What to write
    #[arg(long, value_enum)]
    target: Target,

    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    envoy: EnvoyArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    Envoy,
    Program,
    RateLimits,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if args.target == Target::Program && args.output.is_none() && io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a program is binary: name a file with `-o FILE`, or redirect standard output",
        ));
    }
    if args.target != Target::Envoy
        && let Some(name) = args.envoy.first_given()
    {
        let what = match args.target {
            Target::RateLimits => "rate limits",
            _ => "the program",
        };
        return Err(Failure::usage(format!(
            "`{name}` says how Envoy serves a program, and has no effect on {what}: leave it out, or write `--target envoy`"
        )));
    }
    let mut build = args.envoy.build(&args.build)?;
    let bytes = match args.target {
        Target::Envoy => {
            let filter = args.envoy.filter()?;
            let admin = args.envoy.admin;
            args.envoy
                .bootstrap(&mut build, admin, &filter)?
                .into_bytes()
        }
        Target::Program => build.program,
        Target::RateLimits => build.rate_limits()?.into_bytes(),
    };
    match &args.output {
        None => output::print_bytes(&bytes),
        Some(path) => fs::write(path, bytes).map_err(|error| {
            Failure::failed(format!("cannot write `{}`: {error}", path.display()))
        }),
    }
}
