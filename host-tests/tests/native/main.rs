//! Policies and actions mean the same here as in Envoy's own filters and routes: the same configuration in both
//! notations, the same requests, the same answers, in both versions of Envoy. What differs on purpose is written down in the
//! tests, and in `docs/native.md` with its reason. (Tokens and rules about access have a test of their own, `access`.)

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, and says where"
)]

mod actions;
mod browsers;
mod faults;
mod headers;
mod limits;
mod pair;
mod retries;
mod tls;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Trial};
use meshgate_host_tests::tools;

type Test = (&'static str, fn(&Tools));

/// The files that every test needs.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) envoy: PathBuf,
    pub(crate) filter: PathBuf,
}

fn main() {
    let arguments = Arguments::from_args();
    let tests: Vec<Test> = [
        actions::TESTS,
        browsers::TESTS,
        faults::TESTS,
        headers::TESTS,
        limits::TESTS,
        tls::TESTS,
        retries::TESTS,
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
