//! The measurements in a real Envoy.

use std::os::unix::process::CommandExt;

use crate::{envoy, filter, process, wasm_toolchain, workspace};

/// Gets the filter and an Envoy and becomes the program that measures. Returns only when that fails.
///
/// Only a full run writes the results that the repository holds.
pub(crate) fn run(quick: bool) -> Result<(), String> {
    let filter = filter::build(&wasm_toolchain::find()?)?;
    let envoy = envoy::find()?;
    let (extent, out) = if quick {
        ("quick", workspace::target().join("bench"))
    } else {
        ("full", workspace::root().join("benches/results"))
    };

    let mut bench = process::cargo();
    bench
        .args(["run", "--release", "--package", "meshgate-benches"])
        .args(["--bin", "meshgate-bench-envoy", "--", "--extent", extent])
        .arg("--filter")
        .arg(filter.path)
        .arg("--envoy")
        .arg(envoy)
        .arg("--out")
        .arg(out);
    process::step("building and running the benchmark");
    // It takes our place, so that Ctrl-C is for it alone.
    let error = bench.exec();
    Err(format!("cannot start cargo: {error}"))
}
