//! Changes to a running mesh, one at a time, as `docs/istio.md` describes them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use meshgate_compiler::manifest::istio::{Attach, Wave};
use meshgate_host_tests::envoy::client::{self, Connection, Response};
use meshgate_host_tests::istio::{Mesh, Tools};
use serde_json::json;

use crate::Test;
use crate::shop::{ask, ask_until, entrance, is_served, mesh, of_kind, program, request, shop};

pub(crate) fn tests() -> Vec<Test> {
    type Run = fn(&Tools) -> Result<(), String>;
    let tests: [(&str, Run); 5] = [
        ("updates/no_request_is_lost", no_request_is_lost),
        ("updates/a_broken_program_is_refused", broken_program),
        ("updates/the_first_program_is_broken", broken_first_program),
        ("updates/a_cluster_is_missing", missing_cluster),
        ("updates/objects_go_away", objects_go_away),
    ];
    tests
        .into_iter()
        .map(|(name, test)| -> Test { (name.to_owned(), Box::new(test)) })
        .collect()
}

fn deployed(tools: &Tools) -> Result<Mesh, String> {
    let mut mesh = mesh(tools, Attach::Exclusive)?;
    mesh.deploy()?;
    Ok(mesh)
}

/// Another program, wave by wave, while clients send requests without a pause. Every client is served by both programs.
fn no_request_is_lost(tools: &Tools) -> Result<(), String> {
    const CLIENTS: usize = 3;
    let mut mesh = deployed(tools)?;
    let address = entrance(&mesh)?;
    let stop = AtomicBool::new(false);
    let seen: Vec<AtomicU64> = (0..CLIENTS).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        let clients: Vec<_> = seen
            .iter()
            .map(|last| scope.spawn(|| send_requests(address, &stop, last)))
            .collect();
        let wait_for_program = |number| {
            let deadline = Instant::now() + Duration::from_secs(60);
            let is_there = |last: &AtomicU64| last.load(Ordering::Relaxed) == number;
            while !seen.iter().all(is_there) {
                // A client that has ended says why when it is joined.
                if Instant::now() > deadline || clients.iter().any(|one| one.is_finished()) {
                    return Err(format!("not every client was served by program {number}"));
                }
                thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        };
        let mut update = || {
            wait_for_program(1)?;
            mesh.change(&shop(2, "stock"))?;
            mesh.apply(Wave::Destinations)?;
            mesh.wait_for_clusters()?;
            mesh.apply(Wave::Listeners)?;
            mesh.apply(Wave::Program)?;
            mesh.wait_for_programs()?;
            wait_for_program(2)
        };
        let result = update();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client
                .join()
                .map_err(|_| "a client panicked".to_owned())??;
        }
        result
    })
}

fn send_requests(address: SocketAddr, stop: &AtomicBool, last: &AtomicU64) -> Result<(), String> {
    let lost = |error| format!("a request is lost: {error}");
    let mut connection = Connection::open(address).map_err(lost)?;
    while !stop.load(Ordering::Relaxed) {
        let response = connection.send(&request("/orders", &[])).map_err(lost)?;
        let number = program(&response)?;
        if last.swap(number, Ordering::Relaxed) > number {
            return Err("an old program answered after a new one".to_owned());
        }
        if response.text("connection") == Some("close") {
            connection = Connection::open(address).map_err(lost)?;
        }
    }
    Ok(())
}

/// The plugin with a program that is damaged.
fn broken(mesh: &Mesh) -> Result<serde_json::Value, String> {
    let mut object = of_kind(mesh, "WasmPlugin")?;
    object["spec"]["pluginConfig"]["program"]["data"] = json!("bm8gcHJvZ3JhbQ==");
    Ok(object)
}

