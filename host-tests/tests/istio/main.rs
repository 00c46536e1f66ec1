//! The objects of `meshgate compile --target istio` in Istio's own control plane, with real Envoys as gateways.
//! `cargo xtask istio-e2e` builds the control plane; without it, the tests are ignored.

mod beside;
mod bodies;
mod destinations;
mod examples;
mod failover;
mod federation;
mod reach;
mod shop;
mod stable;
mod updates;

use libtest_mimic::{Arguments, Trial};
use meshgate_host_tests::istio::Tools;
use meshgate_host_tests::tools;

fn main() {
    let mut arguments = Arguments::from_args();
    let tools = find();
    if let Err(reason) = &tools {
        println!("the tests in Istio are ignored: {reason}");
    }
    // Each has a mesh of its own, and what it asks for is quick only if the machine is not busy.
    arguments.test_threads.get_or_insert(2);
    let mut tests = examples::tests();
    tests.extend(updates::tests());
    tests.extend(failover::tests());
    tests.extend(beside::tests());
    tests.extend(federation::tests());
    tests.extend(reach::tests());
    tests.extend(bodies::tests());
    tests.extend(stable::tests());
    tests.extend(destinations::tests());
    let trials = tests.into_iter().map(|(name, run)| match tools.clone() {
        Ok(tools) => Trial::test(name, move || run(&tools).map_err(Into::into)),
        Err(_) => Trial::test(name, || Ok(())).with_ignored_flag(true),
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// A test by its name; an error says what went wrong.
type Test = (String, Box<dyn FnOnce(&Tools) -> Result<(), String> + Send>);

fn find() -> Result<Tools, String> {
    Ok(Tools {
        istiod: tools::istiod()?,
        istioctl: tools::istioctl()?,
        envoy: tools::envoy()?,
        filter: tools::filter()?,
    })
}
