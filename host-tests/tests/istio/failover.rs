//! A service of two clusters: each cluster has a control plane, a gateway, and the objects of its own folder. Connections
//! to the other cluster go straight to its service; without certificates, no gateway between the clusters can take them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use meshgate_compiler::manifest::istio::Attach;
use meshgate_host_tests::cases::read_examples;
use meshgate_host_tests::envoy::client::{Connection, request_head};
use meshgate_host_tests::istio::{Mesh, Tools};
use meshgate_host_tests::upstream::Reply;

use crate::Test;

const EXAMPLE: &str = "examples/architectures/several-clusters-several-gateways";

/// The service in its own cluster.
const CATALOG: &str = "outbound|8080||catalog.shop.svc.cluster.local";

/// `consecutiveErrors` of the example.
const ERRORS: u64 = 2;

pub(crate) fn tests() -> Vec<Test> {
    let test = |name: &str, retries: bool| -> Test {
        let name = format!("failover/{name}");
        (
            name,
            Box::new(move |tools| the_other_cluster_takes_over(tools, retries)),
        )
    };
    vec![test("without_retries", false), test("with_one_retry", true)]
}

/// The service ended while it had the request. That is no reason for a retry: it may have been worked on.
const INTERRUPTED: &str = "interrupted";

/// What comes back from a gateway: the cluster whose service answered, [`INTERRUPTED`], or that there is no answer.
fn ask(connection: &mut Connection) -> Result<Option<String>, String> {
    let host: [(&str, &[u8]); 1] = [("host", b"shop.example.com")];
    let response = connection.send(&request_head("GET", b"/shoes", host));
    let response = response.map_err(|error| format!("no answer: {error}"))?;
    match (response.status, response.text("x-cluster")) {
        (200, Some(cluster)) => Ok(Some(cluster.to_owned())),
        (503, None)
            if String::from_utf8_lossy(&response.body).contains("connection termination") =>
        {
            Ok(Some(INTERRUPTED.to_owned()))
        }
        (503, None) => Ok(None),
        (status, cluster) => Err(format!("{status} from {cluster:?}")),
    }
}

fn open(address: SocketAddr) -> Result<Connection, String> {
    Connection::open(address).map_err(|error| format!("no connection: {error}"))
}

/// Sends 100 requests, all of which this cluster has to answer.
fn all_from(address: SocketAddr, wanted: &str) -> Result<(), String> {
    let mut connection = open(address)?;
    for n in 0..100 {
        let cluster = ask(&mut connection)?;
        if cluster.as_deref() != Some(wanted) {
            return Err(format!("request {n} for {wanted} got {cluster:?}"));
        }
    }
    Ok(())
}

/// A cluster; the second one is what its own federated hosts lead to.
fn cluster(tools: &Tools, name: &str, retries: bool) -> Result<Mesh, String> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut groups = read_examples(&examples)?;
    let at = groups
        .iter()
        .position(|group| group.name == format!("{EXAMPLE}/{name}"))
        .ok_or("there is no such example")?;
    let mut group = groups.swap_remove(at);
    if retries {
        let route = "  - name: catalog\n";
        let more = format!("{route}    options: {{retries: {{attempts: 1}}}}\n");
        if !group.text.contains(route) {
            return Err("the example has no such route".to_owned());
        }
        group.text = group.text.replace(route, &more);
    }
    let mesh = Mesh::start(tools, &group, Attach::Exclusive)?;
    mesh.upstreams.set_every_reply(&Reply {
        headers: vec![("x-cluster".to_owned(), name.to_owned())],
        ..Reply::default()
    });
    Ok(mesh)
}

fn the_other_cluster_takes_over(tools: &Tools, retries: bool) -> Result<(), String> {
    let mut east = cluster(tools, "east", retries)?;
    let mut west = cluster(tools, "west", retries)?;
    let catalog = |mesh: &Mesh| mesh.upstreams.address(CATALOG).ok_or("no catalog");
    let (in_east, in_west) = (catalog(&east)?, catalog(&west)?);
    east.lead("outbound|8080||catalog.shop.svc.west.global", in_west);
    west.lead("outbound|8080||catalog.shop.svc.east.global", in_east);
    east.deploy()?;
    west.deploy()?;
    let entrance = |mesh: &Mesh| mesh.entrance(0).ok_or("nobody serves the gateway");
    let ((_, to_east), (_, to_west)) = (entrance(&east)?, entrance(&west)?);
    all_from(to_east, "east")?;
    all_from(to_west, "west")?;

    let (interrupted, failed) = requests_during_failover(to_east, &mut east)?;
    println!("retries {retries}: of 1,000 requests, {interrupted} interrupted, {failed} failed");
    let is_good = match retries {
        true => failed == 0,
        false => (ERRORS..=MOST_ERRORS).contains(&(interrupted + failed)),
    };
    if !is_good || interrupted > CLIENTS {
        return Err(format!("{interrupted} interrupted, {failed} failed"));
    }
    all_from(to_east, "west")?;
    all_from(to_west, "west")?;

    east.upstreams
        .start_again(CATALOG, in_east)
        .map_err(|error| format!("the service does not start again: {error}"))?;
    east.upstreams.set_every_reply(&Reply {
        headers: vec![("x-cluster".to_owned(), "east".to_owned())],
        ..Reply::default()
    });
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut connection = open(to_east)?;
    loop {
        match ask(&mut connection)?.as_deref() {
            Some("east") => break,
            Some("west") if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            other => return Err(format!("{other:?} while east comes back")),
        }
    }
    // Each worker of the gateway learns of it on its own.
    thread::sleep(Duration::from_millis(500));
    all_from(to_east, "east")
}

/// How many send requests at the same time.
const CLIENTS: u64 = 4;

/// What [`ERRORS`] allow, and what is under way until all workers know that the service is left alone.
const MOST_ERRORS: u64 = 50;

/// Sends 1,000 requests, ends the gateway's own service when 100 are answered, and counts what is interrupted and what fails.
fn requests_during_failover(address: SocketAddr, mesh: &mut Mesh) -> Result<(u64, u64), String> {
    const REQUESTS: u64 = 1000;
    let interrupted = AtomicU64::new(0);
    let answered = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    let client = || {
        let mut connection = open(address)?;
        for _ in 0..REQUESTS / CLIENTS {
            match ask(&mut connection)?.as_deref() {
                Some(INTERRUPTED) => interrupted.fetch_add(1, Ordering::Relaxed),
                None => failed.fetch_add(1, Ordering::Relaxed),
                Some(_) => 0,
            };
            answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<_, String>(())
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        while answered.load(Ordering::Relaxed) < REQUESTS / 10
            && !clients.iter().any(|client| client.is_finished())
        {
            thread::sleep(Duration::from_millis(1));
        }
        mesh.upstreams.stop(CATALOG);
        for client in clients {
            client
                .join()
                .map_err(|_| "a client panicked".to_owned())??;
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok((count(&interrupted), count(&failed)))
    })
}
