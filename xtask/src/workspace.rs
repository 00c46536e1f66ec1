//! Where things are in the workspace.

use std::path::{Path, PathBuf};

/// The root of the workspace, as it was when this program was built; cargo builds it anew when the
/// workspace moves.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The folder that holds everything built or fetched.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}
