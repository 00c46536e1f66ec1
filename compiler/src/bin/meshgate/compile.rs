//! `meshgate compile`: a program, or a bootstrap that holds one.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use crate::istio::IstioArgs;
use crate::output::{self, Failure};
use crate::serving::{BuildArgs, EnvoyArgs};
use crate::settings::SettingsArgs;
use crate::validation::Validator;

/// Compile resources into a routing program
///
/// Errors in the resources end the command, and nothing is written, unless it is told to keep going: then whatever has
/// errors is left out, and the exit code is 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Targets:
  envoy    a complete Envoy bootstrap (JSON) with the filter, the program and the upstreams, for an Envoy without a mesh.
           It serves plain HTTP, also for gateways with TLS.
  istio    Istio objects for gateways that run already, in a folder per cluster
  program  the bare routing program
  rate-limits
           the configuration file (YAML) of the standard rate limit server (envoyproxy/ratelimit), from
           RateLimitServerConfig objects

Examples:
  meshgate compile config/ --target envoy --upstream ratings.bookinfo=127.0.0.1:9081 -o envoy.json
  meshgate compile config/ --target istio --module file:///opt/meshgate/filter.wasm -o istio/
  meshgate compile config/ --target program --generation v42 -o routes.bin")]
pub(crate) struct Args {
    #[command(flatten)]
    build: BuildArgs,

    /// What to write
    #[arg(long, value_enum)]
    target: Target,

    /// Where to write it; for Istio a folder [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write a program for every gateway that runs, as FOLDER/CLUSTER/NAMESPACE.SERVICE.bin
    ///
    /// Each holds what its gateway serves and nothing else, for the ports of the gateway's pods. Which gateways run is
    /// what the inventory says.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["output", "status"])]
    output_dir: Option<PathBuf>,

    /// Have this Envoy validate what is about to be written [default: $ENVOY, else nothing is validated]
    ///
    /// With `--target istio` it is what the EnvoyFilters bring into Envoy's configuration. Name an Envoy of the version
    /// that the gateways have.
    #[arg(long = "envoy", value_name = "FILE")]
    validator: Option<PathBuf>,

    #[command(flatten)]
    envoy: EnvoyArgs,

    #[command(flatten)]
    istio: IstioArgs,

    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    Envoy,
    Istio,
    Program,
    RateLimits,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if let Some(folder) = &args.output_dir {
        if args.target != Target::Program {
            return Err(Failure::usage(
                "`--output-dir` writes programs: write `--target program`, or choose a cluster with `--cluster` and a file with `-o`",
            ));
        }
        return write_programs(&args.build, folder);
    }
    if args.target != Target::Istio
        && let Some(name) = args.istio.first_given()
    {
        return Err(Failure::usage(format!(
            "`{name}` is for gateways in a mesh: leave it out, or write `--target istio`"
        )));
    }
    if !matches!(args.target, Target::Envoy | Target::Istio)
        && let Some(name) = args.settings.first_given()
    {
        return Err(Failure::usage(format!(
            "`{name}` is a setting of the filter, which stands beside the program: leave it out, or write `--target envoy` or `--target istio`"
        )));
    }
    if !matches!(args.target, Target::Envoy | Target::Istio) && args.validator.is_some() {
        return Err(Failure::usage(
            "`--envoy` validates what is written for Envoy: leave it out, or write `--target envoy` or `--target istio`",
        ));
    }
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
    if args.target == Target::Istio {
        let folder = args.output.ok_or_else(|| {
            Failure::usage("many files are written: name a folder for them with `-o FOLDER`")
        })?;
        let settings = args.settings.settings()?;
        let validator = Validator::of(args.validator.as_deref())?;
        let manifests = args.istio.manifests(&args.build, settings)?;
        if let Some(validator) = validator {
            validator.objects(&manifests)?;
        }
        return args.istio.write(&manifests, &folder);
    }
    let mut build = args.envoy.build(&args.build)?;
    let bytes = match args.target {
        Target::Envoy => {
            let filter = args.envoy.filter()?;
            let admin = args.envoy.admin;
            let validator = Validator::of(args.validator.as_deref())?;
            let settings = args.settings.settings()?;
            let bootstrap = (args.envoy).bootstrap(&mut build, admin, &filter, &settings)?;
            if let Some(validator) = validator {
                validator.whole(&bootstrap)?;
            }
            bootstrap.into_bytes()
        }
        Target::Istio | Target::Program => build.program,
        Target::RateLimits => build.rate_limits()?.into_bytes(),
    };
    match &args.output {
        None => output::print_bytes(&bytes),
        Some(path) => output::write(path, &bytes),
    }
}

/// Writes a program for every gateway that runs.
fn write_programs(build: &BuildArgs, folder: &Path) -> Result<(), Failure> {
    let programs = build.programs()?.programs;
    if programs.is_empty() {
        return Err(Failure::failed(
            "there is nothing to write: no gateway is known to run; pass an inventory with `--inventory`",
        ));
    }
    for program in programs {
        let (cluster, file) = program.file();
        let folder = folder.join(output::file_name(cluster)?);
        let path = folder.join(output::file_name(&format!("{file}.bin"))?);
        fs::create_dir_all(&folder).map_err(|error| {
            Failure::failed(format!("cannot make `{}`: {error}", folder.display()))
        })?;
        output::write(&path, &program.program)?;
        let gateways: Vec<String> = program
            .gateways
            .iter()
            .map(|(name, port)| format!("{name} on port {port}"))
            .collect();
        output::tell(&format!("{}: {}\n", path.display(), gateways.join(", ")));
    }
    Ok(())
}
