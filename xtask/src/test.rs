//! `cargo xtask test`: every check and test there is, as named steps.
//!
//! A failed step does not keep the later ones from running, unless they need its result.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::report::{Report, Stop};
use crate::tally::Tally;
use crate::wasm_toolchain::{self, WasmToolchain};
use crate::{envoy, filter, istio, process, servers, workspace};

/// Corpora that are kept outside the repository, as folders relative to its root. Tests that need
/// one find it through the environment variable, which wins when it is set already.
const CORPORA: [(&str, &str); 2] = [
    ("MESHGATE_CASES", "../shared/cases"),
    ("MESHGATE_EXAMPLES", "../shared/examples"),
];

/// Runs all steps and prints the report, with the tally of the tests as its last line. Returns
/// whether no step failed.
pub(crate) fn run() -> bool {
    let mut report = Report::default();
    let mut tally = Tally::default();

    report.step("format", || {
        need_cargo("fmt", "rustfmt")?;
        process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
        Ok(((), String::new()))
    });
    let toolchain = report.step("wasm toolchain", || {
        let toolchain = wasm_toolchain::find()?;
        let name = toolchain.name().to_owned();
        Ok((toolchain, name))
    });
    let filter = report.step("filter", || {
        let toolchain = toolchain.as_ref().ok_or_else(no_toolchain)?;
        let filter = filter::build(toolchain)?;
        Ok((filter.path, format!("{} bytes", filter.size)))
    });
    let envoy = report.step("envoy", || {
        let path = envoy::find()?;
        let version = envoy::version(&path)?;
        Ok((path, version))
    });
    let envoy_old = report.step("oldest envoy", || {
        let path = envoy::fetch(envoy::OLDEST_VERSION)?;
        Ok((path, envoy::OLDEST_VERSION.to_owned()))
    });
    report.step("clippy", || {
        need_cargo("clippy", "clippy")?;
        let mut clippy = process::cargo();
        clippy.args(["clippy", "--workspace", "--all-targets"]);
        process::run(deny_warnings(&mut clippy))?;
        Ok(((), String::new()))
    });
    report.step("clippy of the filter for wasm", || {
        match &toolchain {
            None => return Err(no_toolchain()),
            Some(WasmToolchain::Debian { .. }) => {
                return Err(Stop::Skipped("Debian's toolchain has no clippy".to_owned()));
            }
            Some(WasmToolchain::Active) => need_cargo("clippy", "clippy")?,
        }
        let mut clippy = WasmToolchain::Active.cargo("clippy");
        clippy.args(["--package", filter::PACKAGE]);
        process::run(deny_warnings(&mut clippy))?;
        Ok(((), String::new()))
    });

    let servers = report.step("servers to ask", || {
        let servers = servers::find()?;
        let count = servers.len();
        Ok((servers, format!("{count} programs")))
    });

    let registry = report.step("registry for images", || {
        let registry = servers::registry()?;
        let path = registry.1.display().to_string();
        Ok((registry, path))
    });
    let istio = report.step("istiod and istioctl", || {
        Ok((istio::build()?, String::new()))
    });

    let mut settings = settings(filter, envoy, envoy_old);
    settings.extend(servers.into_iter().flatten());
    settings.extend(registry);
    for (name, kind) in [("tests", "--all-targets"), ("documentation tests", "--doc")] {
        report.step(name, || {
            let mut counted = Tally::default();
            let mut cargo = process::cargo();
            cargo
                .args(["test", "--workspace", "--no-fail-fast", kind])
                .envs(settings.iter().map(|(name, value)| (name, value)));
            let result = process::run_watched(&mut cargo, |line| counted.add_line(line));
            tally.add(counted);
            result.map_err(|message| format!("{message}: {counted}"))?;
            Ok(((), counted.to_string()))
        });
    }

    report.step("tests in Istio", || {
        let istio = istio.ok_or_else(|| Stop::Skipped("no istiod".to_owned()))?;
        let mut counted = Tally::default();
        // With the features that the tests were just built with.
        let result = istio::test(&["--workspace"], &istio, &settings, &mut counted);
        tally.add(counted);
        result.map_err(|message| format!("{message}: {counted}"))?;
        Ok(((), counted.to_string()))
    });

    println!("\n{report}\n{tally}");
    !report.any_failed()
}

/// What the tests are told through their environment.
fn settings(
    filter: Option<PathBuf>,
    envoy: Option<PathBuf>,
    envoy_old: Option<PathBuf>,
) -> Vec<(&'static str, OsString)> {
    // With everything there, a test that is left out for want of it is a mistake.
    let complete = filter.is_some() && envoy.is_some() && envoy_old.is_some();
    let tools = [
        ("MESHGATE_FILTER", filter),
        ("MESHGATE_ENVOY", envoy),
        ("MESHGATE_ENVOY_OLD", envoy_old),
    ];
    let tools = tools
        .into_iter()
        .filter_map(|(name, path)| Some((name, path?.into())));
    let corpora = CORPORA
        .into_iter()
        .filter(|(name, _)| env::var_os(name).is_none())
        .filter_map(|(name, folder)| {
            let folder = workspace::root().join(folder).canonicalize().ok()?;
            Some((name, folder.into()))
        });
    let required = complete.then(|| ("MESHGATE_REQUIRE_ENVOY", "1".into()));
    tools.chain(corpora).chain(required).collect()
}

/// Stops the step when cargo lacks a subcommand, which is an optional part of the toolchain.
fn need_cargo(subcommand: &str, component: &str) -> Result<(), Stop> {
    process::output(process::cargo().args([subcommand, "--version"]))
        .map(|_| ())
        .map_err(|_| Stop::Skipped(format!("not installed: `rustup component add {component}`")))
}

fn deny_warnings(clippy: &mut Command) -> &mut Command {
    clippy.args(["--", "-D", "warnings"])
}

fn no_toolchain() -> Stop {
    Stop::Skipped("no wasm toolchain".to_owned())
}
