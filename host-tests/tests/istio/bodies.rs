//! A service that is asked with the bodies of requests: the filter is an EnvoyFilter then, not a WasmPlugin.

use meshgate_compiler::manifest::istio::{Attach, Wave};
use meshgate_host_tests::cases::Group;
use meshgate_host_tests::envoy::client::{self, Response, request_head};
use meshgate_host_tests::istio::{Mesh, Tools};
use meshgate_host_tests::upstream::Echo;
use serde_json::Value;

use crate::Test;
use crate::shop::{entrance, is_served, of_kind, shop, within_a_minute};

pub(crate) fn tests() -> Vec<Test> {
    type Run = fn(&Tools) -> Result<(), String>;
    let tests: [(&str, Run); 2] = [
        ("bodies/updates_leave_the_listener_alone", updates),
        (
            "bodies/the_filter_takes_the_place_of_the_plugin",
            replacement,
        ),
    ];
    let tests = tests.into_iter();
    tests
        .map(|(name, test)| -> Test { (name.to_owned(), Box::new(test)) })
        .collect()
}

/// The service that is asked, by HTTP.
const AUTHORIZER: &str = "outbound|80||authorizer.shop.svc.cluster.local";

/// The shop, whose gateway asks with bodies.
fn asking(program: u64) -> String {
    let plain = shop(program, "stock");
    let asking = plain.replace(
        "http: {routeConfig:",
        "http: {routeOptions: {extauth: {extauthzRef: {name: authorizer, namespace: shop}, httpService: {}, requestBody: {maxRequestBytes: 1000}}}, routeConfig:",
    );
    let asking = asking.replace(
        "trafficPolicy: {headerManipulation:",
        "trafficPolicy: {extauth: {customAuth: {}}, headerManipulation:",
    );
    asking
        + "---
apiVersion: v1
kind: Service
metadata: {name: authorizer, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
"
}

/// Sends a body.
fn post(mesh: &mut Mesh, length: usize) -> Result<Response, String> {
    let text = length.to_string();
    let headers: [(&str, &[u8]); 3] = [
        ("host", b"shop.example"),
        ("connection", b"close"),
        ("content-length", text.as_bytes()),
    ];
    let mut request = request_head("POST", b"/orders", headers);
    request.resize(request.len() + length, b'x');
    let response = client::send(entrance(mesh)?, &request);
    let response = response.map_err(|error| format!("no answer: {error}"))?;
    let proxy = mesh.proxies.first_mut().ok_or("there is no proxy")?;
    proxy.log.next_entry().map_err(|error| error.to_string())?;
    Ok(response)
}

/// The length of the body that the service was asked with last.
fn asked_with(mesh: &Mesh) -> Option<usize> {
    let last = mesh.upstreams.last_request(AUTHORIZER);
    last.map(|request| request.body_length)
}

/// A request with a body is served by a program, and its body reaches the service and the destination.
fn body_arrives(mesh: &mut Mesh, program: u64, length: usize) -> Result<(), String> {
    let response = post(mesh, length)?;
    let seen = format!(
        "{} {}",
        response.status,
        String::from_utf8_lossy(&response.body)
    );
    if !is_served(&response, program) {
        return Err(seen);
    }
    let echo: Echo = serde_json::from_slice(&response.body).map_err(|error| error.to_string())?;
    match (echo.body_length, asked_with(mesh)) {
        (destination, Some(service)) if destination == length && service == length => Ok(()),
        other => Err(format!("{other:?} of {length}: {seen}")),
    }
}

/// How often the listeners of the gateway were added or replaced.
fn listener_changes(mesh: &Mesh) -> Result<Vec<String>, String> {
    let proxy = mesh.proxies.first().ok_or("there is no proxy")?;
    let stats = proxy.envoy.admin("GET", "/stats");
    let stats = stats.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&stats.body).into_owned();
    let changes = text.lines().filter(|line| {
        ["added", "modified", "in_place_updated", "removed"]
            .iter()
            .any(|what| line.starts_with(&format!("listener_manager.listener_{what}:")))
    });
    Ok(changes.map(str::to_owned).collect())
}

