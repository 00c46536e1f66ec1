//! Every level that can set what a service is asked: each says its own name.

use prost::Message;

use crate::authorization::pass;
use crate::gateway::{FIXED, Gateway, echo};
use crate::limits::{self, within};
use crate::proto::CheckRequest;
use crate::service::{Service, message};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[("levels/what_is_asked", what_is_asked)];

const LEVELS: [&str; 5] = ["policy", "host", "route", "table", "leaf"];

/// Paths, and the level that counts.
const PLACES: [(&str, &str); 13] = [
    ("/plain", "host"),
    ("/alone", "leaf"),
    ("/nothing/x", "host"),
    ("/nothing/leaf", "leaf"),
    ("/own/x", "table"),
    ("/own/leaf", "leaf"),
    ("/own/deeper/x", "table"),
    ("/own/deeper/leaf", "leaf"),
    ("/sets/nothing/x", "route"),
    ("/sets/nothing/leaf", "leaf"),
    ("/sets/own/x", "table"),
    ("/sets/own/leaf", "leaf"),
    ("/sets/far/x", "route"),
];

const GATEWAY: &str = "
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: edge, namespace: platform}
spec:
  ingressGatewaySelectors: [{portName: http2}]
  connectionHandlers:
  - http:
      routeConfig: [{virtualHostSelector: {}}]
      routeOptions: {extauth: {}, rateLimit: {}}
";

/// Two virtual hosts with the same routes, `NAME.test` with options and `policy.NAME.test` without, and a policy for both.
fn tree(name: &str, options: impl Fn(&str) -> String) -> String {
    let at = |level| format!("options: {}", options(level));
    let inline = |level| format!("options: {{trafficPolicy: {}}}", options(level));
    let shop = "routeAction: {destinations: [{kubeService: {name: shop}}]}";
    let to = |table| format!("delegateAction: {{refs: [{{name: {name}-{table}}}]}}");
    let [route, leaf] = ["route", "leaf"].map(at);
    let [nothing, own, between] = ["nothing", "own", "between"].map(to);
    let routes = format!(
        "
  - {{matchers: [{{uri: {{prefix: /plain}}}}], {shop}}}
  - {{matchers: [{{uri: {{prefix: /alone}}}}], {leaf}, {shop}}}
  - {{matchers: [{{uri: {{prefix: /nothing}}}}], {nothing}}}
  - {{matchers: [{{uri: {{prefix: /own}}}}], {own}}}
  - {{matchers: [{{uri: {{prefix: /sets/nothing}}}}], {route}, {nothing}}}
  - {{matchers: [{{uri: {{prefix: /sets/own}}}}], {route}, {own}}}
  - {{matchers: [{{uri: {{prefix: /sets/far}}}}], {route}, {between}}}"
    );
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: {kind}
metadata: {{name: {name}, namespace: platform}}
spec:{spec}
"
        )
    };
    let [host, table] = ["host", "table"].map(inline);
    let sets_it = format!("- {{matchers: [{{uri: {{prefix: /leaf}}}}], {leaf}, {shop}}}");
    let deeper = format!("- {{matchers: [{{uri: {{prefix: /deeper}}}}], {nothing}}}");
    let policy = options("policy");
    [
        object(
            "VirtualHost",
            name,
            &format!("\n  domains: [{name}.test]\n  {host}\n  routes:{routes}"),
        ),
        object(
            "VirtualHost",
            &format!("policy-{name}"),
            &format!("\n  domains: [policy.{name}.test]\n  routes:{routes}"),
        ),
        object(
            "RouteTable",
            &format!("{name}-nothing"),
            &format!("\n  routes:\n  {sets_it}\n  - {{{shop}}}"),
        ),
        object(
            "RouteTable",
            &format!("{name}-own"),
            &format!("\n  {table}\n  routes:\n  {sets_it}\n  {deeper}\n  - {{{shop}}}"),
        ),
        object(
            "RouteTable",
            &format!("{name}-between"),
            &format!("\n  routes:\n  - {{{nothing}}}"),
        ),
        format!(
            "
---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: TrafficPolicy
metadata: {{name: {name}, namespace: platform}}
spec:
  routeSelector: [{{virtualHostRefs: [{{name: {name}}}, {{name: policy-{name}}}]}}]
  policy: {policy}
"
        ),
    ]
    .concat()
}

fn what_is_asked(tools: &Tools) {
    let limit = |level: &str| {
        format!(
            "rateLimit: {{raw: {{rateLimits: [{{actions: [{{genericKey: {{descriptorValue: {level}}}}}]}}]}}}}"
        )
    };
    let custom =
        |level: &str| format!("extauth: {{customAuth: {{contextExtensions: {{level: {level}}}}}}}");
    let mut text = FIXED.to_owned() + GATEWAY;
    text += &tree("all", |level| {
        format!("{{{}, {}}}", custom(level), limit(level))
    });
    for off in LEVELS {
        text += &tree(&format!("without-{off}"), |level| match level == off {
            true => "{extauth: {disable: true}}".to_owned(),
            false => format!("{{{}}}", custom(level)),
        });
    }
    let (auth, limiter) = (
        Service::start(message(&pass())),
        Service::start(message(&within())),
    );
    let services = [
        ("ext-auth-service", auth.address),
        ("rate-limiter", limiter.address),
    ];
    let gateway = Gateway::start(tools, &text, &services, 1);
    for (path, level) in PLACES {
        let below_policy = if level == "host" { "policy" } else { level };
        for (prefix, level) in [("", level), ("policy.", below_policy)] {
            let ask = |name: &str| {
                let before = auth.questions();
                echo(&gateway.send_to(&format!("{prefix}{name}.test"), "GET", path, &[]));
                let is_asked = auth.questions() > before;
                is_asked.then(|| {
                    let asked = CheckRequest::decode(auth.last().body.as_slice()).unwrap();
                    let mut context = asked.attributes.unwrap().context_extensions;
                    context.remove("level").unwrap()
                })
            };
            assert_eq!(ask("all").as_deref(), Some(level), "{prefix} {path}");
            assert_eq!(limits::asked(&limiter), [format!("generic_key={level}")]);
            for off in LEVELS {
                let expected = Some(level).filter(|level| *level != off);
                let asked = ask(&format!("without-{off}"));
                assert_eq!(asked.as_deref(), expected, "{prefix} {path}, without {off}");
            }
        }
    }
    gateway.assert_unharmed();
}
