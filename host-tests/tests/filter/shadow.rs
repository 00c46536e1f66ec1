//! Policies that only count what they would refuse.

use meshgate_engine::policy::{Csrf, Percentage, Policies};
use meshgate_host_tests::wasm::{Metric, Request};

use crate::cluster;
use crate::program::{ProgramBuilder, start};

#[test]
fn a_shadow_counts_what_it_would_refuse() {
    let csrf = Csrf {
        enforce: false,
        percentage: Percentage::ALL,
        origins: Vec::new(),
    };
    let policies = Policies {
        csrf: Some(csrf),
        ..Policies::default()
    };
    let program = ProgramBuilder::new("g")
        .forward("/", "a", |_| ())
        .policies(policies);
    let mut vm = start(program);
    for method in ["GET", "POST", "PUT"] {
        assert_eq!(cluster(&mut vm, Request::new(method, "h", "/")), "a");
    }
    let own = Request::new("POST", "h", "/").header("origin", "https://h");
    assert_eq!(cluster(&mut vm, own), "a");
    let count = vm.metrics().get("meshgate.would_refuse");
    assert_eq!(count, Some(&Metric::Counter(2)));
}
