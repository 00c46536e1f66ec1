//! `meshgate inspect`: what is in a program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use meshgate_compiler::render::printable;
use meshgate_engine::{ActionKind, Destination, MAJOR_VERSION, Program};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::output::{self, Failure};

/// Show what is in a routing program
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  meshgate inspect routes.bin
  meshgate compile config/ --target program | meshgate inspect - --format json")]
pub(crate) struct Args {
    /// File with a program; `-` is standard input
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,

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
    let name = args.program.display();
    let bytes = read(&args.program)
        .map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let program =
        Program::new(bytes).map_err(|error| Failure::failed(format!("`{name}`: {error}")))?;
    let contents = Contents::of(&program);
    output::print(&match args.format {
        Format::Text => text(&program, &contents, &digest),
        Format::Json => format!("{:#}\n", json(&program, &contents, &digest)),
    })
}

fn read(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Counts of what a program holds.
struct Contents {
    /// Matchers of routes.
    clauses: usize,
    /// Different actions by kind.
    forwards: usize,
    redirects: usize,
    direct_responses: usize,
    header_operations: usize,
    /// Names of clusters.
    clusters: BTreeSet<String>,
}

impl Contents {
    fn of(program: &Program) -> Self {
        let head = program.head();
        let count = |wanted: fn(&ActionKind) -> bool| {
            head.actions
                .iter()
                .filter(|action| wanted(&action.kind))
                .count()
        };
        Self {
            clauses: program.clauses(),
            forwards: count(|kind| matches!(kind, ActionKind::Forward(_))),
            redirects: count(|kind| matches!(kind, ActionKind::Redirect(_))),
            direct_responses: count(|kind| matches!(kind, ActionKind::DirectResponse(_))),
            header_operations: head.header_operations.len(),
            clusters: head
                .destinations
                .iter()
                .map(|destination| destination.cluster.clone())
                .collect(),
        }
    }
}

/// Bytes for each clause, on average.
fn bytes_per_clause(program: &Program, contents: &Contents) -> usize {
    program.len() / contents.clauses.max(1)
}

fn text(program: &Program, contents: &Contents, digest: &str) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14} {}", printable(value));
    };
    line("format", &MAJOR_VERSION.to_string());
    line("generation", program.generation());
    line("number", &program.number().to_string());
    line("sha256", digest);
    line(
        "size",
        &format!(
            "{} bytes, {} per matcher",
            program.len(),
            bytes_per_clause(program, contents)
        ),
    );
    line("matchers", &contents.clauses.to_string());
    line(
        "actions",
        &format!(
            "{} forward, {} redirect, {} direct response (equal ones counted once)",
            contents.forwards, contents.redirects, contents.direct_responses
        ),
    );
    line("header sets", &contents.header_operations.to_string());
    for gateway in program.gateways() {
        line(
            "gateway",
            &format!(
                "{}/{} on port {}",
                gateway.namespace, gateway.name, gateway.port
            ),
        );
    }
    for cluster in &contents.clusters {
        line("cluster", cluster);
    }
    text.push_str("\nsection                 bytes   records\n");
    for section in program.sections() {
        let records = section
            .records
            .map(|records| records.to_string())
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "{:<18} {:>10} {records:>9}",
            section.name, section.bytes
        );
    }
    text
}

fn json(program: &Program, contents: &Contents, digest: &str) -> Value {
    let gateways: Vec<Value> = program
        .gateways()
        .iter()
        .map(|gateway| json!({ "namespace": gateway.namespace, "name": gateway.name, "port": gateway.port }))
        .collect();
    let destinations: Vec<Value> = program
        .head()
        .destinations
        .iter()
        .map(destination)
        .collect();
    let sections: Vec<Value> = program
        .sections()
        .into_iter()
        .map(|section| json!({ "name": section.name, "bytes": section.bytes, "records": section.records }))
        .collect();
    json!({
        "format": MAJOR_VERSION,
        "generation": program.generation(),
        "number": program.number(),
        "sha256": digest,
        "bytes": program.len(),
        "bytesPerMatcher": bytes_per_clause(program, contents),
        "matchers": contents.clauses,
        "actions": {
            "forward": contents.forwards,
            "redirect": contents.redirects,
            "directResponse": contents.direct_responses,
        },
        "headerOperations": contents.header_operations,
        "gateways": gateways,
        "destinations": destinations,
        "sections": sections,
    })
}

fn destination(destination: &Destination) -> Value {
    json!({
        "name": destination.name,
        "namespace": destination.namespace,
        "port": destination.port,
        "cluster": destination.cluster,
    })
}
