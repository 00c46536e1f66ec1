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
    process::step(&format!(
        "building the filter ({TARGET}, {})",
        toolchain.name()
    ));
    let mut cargo = toolchain.cargo("build");
    process::run(cargo.args(["--locked", "--package", PACKAGE, "--profile", PROFILE]))?;
    let built = wasm_toolchain::target_dir()
        .join(TARGET)
        .join(PROFILE)
        .join(FILE_NAME);
    let module =
        fs::read(&built).map_err(|error| format!("cannot read `{}`: {error}", built.display()))?;
    let module = link::finish(&module)?;
    let path = workspace::target().join(FILE_NAME);
    publish(&module, &path)
        .map_err(|error| format!("cannot write the filter to `{}`: {error}", path.display()))?;
    Ok(Filter {
        path,
        size: module.len(),
    })
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
