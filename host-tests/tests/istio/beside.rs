//! Gateways whose ports have VirtualServices of others: `--attach beside`.

use std::thread;
use std::time::{Duration, Instant};

use meshgate_compiler::manifest::istio::{Attach, Wave};
use meshgate_host_tests::cases::Group;
use meshgate_host_tests::envoy::client::{self, Response, request_head};
use meshgate_host_tests::istio::{Mesh, Tools};
use meshgate_host_tests::upstream::Echo;
use serde_json::{Value, json};

use crate::Test;
use crate::shop::{GATEWAY, entrance, of_kind};

pub(crate) fn tests() -> Vec<Test> {
    vec![(
        "beside/others_keep_their_requests".to_owned(),
        Box::new(others_keep_their_requests),
    )]
}

const OPTIONS_AND_HOSTS: &str = "  options: {mergeSlashes: true}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: www, namespace: shop}
spec:
  domains: [shop.example]
  routes:
  - {name: orders, matchers: [{uri: {prefix: /claimed}}], routeAction: {destinations: [{kubeService: {name: orders, namespace: shop, port: 80}}]}}
  - {name: stock, matchers: [{uri: {prefix: /stock}}], routeAction: {destinations: [{kubeService: {name: stock, namespace: shop, port: 80}}]}}
  - {name: moved, matchers: [{uri: {prefix: /old}}], redirectAction: {pathRedirect: /new}}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: own, namespace: shop}
spec:
  domains: [own.example]
  routes:
  - {name: all, routeAction: {destinations: [{kubeService: {name: orders, namespace: shop, port: 80}}]}}
";

const ORDERS: &str = "outbound|80||orders.shop.svc.cluster.local";
const STOCK: &str = "outbound|80||stock.shop.svc.cluster.local";

/// What a client sends that wants to choose where its request goes, and how.
const CHOICE: [(&str, &[u8]); 3] = [
    ("x-meshgate-cluster", ORDERS.as_bytes()),
    ("x-envoy-max-retries", b"9"),
    ("x-meshgate-explain", b"please"),
];

/// A Gateway and a VirtualService on the port of a gateway of ours, as somebody else may have them.
fn of_others(mesh: &Mesh) -> Result<[Value; 2], String> {
    let ours = of_kind(mesh, "Gateway")?;
    let namespace = &ours["metadata"]["namespace"];
    let mut port = ours["spec"]["servers"][0]["port"].clone();
    port["name"] = json!("http");
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": { "name": "others", "namespace": namespace },
        "spec": { "selector": ours["spec"]["selector"], "servers": [{ "port": port, "hosts": ["*"] }] },
    });
    let service = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": { "name": "others", "namespace": namespace },
        "spec": {
            "hosts": ["shop.example", "others.example"],
            "gateways": ["others"],
            "http": [{
                "headers": { "response": { "set": { "x-of-others": "yes" } } },
                "route": [{ "destination": { "host": "stock.shop.svc.cluster.local", "port": { "number": 80 } } }],
            }],
        },
    });
    Ok([gateway, service])
}

struct Client<'m> {
    mesh: &'m mut Mesh,
    /// Control headers of clients do not get past the filter.
    has_filter: bool,
}

