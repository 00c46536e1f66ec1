//! `cargo xtask bench-tables`: measures and writes the tables of `benches/README.md`.

use crate::{filter, process, wasm_toolchain};

const PACKAGE: &str = "meshgate-benches";
const GUEST_PACKAGE: &str = "meshgate-bench-guest";
const GUEST_FILE_NAME: &str = "meshgate_bench_guest.wasm";

pub(crate) fn command() -> Result<(), String> {
    let toolchain = wasm_toolchain::find()?;
    let (guest, _) = filter::build_module(&toolchain, GUEST_PACKAGE, GUEST_FILE_NAME)?;
    process::step("building the benchmarks");
    let mut cargo = process::cargo();
    cargo.args(["build", "--locked", "--release", "--package", PACKAGE]);
    process::run(cargo.args(["--bin", "tables", "--example", "instructions"]))?;
    process::step("measuring: keep the machine quiet");
    let mut cargo = process::cargo();
    cargo.args(["run", "--locked", "--release", "--package", PACKAGE]);
    process::run(cargo.args(["--bin", "tables", "--"]).arg(guest))
}
