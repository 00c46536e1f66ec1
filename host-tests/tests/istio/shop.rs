//! A shop behind one gateway, and questions to it.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use meshgate_compiler::manifest::istio::Attach;
use meshgate_host_tests::cases::Group;
use meshgate_host_tests::envoy::client::{self, Response, request_head};
use meshgate_host_tests::istio::{Mesh, Tools, wait_for};
use meshgate_host_tests::upstream::Echo;
use serde_json::Value;

/// The gateway, to which others may add fields.
pub(crate) const GATEWAY: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: www, namespace: shop}
spec:
  ingressGatewaySelectors:
  - portName: http2
    destinationSelectors: [{kubeServiceMatcher: {namespaces: [istio-ingress], labels: {istio: ingressgateway}}}]
  connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]
";

/// Routes to a version of a service, with the number of the program in the response; to all of its versions, so that their
/// clusters stay; and to another service.
pub(crate) fn shop(program: u64, other: &str) -> String {
    format!(
        "\
{GATEWAY}---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {{name: www, namespace: shop}}
spec:
  domains: [shop.example]
  options: {{trafficPolicy: {{headerManipulation: {{appendResponseHeaders: {{x-program: '{program}'}}}}}}}}
  routes:
  - name: other
    matchers: [{{uri: {{prefix: /other}}}}]
    routeAction: {{destinations: [{{kubeService: {{name: {other}, namespace: shop, port: 80}}}}]}}
  - name: all
    matchers: [{{uri: {{prefix: /all}}}}]
    routeAction:
      destinations:
      - kubeService: {{name: orders, namespace: shop, port: 80, subset: {{version: v1}}}}
      - kubeService: {{name: orders, namespace: shop, port: 80, subset: {{version: v2}}}}
  - name: orders
    routeAction: {{destinations: [{{kubeService: {{name: orders, namespace: shop, port: 80, subset: {{version: v{program}}}}}}}]}}
"
    )
}

/// A mesh that has everything and serves nothing yet.
pub(crate) fn mesh(tools: &Tools, attach: Attach) -> Result<Mesh, String> {
    Mesh::start(tools, &Group::new("shop", shop(1, "stock")), attach)
}

pub(crate) fn entrance(mesh: &Mesh) -> Result<SocketAddr, String> {
    let (_, address) = mesh.entrance(0).ok_or("nobody serves the gateway")?;
    Ok(address)
}

pub(crate) fn request(path: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let own: [(&str, &[u8]); 1] = [("host", b"shop.example")];
    request_head("GET", path.as_bytes(), own.iter().chain(more).copied())
}

/// An answer, with the response flags that the access log has for it.
pub(crate) fn ask(
    mesh: &mut Mesh,
    path: &str,
    more: &[(&str, &[u8])],
) -> Result<(Response, String), String> {
    let more = [more, &[("connection", b"close")]].concat();
    let response = client::send(entrance(mesh)?, &request(path, &more));
    let response = response.map_err(|error| format!("no answer: {error}"))?;
    let proxy = mesh.proxies.first_mut().ok_or("there is no proxy")?;
    let entry = proxy.log.next_entry().map_err(|error| error.to_string())?;
    Ok((response, entry.flags.unwrap_or_default()))
}

/// Asks until the answer is as wanted, and calls every other one wrong that is not among those allowed until then.
pub(crate) fn ask_until(
    mesh: &mut Mesh,
    what: &str,
    wanted: impl Fn(&Response, &str) -> bool,
    allowed: impl Fn(&Response, &str) -> bool,
) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (response, flags) = ask(mesh, "/orders", &[])?;
        if wanted(&response, &flags) {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&response.body);
        let seen = format!("{what}: {} `{flags}` {body}", response.status);
        if !allowed(&response, &flags) {
            return Err(format!("wrong answer before {seen}"));
        }
        if Instant::now() > deadline {
            return Err(format!("not within a minute: {seen}"));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The program that a response is of, when it came from the version of the service that this program routes to.
pub(crate) fn program(response: &Response) -> Result<u64, String> {
    let body = String::from_utf8_lossy(&response.body);
    let wrong = |reason: &str| format!("{reason}: {} {body}", response.status);
    let number = response
        .text("x-program")
        .and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| wrong("no x-program"))?;
    let echo: Echo = serde_json::from_slice(&response.body).map_err(|_| wrong("no echo"))?;
    let subset = format!("|version-v{number}|");
    match response.status == 200 && echo.upstream.contains(&subset) {
        true => Ok(number),
        false => Err(wrong("the program leads elsewhere")),
    }
}

pub(crate) fn is_served(response: &Response, number: u64) -> bool {
    program(response) == Ok(number)
}

/// An object of a kind.
pub(crate) fn of_kind(mesh: &Mesh, kind: &str) -> Result<Value, String> {
    let mut manifests = mesh.manifests.iter();
    let found = manifests.find(|one| one.kind == kind);
    found
        .map(|one| one.object.clone())
        .ok_or_else(|| format!("there is no {kind}"))
}

/// Waits until it is so.
pub(crate) fn within_a_minute(
    what: &str,
    mut is_so: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    wait_for(what, || {
        let answer = is_so()?.then_some(());
        Ok(answer.ok_or_else(|| "it is not so".to_owned()))
    })
}
