//! Installing packages on Debian and its relatives.

use std::path::Path;
use std::process::Command;

use crate::process;

/// Installs `packages`, as root or with a sudo that asks for no password.
///
/// Nothing is ever removed for it: if the packages conflict with installed ones, it fails. The error
/// says what to type instead.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    let list = packages.join(" ");
    let mut command = apt_get()?;
    process::step(&format!("installing {list} (apt-get)"));
    // --no-remove: a package may conflict with the developer's own toolchain.
    let args = [
        "install",
        "-qq",
        "-y",
        "--no-install-recommends",
        "--no-remove",
    ];
    process::run(command.args(args).args(packages))
        .map_err(|message| format!("{message}; install {list} by hand"))
}

/// Fetches the current package lists.
pub(crate) fn update() -> Result<(), String> {
    let mut command = apt_get()?;
    process::step("fetching the package lists (apt-get update)");
    process::run(command.args(["update", "-qq"]))
}

/// The version of `package` that [`install`] would install, or none when the lists do not have it.
pub(crate) fn candidate(package: &str) -> Option<String> {
    let mut apt_cache = Command::new("apt-cache");
    apt_cache.args(["policy", package]).env("LC_ALL", "C");
    let policy = process::output(&mut apt_cache).ok()?;
    let line = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate:"))?;
    Some(line.trim().to_owned()).filter(|version| version != "(none)")
}

fn apt_get() -> Result<Command, String> {
    let Some(apt_get) = process::find_on_path("apt-get") else {
        return Err("this machine has no apt-get".to_owned());
    };
    if process::output(Command::new("id").arg("-u"))? == "0" {
        let mut command = Command::new(apt_get);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return Ok(command);
    }
    process::output(Command::new("sudo").args(["-n", "true"]))
        .map_err(|_| "apt-get needs root, and sudo asks for a password".to_owned())?;
    Ok(sudo(&apt_get))
}

fn sudo(program: &Path) -> Command {
    let mut command = Command::new("sudo");
    command
        .args(["-n", "DEBIAN_FRONTEND=noninteractive"])
        .arg(program);
    command
}
