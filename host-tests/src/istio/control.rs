//! The control plane as a child process, and what it is told.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::envoy::client;

/// How long it may take to serve. It takes about a second, on a busy machine several.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running control plane. It is stopped when dropped.
#[derive(Debug)]
pub struct Istiod {
    child: Child,
    directory: TempDir,
    discovery: SocketAddr,
    control: SocketAddr,
}

impl Istiod {
    /// Starts the program and waits until it serves. The objects are what Kubernetes would have.
    ///
    /// # Errors
    /// When it does not start, does not take the objects, or is not ready in time; the message holds the end of its log.
    pub fn start(binary: &Path, kubernetes: &[Value]) -> Result<Istiod, String> {
        let directory =
            TempDir::new().map_err(|error| format!("no temporary directory: {error}"))?;
        let child = spawn(binary, directory.path(), kubernetes)
            .map_err(|error| format!("cannot start `{}`: {error}", binary.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut istiod = Istiod {
            child,
            directory,
            discovery: nowhere,
            control: nowhere,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some([discovery, control]) = istiod.read_addresses() {
                istiod.discovery = discovery;
                istiod.control = control;
                return Ok(istiod);
            }
            let reason = match istiod.child.try_wait() {
                Ok(Some(status)) => format!("istiod ended while it was starting: {status}"),
                _ if Instant::now() > deadline => "istiod is not ready after a minute".to_owned(),
                _ => {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
            };
            return Err(format!("{reason}\n{}", istiod.end_of_log()));
        }
    }

    fn read_addresses(&self) -> Option<[SocketAddr; 2]> {
        let text = fs::read_to_string(self.directory.path().join("addresses")).ok()?;
        let mut lines = text.lines().map(|line| line.parse().ok());
        Some([lines.next()??, lines.next()??])
    }

    /// Where proxies get their configuration.
    pub fn discovery(&self) -> SocketAddr {
        self.discovery
    }

    /// Creates or replaces an object, as `kubectl apply` does.
    ///
    /// # Errors
    /// What Istio has against it.
    pub fn apply(&self, object: &Value) -> Result<(), String> {
        self.ask("PUT", "/objects", object.to_string().as_bytes())
            .map(|_| ())
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn delete(&self, object: &Value) -> Result<(), String> {
        self.ask("DELETE", "/objects", object.to_string().as_bytes())
            .map(|_| ())
    }

    /// Why not all proxies have what they were sent, as `istioctl proxy-status` would show it; absent if they have.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn unsynced(&self) -> Result<Option<String>, String> {
        let body = self.ask("GET", "/debug/syncz", b"")?;
        let proxies: Vec<Value> =
            serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        for proxy in &proxies {
            for (kind, resource) in proxy["resources"].as_object().into_iter().flatten() {
                let error = resource["lastError"].as_str().unwrap_or_default();
                if resource["sent"] != resource["acked"] || !error.is_empty() {
                    return Ok(Some(format!("{}: {kind}: {resource}", proxy["proxy"])));
                }
            }
        }
        Ok(proxies
            .is_empty()
            .then(|| "no proxy is connected".to_owned()))
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, String> {
        let length = body.len().to_string();
        let headers: [(&str, &[u8]); 3] = [
            ("host", b"localhost"),
            ("connection", b"close"),
            ("content-length", length.as_bytes()),
        ];
        let mut request = client::request_head(method, path.as_bytes(), headers);
        request.extend_from_slice(body);
        let response = client::send(self.control, &request)
            .map_err(|error| format!("istiod does not answer: {error}\n{}", self.end_of_log()))?;
        if response.status == 200 {
            return Ok(response.body);
        }
        Err(String::from_utf8_lossy(&response.body).into_owned())
    }

    fn end_of_log(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(20)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Istiod {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(binary: &Path, directory: &Path, kubernetes: &[Value]) -> std::io::Result<Child> {
    let documents: Vec<String> = kubernetes.iter().map(Value::to_string).collect();
    fs::write(directory.join("kubernetes"), documents.join("\n---\n"))?;
    fs::write(directory.join("mesh"), mesh_config().to_string())?;
    let log = File::create(directory.join("log"))?;
    Command::new(binary)
        .arg("-kubernetes")
        .arg(directory.join("kubernetes"))
        .arg("-mesh")
        .arg(directory.join("mesh"))
        .arg("-addresses")
        .arg(directory.join("addresses"))
        // Filters that only Istio's own build of Envoy has.
        .env("PILOT_ENABLE_ALPN_FILTER", "false")
        .env("PILOT_ENABLE_METADATA_EXCHANGE", "false")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// An access log that tells what tests want to know; no TLS between pods, which would need certificates; no tracing,
/// which would need a service.
fn mesh_config() -> Value {
    let access_log = json!({
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        // Its name, not the one that Istio gives its statistics.
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
        "path": "%REQ(:PATH)%",
        "route": "%FILTER_STATE(wasm.meshgate_route:PLAIN)%",
        "generation": "%FILTER_STATE(wasm.meshgate_generation:PLAIN)%",
    });
    json!({
        "accessLogFile": "/dev/stdout",
        "accessLogEncoding": "JSON",
        "accessLogFormat": access_log.to_string(),
        "enableAutoMtls": false,
        "enableTracing": false,
    })
}
