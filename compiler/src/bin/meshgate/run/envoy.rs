//! A running Envoy.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// File with the bootstrap, in the folder that an Envoy is started with.
pub(super) const BOOTSTRAP: &str = "envoy.json";

/// File into which Envoy writes the address of its admin interface.
const ADMIN_ADDRESS: &str = "admin-address";

/// Time that Envoy gets to stop by itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Finds an Envoy: as asked for, `$ENVOY`, on PATH, or the newest in `target/envoy`.
pub(super) fn find(asked: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = named(asked)? {
        return Ok(path);
    }
    let on_path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&on_path)
        .map(|folder| folder.join("envoy"))
        .chain(fetched())
        .find(|path| path.is_file())
        .ok_or_else(|| "there is no Envoy: get one with `cargo xtask envoy`, or name one with `--envoy FILE` or $ENVOY".to_owned())
}

/// The Envoy that somebody names: as asked for, or `$ENVOY`.
pub(crate) fn named(asked: Option<&Path>) -> Result<Option<PathBuf>, String> {
    if let Some(path) = asked {
        return existing(path.to_owned(), "--envoy").map(Some);
    }
    let variable = env::var_os("ENVOY").filter(|path| !path.is_empty());
    variable
        .map(|path| existing(path.into(), "$ENVOY"))
        .transpose()
}

fn existing(path: PathBuf, origin: &str) -> Result<PathBuf, String> {
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!(
            "{origin} is `{}`, which is not a file",
            path.display()
        ))
    }
}

/// Envoys that were fetched, newest version first.
fn fetched() -> Vec<PathBuf> {
    let mut versions: Vec<(Vec<u32>, PathBuf)> = fs::read_dir("target/envoy")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version: Result<Vec<u32>, _> = entry
                .file_name()
                .to_string_lossy()
                .split('.')
                .map(str::parse)
                .collect();
            Some((version.ok()?, entry.path().join("envoy")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, path)| path).collect()
}

/// An Envoy process. It is stopped when this is dropped.
pub(super) struct Envoy {
    process: Child,
    admin_file: PathBuf,
    /// Address of the admin interface, once it is known.
    admin: Option<String>,
}

impl Envoy {
    /// Starts an Envoy on the bootstrap in a folder.
    pub(super) fn start(binary: &Path, folder: &Path) -> Result<Self, String> {
        let admin_file = folder.join(ADMIN_ADDRESS);
        let process = Command::new(binary)
            .arg("--config-path")
            .arg(folder.join(BOOTSTRAP))
            .arg("--admin-address-path")
            .arg(&admin_file)
            .args(["--disable-hot-restart", "--log-level", "error"])
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start `{}`: {error}", binary.display()))?;
        Ok(Self {
            process,
            admin_file,
            admin: None,
        })
    }

    /// How it ended, if it did.
    pub(super) fn exited(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Whether it serves.
    pub(super) fn is_ready(&mut self) -> bool {
        if self.admin.is_none() {
            let address = fs::read_to_string(&self.admin_file).unwrap_or_default();
            self.admin = (!address.is_empty()).then_some(address);
        }
        self.ask("GET /ready")
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Address of the admin interface, once it serves.
    pub(super) fn admin(&self) -> Option<&str> {
        self.admin.as_deref()
    }

    /// Stops it, politely first.
    pub(super) fn stop(&mut self) {
        let _ = self.ask("POST /quitquitquit");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It may have ended by now, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The answer of the admin interface.
    fn ask(&self, request: &str) -> Option<String> {
        let address = self.admin.as_deref()?.parse().ok()?;
        let timeout = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&address, timeout).ok()?;
        stream.set_read_timeout(Some(timeout)).ok()?;
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: meshgate\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if self.exited().is_none() {
            self.stop();
        }
    }
}
