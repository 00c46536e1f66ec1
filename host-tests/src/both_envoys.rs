//! Tests that run in the newest and in the oldest Envoy that is supported.

use std::path::PathBuf;
use std::process;

use libtest_mimic::{Arguments, Trial};

use crate::tools;

/// The files that such a test needs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Envoy.
    pub envoy: PathBuf,
    /// The filter.
    pub filter: PathBuf,
}

/// A test by its name. It fails by a panic.
pub type Test = (&'static str, fn(&Tools));

/// Runs tests as the arguments of this process say, and ends it. Where an Envoy or the filter is missing, its tests are
/// ignored, unless `$MESHGATE_REQUIRE_ENVOY` is `1`.
pub fn run(tests: &[Test]) -> ! {
    let arguments = Arguments::from_args();
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
                process::exit(2);
            }
            println!("the tests in the {name} Envoy are ignored: {reason}");
        }
        for &(test, run) in tests {
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
