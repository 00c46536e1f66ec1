//! The examples, whose answers do not depend on Envoy's version.

use std::path::Path;
use std::sync::Arc;

use meshgate_host_tests::cases::{Executor, InEnvoy, compare, read_examples};

use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[("examples", examples)];

fn examples(tools: &Tools) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let groups = read_examples(&folder).unwrap().into_iter().map(Arc::new);
    let groups: Vec<_> = groups.collect();
    assert!(groups.iter().any(|group| group.name == "examples/bookinfo"));
    let executor = InEnvoy::new("envoy", &tools.envoy, &tools.filter, groups.clone());
    for group in &groups {
        let mut session = executor.load(group).unwrap();
        for case in &group.cases {
            let observed = session.answer(&case.request, &case.upstream_response);
            let failures = compare(case, &observed.unwrap()).failures;
            assert!(
                failures.is_empty(),
                "{}: {}: {failures:?}",
                group.name,
                case.name
            );
        }
    }
}
