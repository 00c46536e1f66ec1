//! `meshgate test`: whether requests get the answers that they must get.

mod report;

use std::io;
use std::path::{Path, PathBuf};

use meshgate_compiler::cases::{self, Case, FILE_NAME, Observed, compare};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::load;
use meshgate_compiler::source::{FileId, SourceMap, Spanned};

use crate::input::{self, Inventories};
use crate::output::{self, Failure};
use crate::router::{Router, Target};

/// Check that requests get the answers that they must get
///
/// The resources are compiled as for a gateway, and the engine that the gateway runs evaluates every request. Nothing is
/// tested if the resources have errors. Without TESTS the files `requests.yaml` among the resources are taken.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A file of tests is a list; only what `expect` names is compared:
  - name: ratings have a service of their own
    request: {method: GET, url: \"http://www.example.com/ratings?x=1\", headers: [[x-user, jason]]}
    expect: {outcome: route, route: ratings, cluster: ratings, path: \"/v1?x=1\"}

Exit codes: 0 every test passed, 1 a test failed or the resources have errors, 2 arguments or files that cannot be read.

Examples:
  meshgate test -f config/
  meshgate test -f config/ tests/shop.yaml tests/ratings.yaml
  meshgate test -f config/ --inventory east=inventory/ --cluster east -o junit > report.xml")]
pub(crate) struct Args {
    /// File or folder with resources (*.yaml, *.yml, *.json), may be given several times; `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,

    /// Files with tests; of folders every `requests.yaml`
    #[arg(value_name = "TESTS")]
    tests: Vec<PathBuf>,

    #[command(flatten)]
    inventories: Inventories,

    /// Cluster in which the gateways run
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// How to print what came of the tests
    #[arg(short, long, value_enum, default_value_t = report::Format::Text)]
    output: report::Format,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
    if args.tests.iter().any(is_stdin) && args.files.iter().any(is_stdin) {
        return Err(Failure::usage(
            "resources and tests cannot both come from standard input",
        ));
    }
    let router = Router::new(&args.files, &args.inventories, args.cluster.as_deref())?;
    if router.has_errors {
        return Err(Failure::failed(
            "nothing was tested because of these errors",
        ));
    }
    let (sources, cases) = read(&args, &router.sources)?;
    let outcomes: Vec<report::Outcome> = cases
        .into_iter()
        .map(|case| report::Outcome {
            place: sources.location(case.span),
            failures: failures(&router.target, &case),
            case: case.value,
        })
        .collect();
    output::print(&args.output.render(&outcomes))?;
    let failed = outcomes.iter().filter(|one| !one.passed()).count();
    output::tell(&format!(
        "{} passed, {failed} failed\n",
        outcomes.len() - failed
    ));
    match failed {
        0 => Ok(()),
        _ => Err(Failure::findings()),
    }
}

/// Reads the tests: those that are named, else those that lie among the resources.
fn read(args: &Args, resources: &SourceMap) -> Result<(SourceMap, Vec<Spanned<Case>>), Failure> {
    let (read, mut diagnostics) = load::read(&args.tests, &mut io::stdin().lock());
    let mut sources = SourceMap::default();
    let all = match args.tests.is_empty() {
        true => resources.files(),
        false => read.files(),
    };
    for file in all {
        let name = Path::new(&file.name);
        let is_named = args.tests.iter().any(|path| path == name) || file.name == "<stdin>";
        if name.ends_with(FILE_NAME) || (is_named && !args.tests.is_empty()) {
            sources.add(file.name.clone(), file.text.clone());
        }
    }
    output::tell_findings(&diagnostics, &read);
    input::all_readable(&diagnostics)?;
    diagnostics = Diagnostics::default();
    let cases: Vec<_> = (0..sources.files().len())
        .flat_map(|index| cases::read(&sources, FileId(index as u32), &mut diagnostics))
        .collect();
    output::tell_findings(&diagnostics, &sources);
    if diagnostics.has_errors() {
        return Err(Failure::arguments());
    }
    if cases.is_empty() {
        return Err(Failure::usage(format!(
            "there are no tests: name files with tests, or put them into `{FILE_NAME}` beside the resources"
        )));
    }
    Ok((sources, cases))
}

/// What is not as the case expects.
fn failures(target: &Target, case: &Case) -> Vec<String> {
    let request = case.request.received();
    let gateway = match target.choose(case.request.gateway.as_deref(), &request) {
        Ok(choice) => choice.index,
        Err(reason) => return vec![reason],
    };
    let observed = Observed::by_engine(
        &target.program,
        &target.tree,
        gateway,
        &request,
        &case.upstream_response,
    );
    compare(case, &observed).failures
}
