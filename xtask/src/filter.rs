//! Building the filter, the wasm module that Envoy loads.

use std::fs;
use std::path::{Path, PathBuf};

use crate::wasm_toolchain::{self, TARGET, WasmToolchain};
use crate::{process, workspace};

/// The package of the filter.
pub(crate) const PACKAGE: &str = "meshgate-filter";

const PROFILE: &str = "filter";
const FILE_NAME: &str = "meshgate_filter.wasm";

/// A filter that has been built.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The wasm module.
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) size: usize,
}

/// `cargo xtask filter`: builds the filter and prints where it is.
pub(crate) fn command() -> Result<(), String> {
    let filter = build(&wasm_toolchain::find()?)?;
    println!("{} ({} bytes)", filter.path.display(), filter.size);
    Ok(())
}

/// Builds the filter and puts it where the documentation says it is.
pub(crate) fn build(toolchain: &WasmToolchain) -> Result<Filter, String> {
    let (path, size) = build_module(toolchain, PACKAGE, FILE_NAME)?;
    Ok(Filter { path, size })
}

/// Builds a package as a wasm module, with the filter's profile, and puts it into the folder of everything built.
/// Returns its path and its size.
pub(crate) fn build_module(
    toolchain: &WasmToolchain,
    package: &str,
    file_name: &str,
) -> Result<(PathBuf, usize), String> {
    process::step(&format!(
        "building {package} ({TARGET}, {})",
        toolchain.name()
    ));
    let mut cargo = toolchain.cargo("build");
    process::run(cargo.args(["--locked", "--package", package, "--profile", PROFILE]))?;
    let built = wasm_toolchain::target_dir()
        .join(TARGET)
        .join(PROFILE)
        .join(file_name);
    let path = workspace::target().join(file_name);
    let size = publish(&built, &path)
        .map_err(|error| format!("cannot copy the module to `{}`: {error}", path.display()))?;
    Ok((path, size))
}

/// Copies `from` over `to` when they differ and returns the size. `to` changes in one step, because
/// an Envoy may be about to load it.
fn publish(from: &Path, to: &Path) -> std::io::Result<usize> {
    let module = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == module) {
        return Ok(module.len());
    }
    let new = to.with_extension("wasm.new");
    fs::write(&new, &module)?;
    fs::rename(&new, to)?;
    Ok(module.len())
}
