//! The corpus of cases, answered by every executor: one test for each group and executor.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use meshgate_compiler::diagnostic::Severity;
use meshgate_host_tests::cases::{
    Configuration, Engine, Executor, Group, InEnvoy, Oracle, Verdict, Wasmtime, check_invalid,
    compare, read_cases, read_examples,
};
use meshgate_host_tests::tools;

/// Groups that need what is not there yet. A group is taken off this list when it passes.
const NOT_YET: &str = "not-yet.txt";

/// Groups where systems disagree and ours decides otherwise than the case.
const DECISIONS: &str = "decisions.txt";

fn main() {
    let arguments = Arguments::from_args();
    let corpus = Corpus::read().unwrap_or_else(|reason| fail(&reason));
    let executors = executors(&corpus.groups).unwrap_or_else(|reason| fail(&reason));
    let unseen = Unseen::default();
    let trials = corpus.trials(&executors, &unseen);
    let conclusion = libtest_mimic::run(&arguments, trials);
    unseen.print();
    // Nothing is dropped on exit, and Envoys would go on without us.
    drop(executors);
    conclusion.exit();
}

fn fail(reason: &str) -> ! {
    eprintln!("error: {reason}");
    std::process::exit(2);
}

/// An executor, or why there is none of that name.
enum Choice {
    Ready(Arc<dyn Executor + Send + Sync>),
    Missing(&'static str),
}

impl Choice {
    fn name(&self) -> &'static str {
        match self {
            Choice::Ready(executor) => executor.name(),
            Choice::Missing(name) => name,
        }
    }
}

/// The executors that there are tools for. Where a tool is missing, its tests are ignored, unless they are required.
fn executors(groups: &[Arc<Group>]) -> Result<Vec<Choice>, String> {
    let mut executors = vec![
        Choice::Ready(Arc::new(Oracle)),
        Choice::Ready(Arc::new(Engine)),
    ];
    let missing = |name, reason: &str| {
        if tools::envoy_is_required() {
            return Err(reason.to_owned());
        }
        println!("the tests in {name} are ignored: {reason}");
        Ok(Choice::Missing(name))
    };
    let filter = tools::filter();
    executors.push(match &filter {
        Ok(filter) => Choice::Ready(Arc::new(Wasmtime::new(filter)?)),
        Err(reason) => missing("wasmtime", reason)?,
    });
    let envoys = [
        ("envoy", tools::envoy()),
        ("oldest-envoy", tools::old_envoy()),
    ];
    for (name, envoy) in envoys {
        executors.push(match (&filter, envoy) {
            (Ok(filter), Ok(envoy)) => {
                let groups = groups.iter().filter(|group| group.invalid.is_none());
                let groups = groups.cloned().collect();
                Choice::Ready(Arc::new(InEnvoy::new(name, &envoy, filter, groups)))
            }
            (Err(reason), _) => missing(name, reason)?,
            (_, Err(reason)) => missing(name, &reason)?,
        });
    }
    Ok(executors)
}

/// All groups, and the lists of those that are expected to fail.
struct Corpus {
    groups: Vec<Arc<Group>>,
    expected_failures: BTreeMap<String, &'static str>,
}

