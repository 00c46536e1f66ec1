//! Every request of the examples, each example in a mesh of its own.

use std::path::Path;

use meshgate_host_tests::cases::{Executor, Group, InIstio, compare, read_examples};
use meshgate_host_tests::istio::Tools;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let groups = read_examples(&examples).expect("the examples are there");
    let test = |group: Group| -> Test {
        let name = group.name.clone();
        (name, Box::new(move |tools| answers(tools, &group)))
    };
    groups.into_iter().map(test).collect()
}

fn answers(tools: &Tools, group: &Group) -> Result<(), String> {
    let executor = InIstio::new(tools.clone());
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
