//! Starting Envoy, waiting until it serves, and stopping it.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::{self, Response};

/// How long Envoy may take to serve. Compiling the filter takes part of a second, on a busy machine several.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How often Envoy writes out its access log. Its own default, ten seconds, is no use in a test.
const FLUSH_MILLISECONDS: &str = "2";

/// How to start Envoy.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The program.
    pub binary: &'a Path,
    /// The bootstrap configuration as JSON. Its admin address is ignored.
    pub bootstrap: &'a str,
    /// Number of worker threads.
    pub workers: u32,
}

/// A running Envoy. It is stopped when dropped.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    admin: SocketAddr,
    directory: TempDir,
}

impl Envoy {
    /// Starts Envoy and waits until it serves.
    ///
    /// # Errors
    /// When the program does not start, does not accept the configuration, or is not ready in time; the message holds the
    /// end of its log.
    pub fn start(settings: &Settings<'_>) -> Result<Envoy, String> {
        let directory =
            TempDir::new().map_err(|error| format!("no temporary directory: {error}"))?;
        let spawned = spawn(settings, directory.path());
        let child = spawned
            .map_err(|error| format!("cannot start `{}`: {error}", settings.binary.display()))?;
        let mut envoy = Envoy {
            child,
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            directory,
        };
        envoy
            .wait_until_ready()
            .map_err(|reason| format!("{reason}\n{}", envoy.end_of_log()))?;
        Ok(envoy)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("Envoy ended while it was starting: {status}"));
            }
            if let Some(admin) = self.read_admin_address() {
                self.admin = admin;
                if self
                    .admin("GET", "/ready")
                    .is_ok_and(|response| response.status == 200)
                {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                return Err("Envoy is not ready after a minute".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn read_admin_address(&self) -> Option<SocketAddr> {
        let text = fs::read_to_string(self.directory.path().join("admin")).ok()?;
        text.trim().parse().ok()
    }

    /// Asks the admin interface.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub fn admin(&self, method: &str, path: &str) -> io::Result<Response> {
        let headers: [(&str, &[u8]); 2] = [("host", b"admin"), ("connection", b"close")];
        let request = client::request_head(method, path.as_bytes(), headers);
        client::send(self.admin, &request)
    }

    /// Where the first listener listens; `None` while there is none.
    pub fn listener(&self) -> Option<SocketAddr> {
        let list = String::from_utf8(self.admin("GET", "/listeners").ok()?.body).ok()?;
        let (_, address) = list.lines().next()?.split_once("::")?;
        address.parse().ok()
    }

    /// Value of a counter or gauge; `None` while it does not exist.
    pub fn stat(&self, name: &str) -> Option<u64> {
        let path = format!("/stats?filter=^{}$", name.replace('.', "\\."));
        let response = self.admin("GET", &path).ok()?;
        let body = String::from_utf8(response.body).ok()?;
        body.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
    }

    /// Where Envoy's standard output goes.
    pub fn output_path(&self) -> PathBuf {
        self.directory.path().join("output")
    }

    /// What Envoy has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The first line of the log that tells of an error, if there is one.
    pub fn first_error(&self) -> Option<String> {
        let log = self.log();
        let is_bad = |line: &&str| line.contains("[error]") || line.contains("[critical]");
        log.lines().find(is_bad).map(str::to_owned)
    }

    /// Resident memory in kilobytes; `None` if the process is gone.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(20)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(settings: &Settings<'_>, directory: &Path) -> io::Result<Child> {
    let bootstrap = directory.join("bootstrap.json");
    fs::write(&bootstrap, settings.bootstrap)?;
    Command::new(settings.binary)
        .arg("--config-path")
        .arg(&bootstrap)
        // An admin port of its own for every process, whatever the bootstrap says.
        .args([
            "--config-yaml",
            "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}",
        ])
        .arg("--admin-address-path")
        .arg(directory.join("admin"))
        .arg("--log-path")
        .arg(directory.join("log"))
        .args([
            "--log-level",
            "warning",
            "--component-log-level",
            "wasm:info",
        ])
        .args(["--concurrency", &settings.workers.to_string()])
        .args(["--file-flush-interval-msec", FLUSH_MILLISECONDS])
        .arg("--disable-hot-restart")
        .stdin(Stdio::null())
        .stdout(File::create(directory.join("output"))?)
        .stderr(File::create(directory.join("errors"))?)
        .spawn()
}

/// The first of `count` ports of loopback that follow one another and are free now. Another process could take one before
/// it is used; the search starts where few programs look, and at another place in every process. No port is given out
/// twice: two Envoys would share it without a complaint.
///
/// # Errors
/// When there are not that many.
pub fn free_ports(count: usize) -> io::Result<u16> {
    const RANGE: std::ops::Range<u16> = 10_000..30_000;
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let start = next.unwrap_or(RANGE.start + (std::process::id() * 211 % 15_000) as u16);
    let mut found = Vec::with_capacity(count);
    for port in start..RANGE.end {
        if !is_free(port) {
            found.clear();
            continue;
        }
        found.push(port);
        match found.as_slice() {
            [first, ..] if found.len() == count => {
                *next = Some(port + 1);
                return Ok(*first);
            }
            _ => {}
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        "no free ports in a row",
    ))
}
