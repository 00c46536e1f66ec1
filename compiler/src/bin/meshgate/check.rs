//! `meshgate check`: everything that is wrong with the resources, in one run.

use std::io;

use meshgate_compiler::compile::{CompileOptions, Compiled, compile};
use meshgate_compiler::diagnostic::Severity;
use meshgate_compiler::render;
use meshgate_compiler::resource::RouteConfig;
use meshgate_compiler::resource::gateway::HandlerKind;

use crate::input::{self, Input};
use crate::output::{self, Failure};

/// Report everything that is wrong with resources
///
/// Findings go to standard output, a summary to standard error. Exits with 1 if there are errors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  meshgate check config/
  meshgate check --deny warnings --format short gateway.yaml hosts.yaml
  kubectl get virtualgateways,virtualhosts,routetables -A -o yaml | meshgate check -")]
pub(crate) struct Args {
    #[command(flatten)]
    input: Input,

    /// Findings besides errors that make the command fail
    #[arg(long, value_name = "SEVERITY")]
    deny: Option<Deny>,

    /// Accept more than 1024 matchers that a request has to try one after the other
    #[arg(long)]
    allow_long_lists: bool,

    /// How to show findings: with excerpts, as one line each, or as one JSON object per line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Deny {
    Warnings,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Short,
    Json,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (sources, mut diagnostics) = args.input.read();
    let options = CompileOptions {
        allow_long_lists: args.allow_long_lists,
        ..CompileOptions::default()
    };
    let compiled = compile(&sources, &options, &mut diagnostics);
    output::print(&match args.format {
        Format::Text => render::text(&diagnostics, &sources, output::color(&io::stdout())),
        Format::Short => render::lines(&diagnostics, &sources),
        Format::Json => render::json(&diagnostics, &sources),
    })?;
    let findings = match render::summary(&diagnostics) {
        none if none.is_empty() => "no errors, no warnings".to_owned(),
        some => some,
    };
    output::tell(&format!("{}: {findings}\n", contents(&compiled)));
    input::all_readable(&diagnostics)?;
    let denied = args.deny == Some(Deny::Warnings) && diagnostics.count(Severity::Warning) > 0;
    if denied || diagnostics.has_errors() {
        return Err(Failure::findings());
    }
    Ok(())
}

/// What was read, for example `1 gateway, 2 virtual hosts, 3 route tables, 17 routes`.
fn contents(compiled: &Compiled) -> String {
    let resources = &compiled.resources;
    let inline = resources
        .virtual_gateways
        .iter()
        .flat_map(|gateway| &gateway.handlers)
        .filter_map(|handler| match &handler.kind {
            HandlerKind::Http(configs) => Some(configs),
            HandlerKind::Tcp(_) | HandlerKind::None => None,
        })
        .flatten()
        .filter_map(|config| match config {
            RouteConfig::Inline(host) => Some(host.as_ref()),
            RouteConfig::Selector(_) => None,
        });
    let hosts: Vec<_> = resources
        .virtual_hosts
        .iter()
        .map(|host| &host.spec)
        .chain(inline)
        .collect();
    let routes = hosts.iter().map(|host| host.routes.len()).sum::<usize>()
        + resources
            .route_tables
            .iter()
            .map(|table| table.routes.len())
            .sum::<usize>();
    [
        counted(resources.virtual_gateways.len(), "gateway"),
        counted(hosts.len(), "virtual host"),
        counted(resources.route_tables.len(), "route table"),
        counted(routes, "route"),
    ]
    .join(", ")
}

fn counted(count: usize, name: &str) -> String {
    match count {
        1 => format!("1 {name}"),
        _ => format!("{count} {name}s"),
    }
}
