//! The demo: a real Envoy that serves the bookinfo example.

use std::os::unix::process::CommandExt;

use crate::{envoy, filter, process, wasm_toolchain};

/// Gets the filter and an Envoy and becomes the demo program. Returns only when that fails.
///
/// Without an Envoy the demo runs the filter in its embedded host.
pub(crate) fn run(keep: bool) -> Result<(), String> {
    let filter = filter::build(&wasm_toolchain::find()?)?;
    let envoy = envoy::find();

    let mut demo = process::cargo();
    demo.args(["run", "--package", "meshgate-host-tests"]);
    if envoy.is_ok() {
        // Most of the time to build the demo would go into the host that it does not need.
        demo.arg("--no-default-features");
    }
    demo.args(["--bin", "meshgate-demo", "--", "--filter"])
        .arg(filter.path);
    match &envoy {
        Ok(path) => {
            demo.arg("--envoy").arg(path);
        }
        Err(message) => process::step(&format!(
            "running the filter in the embedded host instead: {message}"
        )),
    }
    if keep {
        demo.arg("--keep");
    }
    process::step("building and running the demo");
    // The demo takes our place, so that Ctrl-C is for it alone and the prompt is back only when it
    // has cleaned up.
    let error = demo.exec();
    Err(format!("cannot start cargo: {error}"))
}