impl Client<'_> {
    fn ask(&mut self, host: &str, path: &str, more: &[(&str, &[u8])]) -> Result<Response, String> {
        let own: [(&str, &[u8]); 2] = [("host", host.as_bytes()), ("connection", b"close")];
        let request = request_head("GET", path.as_bytes(), own.iter().chain(more).copied());
        let response = client::send(entrance(self.mesh)?, &request).map_err(|e| e.to_string())?;
        let proxy = self.mesh.proxies.first_mut().ok_or("there is no proxy")?;
        proxy.log.next_entry().map_err(|error| error.to_string())?;
        Ok(response)
    }

    /// A request of others is served as they want it, with the path that the client has written.
    fn others(&mut self, host: &str, path: &str) -> Result<(), String> {
        for more in [&[][..], &CHOICE] {
            let response = self.ask(host, path, more)?;
            let body = String::from_utf8_lossy(&response.body);
            let wrong = |what: &str| format!("{host}{path}: {what}: {} {body}", response.status);
            if response.text("x-of-others") != Some("yes") {
                return Err(wrong("not served by others"));
            }
            let echo: Echo =
                serde_json::from_slice(&response.body).map_err(|_| wrong("no echo"))?;
            let steers =
                |name: &str| name.starts_with("x-meshgate-") || name == "x-envoy-max-retries";
            if echo.upstream != STOCK || echo.path != path {
                return Err(wrong("another request"));
            }
            if self.has_filter && echo.headers.iter().any(|(name, _)| steers(name)) {
                return Err(wrong("the client's headers went on"));
            }
        }
        Ok(())
    }

    fn ours(&mut self, host: &str, path: &str) -> Result<(), String> {
        for more in [&[][..], &CHOICE] {
            let response = self.ask(host, path, more)?;
            let echo: Option<Echo> = serde_json::from_slice(&response.body).ok();
            let wanted = if path == "/stock" { STOCK } else { ORDERS };
            let is_there = echo.is_some_and(|echo| echo.upstream == wanted);
            if !is_there || response.text("x-of-others").is_some() {
                return Err(format!("{host}{path}: not ours: {}", response.status));
            }
        }
        Ok(())
    }

    fn answer(&mut self, host: &str, path: &str, status: u16) -> Result<(), String> {
        let response = self.ask(host, path, &[])?;
        match response.status == status {
            true => Ok(()),
            false => Err(format!(
                "{host}{path}: {} instead of {status}",
                response.status
            )),
        }
    }

    fn all_of_others(&mut self, when: &str) -> Result<(), String> {
        for (host, path) in [
            ("others.example", "/claimed//x"),
            ("shop.example", "/"),
            ("shop.example", "/unclaimed//x"),
        ] {
            let served = self.others(host, path);
            served.map_err(|reason| format!("{when}: {reason}"))?;
        }
        Ok(())
    }

    /// Asks until it is so; with others that are served meanwhile.
    fn until(
        &mut self,
        with_others: bool,
        mut is_so: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(reason) = is_so(self) {
            if Instant::now() > deadline {
                return Err(format!("not within a minute: {reason}"));
            }
            if with_others {
                self.others("others.example", "/")?;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn others_keep_their_requests(tools: &Tools) -> Result<(), String> {
    let group = Group::new("shop", [GATEWAY, OPTIONS_AND_HOSTS].concat());
    let mut mesh = Mesh::start(tools, &group, Attach::Beside)?;
    for object in of_others(&mesh)? {
        mesh.istiod.apply(&object)?;
    }
    let [filter, plugin] = ["EnvoyFilter", "WasmPlugin"].map(|kind| of_kind(&mesh, kind));
    let (filter, plugin) = (filter?, plugin?);
    mesh.apply(Wave::Destinations)?;
    mesh.wait_for_clusters()?;
    let mut client = Client {
        mesh: &mut mesh,
        has_filter: false,
    };
    client.until(false, |client| client.others("others.example", "/"))?;

    client.mesh.apply(Wave::Listeners)?;
    client.mesh.wait_for_listeners()?;
    client.all_of_others("before the plugin")?;
    client.answer("own.example", "/", 404)?;

    client.mesh.apply(Wave::Program)?;
    client.until(true, |client| client.ours("own.example", "/"))?;
    client.mesh.wait_for_programs()?;
    client.has_filter = true;
    client.ours("shop.example", "/claimed")?;
    client.ours("shop.example", "//claimed")?;
    client.ours("shop.example", "/stock")?;
    client.answer("shop.example", "/old", 301)?;
    client.answer("nobody.example", "/", 404)?;
    client.all_of_others("with the plugin")?;

    client.has_filter = false;
    client.mesh.istiod.delete(&plugin)?;
    client.until(true, |client| client.others("shop.example", "/claimed"))?;
    client.all_of_others("after the plugin")?;
    client.answer("own.example", "/", 404)?;

    client.mesh.istiod.apply(&plugin)?;
    client.until(true, |client| client.ours("own.example", "/"))?;
    client.mesh.istiod.delete(&filter)?;
    client.until(true, |client| client.answer("own.example", "/", 503))?;
    client.all_of_others("without the EnvoyFilter")
}
