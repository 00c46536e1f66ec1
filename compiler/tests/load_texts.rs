//! Texts that cannot mean what was written: conditions on what no request has, hosts that are none, empty rewrites.

use meshgate_compiler::{load, render};

/// Loads a table with one route: whether the route is left, and what is said about it, from its column on.
fn load_route(route: &str) -> (bool, Vec<String>) {
    let text = format!(
        "{{apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1, kind: RouteTable, metadata: {{name: t}}, \
         spec: {{routes: [\n{route}\n]}}}}"
    );
    let (sources, resources, mut diagnostics) = load::from_text("f", &text);
    diagnostics.sort();
    let said = render::lines(&diagnostics, &sources);
    let said = said.lines().map(|line| line.replacen("f:2:", "", 1));
    let left = resources
        .route_tables
        .iter()
        .any(|table| !table.routes.is_empty());
    (left, said.collect())
}

fn with_matcher(matcher: &str) -> (bool, Vec<String>) {
    load_route(&format!(
        "{{matchers: [{matcher}], directResponseAction: {{status: 200}}}}"
    ))
}

#[test]
fn a_new_host_is_a_host() {
    for (host, found, help) in [
        (
            "https://a.test",
            '/',
            "leave out the scheme; a redirect has `httpsRedirect` for it",
        ),
        ("a.test/b", '/', "leave out what follows the host"),
        ("a.test?b", '?', "leave out what follows the host"),
        ("me@a.test", '@', "leave out the user"),
        (
            "a b",
            ' ',
            "write a name or an address, and a port if wanted",
        ),
        (
            "bücher.test",
            'ü',
            "write it in its ASCII form, which begins with `xn--`",
        ),
    ] {
        let error = format!(
            "error[E0324]: `{host}` is no host: `{found}` cannot be part of one (help: {help})"
        );
        assert_eq!(
            load_route(&format!("{{redirectAction: {{hostRedirect: '{host}'}}}}")),
            (false, vec![format!("33: {error}")])
        );
        let destinations = "destinations: [{kubeService: {name: s, port: 80}}]";
        assert_eq!(
            load_route(&format!(
                "{{routeAction: {{hostRewrite: '{host}', {destinations}}}}}"
            )),
            (false, vec![format!("29: {error}")])
        );
    }
    for host in [
        "a.test",
        "a.test:8443",
        "[::1]:80",
        "192.0.2.1",
        "new_host",
        "*.a",
    ] {
        let (left, said) = load_route(&format!("{{redirectAction: {{hostRedirect: '{host}'}}}}"));
        assert!(left && said.is_empty(), "{host}: {said:?}");
    }
}

#[test]
fn a_rewrite_to_nothing_is_remarked_on() {
    let warning = |key| {
        format!(
            "warning[W0325]: an empty `{key}` changes nothing \
             (help: write `/` to take the prefix away, or remove the field)"
        )
    };
    assert_eq!(
        load_route(
            "{routeAction: {pathRewrite: '', destinations: [{kubeService: {name: s, port: 80}}]}}"
        ),
        (true, vec![format!("29: {}", warning("pathRewrite"))])
    );
    assert_eq!(
        load_route("{redirectAction: {prefixRewrite: '', hostRedirect: a}}"),
        (true, vec![format!("34: {}", warning("prefixRewrite"))])
    );
}

