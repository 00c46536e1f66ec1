//! `cargo xtask bench-tables`: measures and writes the tables of `benches/README.md`.

use std::process::Command;

use crate::{filter, process, wasm_toolchain, workspace};

const GUEST_PACKAGE: &str = "meshgate-bench-guest";
const GUEST_FILE_NAME: &str = "meshgate_bench_guest.wasm";

pub(crate) fn command() -> Result<(), String> {
    let toolchain = wasm_toolchain::find()?;
    let module = filter::build_module(&toolchain, GUEST_PACKAGE, GUEST_FILE_NAME)?;
    let (guest, _) = filter::place(&module, GUEST_FILE_NAME)?;
    process::step("building the benchmarks");
    let mut cargo = process::cargo();
    cargo
        .args(["build", "--locked", "--release"])
        .args(["--package", "meshgate-benches"])
        .args(["--bin", "tables", "--example", "instructions"])
        .arg("--target-dir")
        .arg(workspace::target());
    process::run(&mut cargo)?;
    process::step("measuring: keep the machine quiet");
    let mut tables = Command::new(workspace::target().join("release/tables"));
    process::run(tables.current_dir(workspace::root()).arg(guest))
}
