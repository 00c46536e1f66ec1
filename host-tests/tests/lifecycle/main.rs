//! The life of a gateway: a real Envoy with the filter, programs that come and go, and clients and upstreams that
//! misbehave. Every test runs in the newest and in the oldest Envoy that is supported.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, and says where"
)]

mod examples;
mod gateway;
mod grpc;
mod hostile;
mod load;
mod memory;
mod mirrors;
mod observe;
mod requests;
mod shop;
mod updates;
mod verify;
mod waiting;

use libtest_mimic::{Arguments, Trial};
use meshgate_host_tests::tools;

use crate::gateway::Tools;

type Test = (&'static str, fn(&Tools));

fn main() {
    let arguments = Arguments::from_args();
    let tests: Vec<Test> = [
        examples::TESTS,
        requests::TESTS,
        updates::TESTS,
        hostile::TESTS,
        memory::TESTS,
        verify::TESTS,
        waiting::TESTS,
        mirrors::TESTS,
        observe::TESTS,
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