#[test]
fn conditions_on_what_nobody_sends_are_remarked_on() {
    for matcher in [
        "{uri: {exact: /a b}}",
        "{queryParameters: [{name: a=b}]}",
        "{queryParameters: [{name: a&b}]}",
        "{queryParameters: [{name: a b}]}",
        "{queryParameters: [{name: a, value: 'b&c=d'}]}",
        "{queryParameters: [{name: a, containsMatch: 'b c'}]}",
        "{headers: [{name: a, value: ' b'}]}",
        "{headers: [{name: a, value: \"b\\n\"}]}",
        "{headers: [{name: a, prefixMatch: ' b'}]}",
        "{headers: [{name: a, suffixMatch: 'b '}]}",
    ] {
        let (left, said) = with_matcher(matcher);
        assert!(left, "{matcher}");
        let [said] = said.as_slice() else {
            panic!("{matcher}: {said:?}");
        };
        assert!(said.contains("warning[W0209]"), "{matcher}: {said}");
    }
    for matcher in [
        "{uri: {exact: /a%20b}}",
        "{uri: {regex: '/[^ ]+'}}",
        "{queryParameters: [{name: 'a[]', value: 'b=c'}]}",
        "{queryParameters: [{name: a, value: '[^&]+', regex: true}]}",
        "{headers: [{name: a, value: 'b c'}]}",
        "{headers: [{name: a, prefixMatch: 'Bearer '}]}",
        "{headers: [{name: a, suffixMatch: ' b'}]}",
        "{headers: [{name: a, containsMatch: ' b '}]}",
    ] {
        assert_eq!(with_matcher(matcher), (true, Vec::new()), "{matcher}");
    }
    assert_eq!(
        with_matcher("{method: GET POST}"),
        (
            true,
            vec![
                "22: warning[W0203]: methods are case-sensitive; no common client sends `GET POST` \
                 (help: a method is one word; other methods are in matchers of their own)"
                    .to_owned()
            ]
        )
    );
}

/// What is said about a whole document.
fn said(text: &str) -> Vec<String> {
    let (sources, _, mut diagnostics) = load::from_text("f", text);
    diagnostics.sort();
    render::lines(&diagnostics, &sources)
        .lines()
        .map(str::to_owned)
        .collect()
}

const TABLE: &str =
    "apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: RouteTable\n";

#[test]
fn metadata_is_that_of_kubernetes() {
    let spec = "spec: {routes: []}\n";
    assert_eq!(
        said(&format!(
            "{TABLE}metadata: {{name: t, lables: {{app: a}}}}\n{spec}"
        )),
        [
            "f:3:21: error[E0030]: unknown field `lables` in `metadata` (help: did you mean `labels`?)"
        ]
    );
    let none: [String; 0] = [];
    for metadata in [
        "{name: t, labels: null, annotations: null, creationTimestamp: null}",
        "{name: t, generation: 2, resourceVersion: '7', uid: u, selfLink: /x, finalizers: [a/b], managedFields: [{x: 1}], \
         ownerReferences: [{kind: X}], annotations: {a: b}, generateName: t-, deletionTimestamp: x, \
         deletionGracePeriodSeconds: 0, clusterName: ''}",
    ] {
        assert_eq!(said(&format!("{TABLE}metadata: {metadata}\n{spec}")), none);
    }
}

#[test]
fn help_is_near() {
    let route = |route: &str| load_route(route).1;
    assert_eq!(
        route("{delegateAction: {refs: [reviews]}}"),
        ["26: error[E0034]: expected a map, found a string (help: write `name: reviews`)"]
    );
    assert_eq!(
        route("{routeAction: {destinations: [{kubeService: {name: s, port: 80, cluster: c}}]}}"),
        [
            "65: error[E0030]: unknown field `cluster` in `kubeService` (help: did you mean `clusterName`?)"
        ]
    );
    assert_eq!(
        with_matcher("{regex: /a.*}").1,
        ["14: error[E0031]: `regex` does not belong here (help: it belongs under `matchers.uri`)"]
    );
    assert_eq!(
        with_matcher("{headers: [{name: a, exact: b}]}").1,
        ["34: error[E0030]: unknown field `exact` in `headers` (help: did you mean `value`?)"]
    );
    assert_eq!(
        said("domains: [a\nroutes: []\n"),
        ["f:2:7: error[E0010]: a `:` is not expected here \
          (help: the lines before may lack a `]` or `}`; put a text that contains `: ` in quotes)"]
    );
    assert_eq!(
        said("domains:\n- *\n"),
        [
            "f:2:3: error[E0010]: a text cannot begin with this character (help: put the text in quotes)"
        ]
    );
}
