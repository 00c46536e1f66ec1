//! `cargo xtask istio-e2e`: what `meshgate compile --target istio` writes, in Istio's own control plane.
//!
//! The control plane is a Go program, `host-tests/istiod`, with Istio as a library. It is built into `target/istiod`, and
//! `istioctl` of the same version beside it, which takes minutes the first time.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::report::Stop;
use crate::tally::Tally;
use crate::{envoy, filter, process, wasm_toolchain, workspace};

/// The package of Istio's command-line tool.
const ISTIOCTL: &str = "istio.io/istio/istioctl/cmd/istioctl";

/// Builds everything and runs the tests.
pub(crate) fn command() -> Result<(), String> {
    let filter = filter::build(&wasm_toolchain::find()?)?;
    let settings = [
        ("MESHGATE_FILTER", filter.path.into()),
        ("MESHGATE_ENVOY", envoy::find()?.into()),
        (
            "MESHGATE_ENVOY_OLD",
            envoy::fetch(envoy::OLDEST_VERSION)?.into(),
        ),
    ];
    let programs = build().map_err(|stop| match stop {
        Stop::Failed(reason) | Stop::Skipped(reason) => reason,
    })?;
    let mut tally = Tally::default();
    // Most of the time to build the tests would go into a host that they do not need.
    let package = ["--package", "meshgate-host-tests", "--no-default-features"];
    let result = test(&package, &programs, &settings, &mut tally);
    println!("\n{tally}");
    result
}

/// Istio's programs, with the names of the variables that tell tests where they are.
pub(crate) type Programs = [(&'static str, PathBuf); 2];

/// Builds them. That is skipped where Go or Istio's modules are not to be had.
pub(crate) fn build() -> Result<Programs, Stop> {
    let Some(go) = process::find_on_path("go") else {
        return Err(Stop::Skipped("no Go to build istiod with".to_owned()));
    };
    let mut list = Command::new(&go);
    list.args(["list", "-deps", "-f", "{{.Name}}", ".", ISTIOCTL]);
    process::output(in_package(&mut list)).map_err(Stop::Skipped)?;
    let build = |name: &str, package: &str| {
        let path = workspace::target().join(name);
        process::step(&format!("building {name} (go build)"));
        let mut build = Command::new(&go);
        build.args(["build", "-o"]).arg(&path).arg(package);
        process::run(in_package(&mut build)).map(|()| path)
    };
    Ok([
        ("MESHGATE_ISTIOD", build("istiod", ".")?),
        ("MESHGATE_ISTIOCTL", build("istioctl", ISTIOCTL)?),
    ])
}

fn in_package(command: &mut Command) -> &mut Command {
    command.current_dir(workspace::root().join("host-tests/istiod"))
}

/// Runs the tests, which are in these packages, with Istio's programs and the other tools that they need.
pub(crate) fn test(
    packages: &[&str],
    programs: &Programs,
    settings: &[(&'static str, OsString)],
    tally: &mut Tally,
) -> Result<(), String> {
    let mut cargo = process::cargo();
    cargo
        .arg("test")
        .args(packages)
        .args(["--test", "istio"])
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .envs(programs.iter().map(|(name, path)| (name, path)));
    process::run_watched(&mut cargo, |line| tally.add_line(line))
}
