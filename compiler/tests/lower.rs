//! From text to a program: what the program costs, and what is said of it.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::resolve::{self, ResolveOptions};
use meshgate_compiler::{load, lower, render};
use meshgate_engine::{Decision, Program, Request};

const GATEWAY: &str = "
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: gateway}
spec:
  ingressGatewaySelectors: [{portName: http2}]
  connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: host}
spec:
  domains: ['*']
  routes:
";

/// Compiles routes; the findings as lines.
fn compile(routes: &[String]) -> (Option<Program>, String) {
    compile_with(routes, &lower::Options::default())
}

fn compile_with(routes: &[String], options: &lower::Options) -> (Option<Program>, String) {
    let text = format!(
        "{GATEWAY}{}",
        routes
            .iter()
            .map(|route| format!("  - {route}\n"))
            .collect::<String>()
    );
    let (sources, resources, mut diagnostics) = load::from_text("routes.yaml", &text);
    let tree = resolve::resolve(&resources, &ResolveOptions::default(), &mut diagnostics);
    let program = lower::lower(&tree, options, &mut diagnostics);
    (
        program.map(|bytes| Program::new(bytes).unwrap()),
        lines(&diagnostics, &sources),
    )
}

fn lines(diagnostics: &Diagnostics, sources: &meshgate_compiler::source::SourceMap) -> String {
    render::lines(diagnostics, sources)
}

fn header_route(n: usize, value: &str, regex: bool) -> String {
    format!(
        "{{name: r{n}, matchers: [{{headers: [{{name: x-user, value: '{value}', regex: {regex}}}]}}], directResponseAction: {{status: 200, body: '{n}'}}}}"
    )
}

#[test]
fn conditions_that_cannot_be_looked_up_are_remarked_on() {
    let unindexable: Vec<String> = (0..65)
        .map(|n| header_route(n, &format!(".*user-{n}"), true))
        .collect();
    let (_, findings) = compile(&unindexable);
    assert_eq!(
        findings,
        "routes.yaml:15:27: warning[W0261]: 65 matchers share a path, and their other conditions cannot be looked up (help: tell them apart by path, by exact values, or by patterns that begin with literal text)\n"
    );
    let exact: Vec<String> = (0..65)
        .map(|n| header_route(n, &format!("user-{n}"), false))
        .collect();
    assert_eq!(compile(&exact).1, "");
    let with_prefix: Vec<String> = (0..65)
        .map(|n| header_route(n, &format!("user-{n}-.*"), true))
        .collect();
    assert_eq!(compile(&with_prefix).1, "");
}

#[test]
fn very_many_of_them_are_an_error_unless_allowed() {
    let inverted = |count: usize| -> Vec<String> {
        (0..count)
            .map(|n| {
                format!(
                    "{{name: r{n}, matchers: [{{headers: [{{name: x-user, value: 'u{n}', invertMatch: true}}]}}], directResponseAction: {{status: 200}}}}"
                )
            })
            .collect()
    };
    assert!(compile(&inverted(1024)).1.contains("warning[W0261]: 1024"));
    let (program, findings) = compile(&inverted(1025));
    assert!(findings.contains("error[E0262]: 1025"), "{findings}");
    assert!(findings.contains("`--allow-long-lists`"), "{findings}");
    assert_eq!(program.unwrap().clauses(), 1025, "nothing is left out");
    let allowed = lower::Options {
        allow_long_lists: true,
        ..lower::Options::default()
    };
    let findings = compile_with(&inverted(1025), &allowed).1;
    assert!(findings.contains("warning[W0261]: 1025"), "{findings}");
}

