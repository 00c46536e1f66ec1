//! What cannot be checked lets nobody pass, and is reported.

use meshgate_compiler::answer::{Answer, Outcome};
use meshgate_compiler::compile::{CompileOptions, compile};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::oracle::{self, Connection, Request};
use meshgate_compiler::route;
use meshgate_compiler::source::SourceMap;
use meshgate_engine::Program;

const GATEWAY: &str = r#"
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: gw, namespace: test}
spec:
  ingressGatewaySelectors: [{portName: http2, destinationSelectors: [{kubeServiceMatcher: {labels: {istio: ingressgateway}}}]}]
  connectionHandlers: [{http: {routeConfig: [{virtualHost: {domains: ["*"], routes: [{name: r, OPTIONS directResponseAction: {status: 200}}]}}]}}]
---
apiVersion: enterprise.gloo.solo.io/v1
kind: AuthConfig
metadata: {name: config, namespace: test}
spec: SPEC
"#;

/// The codes of what is reported, and the answers of the oracle and of the engine.
fn ask(options: &str, spec: &str, connection: Connection) -> (Vec<String>, [Answer; 2]) {
    let text = GATEWAY.replace("OPTIONS", options).replace("SPEC", spec);
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    sources.add("resources.yaml".to_owned(), text);
    let compiled = compile(&sources, &CompileOptions::default(), &mut diagnostics);
    let program = compiled.program.expect("there is a program");
    let program = Program::new(program).expect("it is sound");
    let request = Request {
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority: "h".to_owned(),
        path: "/".to_owned(),
        headers: vec![(
            "authorization".to_owned(),
            "Basic amFuZTpzZWNyZXQ=".to_owned(),
        )],
        random: 0.0,
        connection,
    };
    let answers = [
        oracle::evaluate(&compiled.tree, None, &request),
        route::evaluate(&program, &compiled.tree, 0, &request),
    ];
    let codes = diagnostics
        .list()
        .iter()
        .map(|found| found.code.as_str().to_owned());
    (codes.collect(), answers)
}

#[track_caller]
fn refuses(spec: &str, name: &str, code: &str) {
    let options =
        format!("options: {{extauth: {{configRef: {{name: {name}, namespace: test}}}}}},");
    let (codes, answers) = ask(&options, spec, Connection::default());
    assert!(codes.iter().any(|found| found == code), "{codes:?}");
    for answer in answers {
        assert_eq!(answer.outcome, Outcome::Rejected);
        assert_eq!(answer.response.map(|response| response.status), Some(403));
    }
}

#[test]
fn kinds_of_auth_that_are_not_supported_let_nobody_pass() {
    for kind in [
        "oauth2: {}",
        "opaAuth: {modules: []}",
        "ldap: {}",
        "passThroughAuth: {grpc: {}}",
    ] {
        refuses(&format!("{{configs: [{{{kind}}}]}}"), "config", "E0463");
    }
    let apr = "basicAuth: {apr: {users: {jane: {salt: TYiryv0/, hashedPassword: 8BvzLUO9IfGPGGsPnAgSu1}}}}";
    refuses(&format!("{{configs: [{{{apr}}}]}}"), "config", "E0463");
    // One that is supported does not make up for it.
    let sha256 = "basicAuth: {sha256: {users: {jane: {hashedPassword: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}}}}";
    refuses(
        &format!("{{configs: [{{{sha256}}}, {{ldap: {{}}}}]}}"),
        "config",
        "E0463",
    );
    refuses(
        &format!("{{booleanExpr: a || b, configs: [{{{sha256}}}]}}"),
        "config",
        "E0463",
    );
    let options = "options: {extauth: {configRef: {name: config, namespace: test}}},";
    let (codes, answers) = ask(
        options,
        &format!("{{configs: [{{{sha256}}}]}}"),
        Connection::default(),
    );
    assert_eq!(codes, Vec::<String>::new());
    for answer in answers {
        assert_eq!(answer.outcome, Outcome::DirectResponse);
    }
}

#[test]
fn an_auth_config_that_is_not_there_lets_nobody_pass() {
    refuses(
        "{configs: [{apiKeyAuth: {labelSelector: {a: b}}}]}",
        "nowhere",
        "E0466",
    );
    refuses("{configs: []}", "config", "E0466");
}

#[test]
fn rules_see_the_handshake_and_the_certificate() {
    let options = "options: {authorization: {rules: [{sni: [{suffix: .example.com}], from: {identities: [{prefix: \"spiffe://shop/\"}]}}]}},";
    let spec = "{configs: [{basicAuth: {sha256: {users: {}}}}]}";
    let connection = |name: &str, identity: &str| Connection {
        server_name: Some(name.to_owned()),
        identities: vec!["other".to_owned(), identity.to_owned()],
        ..Connection::default()
    };
    for (connection, outcome) in [
        (
            connection("a.example.com", "spiffe://shop/a"),
            Outcome::DirectResponse,
        ),
        (
            connection("a.example.org", "spiffe://shop/a"),
            Outcome::Rejected,
        ),
        (
            connection("a.example.com", "spiffe://bank/a"),
            Outcome::Rejected,
        ),
        (Connection::default(), Outcome::Rejected),
    ] {
        let (_, answers) = ask(options, spec, connection);
        for answer in answers {
            assert_eq!(answer.outcome, outcome);
        }
    }
}
