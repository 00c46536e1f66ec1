//! Servers that others have written, which the filter is tried against: an authorization server and a rate limit server.
//!
//! Both are built with `go install`, into `target/servers`, unless they are there. The rate limit server needs a Redis.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::report::Stop;
use crate::{apt, process, workspace};

/// A server in Go: the variable by which tests find it, its package, and the name of the program.
const SERVERS: [(&str, &str, &str); 2] = [
    (
        "MESHGATE_EXTAUTHZ",
        "istio.io/istio/samples/extauthz/cmd/extauthz@latest",
        "extauthz",
    ),
    (
        "MESHGATE_RATELIMIT",
        "github.com/envoyproxy/ratelimit/src/service_cmd@latest",
        "service_cmd",
    ),
];

/// Finds or builds the servers. Returns the variables by which tests find them.
pub(crate) fn find() -> Result<Vec<(&'static str, OsString)>, Stop> {
    let folder = workspace::target().join("servers");
    let mut found = Vec::new();
    for (variable, package, program) in SERVERS {
        found.push((variable, go_install(package, program, &folder)?.into()));
    }
    found.push(("MESHGATE_REDIS", redis()?.into()));
    Ok(found)
}

fn go_install(package: &str, program: &str, folder: &Path) -> Result<PathBuf, Stop> {
    let path = folder.join(program);
    if path.is_file() {
        return Ok(path);
    }
    let Some(go) = process::find_on_path("go") else {
        return Err(Stop::Skipped(format!("no Go to build {program} with")));
    };
    fs::create_dir_all(folder)
        .map_err(|error| format!("cannot create `{}`: {error}", folder.display()))?;
    process::step(&format!("building {program} (go install)"));
    let mut command = Command::new(go);
    command.args(["install", package]).env("GOBIN", folder);
    // Without a network there is no package either.
    process::run(&mut command).map_err(|message| Stop::Skipped(format!("{program}: {message}")))?;
    Ok(path)
}

fn redis() -> Result<PathBuf, Stop> {
    debian("redis-server")
}

/// Finds or installs a registry for images. Returns the variable by which tests find it.
pub(crate) fn registry() -> Result<(&'static str, OsString), Stop> {
    Ok(("MESHGATE_REGISTRY", debian("docker-registry")?.into()))
}

/// A program of the Debian package of the same name.
fn debian(name: &str) -> Result<PathBuf, Stop> {
    if let Some(path) = process::find_on_path(name) {
        return Ok(path);
    }
    apt::install(&[name]).map_err(Stop::Skipped)?;
    process::find_on_path(name).ok_or_else(|| Stop::Skipped(format!("no {name}")))
}
