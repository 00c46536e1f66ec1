//! The control plane as a child process, and what it is told.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::authority::Certificate;
use crate::envoy::client;
use crate::yaml;

/// How long it may take to serve. It takes about a second, on a busy machine several.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running control plane. It is stopped when dropped.
#[derive(Debug)]
pub struct Istiod {
    child: Child,
    directory: TempDir,
    secrets: SocketAddr,
    discovery: SocketAddr,
    control: SocketAddr,
}

/// Mutual TLS in a mesh: all pods have certificates and take no connections without.
#[derive(Clone, Debug)]
pub(super) struct MutualTls<'a> {
    /// The root's certificate as PEM.
    pub(super) root: &'a str,
    /// First part of the names of the mesh's workloads.
    pub(super) trust_domain: &'a str,
    /// Those of meshes whose workloads may connect as well.
    pub(super) others: Vec<String>,
}

impl Istiod {
    /// Starts the program and waits until it serves. The objects are what Kubernetes would have. Without mutual TLS, all
    /// connections are plain.
    ///
    /// # Errors
    /// When it does not start, does not take the objects, or is not ready in time; the message holds the end of its log.
    pub(super) fn start(
        binary: &Path,
        kubernetes: &[Value],
        tls: Option<&MutualTls<'_>>,
    ) -> Result<Istiod, String> {
        let directory =
            TempDir::new().map_err(|error| format!("no temporary directory: {error}"))?;
        let child = spawn(binary, directory.path(), kubernetes, tls)
            .map_err(|error| format!("cannot start `{}`: {error}", binary.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut istiod = Istiod {
            child,
            directory,
            secrets: nowhere,
            discovery: nowhere,
            control: nowhere,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some([secrets, discovery, control]) = istiod.read_addresses() {
                istiod.secrets = secrets;
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

    fn read_addresses(&self) -> Option<[SocketAddr; 3]> {
        let text = fs::read_to_string(self.directory.path().join("addresses")).ok()?;
        let mut lines = text.lines().map(|line| line.parse().ok());
        Some([lines.next()??, lines.next()??, lines.next()??])
    }

    /// Gives a pod its certificate. A proxy that has one already keeps it.
    pub(super) fn set_certificate(
        &self,
        (namespace, pod): (&str, &str),
        certificate: &Certificate,
    ) -> std::io::Result<()> {
        let path = |ending| {
            let name = format!("{pod}.{namespace}.{ending}");
            self.directory.path().join(CERTIFICATES).join(name)
        };
        fs::write(path("pem"), &certificate.chain)?;
        fs::write(path("key"), &certificate.key)
    }

    /// Has the systems of all proxies trust an authority, by its certificate as PEM, and no other. A proxy that has asked
    /// already does not see it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn set_system_authority(&self, root: &str) -> std::io::Result<()> {
        let certificates = self.directory.path().join(CERTIFICATES);
        fs::write(certificates.join("system.pem"), root)
    }

    /// Where proxies get their certificates.
    pub(super) fn secrets(&self) -> SocketAddr {
        self.secrets
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

/// Directory of the certificates.
const CERTIFICATES: &str = "certificates";

fn spawn(
    binary: &Path,
    directory: &Path,
    kubernetes: &[Value],
    tls: Option<&MutualTls<'_>>,
) -> std::io::Result<Child> {
    let documents: Vec<String> = kubernetes.iter().map(Value::to_string).collect();
    fs::write(directory.join("kubernetes"), documents.join("\n---\n"))?;
    let settings = mesh_config(kubernetes, tls).map_err(std::io::Error::other)?;
    fs::write(directory.join("mesh"), settings.to_string())?;
    let certificates = directory.join(CERTIFICATES);
    fs::create_dir(&certificates)?;
    if let Some(tls) = tls {
        fs::write(certificates.join("root.pem"), tls.root)?;
    }
    let log = File::create(directory.join("log"))?;
    Command::new(binary)
        .arg("-kubernetes")
        .arg(directory.join("kubernetes"))
        .arg("-mesh")
        .arg(directory.join("mesh"))
        .arg("-certificates")
        .arg(certificates)
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

/// An access log that tells what tests want to know; no tracing, which would need a service; and what the ConfigMap of
/// Istio says, if there is one.
fn mesh_config(kubernetes: &[Value], tls: Option<&MutualTls<'_>>) -> Result<Value, String> {
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
    let mut config = json!({
        "accessLogFile": "/dev/stdout",
        "accessLogEncoding": "JSON",
        "accessLogFormat": access_log.to_string(),
        "enableAutoMtls": tls.is_some(),
        "enableTracing": false,
    });
    if let Some(tls) = tls {
        config["trustDomain"] = json!(tls.trust_domain);
        config["trustDomainAliases"] = json!(tls.others);
    }
    for object in kubernetes.iter().filter(|one| one["kind"] == "ConfigMap") {
        let text = object["data"]["mesh"].as_str().unwrap_or_default();
        if let Value::Object(settings) = yaml::parse(text)? {
            for (name, value) in settings {
                config[name] = value;
            }
        }
    }
    Ok(config)
}
