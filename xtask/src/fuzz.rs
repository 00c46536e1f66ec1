//! `cargo xtask fuzz`: runs the fuzz targets, one after the other, from fresh seeds and what earlier runs have gathered.
//!
//! Needs a nightly toolchain and cargo-fuzz, which nothing else does, so they are asked for and not fetched.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{process, workspace};

/// The targets, in the order in which they are run.
pub(crate) const TARGETS: [&str; 4] = ["program", "yaml", "headers", "equivalence"];

/// How long a target runs, unless the command line says otherwise.
pub(crate) const SECONDS: u32 = 60;

/// An input that takes longer, in seconds, is a finding. Instrumented code is some ten times slower than it is otherwise.
const TIMEOUT: u32 = 20;
/// More memory than this, in MB, is a finding. The instrumentation needs part of it.
const MEMORY: u32 = 2048;
/// The longest input. Larger ones find nothing new and take their time.
const LONGEST: u32 = 32 << 10;

/// Runs one target, or all of them.
pub(crate) fn run(target: Option<&str>, seconds: u32) -> Result<(), String> {
    process::output(nightly().args(["fuzz", "--version"])).map_err(|error| {
        format!(
            "{error}; fuzzing needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`"
        )
    })?;
    let chosen = TARGETS
        .iter()
        .filter(|name| target.is_none_or(|target| target == **name));
    chosen
        .into_iter()
        .try_for_each(|target| run_target(target, seconds))
}

fn run_target(target: &str, seconds: u32) -> Result<(), String> {
    let folder = workspace::target().join("fuzz");
    let (corpus, seeds) = (
        folder.join("corpus").join(target),
        folder.join("seeds").join(target),
    );
    let crashes = workspace::root().join("fuzz/crashes").join(target);
    for folder in [&corpus, &crashes] {
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot create `{}`: {error}", folder.display()))?;
    }
    process::step(&format!("seeds of {target}"));
    let example = ["run", "--quiet", "--package", "meshgate-host-tests"];
    let mut cargo = process::cargo();
    cargo
        .args(example)
        .args(["--no-default-features", "--example", "fuzz-seeds", "--"]);
    process::run(cargo.arg(target).arg(&seeds))?;

    process::step(&format!("fuzzing {target} for {seconds} seconds"));
    let mut fuzz = nightly();
    fuzz.args(["fuzz", "run", "--target-dir"])
        .arg(folder.join("build"))
        .arg(target)
        .args([&corpus, &seeds]);
    if target == "yaml" {
        fuzz.args(examples());
    }
    fuzz.arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-max_len={LONGEST}"))
        // What is found becomes a test: the tests run every file that is there.
        .arg(format!("-artifact_prefix={}/", crashes.display()));
    process::run(&mut fuzz)
}

/// Resources outside the repository, where there are any.
fn examples() -> Option<PathBuf> {
    let usual = || workspace::root().join("../shared/examples");
    let folder = env::var_os("MESHGATE_EXAMPLES").map_or_else(usual, PathBuf::from);
    folder.canonicalize().ok()
}

/// The cargo of the nightly toolchain.
fn nightly() -> Command {
    let mut rustup = Command::new("rustup");
    rustup
        .current_dir(workspace::root())
        .args(["run", "nightly", "cargo"])
        // This program was started by another toolchain's cargo.
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN");
    rustup
}
