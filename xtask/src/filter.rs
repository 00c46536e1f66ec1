//! Building the filter, the wasm module that Envoy loads.

use std::fs;
use std::path::{Path, PathBuf};

use crate::wasm_toolchain::{self, TARGET, WasmToolchain};
use crate::{link, process, workspace};

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

/// Builds the filter and puts it, finished, where the documentation says it is.
pub(crate) fn build(toolchain: &WasmToolchain) -> Result<Filter, String> {
    let module = link::finish(&build_module(toolchain, PACKAGE, FILE_NAME)?)?;
    let (path, size) = place(&module, FILE_NAME)?;
    Ok(Filter { path, size })
}

/// Builds a package as a wasm module, with the filter's profile.
pub(crate) fn build_module(
    toolchain: &WasmToolchain,
    package: &str,
    file_name: &str,
) -> Result<Vec<u8>, String> {
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
    fs::read(&built).map_err(|error| format!("cannot read `{}`: {error}", built.display()))
}

/// Puts a module into the folder of everything built. Returns its path and its size.
pub(crate) fn place(module: &[u8], file_name: &str) -> Result<(PathBuf, usize), String> {
    let path = workspace::target().join(file_name);
    publish(module, &path)
        .map_err(|error| format!("cannot write the module to `{}`: {error}", path.display()))?;
    Ok((path, module.len()))
}

/// Writes a module over `path` when they differ. The file changes in one step, because an Envoy may be about to load it.
fn publish(module: &[u8], path: &Path) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == module) {
        return Ok(());
    }
    let new = path.with_extension("wasm.new");
    fs::write(&new, module)?;
    fs::rename(&new, path)
}
