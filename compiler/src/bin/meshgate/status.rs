//! `meshgate status`: what became of every resource.

use meshgate_compiler::compile::{CompileOptions, Compiled, compile};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::resolve::report_trusted_gateways;
use meshgate_compiler::source::SourceMap;
use meshgate_compiler::status;

use crate::input::{self, Input};
use crate::output::{self, Failure};

/// Print the status of every resource
///
/// For each object of the API: its state, errors and warnings, the gateways that serve it or that it serves, the virtual
/// hosts and route tables it selects or is selected by. Findings that belong to no object go to standard error. The exit
/// code is 0 whatever the states are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  meshgate status config/ --inventory east=inventory/east.yaml
  meshgate status config/ --format json")]
pub(crate) struct Args {
    #[command(flatten)]
    input: Input,

    /// How to write it: YAML documents, or one JSON object per line
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (sources, mut diagnostics) = args.input.read();
    let compiled = compile(&sources, &CompileOptions::default(), &mut diagnostics);
    let mut others = Diagnostics::default();
    report_trusted_gateways(&compiled.tree, &mut others);
    for finding in diagnostics
        .list()
        .iter()
        .filter(|one| one.primary.is_none())
    {
        others.push(finding.clone());
    }
    output::tell_findings(&others, &sources);
    input::all_readable(&diagnostics)?;
    output::print(&match args.format {
        Format::Yaml => documents(&compiled, &diagnostics, &sources),
        Format::Json => status::statuses(&compiled, &diagnostics, &sources)
            .iter()
            .map(|object| format!("{object}\n"))
            .collect(),
    })
}

/// The statuses as YAML documents.
pub(crate) fn documents(
    compiled: &Compiled,
    diagnostics: &Diagnostics,
    sources: &SourceMap,
) -> String {
    let documents: Vec<String> = status::statuses(compiled, diagnostics, sources)
        .iter()
        .map(status::to_yaml)
        .collect();
    documents.join("---\n")
}