impl Corpus {
    fn read() -> Result<Corpus, String> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let mut groups = read_cases(&own)?;
        groups.append(&mut read_examples(&examples)?);
        match external() {
            Some(directory) => groups.append(&mut read_cases(&directory)?),
            None => println!("MESHGATE_CASES is not set: only the project's own cases are run"),
        }
        let mut expected_failures = BTreeMap::new();
        for list in [NOT_YET, DECISIONS] {
            let path = own.join(list);
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("`{}`: {error}", path.display()))?;
            let names = text
                .lines()
                .filter(|line| !line.starts_with('#') && !line.is_empty())
                .map(|line| {
                    line.split_once(':')
                        .map_or(line, |(name, _)| name)
                        .to_owned()
                });
            expected_failures.extend(names.map(|name| (name, list)));
        }
        Ok(Corpus {
            groups: groups.into_iter().map(Arc::new).collect(),
            expected_failures,
        })
    }

    fn trials(&self, executors: &[Choice], unseen: &Unseen) -> Vec<Trial> {
        let mut trials = Vec::new();
        for group in &self.groups {
            if let Some(invalid) = group.invalid.clone() {
                let (test, list) = self.test_of(group, "check");
                trials.push(Trial::test(test, move || {
                    let result = check_invalid(&invalid);
                    verdict(result.map(|()| Passed::Completely), list)
                }));
                continue;
            }
            if group.name.starts_with("examples/") {
                let (test, _) = self.test_of(group, "check");
                let group = group.clone();
                trials.push(Trial::test(test, move || check_example(&group)));
            }
            for executor in executors {
                let (test, list) = self.test_of(group, executor.name());
                trials.push(match executor {
                    Choice::Ready(executor) => {
                        let (group, executor, unseen) =
                            (group.clone(), executor.clone(), unseen.clone());
                        let run =
                            move || verdict(run_group(&group, executor.as_ref(), &unseen), list);
                        Trial::test(test, run)
                    }
                    Choice::Missing(_) => Trial::test(test, || Ok(())).with_ignored_flag(true),
                });
            }
        }
        trials
    }

    /// Name of a group's test, and the list that expects it to fail.
    fn test_of(&self, group: &Group, executor: &str) -> (String, Option<&'static str>) {
        let name = format!("{} [{executor}]", group.name);
        let listed = [&name, &group.name]
            .into_iter()
            .find_map(|name| self.expected_failures.get(name))
            .copied();
        (name, listed)
    }
}

/// The corpus that is kept outside the repository.
fn external() -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    std::env::var_os("MESHGATE_CASES")
        .map(PathBuf::from)
        .or_else(|| usual.is_dir().then_some(usual))
}

/// How a group came out that did not fail.
#[derive(Clone, Copy)]
enum Passed {
    /// Everything was compared.
    Completely,
    /// The executor could not see some of it.
    Partly,
}

/// A group on a list has to fail, any other has to pass.
fn verdict(result: Result<Passed, String>, list: Option<&str>) -> Result<(), Failed> {
    match (result, list) {
        (Ok(_), None) | (Ok(Passed::Partly) | Err(_), Some(_)) => Ok(()),
        (Err(reason), None) => Err(reason.into()),
        (Ok(Passed::Completely), Some(list)) => {
            Err(format!("it passes: remove it from {list}").into())
        }
    }
}

/// An example shows how it is done, so there is nothing to remark on.
fn check_example(group: &Group) -> Result<(), Failed> {
    let configuration = Configuration::of(group, 8080);
    configuration.program()?;
    match configuration.findings(Severity::Warning) {
        findings if findings.is_empty() => Ok(()),
        findings => Err(findings.into()),
    }
}

fn run_group(group: &Group, executor: &dyn Executor, unseen: &Unseen) -> Result<Passed, String> {
    let mut session = executor.load(group)?;
    let mut failures = Vec::new();
    let mut passed = Passed::Completely;
    for case in &group.cases {
        let verdict = match session.answer(&case.request, &case.upstream_response) {
            Ok(observed) => compare(case, &observed),
            Err(reason) => Verdict {
                failures: vec![reason],
                unseen: Vec::new(),
            },
        };
        for failure in verdict.failures {
            failures.push(format!("{}: {}: {failure}", case.name, case.request));
        }
        for key in verdict.unseen {
            passed = Passed::Partly;
            unseen.count(executor.name(), key);
        }
    }
    if failures.is_empty() {
        Ok(passed)
    } else {
        Err(failures.join("\n"))
    }
}

/// How often an executor could not see what a case expects, by executor and key.
#[derive(Clone, Default)]
struct Unseen(Arc<Mutex<BTreeMap<(&'static str, String), usize>>>);

impl Unseen {
    fn count(&self, executor: &'static str, key: String) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((executor, key)).or_default() += 1;
    }

    fn print(&self) {
        for ((executor, key), count) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            println!("not visible to {executor}, so not compared: {key} ({count} times)");
        }
    }
}
