//! The files that tests need: the filter and Envoys. `cargo xtask test` builds or fetches them and tells where they are.

use std::env;
use std::path::{Path, PathBuf};

/// The filter: `$MESHGATE_FILTER`, else where `cargo xtask filter` puts it.
///
/// # Errors
/// When there is none; the message says how to get it.
pub fn filter() -> Result<PathBuf, String> {
    let path = env::var_os("MESHGATE_FILTER").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/meshgate_filter.wasm"),
        PathBuf::from,
    );
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "there is no filter at `{}`: run `cargo xtask filter`",
        path.display()
    ))
}

/// Envoy: `$MESHGATE_ENVOY`.
///
/// # Errors
/// When the variable names no file; the message says what to do.
pub fn envoy() -> Result<PathBuf, String> {
    program("MESHGATE_ENVOY")
}

/// The oldest Envoy that is supported: `$MESHGATE_ENVOY_OLD`.
///
/// # Errors
/// When the variable names no file; the message says what to do.
pub fn old_envoy() -> Result<PathBuf, String> {
    program("MESHGATE_ENVOY_OLD")
}

/// Istio's control plane: the file that `$MESHGATE_ISTIOD` names.
///
/// # Errors
/// When the variable names no file; the message says what to do.
pub fn istiod() -> Result<PathBuf, String> {
    of_istio("MESHGATE_ISTIOD")
}

/// Istio's command-line tool: the file that `$MESHGATE_ISTIOCTL` names.
///
/// # Errors
/// When the variable names no file; the message says what to do.
pub fn istioctl() -> Result<PathBuf, String> {
    of_istio("MESHGATE_ISTIOCTL")
}

fn of_istio(variable: &str) -> Result<PathBuf, String> {
    match env::var_os(variable).map(PathBuf::from) {
        None => Err(format!(
            "{variable} is not set: run `cargo xtask istio-e2e`"
        )),
        Some(path) if path.is_file() => Ok(path),
        Some(path) => Err(format!("{variable}: there is no file `{}`", path.display())),
    }
}

/// Whether a test may not be left out because a tool is missing: `$MESHGATE_REQUIRE_ENVOY` is `1`.
pub fn envoy_is_required() -> bool {
    env::var_os("MESHGATE_REQUIRE_ENVOY").is_some_and(|value| value == "1")
}

fn program(variable: &str) -> Result<PathBuf, String> {
    match env::var_os(variable).map(PathBuf::from) {
        None => Err(format!(
            "{variable} is not set: run `cargo xtask test`, or set it to the path of an Envoy"
        )),
        Some(path) if path.is_file() => Ok(path),
        Some(path) => Err(format!("{variable}: there is no file `{}`", path.display())),
    }
}
