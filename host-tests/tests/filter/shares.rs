//! Weights and percentages, as the filter draws them: chi-square over many decisions. The random numbers of the test host
//! are the same in every run, so a test that passes does so again.

use std::collections::BTreeMap;

use meshgate_engine::policy::{Fault, FaultKind, Percentage, Policies};
use meshgate_engine::{ActionKind, Forward};
use meshgate_host_tests::wasm::{Outcome, Vm};

use crate::get;
use crate::program::{ProgramBuilder, start};

const DECISIONS: u32 = 100_000;

/// How often each thing happens.
fn count(vm: &mut Vm) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for _ in 0..DECISIONS {
        let what = match vm.request(get("/")) {
            Outcome::Forwarded(forwarded) => {
                let cluster = forwarded.headers.get("x-meshgate-cluster");
                let cluster = String::from_utf8_lossy(cluster.unwrap_or_default()).into_owned();
                vm.close(forwarded.stream).expect("no trap");
                cluster
            }
            Outcome::LocalReply(reply) => reply.status.to_string(),
            other => panic!("{other:?}"),
        };
        *counts.entry(what).or_default() += 1;
    }
    counts
}

/// Holds counts to expected shares. `limit` is the value that chance exceeds once in a thousand times.
#[track_caller]
pub(crate) fn check(counts: &BTreeMap<String, u32>, shares: &[(&str, f64)], limit: f64) {
    let chi_square: f64 = shares
        .iter()
        .map(|(what, share)| {
            let expected = share * f64::from(DECISIONS);
            let counted = f64::from(counts.get(*what).copied().unwrap_or(0));
            (counted - expected).powi(2) / expected
        })
        .sum();
    assert_eq!(counts.len(), shares.len(), "{counts:?}");
    assert!(chi_square < limit, "{chi_square}: {counts:?}");
}

#[test]
fn weights_are_shares() {
    let mut program = ProgramBuilder::new("g");
    let shares = [("a", 10), ("b", 20), ("c", 30), ("d", 40), ("never", 0)]
        .map(|(cluster, weight)| program.share(cluster, weight, None));
    let forward = ActionKind::Forward(Forward {
        shares: shares.to_vec(),
        total_weight: 100,
        rewrite: None,
        host: None,
        timeout_ms: None,
        stickiness: None,
        retries: None,
    });
    let counts = count(&mut start(program.route("/", forward, None)));
    // Three degrees of freedom.
    check(
        &counts,
        &[("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.4)],
        16.27,
    );
}

#[test]
fn percentages_are_shares() {
    let fault = Fault {
        kind: FaultKind::Abort(503),
        percentage: Percentage(15_000),
    };
    let policies = Policies {
        fault: Some(fault),
        ..Policies::default()
    };
    let program = ProgramBuilder::new("g")
        .forward("/", "a", |_| ())
        .policies(policies);
    // One degree of freedom.
    check(
        &count(&mut start(program)),
        &[("503", 0.015), ("a", 0.985)],
        10.83,
    );
}
