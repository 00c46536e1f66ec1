//! Gateways without EnvoyFilter: `--attach stable`.

use meshgate_compiler::manifest::istio::{Attach, Wave};
use meshgate_host_tests::cases::Group;
use meshgate_host_tests::envoy::client::Response;
use meshgate_host_tests::istio::{Mesh, Tools};
use meshgate_host_tests::upstream::Reply;

use crate::Test;
use crate::shop::{GATEWAY, ask, ask_until, is_served, mesh, of_kind, within_a_minute};

pub(crate) fn tests() -> Vec<Test> {
    type Run = fn(&Tools) -> Result<(), String>;
    let tests: [(&str, Run); 2] = [
        ("stable/clients_do_not_choose", clients_do_not_choose),
        ("stable/mirrors_and_retries", mirrors_and_retries),
    ];
    tests
        .into_iter()
        .map(|(name, test)| -> Test { (name.to_owned(), Box::new(test)) })
        .collect()
}

const STOCK: &str = "outbound|80||stock.shop.svc.cluster.local";

/// What a client sends that wants to choose where its request goes.
const CHOICE: [(&str, &[u8]); 1] = [("x-meshgate-cluster", STOCK.as_bytes())];

fn is_placeholder(response: &Response, _: &str) -> bool {
    response.status == 503 && response.body == b"meshgate is not attached to this gateway\n"
}

/// A request that names a cluster is refused, and reaches none.
fn refused(mesh: &mut Mesh, when: &str) -> Result<(), String> {
    let (response, flags) = ask(mesh, "/orders", &CHOICE)?;
    match response.status == 403 && mesh.upstreams.requests(STOCK) == 0 {
        true => Ok(()),
        false => Err(format!(
            "{when}: a client chose the cluster: {} `{flags}`",
            response.status
        )),
    }
}

/// Whether the plugin is not there yet, there, or not there any more.
fn clients_do_not_choose(tools: &Tools) -> Result<(), String> {
    let mut mesh = mesh(tools, Attach::Stable)?;
    let served = |response: &Response, _: &str| is_served(response, 1);
    mesh.apply(Wave::Destinations)?;
    mesh.wait_for_clusters()?;
    mesh.apply(Wave::Listeners)?;
    mesh.wait_for_listeners()?;
    refused(&mut mesh, "before the plugin")?;
    mesh.apply(Wave::Program)?;
    mesh.wait_for_programs()?;
    refused(&mut mesh, "with the plugin")?;
    ask_until(&mut mesh, "the program", served, |_, _| false)?;

    let plugin = of_kind(&mesh, "WasmPlugin")?;
    mesh.istiod.delete(&plugin)?;
    ask_until(&mut mesh, "the placeholder", is_placeholder, served)?;
    refused(&mut mesh, "after the plugin")?;

    // It is the policy that refuses, and `verify` wants it to be there.
    mesh.istiod.apply(&plugin)?;
    mesh.wait_for_programs()?;
    let policy = of_kind(&mesh, "AuthorizationPolicy")?;
    mesh.istiod.delete(&policy)?;
    let is_taken = || Ok(ask(&mut mesh, "/orders", &CHOICE)?.0.status != 403);
    within_a_minute("the policy is gone", is_taken)?;
    let (response, flags) = ask(&mut mesh, "/orders", &CHOICE)?;
    if !served(&response, &flags) {
        return Err(format!(
            "the filter keeps what a client chose: {} `{flags}`",
            response.status
        ));
    }
    let proxy = mesh.proxies.first().ok_or("there is no proxy")?;
    let report = proxy.verify(None)?;
    let mut findings = report.findings.iter();
    if !findings.any(|one| one.message.contains("the AuthorizationPolicy is missing")) {
        return Err(format!("verify does not see it: {report:#?}"));
    }
    // Without both, nothing does.
    mesh.istiod.delete(&plugin)?;
    within_a_minute("the client has its way", || {
        ask(&mut mesh, "/orders", &CHOICE)?;
        Ok(mesh.upstreams.requests(STOCK) > 0)
    })
}

const HOSTS: &str = "\
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: www, namespace: shop}
spec:
  domains: [shop.example]
  routes:
  - name: copied
    matchers: [{uri: {prefix: /copied}}]
    options:
      mirrors:
      - {kubeService: {name: next, namespace: shop}, port: 80}
      - {kubeService: {name: never, namespace: shop}, port: 80, percentage: 0}
    routeAction: {destinations: [{kubeService: {name: stock, namespace: shop, port: 80}}]}
  - name: tried-again
    matchers: [{uri: {prefix: /again}}]
    options: {retries: {attempts: 2, perTryTimeout: 5s, retriableStatusCodes: [503]}}
    routeAction: {destinations: [{kubeService: {name: stock, namespace: shop, port: 80}}]}
  - name: once
    routeAction: {destinations: [{kubeService: {name: stock, namespace: shop, port: 80}}]}
";

/// A copy goes where the program says, without the header. Retries are those of the program, not those that Istio has by
/// default.
fn mirrors_and_retries(tools: &Tools) -> Result<(), String> {
    const NEXT: &str = "outbound|80||next.shop.svc.cluster.local";
    const NEVER: &str = "outbound|80||never.shop.svc.cluster.local";
    let mut mesh = Mesh::start(
        tools,
        &Group::new("shop", [GATEWAY, HOSTS].concat()),
        Attach::Stable,
    )?;
    mesh.deploy()?;
    let (response, flags) = ask(&mut mesh, "/copied", &[])?;
    if response.status != 200 {
        return Err(format!("not copied: {} `{flags}`", response.status));
    }
    let upstreams = &mesh.upstreams;
    within_a_minute("there is a copy", || Ok(upstreams.requests(NEXT) > 0))?;
    for name in [STOCK, NEXT] {
        let echo = upstreams.last_request(name).ok_or("no request")?;
        let leaked = echo
            .headers
            .iter()
            .find(|(name, _)| name.starts_with("x-meshgate"));
        if let Some((header, _)) = leaked {
            return Err(format!("`{name}` got `{header}`"));
        }
    }
    if mesh.upstreams.requests(NEVER) != 0 {
        return Err("a mirror of 0 % got a copy".to_owned());
    }

    let unavailable = Reply {
        status: 503,
        ..Reply::default()
    };
    mesh.upstreams.set_reply(STOCK, unavailable);
    for (path, tries) in [("/", 1), ("/again", 3), ("/copied", 1)] {
        let before = mesh.upstreams.requests(STOCK);
        ask(&mut mesh, path, &[])?;
        let tried = mesh.upstreams.requests(STOCK) - before;
        if tried != tries {
            return Err(format!("{path} was tried {tried} times instead of {tries}"));
        }
    }
    Ok(())
}
