//! Inheritance of options.

use meshgate_compiler::answer;
use meshgate_compiler::tree::written_out;

use crate::config::*;

/// Effective timeout and retries of each route.
fn effective(yaml: &str) -> (Vec<String>, Vec<String>) {
    let resolved = resolved(yaml);
    let hosts = resolved
        .tree
        .gateways
        .iter()
        .flat_map(|gateway| &gateway.hosts);
    let routes = hosts
        .flat_map(|host| &host.virtual_hosts)
        .flat_map(|host| written_out(&host.routes));
    let options = routes
        .map(|route| {
            let options = answer::Options::from(&*route.options);
            let retries = options.retries.map(|retries| retries.attempts.to_string());
            let headers = route
                .options
                .header_manipulation
                .as_ref()
                .and_then(|headers| headers.append_request.first());
            format!(
                "{} {} {}",
                options.request_timeout.as_deref().unwrap_or("-"),
                retries.as_deref().unwrap_or("-"),
                headers.map_or("-", |(_, value)| value)
            )
        })
        .collect();
    (options, resolved.findings)
}

fn forward(name: &str, options: &str) -> String {
    format!(
        "- {{name: {name}, matchers: [{{uri: {{prefix: /{name}}}}}], options: {{{options}}}, routeAction: {{destinations: [{{kubeService: {{name: a, port: 80}}}}]}}}}\n"
    )
}

fn levels(host: &str, delegating: &str, table: &str, leaf: &str) -> String {
    gateway()
        + &object(
            "VirtualHost",
            "test/vh",
            "",
            &format!(
                "domains: [a.com]\noptions: {{trafficPolicy: {{{host}}}}}\nroutes:\n- {{name: d, options: {{{delegating}}}, delegateAction: {{refs: [{{name: t}}]}}}}"
            ),
        )
        + &table_with(
            "test/t",
            "",
            &format!("options: {{trafficPolicy: {{{table}}}}}"),
            &forward("leaf", leaf),
        )
}

#[test]
fn the_nearest_level_wins_field_by_field() {
    let retries = |attempts| format!("retries: {{attempts: {attempts}}}");
    let headers = |value| format!("headerManipulation: {{appendRequestHeaders: {{x: {value}}}}}");
    for (host, delegating, table, leaf, expected) in [
        ("requestTimeout: 1s", "", "", "", "1s - -"),
        ("requestTimeout: 1s", "requestTimeout: 2s", "", "", "2s - -"),
        (
            "requestTimeout: 1s",
            "requestTimeout: 2s",
            "requestTimeout: 3s",
            "",
            "3s - -",
        ),
        (
            "requestTimeout: 1s",
            "requestTimeout: 2s",
            "requestTimeout: 3s",
            "requestTimeout: 0s",
            "0s - -",
        ),
        (
            &*retries(1),
            "requestTimeout: 2s",
            &*headers("table"),
            &*retries(4),
            "2s 4 table",
        ),
        (
            &*headers("host"),
            &*headers("delegating"),
            "",
            "",
            "- - delegating",
        ),
    ] {
        assert_eq!(
            effective(&levels(host, delegating, table, leaf)),
            (vec![expected.to_owned()], vec![])
        );
    }
}

#[test]
fn options_of_destinations_are_reported_and_change_nothing() {
    for option in [
        "outlierDetection: {consecutiveErrors: 5}",
        "mtls: {istio: {tlsMode: SIMPLE}}",
        "trafficShift: {destinations: [{kubeService: {name: b, port: 80}}]}",
    ] {
        let name = option.split(':').next().unwrap_or_default();
        let finding = format!(
            "W0452 at {name}: `{name}` has no effect here: it concerns destinations, not routes"
        );
        let both = format!("requestTimeout: 1s, {option}");
        for yaml in [
            levels(&both, "", "", ""),
            levels("", &both, "", ""),
            levels("", "", &both, ""),
            levels("", "", "", &both),
        ] {
            let expected = (vec!["1s - -".to_owned()], vec![finding.clone()]);
            assert_eq!(effective(&yaml), expected);
        }
    }
}

#[test]
fn options_of_destinations_are_checked() {
    let (options, findings) = effective(&levels("", "", "", "outlierDetection: {interval: 0s}"));
    assert_eq!(options, Vec::<String>::new());
    assert!(findings[1].starts_with("E0401 at 0s"), "{findings:?}");
}

#[test]
fn a_redirect_has_no_use_for_a_timeout() {
    let yaml = gateway()
        + &object(
            "VirtualHost",
            "test/vh",
            "",
            "domains: [a.com]\noptions: {trafficPolicy: {requestTimeout: 1s, retries: {attempts: 1}}}\nroutes:\n- {name: r, options: {requestTimeout: 2s}, redirectAction: {hostRedirect: b.com}}",
        );
    let (options, findings) = effective(&yaml);
    assert_eq!(options, ["- - -"]);
    assert_eq!(
        findings,
        ["W0451 at 2s: `requestTimeout` means nothing for a route that answers by itself"]
    );
}

#[test]
fn a_redirect_has_no_use_for_headers_of_requests() {
    let headers =
        "{appendRequestHeaders: {a: '1'}, removeRequestHeaders: [b], setResponseHeaders: {c: '1'}}";
    let redirect = format!(
        "- {{name: r, options: {{headerManipulation: {headers}}}, redirectAction: {{hostRedirect: b.com}}}}\n"
    );
    let resolved = resolved(&(gateway() + &virtual_host(&redirect)));
    let expected = ["appendRequestHeaders", "removeRequestHeaders"].map(|field| {
        format!("W0451 at headerManipulation: `{field}` means nothing for a route that answers by itself")
    });
    assert_eq!(resolved.findings, expected);
}

#[test]
fn routes_whose_mirror_is_lost_are_left_out() {
    let service = object(
        "Service",
        "test/copy",
        "",
        "ports: [{name: a, port: 80}, {name: b, port: 81}]",
    )
    .replace("networking.enterprise.mesh.gloo.solo.io/v1beta1", "v1");
    let yaml = service
        + &gateway()
        + &virtual_host(
            &(forward(
                "lost",
                "requestTimeout: 1s, mirror: {kubeService: {name: copy}}",
            ) + &forward(
                "found",
                "requestTimeout: 2s, mirror: {kubeService: {name: copy}, port: 81}",
            )),
        );
    let (options, findings) = effective(&yaml);
    assert_eq!(options, ["2s - -"]);
    assert_eq!(findings.len(), 1, "{findings:?}");
}
