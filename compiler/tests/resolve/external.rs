//! External authorization and rate limits: inheritance, references, and the services of gateways.

use std::sync::Arc;

use meshgate_compiler::load;
use meshgate_compiler::manifest::ratelimit;
use meshgate_compiler::policy::external::{DescriptorEntry, Extauth};
use meshgate_compiler::tree::{Route, written_out};

use crate::config::*;

const SERVICES: &str = "---
apiVersion: v1
kind: Service
metadata: {name: ext-auth-service, namespace: auth}
spec: {ports: [{name: grpc, port: 8083}, {name: http, port: 8082}]}
---
apiVersion: v1
kind: Service
metadata: {name: rate-limiter, namespace: limits}
spec: {ports: [{name: anything, port: 18081}]}
";

fn gateway_asking(options: &str) -> String {
    object(
        "VirtualGateway",
        "test/gw",
        "",
        &format!(
            "ingressGatewaySelectors: [{{portName: http2}}]\nconnectionHandlers: [{{http: {{routeConfig: [{{virtualHostSelector: {{}}}}], routeOptions: {options}}}}}]"
        ),
    )
}

fn host(options: &str, routes: &[(&str, &str)]) -> String {
    let routes: String = routes
        .iter()
        .map(|(name, options)| {
            format!(
                "\n- {{name: {name}, matchers: [{{uri: {{prefix: /{name}}}}}], options: {options}, directResponseAction: {{status: 200}}}}"
            )
        })
        .collect();
    object(
        "VirtualHost",
        "test/vh",
        "",
        &format!("domains: [a.com]\noptions: {{trafficPolicy: {options}}}\nroutes:{routes}"),
    )
}

fn routes(resolved: &Resolved) -> Vec<Arc<Route>> {
    let hosts = resolved
        .tree
        .gateways
        .iter()
        .flat_map(|gateway| &gateway.hosts);
    let hosts = hosts.flat_map(|host| &host.virtual_hosts);
    hosts.flat_map(|host| written_out(&host.routes)).collect()
}

/// What each route says to the authorization service.
fn extauth(resolved: &Resolved) -> Vec<String> {
    let text =
        |route: &Arc<Route>| match route.options.extauth.as_ref().map(|option| &*option.value) {
            Some(Extauth::Config(name)) => name.to_string(),
            None => "-".to_owned(),
            Some(Extauth::Disabled) => "disabled".to_owned(),
            Some(Extauth::Custom(context)) => context
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        };
    routes(resolved).iter().map(text).collect()
}

/// Descriptors of each route.
fn descriptors(resolved: &Resolved) -> Vec<String> {
    let entry = |entry: &DescriptorEntry| match entry {
        DescriptorEntry::Text { value, .. } => value.clone(),
        DescriptorEntry::RemoteAddress => "address".to_owned(),
        other => format!("{other:?}"),
    };
    let text = |route: &Arc<Route>| {
        let Some(limit) = &route.options.rate_limit else {
            return "-".to_owned();
        };
        let descriptors = limit.descriptors.iter().map(|entries| {
            let entries: Vec<_> = entries.iter().map(entry).collect();
            entries.join("|")
        });
        descriptors.collect::<Vec<_>>().join(" ")
    };
    routes(resolved).iter().map(text).collect()
}

#[test]
fn the_nearest_extauth_wins() {
    let resolved = resolved(
        &(gateway_asking("{extauth: {}}")
            + &host(
                "{extauth: {customAuth: {contextExtensions: {of: host}}}}",
                &[
                    ("inherits", "{}"),
                    ("never", "{extauth: {disable: true}}"),
                    (
                        "own",
                        "{extauth: {customAuth: {contextExtensions: {of: route}}}}",
                    ),
                ],
            )
            + SERVICES),
    );
    assert_eq!(resolved.findings, [""; 0]);
    assert_eq!(extauth(&resolved), ["of=host", "disabled", "of=route"]);
    let services = resolved.tree.services();
    let clusters: Vec<_> = services
        .map(|(destination, grpc)| (destination.cluster.as_str(), grpc))
        .collect();
    let cluster = "outbound|8083||ext-auth-service.auth.svc.cluster.local";
    assert_eq!(clusters, [(cluster, true)]);
}