fn updates(tools: &Tools) -> Result<(), String> {
    let mut mesh = Mesh::start(tools, &Group::new("bodies", asking(1)), Attach::Exclusive)?;
    let mut program = mesh
        .manifests
        .iter()
        .filter(|one| one.wave == Wave::Program);
    if program.any(|one| one.kind != "EnvoyFilter") {
        return Err("there is a plugin as well".to_owned());
    }
    mesh.deploy()?;
    body_arrives(&mut mesh, 1, 300)?;
    if post(&mut mesh, 1001)?.status != 413 {
        return Err("a body that is too long passed".to_owned());
    }
    let before = listener_changes(&mesh)?;

    // A broken program is refused, and the running one stays.
    let filters = mesh.manifests.iter();
    let mut broken = filters
        .filter(|one| one.wave == Wave::Program)
        .map(|one| one.object.clone())
        .next()
        .ok_or("there is no filter")?;
    let patches = broken["spec"]["configPatches"].as_array_mut();
    let extension = patches
        .and_then(|patches| patches.last_mut())
        .ok_or("there are no patches")?;
    let text = &mut extension["patch"]["value"]["typed_config"]["config"]["configuration"]["value"];
    *text = Value::from("{\"program\": {\"encoding\": \"base64\", \"data\": \"AAAA\"}}");
    mesh.istiod.apply(&broken)?;
    let proxy = mesh.proxies.first().ok_or("there is no proxy")?;
    within_a_minute("the broken program is refused", || {
        let report = proxy.verify(None)?;
        Ok(report.is_wrong())
    })?;
    body_arrives(&mut mesh, 1, 300)?;

    mesh.change(&asking(2))?;
    mesh.apply(Wave::Destinations)?;
    mesh.wait_for_clusters()?;
    mesh.apply(Wave::Program)?;
    mesh.wait_for_programs()?;
    body_arrives(&mut mesh, 2, 400)?;
    let after = listener_changes(&mesh)?;
    match before == after {
        true => Ok(()),
        false => Err(format!("the listener was touched: {before:?}, {after:?}")),
    }
}

/// From a configuration without bodies to one with them, in the usual order.
fn replacement(tools: &Tools) -> Result<(), String> {
    let without = asking(1).replace(", requestBody: {maxRequestBytes: 1000}", "");
    let mut mesh = Mesh::start(tools, &Group::new("bodies", without), Attach::Exclusive)?;
    mesh.deploy()?;
    let plugin = of_kind(&mesh, "WasmPlugin")?;
    if post(&mut mesh, 300)?.status != 200 || asked_with(&mesh) != Some(0) {
        return Err(format!(
            "without bodies it is asked with {:?}",
            asked_with(&mesh)
        ));
    }
    mesh.change(&asking(1))?;
    mesh.apply(Wave::Program)?;
    // Until the listener is another one, the plugin serves; never both, and never none.
    let mut asked = mesh.upstreams.requests(AUTHORIZER);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let response = post(&mut mesh, 300)?;
        let questions = mesh.upstreams.requests(AUTHORIZER) - asked;
        asked += questions;
        if !is_served(&response, 1) || questions != 1 {
            return Err(format!("{} after {questions} questions", response.status));
        }
        if asked_with(&mesh) == Some(300) {
            break;
        }
        if std::time::Instant::now() > deadline {
            return Err("no body arrives".to_owned());
        }
    }
    mesh.wait_for_programs()?;
    mesh.istiod.delete(&plugin)?;
    within_a_minute("all is in sync", || Ok(mesh.istiod.unsynced()?.is_none()))?;
    body_arrives(&mut mesh, 1, 500)?;

    // And back: the plugin serves when the filter is gone.
    let filters: Vec<Value> = mesh
        .manifests
        .iter()
        .filter(|one| one.wave == Wave::Program)
        .map(|one| one.object.clone())
        .collect();
    mesh.istiod.apply(&plugin)?;
    body_arrives(&mut mesh, 1, 500)?;
    for filter in &filters {
        mesh.istiod.delete(filter)?;
    }
    within_a_minute("the plugin serves again", || {
        let response = post(&mut mesh, 300)?;
        match is_served(&response, 1) {
            true => Ok(asked_with(&mesh) == Some(0)),
            false => Err(format!("{} on the way back", response.status)),
        }
    })
}
