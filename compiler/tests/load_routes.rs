//! Routes are decoded while their document is read, if what it is has been read by then. Nobody may notice.

use meshgate_compiler::{load, render};

const API: &str = "apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\n";

/// Routes with all kinds of mistakes.
const SPEC: &str = "spec:
  weight: 1
  routes:
  - name: sound
    directResponseAction: {status: 200}
  - name: &name misspelt
    matchers:
    - uri: {prefx: /x}
    directResponseAction: {status: 200}
  - weight: 1
    directResponseAction: {status: 200}
  - name: &shared again
    labels: {a: b, a: c}
    directResponseAction: {status: 200}
  - not a route
  -
  - name: *name
  - &whole
    name: *shared
    directResponseAction: &response {status: 20}
  - <<: *whole
    directResponseAction: {status: 201}
";

/// What comes of a text: its findings without their places, and its routes.
fn outcome(text: &str) -> (Vec<String>, Vec<String>) {
    let (sources, resources, mut diagnostics) = load::from_text("f", text);
    diagnostics.sort();
    let findings = render::lines(&diagnostics, &sources);
    let mut findings: Vec<String> = findings
        .lines()
        .map(|line| line.splitn(4, ':').last().unwrap_or_default().to_owned())
        .collect();
    findings.sort();
    let routes = resources
        .route_tables
        .iter()
        .flat_map(|table| &table.routes)
        .map(|route| {
            let name = route.name.as_ref().map(|name| name.as_str());
            let lines = text[..route.span.start as usize].lines().count();
            let spec = text[..text.find("spec:").unwrap_or(0)].lines().count();
            let place = lines - spec;
            format!("{place} {} {name:?} {:?}", route.index, route.labels)
        });
    (findings, routes.collect())
}

#[test]
fn the_order_of_keys_makes_no_difference() {
    let metadata = "metadata: {name: t, namespace: shop}\n";
    let expected = outcome(&format!("{API}kind: RouteTable\n{metadata}{SPEC}"));
    assert_eq!(expected.0.len(), 7, "{:#?}", expected.0);
    assert_eq!(expected.1.len(), 2, "{:#?}", expected.1);
    for text in [
        format!("{SPEC}{API}kind: RouteTable\n{metadata}"),
        format!("{API}{metadata}{SPEC}kind: RouteTable\n"),
        format!("{API}kind: RouteTable\n{SPEC}{metadata}"),
        format!(
            "{API}kind: RouteTable\n{metadata}{}",
            SPEC.replacen("spec:", "spec: &s", 1)
        ),
        format!(
            "{API}kind: RouteTable\n{metadata}{}",
            SPEC.replacen("routes:", "routes: &s", 1)
        ),
    ] {
        assert_eq!(outcome(&text), expected, "{text}");
    }
}

#[test]
fn what_is_left_out_leaves_no_findings_of_its_routes() {
    let table = |spec: &str| format!("{API}kind: RouteTable\nmetadata: {{name: t}}\n{spec}");
    let empty = "spec: {routes: [{name: a}]}\n";
    for (text, expected) in [
        // The document ends in a syntax error.
        (
            table(&format!("{empty}a: [")),
            &[
                " error[E0010]: a value or a closing bracket is missing here (help: check the lines before)",
            ][..],
        ),
        // Another object of that name came first.
        (
            format!("{}---\n{}", table("spec: {}\n"), table(empty)),
            &[
                " error[E0023]: RouteTable `default/t` is defined twice; this one is left out (help: rename one of them, or remove it)",
            ],
        ),
        // It has no name.
        (
            format!("{API}kind: RouteTable\n{empty}"),
            &[" error[E0020]: this object has no name (help: add `metadata.name`)"],
        ),
        // The list is repeated.
        (
            table("spec:\n  routes: []\n  routes: [{name: a}]\n"),
            &[
                " error[E0013]: the key `routes` appears twice in this map (help: keep one of them, or merge them)",
            ],
        ),
        (
            table(&format!("spec: {{}}\n{empty}")),
            &[
                " error[E0013]: the key `spec` appears twice in this map (help: keep one of them, or merge them)",
            ],
        ),
    ] {
        let (findings, routes) = outcome(&text);
        assert_eq!(findings, expected, "{text}");
        assert_eq!(routes, [""; 0], "{text}");
    }
}