/// What `istioctl proxy-status` would say of a refused update; waits for it.
fn wait_for_refusal(mesh: &Mesh) -> Result<String, String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match mesh.istiod.unsynced()? {
            Some(status) if status.contains("lastError") => return Ok(status),
            status if Instant::now() > deadline => {
                return Err(format!("nothing was refused: {status:?}"));
            }
            _ => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn broken_program(tools: &Tools) -> Result<(), String> {
    let mut mesh = deployed(tools)?;
    mesh.istiod.apply(&broken(&mesh)?)?;
    let refusal = wait_for_refusal(&mesh)?;
    if !refusal.contains("TypedExtensionConfig") {
        return Err(format!("something else was refused: {refusal}"));
    }
    ask_until(
        &mut mesh,
        "the old program",
        |response, _| is_served(response, 1),
        |_, _| false,
    )?;
    mesh.change(&shop(2, "stock"))?;
    mesh.apply(Wave::Program)?;
    let old = |response: &Response, _: &str| is_served(response, 1);
    ask_until(
        &mut mesh,
        "the next program",
        |response, _| is_served(response, 2),
        old,
    )
}

fn broken_first_program(tools: &Tools) -> Result<(), String> {
    let mut mesh = mesh(tools, Attach::Exclusive)?;
    mesh.apply(Wave::Destinations)?;
    mesh.wait_for_clusters()?;
    mesh.apply(Wave::Listeners)?;
    mesh.wait_for_listeners()?;
    mesh.istiod.apply(&broken(&mesh)?)?;
    wait_for_refusal(&mesh)?;
    // The listener with the plugin takes the place of the one without when it knows that there is none.
    let none = |response: &Response, _: &str| response.status == 503;
    let failed = |response: &Response, flags: &str| {
        response.status == 500 && response.body.is_empty() && flags.contains("NFCF")
    };
    ask_until(&mut mesh, "500", failed, none)?;
    mesh.apply(Wave::Program)?;
    ask_until(
        &mut mesh,
        "the program",
        |response, _| is_served(response, 1),
        failed,
    )?;
    mesh.wait_for_programs()
}

fn missing_cluster(tools: &Tools) -> Result<(), String> {
    let mut mesh = deployed(tools)?;
    mesh.change(&shop(1, "nobody"))?;
    mesh.apply(Wave::Destinations)?;
    mesh.apply(Wave::Listeners)?;
    mesh.apply(Wave::Program)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (response, flags) = ask(&mut mesh, "/other", &[])?;
        match response.status {
            503 if flags == "NC" => break,
            200 if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            status => return Err(format!("{status} `{flags}`")),
        }
    }
    ask_until(
        &mut mesh,
        "the other route",
        |response, _| is_served(response, 1),
        |_, _| false,
    )?;
    let report = mesh
        .proxies
        .first()
        .ok_or("there is no proxy")?
        .verify(None)?;
    let mut findings = report.findings.iter();
    let named = findings.any(|one| {
        one.message
            .contains("`outbound|80||nobody.shop.svc.cluster.local` does not exist")
    });
    match named && report.is_wrong() {
        true => Ok(()),
        false => Err(format!("verify does not see it: {report:#?}")),
    }
}

/// Without one of the objects requests fail, and go nowhere, not even where a client wants them to.
fn objects_go_away(tools: &Tools) -> Result<(), String> {
    let mut mesh = deployed(tools)?;
    let served = |response: &Response, _: &str| is_served(response, 1);
    let is_placeholder = |response: &Response, _: &str| {
        response.status == 503 && response.body == b"meshgate is not attached to this gateway\n"
    };
    let no_cluster = |response: &Response, flags: &str| response.status == 503 && flags == "NC";

    let of_kind = |mesh: &Mesh, kind: &str| {
        let mut manifests = mesh.manifests.iter();
        let found = manifests.find(|one| one.kind == kind);
        found
            .map(|one| one.object.clone())
            .ok_or_else(|| format!("there is no {kind}"))
    };
    let filter = of_kind(&mesh, "EnvoyFilter")?;
    mesh.istiod.delete(&filter)?;
    ask_until(&mut mesh, "the placeholder", is_placeholder, served)?;
    mesh.istiod.apply(&filter)?;
    ask_until(&mut mesh, "the program again", served, is_placeholder)?;

    let plugin = of_kind(&mesh, "WasmPlugin")?;
    mesh.istiod.delete(&plugin)?;
    ask_until(&mut mesh, "503 without plugin", no_cluster, served)?;
    let cluster: [(&str, &[u8]); 1] = [(
        "x-meshgate-cluster",
        b"outbound|80||stock.shop.svc.cluster.local",
    )];
    let (response, flags) = ask(&mut mesh, "/orders", &cluster)?;
    if !no_cluster(&response, &flags) {
        return Err(format!(
            "a client chose the cluster: {} `{flags}`",
            response.status
        ));
    }
    mesh.istiod.apply(&plugin)?;
    ask_until(&mut mesh, "the program again", served, no_cluster)?;

    // Removal, in the order of the documentation: listeners, program, destinations.
    let address = entrance(&mesh)?;
    for wave in [Wave::Listeners, Wave::Program, Wave::Destinations] {
        let objects = mesh.manifests.iter().filter(|one| one.wave == wave);
        for object in objects {
            mesh.istiod.delete(&object.object)?;
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while client::send(address, &request("/orders", &[])).is_ok() {
            if Instant::now() > deadline {
                return Err("the listener is still there".to_owned());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
    let kinds: BTreeSet<&str> = mesh.manifests.iter().map(|one| one.kind).collect();
    match kinds.len() {
        5 => Ok(()),
        _ => Err(format!("not all kinds of objects were there: {kinds:?}")),
    }
}
