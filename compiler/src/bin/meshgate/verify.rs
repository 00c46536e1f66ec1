//! `meshgate verify`: whether a running gateway serves as it should.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meshgate_compiler::render::printable;
use meshgate_compiler::verify::{Gateway, Known, Report, State, verify};
use serde_json::{Value, json};

use crate::output::{self, Failure};

/// How long the admin interface may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A gateway with thousands of clusters has a dump of some tens of megabytes.
const MAX_ANSWER: u64 = 512 << 20;

/// Look at a running gateway: is the filter attached, what does it serve, is anything missing
///
/// Reads the config dump and the counters of the gateway's Envoy. Nothing is changed there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 all is well, 1 something is wrong, 2 the gateway or a file cannot be read.

Examples:
  kubectl -n istio-ingress port-forward deploy/istio-ingressgateway 15000 &
  meshgate verify --admin http://127.0.0.1:15000 --program routes.bin
  meshgate verify --config-dump dump.json --stats stats.txt --format json")]
pub(crate) struct Args {
    /// Envoy's admin interface
    #[arg(long, value_name = "URL", required_unless_present = "config_dump")]
    admin: Option<String>,

    /// File with the answer of `/config_dump`
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config_dump: Option<PathBuf>,

    /// File with the answer of `/stats`, as text
    #[arg(long, value_name = "FILE", requires = "config_dump")]
    stats: Option<PathBuf>,

    /// The program that the gateway should serve, as `compile --target program` writes it
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let program = args.program.as_deref().map(read_program).transpose()?;
    let (dump, stats) = match (&args.admin, &args.config_dump) {
        (Some(admin), _) => (
            get(admin, "/config_dump")?,
            Some(get(admin, "/stats?filter=update_rejected")?),
        ),
        (None, Some(file)) => (read(file)?, args.stats.as_deref().map(read).transpose()?),
        (None, None) => {
            return Err(Failure::usage(
                "name a gateway: `--admin URL` or `--config-dump FILE`",
            ));
        }
    };
    let dump: Value = serde_json::from_str(&dump)
        .map_err(|error| Failure::usage(format!("the config dump is not JSON: {error}")))?;
    if !dump["configs"].is_array() {
        return Err(Failure::usage(
            "this is no config dump: it has no list `configs`",
        ));
    }
    let report = verify(&Gateway {
        config_dump: &dump,
        stats: stats.as_deref(),
        program: program.as_ref(),
    });
    output::print(&match args.format {
        Format::Text => text(&report),
        Format::Json => format!(
            "{:#}\n",
            json!({ "ok": !report.is_wrong(), "generations": report.generations, "findings": report.findings })
        ),
    })?;
    if report.is_wrong() {
        return Err(Failure::findings());
    }
    Ok(())
}

fn text(report: &Report) -> String {
    report
        .findings
        .iter()
        .map(|finding| {
            let state = match finding.state {
                State::Ok => "ok",
                State::Unknown => "unknown",
                State::Wrong => "WRONG",
            };
            format!("{state:<8} {}\n", printable(&finding.message))
        })
        .collect()
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", file.display())))
}

fn read_program(file: &Path) -> Result<Known, Failure> {
    let name = file.display();
    let bytes =
        fs::read(file).map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
    Known::new(bytes).map_err(|error| Failure::usage(format!("`{name}`: {error}")))
}

fn get(admin: &str, path: &str) -> Result<String, Failure> {
    let url = format!("{}{path}", admin.trim_end_matches('/'));
    let unreachable = |error| Failure::usage(format!("cannot read `{url}`: {error}"));
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .build()
        .new_agent();
    let mut response = agent.get(&url).call().map_err(unreachable)?;
    response
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_string()
        .map_err(unreachable)
}
