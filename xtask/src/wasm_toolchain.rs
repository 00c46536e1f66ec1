//! Finding a toolchain that builds for wasm32-unknown-unknown, and getting one when there is none.
//!
//! The active toolchain is the first choice, with the target added by rustup when it lacks it. Where
//! rustup cannot download, Debian's `rustc-web` packages do: they come with the sources of the
//! standard library, which cargo then builds for the target along with the filter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{apt, process, workspace};

/// The target the filter is built for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest Rust the workspace builds with, such as 1.95.
const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// Enough for a slow line, and short enough when rustup keeps retrying without a network.
const RUSTUP_TIME_LIMIT: Duration = Duration::from_secs(120);

const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_STD_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/std";

/// A toolchain that can build the filter.
#[derive(Debug)]
pub(crate) enum WasmToolchain {
    /// The toolchain that runs this program; it has the target.
    Active,
    /// Debian's `rustc-web`, which has no linker for the target of its own.
    Debian { linker: PathBuf },
}

impl WasmToolchain {
    /// The name to show.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Active => "active toolchain",
            Self::Debian { .. } => "Debian rustc-web",
        }
    }

    /// `cargo <subcommand>` for the target, with everything set that the toolchain needs.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = match self {
            Self::Active => {
                let mut cargo = process::cargo();
                cargo.arg(subcommand);
                cargo
            }
            Self::Debian { linker } => {
                let mut cargo = Command::new(DEBIAN_CARGO);
                cargo
                    .current_dir(workspace::root())
                    .env("RUSTC", DEBIAN_RUSTC)
                    // Building the standard library is an unstable feature of cargo.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    // What the active toolchain's cargo has set for its own programs.
                    .env_remove("LD_LIBRARY_PATH")
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .args([subcommand, "-Zbuild-std=std,panic_abort"]);
                cargo
            }
        };
        // Flags meant for the host, such as a linker or a CPU, make no sense for the target.
        cargo
            .env_remove("RUSTFLAGS")
            .args(["--target", TARGET, "--target-dir"])
            .arg(target_dir());
        cargo
    }
}

/// Where cargo builds for the target: apart from the host's builds, because two different
/// toolchains would invalidate each other's.
pub(crate) fn target_dir() -> PathBuf {
    workspace::target().join("wasm")
}

/// Finds a toolchain, installing what is missing.
pub(crate) fn find() -> Result<WasmToolchain, String> {
    if active_has_target() {
        return Ok(WasmToolchain::Active);
    }
    // Says that rustup could not get the target, but Debian's toolchain works: there is no need to
    // go to the network on each build.
    let marker = target_dir().join("use-debian-toolchain");
    if marker.exists()
        && let Ok(toolchain) = debian()
    {
        return Ok(toolchain);
    }
    let Err(rustup_failure) = add_with_rustup() else {
        return Ok(WasmToolchain::Active);
    };
    process::step(&format!(
        "trying Debian's toolchain instead: {rustup_failure}"
    ));
    let toolchain = debian_or_install().map_err(|debian_failure| {
        format!(
            "no toolchain for {TARGET}: install it with `rustup target add {TARGET}` \
             (rustup: {rustup_failure}; Debian: {debian_failure})"
        )
    })?;
    fs::create_dir_all(target_dir())
        .and_then(|()| fs::write(&marker, ""))
        .map_err(|error| format!("cannot write `{}`: {error}", marker.display()))?;
    Ok(toolchain)
}

fn active_has_target() -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    process::output(rustc.current_dir(workspace::root())).is_ok_and(|dir| Path::new(&dir).is_dir())
}

fn add_with_rustup() -> Result<(), String> {
    let Some(rustup) = process::find_on_path("rustup") else {
        return Err("rustup is not installed".to_owned());
    };
    process::step(&format!("adding {TARGET} to the active toolchain (rustup)"));
    let mut command = Command::new(rustup);
    command
        .args(["target", "add", TARGET])
        // A failed download is not a bug that a backtrace would help with.
        .env("RUST_BACKTRACE", "0")
        .current_dir(workspace::root());
    process::run_within(&mut command, RUSTUP_TIME_LIMIT)?;
    if active_has_target() {
        Ok(())
    } else {
        Err("the active rustc is not one of rustup's".to_owned())
    }
}

fn debian_or_install() -> Result<WasmToolchain, String> {
    if let Ok(toolchain) = debian() {
        return Ok(toolchain);
    }
    apt::update()?;
    let package = DEBIAN_PACKAGES[0];
    let Some(version) = apt::candidate(package) else {
        return Err(format!("this distribution has no package {package}"));
    };
    if !is_new_enough(&version) {
        return Err(format!(
            "this distribution's {package} is {version}, and Rust {RUST_VERSION} is needed"
        ));
    }
    apt::install(&DEBIAN_PACKAGES)?;
    debian()
}

/// Debian's toolchain if it is installed and new enough; the error says what is wrong with it.
fn debian() -> Result<WasmToolchain, String> {
    let version = process::output(Command::new(DEBIAN_RUSTC).arg("--version"))?;
    if !is_new_enough(&version) {
        return Err(format!(
            "`{DEBIAN_RUSTC}` is {version}, and Rust {RUST_VERSION} is needed"
        ));
    }
    for path in [DEBIAN_CARGO, DEBIAN_STD_SOURCES] {
        if !Path::new(path).exists() {
            return Err(format!("`{path}` is missing"));
        }
    }
    let linker = linker().ok_or("no linker for wasm: install lld")?;
    Ok(WasmToolchain::Debian { linker })
}

/// A linker that writes wasm: the active toolchain's, or one installed as a program.
fn linker() -> Option<PathBuf> {
    let rustc = |args: &[&str]| {
        let mut rustc = Command::new("rustc");
        process::output(rustc.args(args).current_dir(workspace::root())).ok()
    };
    let own = || {
        let sysroot = rustc(&["--print", "sysroot"])?;
        let host = rustc(&["--print", "host-tuple"])?;
        let rustlib = Path::new(&sysroot).join("lib/rustlib");
        Some(rustlib.join(host).join("bin/rust-lld")).filter(|path| process::is_executable(path))
    };
    own()
        .or_else(|| process::find_on_path("rust-lld"))
        .or_else(|| process::find_on_path("wasm-ld"))
}

/// Whether `version`, as rustc or a package states it, is at least [`RUST_VERSION`].
fn is_new_enough(version: &str) -> bool {
    major_minor(version) >= major_minor(RUST_VERSION)
}

/// The first two numbers of a text, such as 1 and 96 of `rustc 1.96.0 (ac68faa20 2026-05-25)`.
fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_rustc_and_packages_state_them() {
        assert_eq!(
            major_minor("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some((1, 96))
        );
        assert_eq!(major_minor("1.85.0+dfsg3-1~deb12u3"), Some((1, 85)));
        assert_eq!(major_minor("1.95"), Some((1, 95)));
        assert_eq!(major_minor("unknown"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_new_enough(RUST_VERSION));
        assert!(is_new_enough("1.100.0"));
        assert!(!is_new_enough("1.85.0"));
        assert!(!is_new_enough("unknown"));
    }
}