#[test]
fn services_are_found_with_the_port_that_speaks_the_protocol() {
    let asked = |options: &str| -> (Vec<u16>, Vec<String>) {
        let resolved = resolved(&(gateway_asking(options) + SERVICES));
        let services = resolved.tree.services();
        let ports: Vec<u16> = services.map(|(destination, _)| destination.port).collect();
        let errors = resolved.findings.into_iter();
        (
            ports,
            errors.filter(|finding| finding.starts_with('E')).collect(),
        )
    };
    let none = Vec::new;
    assert_eq!(asked("{extauth: {httpService: {}}}"), (vec![8082], none()));
    assert_eq!(asked("{rateLimit: {}}"), (vec![18081], none()));
    let named = "{extauth: {extauthzRef: {name: ext-auth-service, namespace: auth}}}";
    assert_eq!(asked(named), (vec![8083], none()));
    let (ports, findings) = asked("{extauth: {extauthzRef: {name: ext-auth-service}}}");
    assert_eq!(ports, [0; 0]);
    assert!(findings[0].starts_with("E0364"), "{findings:?}");
    let body = "{extauth: {requestBody: {maxRequestBytes: 10, packAsBytes: true}}}";
    assert_eq!(asked(body), (vec![8083], none()));
    let (ports, findings) = asked("{extauth: {requestBody: {maxRequestBytes: 1048577}}}");
    assert_eq!(ports, [0; 0]);
    assert!(
        findings[0].contains("`maxRequestBytes` must be between 0 and 1048576"),
        "{findings:?}"
    );
}

#[test]
fn routes_that_ask_nobody_are_reported() {
    let routes = [(
        "a",
        "{extauth: {customAuth: {}}, rateLimit: {raw: {rateLimits: [{actions: [{remoteAddress: {}}]}]}}}",
    )];
    let resolved = resolved(&(gateway() + &host("{}", &routes)));
    let codes: Vec<&str> = resolved
        .findings
        .iter()
        .map(|finding| &finding[..5])
        .collect();
    assert_eq!(codes, ["E0366", "W0367"], "{:?}", resolved.findings);
}

const CONFIGS: &str = "---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RateLimitClientConfig
metadata: {name: by-address, namespace: test}
spec: {rateLimits: {raw: {rateLimits: [{actions: [{remoteAddress: {}}], setActions: [{genericKey: {descriptorValue: set}}]}]}}}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RateLimitServerConfig
metadata: {name: b, namespace: test, labels: {limits: all}}
spec:
  raw:
    descriptors:
    - key: remote_address
      rateLimit: {unit: MINUTE, requestsPerUnit: 3}
      descriptors: [{key: generic_key, value: 'a: b', rateLimit: {unit: DAY, requestsPerUnit: 1}}]
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RateLimitServerConfig
metadata: {name: a, namespace: test, labels: {limits: all}}
spec: {raw: {setDescriptors: [{simpleDescriptors: []}]}}
";

#[test]
fn rate_limits_refer_to_client_and_server_configs() {
    let all = "{rateLimit: {ratelimitServerConfigSelector: {labels: {limits: all}}, ratelimitClientConfigRef: {name: by-address}}}";
    let resolved = resolved(
        &(gateway_asking("{rateLimit: {}}")
            + &host(
                "{rateLimit: {raw: {rateLimits: [{actions: [{genericKey: {descriptorValue: host}}]}]}}}",
                &[
                    ("inherits", "{}"),
                    ("all", all),
                    (
                        "missing",
                        "{rateLimit: {ratelimitClientConfigRef: {name: other}}}",
                    ),
                ],
            )
            + CONFIGS
            + SERVICES),
    );
    assert_eq!(
        descriptors(&resolved),
        [
            "host",
            "test.a|address solo.setDescriptor.uniqueValue|test.a|set \
             test.b|address solo.setDescriptor.uniqueValue|test.b|set",
            ""
        ]
    );
    let codes: Vec<&str> = resolved
        .findings
        .iter()
        .map(|finding| &finding[..5])
        .collect();
    assert_eq!(codes, ["W0365"], "{:?}", resolved.findings);
}

#[test]
fn server_configs_become_the_file_of_the_standard_server() {
    let (_, resources, _) = load::from_text("t.yaml", CONFIGS);
    let mut diagnostics = meshgate_compiler::diagnostic::Diagnostics::default();
    let text = ratelimit::configuration(&resources, &mut diagnostics);
    let codes: Vec<_> = diagnostics
        .list()
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    assert_eq!(codes, ["E0368"]);
    assert_eq!(
        text,
        r#"domain: solo.io
descriptors:
  - key: "generic_key"
    value: "test.a"
  - key: "generic_key"
    value: "test.b"
    descriptors:
      - key: "remote_address"
        rate_limit: {unit: minute, requests_per_unit: 3}
        descriptors:
          - key: "generic_key"
            value: "a: b"
            rate_limit: {unit: day, requests_per_unit: 1}
"#
    );
}