#[test]
fn a_route_with_a_pattern_too_large_is_left_out_alone() {
    let routes = [
        "{name: bad, matchers: [{uri: {regex: '/.*a.{20}'}}], directResponseAction: {status: 200}}",
        "{name: good, matchers: [{uri: {prefix: /}}], directResponseAction: {status: 200}}",
    ];
    let (program, findings) = compile(&routes.map(str::to_owned));
    assert_eq!(
        findings,
        "routes.yaml:15:42: error[E0260]: regular expression is too complex: its automaton would be too large (help: match a literal prefix, or split the pattern into several matchers)\n"
    );
    assert_eq!(program.unwrap().clauses(), 1);
}

/// What does not fit into the format is one route, not the program of everybody.
#[test]
fn a_route_beyond_the_limits_is_left_out_alone() {
    let answer = "directResponseAction: {status: 200}";
    let long = "x".repeat(4096);
    let conditions = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("{{name: x-{n}}}")).collect();
        list.join(", ")
    };
    for (matcher, expected) in [
        (
            format!("uri: {{prefix: /{long}}}"),
            "error[E0263]: route `default.host/bad` is left out: its path, with those of the routes that delegate to it, has 4097 bytes",
        ),
        (
            format!("uri: {{regex: '/{long}[0-9]'}}"),
            "error[E0263]: route `default.host/bad` is left out",
        ),
        (
            format!("uri: {{suffix: /{long}}}"),
            "error[E0263]: route `default.host/bad` is left out",
        ),
        (
            format!("headers: [{}]", conditions(257)),
            "error[E0263]: this matcher has 257 conditions; there may be 256",
        ),
        (
            format!("headers: [{{name: {}}}]", "x".repeat(257)),
            "error[E0402]: the name of this header has 257 bytes; there may be 256",
        ),
    ] {
        let routes = [
            format!("{{name: bad, matchers: [{{{matcher}}}], {answer}}}"),
            format!("{{name: good, matchers: [{{uri: {{prefix: /}}}}], {answer}}}"),
        ];
        let (program, findings) = compile(&routes);
        assert!(findings.contains(expected), "{findings}");
        assert_eq!(findings.lines().count(), 1, "{findings}");
        assert_eq!(program.unwrap().clauses(), 1);
    }
    let most = [
        format!(
            "{{matchers: [{{uri: {{prefix: /{}}}}}], {answer}}}",
            &long[1..]
        ),
        format!(
            "{{matchers: [{{headers: [{}]}}], {answer}}}",
            conditions(256)
        ),
        format!(
            "{{matchers: [{{headers: [{{name: {}}}]}}], {answer}}}",
            "x".repeat(256)
        ),
    ];
    let (program, findings) = compile(&most);
    assert_eq!(findings, "");
    assert_eq!(program.unwrap().clauses(), 3);
}

#[test]
fn deciding_does_not_allocate() {
    let mut routes: Vec<String> = (0..100)
        .map(|n| header_route(n, &format!("user-{n}"), false))
        .collect();
    routes.push(
        "{matchers: [{uri: {regex: '/a/[^/]+/b'}, queryParameters: [{name: q, value: '[0-9]+', regex: true}]}, {uri: {suffix: .PNG, ignoreCase: true}}], directResponseAction: {status: 200}}"
            .to_owned(),
    );
    let program = compile(&routes).0.unwrap();
    let headers = [
        (b"x-user".to_vec(), b"user-99".to_vec()),
        (b"x-user".to_vec(), b"user-1".to_vec()),
    ];
    for (path, headers, is_found) in [
        ("/", &headers[..1], true),
        ("/", &headers[..], false),
        ("/a/x/b?q=17", &[], true),
        ("/x.png", &[], true),
        ("/none", &[], false),
    ] {
        let request = Request {
            method: b"GET",
            scheme: b"http",
            authority: b"example.com:8080",
            path: path.as_bytes(),
            headers,
        };
        let mut decision = Decision::NotFound;
        let info = allocation_counter::measure(|| decision = program.decide(0, &request));
        assert_eq!(info.count_total, 0, "{path}");
        assert_eq!(matches!(decision, Decision::Route(_)), is_found, "{path}");
    }
}
