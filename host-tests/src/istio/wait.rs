//! Waiting until gateways have what they are to have.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use meshgate_compiler::compile::WorkloadProgram;
use meshgate_compiler::manifest::istio::Attach;
use meshgate_compiler::verify::{Known, State};

use super::proxy::Proxy;
use crate::envoy::client::{self, request_head};

/// How long a change may take to reach the gateways.
const TIMEOUT: Duration = Duration::from_secs(60);

const HOST: [(&str, &[u8]); 2] = [("host", b"nobody.example"), ("connection", b"close")];

/// Asks again and again until the answer is good, for a minute at most.
///
/// # Errors
/// An error in itself ends it at once; what is not good yet is told at the end.
pub fn wait_for(
    what: &str,
    mut look: impl FnMut() -> Result<Result<(), String>, String>,
) -> Result<(), String> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match look()? {
            Ok(()) => return Ok(()),
            Err(reason) if Instant::now() > deadline => {
                return Err(format!(
                    "not after {} seconds: {what}: {reason}",
                    TIMEOUT.as_secs()
                ));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Waits until a gateway has the clusters that its program can choose.
pub(super) fn for_clusters(program: &WorkloadProgram, proxy: &Proxy) -> Result<(), String> {
    let names: BTreeSet<&str> = program
        .tree
        .destinations()
        .map(|destination| destination.cluster.as_str())
        .collect();
    wait_for("the gateway has its clusters", || {
        let mut names = names.iter();
        let missing = names.find(|name| !proxy.has_clusters([**name]));
        Ok(missing.map_or(Ok(()), |name| Err(format!("there is no `{name}`"))))
    })
}

/// Waits until a port of a gateway that has no program yet answers 503, or redirects: for want of a cluster, or of a route
/// where every cluster has its own. 404 is what others answer.
pub(super) fn for_listener(proxy: &mut Proxy, port: u16, attach: Attach) -> Result<(), String> {
    let request = request_head("GET", b"/", HOST);
    wait_for("the listener answers", || {
        let response = match client::send(address(port), &request) {
            Ok(response) => response,
            Err(error) => return Ok(Err(format!("port {port}: {error}"))),
        };
        proxy.log.next_entry().map_err(|error| error.to_string())?;
        let body = String::from_utf8_lossy(&response.body);
        let has_placeholder = attach == Attach::Stable;
        Ok(match response.status {
            301 => Ok(()),
            404 if attach == Attach::Beside => Ok(()),
            503 if body.is_empty() != has_placeholder => Ok(()),
            status => Err(format!("port {port} answers {status} {body}")),
        })
    })
}

/// Waits until `meshgate verify` finds a gateway to serve its program.
pub(super) fn for_program(program: &WorkloadProgram, proxy: &Proxy) -> Result<(), String> {
    let known = Known::new(program.program.clone()).map_err(|error| error.to_string())?;
    wait_for("verify is content", || {
        // A busy machine may take too long to answer at all.
        let report = match proxy.verify(Some(&known)) {
            Ok(report) => report,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut findings = report.findings.iter();
        let wrong = findings.find(|finding| finding.state == State::Wrong);
        Ok(wrong.map_or(Ok(()), |finding| Err(finding.message.clone())))
    })
}

/// Where a gateway on this machine listens.
pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
