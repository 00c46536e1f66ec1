//! `meshgate diff`: what two configurations do differently.

use std::path::{Path, PathBuf};

use meshgate_compiler::answer::Answer;
use meshgate_compiler::diff::{Change, Difference, differences};
use meshgate_compiler::render::printable;
use meshgate_compiler::source::Span;
use serde_json::{Value, json};

use crate::input::Inventories;
use crate::output::{self, Failure};
use crate::requests;
use crate::router::Router;

/// Show what two configurations do differently
///
/// Compared is what the resources mean, not their text: gateways, domains, routes by their full names, with matchers,
/// action and options as they are inherited. With --requests, it is also shown which of these requests get another answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing differs, 1 something does, 2 a configuration has errors, or arguments are wrong or cannot be read.

Examples:
  meshgate diff main/config/ config/
  meshgate diff main/config/ config/ --requests requests.jsonl")]
pub(crate) struct Args {
    /// File or folder with the old resources
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// File or folder with the new resources
    #[arg(value_name = "NEW")]
    new: PathBuf,

    #[command(flatten)]
    inventories: Inventories,

    /// Cluster in which the gateways run
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// File with one request per line, as JSON, as for `meshgate route`
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,

    /// How to print what differs
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// A request with two answers.
struct Asked {
    line: usize,
    request: String,
    old: Answer,
    new: Answer,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut old = args.router(&args.old)?;
    let mut new = args.router(&args.new)?;
    let found = differences(&old.target.tree, &new.target.tree);
    let asked = match &args.requests {
        Some(file) => ask(file, &mut old, &mut new)?,
        None => Vec::new(),
    };
    output::print(&match args.output {
        Format::Text => text(&found, &asked, &old, &new),
        Format::Json => format!("{:#}\n", json(&found, &asked, &old, &new)),
    })?;
    match found.is_empty() && asked.is_empty() {
        true => Ok(()),
        false => Err(Failure::findings()),
    }
}

impl Args {
    fn router(&self, path: &Path) -> Result<Router, Failure> {
        let paths = [path.to_owned()];
        let router = Router::new(&paths, &self.inventories, self.cluster.as_deref());
        let router = router.map_err(Failure::of_arguments)?;
        match router.has_errors {
            true => Err(Failure::usage(format!(
                "nothing was compared, because `{}` has these errors",
                path.display()
            ))),
            false => Ok(router),
        }
    }
}

/// Asks both; returns the requests whose answers differ.
fn ask(file: &Path, old: &mut Router, new: &mut Router) -> Result<Vec<Asked>, Failure> {
    let name = file.display();
    let lines = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
    let mut asked = Vec::new();
    for (number, line) in (1..).zip(lines.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        // Both are asked with the same numbers where chance decides.
        let query = requests::parse_line(line);
        let answers = query.and_then(|query| {
            let answers = (old.answer(&query)?.1, new.answer(&query)?.1);
            Ok((query.request, answers))
        });
        let (request, (before, after)) =
            answers.map_err(|error| Failure::usage(format!("{name}:{number}: {error}")))?;
        if before != after {
            asked.push(Asked {
                line: number,
                request: format!(
                    "{} {}://{}{}",
                    request.method, request.scheme, request.authority, request.path
                ),
                old: before,
                new: after,
            });
        }
    }
    Ok(asked)
}

fn place(router: &Router, span: Option<Span>) -> Option<String> {
    span.map(|span| router.sources.location(span).to_string())
}

fn text(found: &[Difference], asked: &[Asked], old: &Router, new: &Router) -> String {
    let mut text = String::new();
    for one in found {
        let sign = match one.change {
            Change::Added => '+',
            Change::Removed => '-',
            Change::Changed => '~',
        };
        let places = [place(old, one.old), place(new, one.new)];
        let places: Vec<String> = places.into_iter().flatten().collect();
        let mut line = format!("{sign} {}", one.what);
        if !one.parts.is_empty() {
            line.push_str(&format!(": {}", one.parts.join(", ")));
        }
        if !places.is_empty() {
            line.push_str(&format!("  ({})", places.join(", ")));
        }
        text.push_str(&format!("{}\n", printable(&line)));
    }
    for Asked {
        line,
        request,
        old,
        new,
    } in asked
    {
        let (old, new) = (json!(old), json!(new));
        let parts = old.as_object().into_iter().flatten();
        let parts: Vec<String> = parts
            .filter(|(name, value)| new[name.as_str()] != **value)
            .map(|(name, value)| format!("{name} {value} -> {}", new[name.as_str()]))
            .collect();
        let line = format!("~ request {line}, {request}: {}", parts.join("; "));
        text.push_str(&format!("{}\n", printable(&line)));
    }
    text
}

fn json(found: &[Difference], asked: &[Asked], old: &Router, new: &Router) -> Value {
    let found: Vec<Value> = found
        .iter()
        .map(|one| {
            json!({
                "change": match one.change {
                    Change::Added => "added",
                    Change::Removed => "removed",
                    Change::Changed => "changed",
                },
                "what": one.what,
                "parts": one.parts,
                "old": place(old, one.old),
                "new": place(new, one.new),
            })
        })
        .collect();
    let asked: Vec<Value> = asked
        .iter()
        .map(|one| json!({ "line": one.line, "request": one.request, "old": one.old, "new": one.new }))
        .collect();
    json!({ "differences": found, "requests": asked })
}
