//! A service of two clusters. Requests that the other cluster takes over go through its gateway for traffic between clusters.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use meshgate_host_tests::cases::read_examples;
use meshgate_host_tests::envoy::client::{Connection, request_head};
use meshgate_host_tests::istio::{Federation, Tools};

use crate::Test;

const EXAMPLE: &str = "examples/architectures/several-clusters-several-gateways";

/// The pod of the service, in each cluster.
const CATALOG: &str = "catalog-0";

/// The port of the service behind the pod's proxy.
const SERVICE: &str = "catalog-0:8080";

/// How many errors in a row it takes here until an instance is left alone; enough to see what happens before.
const ERRORS: u64 = 20;

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// The pod, with its proxy and all connections. Nobody tells the gateway.
    Pod,
    /// The service behind the pod's proxy, which answers 503 from then on.
    Service,
}

pub(crate) fn tests() -> Vec<Test> {
    let test = |(name, loss, retries): (&str, Loss, bool)| -> Test {
        let name = format!("failover/{name}");
        (
            name,
            Box::new(move |tools| the_other_cluster_takes_over(tools, loss, retries)),
        )
    };
    let tests = [
        ("pod_without_retries", Loss::Pod, false),
        ("pod_with_one_retry", Loss::Pod, true),
        ("service_without_retries", Loss::Service, false),
        ("service_with_one_retry", Loss::Service, true),
    ];
    tests.map(test).into()
}

/// Each worker of a gateway learns on its own which instances are left alone; by then all of them know.
const WORKERS: Duration = Duration::from_millis(500);

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

/// Both clusters.
fn clusters(tools: &Tools, retries: bool) -> Result<Federation, String> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let groups = read_examples(&examples)?;
    let name = format!("{EXAMPLE}/east");
    let group = groups.into_iter().find(|group| group.name == name);
    let group = group.ok_or("there is no such example")?;
    let mut text = group.text;
    let mut replace = |old: &str, new: &str| {
        if !text.contains(old) {
            return Err(format!("the example has no `{old}`"));
        }
        text = text.replace(old, new);
        Ok(())
    };
    let errors = format!("consecutiveErrors: {ERRORS}\n");
    replace("consecutiveErrors: 2\n", &errors)?;
    if retries {
        let route = "  - name: catalog\n";
        let more = format!("{route}    options: {{retries: {{attempts: 1}}}}\n");
        replace(route, &more)?;
    }
    let clusters = group.clusters.ok_or("the example has no clusters")?;
    Federation::start(tools, &text, &clusters.inventories)
}

fn the_other_cluster_takes_over(tools: &Tools, loss: Loss, retries: bool) -> Result<(), String> {
    let mut clusters = clusters(tools, retries)?;
    let to_east = clusters.cluster("east")?.entrance("ingress")?;
    let to_west = clusters.cluster("west")?.entrance("ingress")?;
    all_from(to_east, "east")?;
    all_from(to_west, "west")?;

    let (interrupted, failed) = requests_during_failover(to_east, &mut clusters, loss)?;
    println!(
        "{loss:?} ends, retries {retries}: of 1,000 requests, {interrupted} interrupted, {failed} failed"
    );
    let is_good = match retries {
        true => failed == 0,
        false => (ERRORS..=MOST_ERRORS).contains(&(interrupted + failed)),
    };
    if !is_good || interrupted > CLIENTS {
        return Err(format!("{interrupted} interrupted, {failed} failed"));
    }
    thread::sleep(WORKERS);
    all_from(to_east, "west")?;
    all_from(to_west, "west")?;

    let east = clusters.cluster("east")?;
    match loss {
        Loss::Pod => east.start_pod(CATALOG)?,
        Loss::Service => east.start_service(SERVICE)?,
    }
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut connection = open(to_east)?;
    loop {
        match ask(&mut connection)?.as_deref() {
            Some("east") => break,
            Some("west") if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            other => return Err(format!("{other:?} while east comes back")),
        }
    }
    thread::sleep(WORKERS);
    all_from(to_east, "east")
}

/// How many send requests at the same time.
const CLIENTS: u64 = 4;

/// What [`ERRORS`] allow, and what is under way until all workers know that the service is left alone.
const MOST_ERRORS: u64 = 60;

/// Sends 1,000 requests, ends the gateway's own service when 100 are answered, and counts what is interrupted and what fails.
fn requests_during_failover(
    address: SocketAddr,
    clusters: &mut Federation,
    loss: Loss,
) -> Result<(u64, u64), String> {
    let east = clusters.cluster("east")?;
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
        match loss {
            Loss::Pod => east.stop_pod(CATALOG),
            Loss::Service => east.stop_service(SERVICE),
        }
        for client in clients {
            client
                .join()
                .map_err(|_| "a client panicked".to_owned())??;
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok((count(&interrupted), count(&failed)))
    })
}
