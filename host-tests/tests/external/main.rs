//! External authorization and rate limits in real Envoys: with services that answer, are slow, dead, or answer rubbish, and
//! with real servers where there are some. Every test runs in the newest and in the oldest Envoy that is supported.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, and says where"
)]

mod authorization;
mod bodies;
mod bodies_envoy;
mod clients;
mod gateway;
mod limits;
mod local;
mod proto;
mod real;
mod service;

use libtest_mimic::{Arguments, Trial};
use meshgate_host_tests::tools;

use crate::gateway::Tools;

type Test = (&'static str, fn(&Tools));

fn main() {
    let arguments = Arguments::from_args();
    let tests: Vec<Test> = [
        authorization::TESTS,
        bodies::TESTS,
        clients::TESTS,
        limits::TESTS,
        local::TESTS,
        &real::tests(),
    ]
    .concat();
    let filter = tools::filter();
    let mut trials = Vec::new();
    for (name, envoy) in [("newest", tools::envoy()), ("oldest", tools::old_envoy())] {
        let tools = filter.clone().and_then(|filter| {
            let envoy = envoy?;
            Ok(Tools { envoy, filter })
        });
        if let Err(reason) = &tools {
            if tools::envoy_is_required() {
                eprintln!("error: {reason}");
                std::process::exit(2);
            }
            println!("the tests in the {name} Envoy are ignored: {reason}");
        }
        for &(test, run) in &tests {
            let test = format!("{test} [{name} envoy]");
            trials.push(match tools.clone() {
                Ok(tools) => Trial::test(test, move || {
                    run(&tools);
                    Ok(())
                }),
                Err(_) => Trial::test(test, || Ok(())).with_ignored_flag(true),
            });
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
