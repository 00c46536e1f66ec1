//! Every request of the examples, each example in a mesh of its own; of some also in another way to attach.

use std::path::Path;

use meshgate_compiler::manifest::istio::Attach;
use meshgate_host_tests::cases::{Executor, Group, InIstio, compare, read_examples};
use meshgate_host_tests::istio::Tools;

use crate::Test;

/// Those that are also served with Istio's stable API alone.
const STABLE: [&str; 8] = [
    "bookinfo",
    "delegate",
    "direct-response",
    "extauth",
    "paths",
    "retries",
    "rewrites",
    "stickiness",
];

/// Those that are also served beside others.
const BESIDE: [&str; 6] = [
    "authorization",
    "bookinfo",
    "delegate",
    "direct-response",
    "mirror",
    "rewrites",
];

pub(crate) fn tests() -> Vec<Test> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let groups = read_examples(&examples).expect("the examples are there");
    let mut tests = Vec::new();
    for group in groups {
        let name = group.name.clone();
        let is_in = |list: &[&str]| list.iter().any(|one| name == format!("examples/{one}"));
        let mut add = |name: String, group: Group, attach: Attach| {
            let test: Test = (
                name,
                Box::new(move |tools: &Tools| answers(tools, &group, attach)),
            );
            tests.push(test);
        };
        if is_in(&STABLE) {
            add(format!("stable/{name}"), group.clone(), Attach::Stable);
        }
        if is_in(&BESIDE) {
            add(format!("beside/{name}"), group.clone(), Attach::Beside);
        }
        add(name.clone(), group, Attach::Exclusive);
    }
    tests
}

fn answers(tools: &Tools, group: &Group, attach: Attach) -> Result<(), String> {
    let executor = InIstio::new(tools.clone(), attach);
    let mut session = executor.load(group)?;
    let mut failures = Vec::new();
    for case in &group.cases {
        let wrong = match session.answer(&case.request, &case.upstream_response) {
            Ok(observed) => compare(case, &observed).failures,
            Err(reason) => vec![reason],
        };
        for wrong in wrong {
            failures.push(format!("{}: {}: {wrong}", case.name, case.request));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}
