//! The objects of `meshgate compile --target istio` in Istio's own control plane, with real Envoys as gateways.
//! `cargo xtask istio-e2e` builds the control plane; without it, the tests are ignored.

mod beside;
mod bodies;
mod destinations;
mod examples;
mod failover;
mod federation;
mod istioctl;
mod reach;
mod shop;
mod stable;
mod updates;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Trial};
use meshgate_host_tests::istio::Tools;
use meshgate_host_tests::tools;

fn main() {
    let mut arguments = Arguments::from_args();
    // Each has a mesh of its own, and what it asks for is quick only if the machine is not busy.
    arguments.test_threads.get_or_insert(2);
    let mut trials = Vec::new();
    for (name, envoy) in [("newest", tools::envoy()), ("oldest", tools::old_envoy())] {
        let tools = find(envoy);
        if let Err(reason) = &tools {
            println!("the tests in Istio with the {name} Envoy are ignored: {reason}");
        }
        trials.extend(tests().into_iter().map(|(test, run)| {
            let test = format!("{test} [{name} envoy]");
            match tools.clone() {
                Ok(tools) => Trial::test(test, move || run(&tools).map_err(Into::into)),
                Err(_) => Trial::test(test, || Ok(())).with_ignored_flag(true),
            }
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test by its name; an error says what went wrong.
type Test = (String, Box<dyn FnOnce(&Tools) -> Result<(), String> + Send>);

fn tests() -> Vec<Test> {
    let all = [
        examples::tests(),
        updates::tests(),
        failover::tests(),
        beside::tests(),
        federation::tests(),
        reach::tests(),
        bodies::tests(),
        stable::tests(),
        destinations::tests(),
        istioctl::tests(),
    ];
    all.into_iter().flatten().collect()
}

fn find(envoy: Result<PathBuf, String>) -> Result<Tools, String> {
    Ok(Tools {
        istiod: tools::istiod()?,
        istioctl: tools::istioctl()?,
        envoy: envoy?,
        filter: tools::filter()?,
    })
}
