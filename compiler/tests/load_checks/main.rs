//! What loading reports about one document, and what it leaves out.

mod options;

use meshgate_compiler::resource::Resources;
use meshgate_compiler::{load, render};

/// Loads a text and compares its diagnostics, one line each, with what is expected.
#[track_caller]
fn check(text: &str, expected: &[&str]) -> Resources {
    let (sources, resources, mut diagnostics) = load::from_text("f", text);
    diagnostics.sort();
    let lines = render::lines(&diagnostics, &sources);
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected, "{text}");
    resources
}

/// Checks the routes of a virtual host; the first route begins in line 1. Returns how many are left.
#[track_caller]
fn check_routes(routes: &str, expected: &[&str]) -> usize {
    let text = format!(
        "{{apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1, kind: VirtualHost, \
         metadata: {{name: h}}, spec: {{domains: [d], routes: [\n{routes}\n]}}}}"
    );
    let shifted: Vec<String> = expected
        .iter()
        .map(|line| {
            let (at, rest) = line.split_once(':').expect("line:column: message");
            format!(
                "f:{}:{rest}",
                at.parse::<usize>().expect("a line number") + 1
            )
        })
        .collect();
    let expected: Vec<&str> = shifted.iter().map(String::as_str).collect();
    let resources = check(&text, &expected);
    resources
        .virtual_hosts
        .first()
        .map_or(0, |host| host.spec.routes.len())
}

/// Checks options of a route that answers directly. The options begin in column 11. Returns whether it is left.
#[track_caller]
fn check_options(options: &str, expected: &[&str]) -> bool {
    check_routes(
        &format!("{{options: {options}, directResponseAction: {{status: 200}}}}"),
        expected,
    ) == 1
}

/// Checks a matcher, which begins in column 13. Returns whether its route is left.
#[track_caller]
fn check_matcher(matcher: &str, expected: &[&str]) -> bool {
    check_routes(
        &format!("{{matchers: [{matcher}], directResponseAction: {{status: 200}}}}"),
        expected,
    ) == 1
}

/// Checks the only connection handler of a gateway, which stands in line 2. Returns whether the gateway is left.
#[track_caller]
fn check_handler(handler: &str, expected: &[&str]) -> bool {
    let text = format!(
        "{{apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1, kind: VirtualGateway, metadata: {{name: g}}, \
         spec: {{ingressGatewaySelectors: [{{portName: p}}], connectionHandlers: [\n{handler}\n]}}}}"
    );
    check(&text, expected).virtual_gateways.len() == 1
}

const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n";
const TABLE: &str =
    "apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: RouteTable\n";

#[test]
fn lists_are_unpacked() {
    let text = format!(
        "{{apiVersion: v1, kind: List, metadata: {{resourceVersion: ''}}, items: [\n\
         {{{}metadata: {{name: t, managedFields: [{{manager: kubectl}}], creationTimestamp: null}}, \
         spec: {{}}, status: {{x: y}}}}]}}",
        TABLE.replace('\n', ", ")
    );
    assert_eq!(check(&text, &[]).route_tables.len(), 1);
    let nested = format!("{{apiVersion: v1, kind: List, items: [\n{text}]}}");
    assert_eq!(check(&nested, &[]).route_tables.len(), 1);
}

#[test]
fn kinds_are_looked_up() {
    let object = |api_version: &str, kind: &str| {
        format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: o}}\nspec: {{}}\n")
    };
    let enterprise = "networking.enterprise.mesh.gloo.solo.io/v1beta1";
    check(
        &object(enterprise, "VirtualHosts"),
        &[
            "f:2:7: error[E0021]: the API group has no kind `VirtualHosts` (help: did you mean `VirtualHost`?)",
        ],
    );
    check(
        &object(enterprise, "TrafficPolicy"),
        &[
            "f:2:7: error[E0021]: the API group has no kind `TrafficPolicy` \
           (help: write `apiVersion: networking.mesh.gloo.solo.io/v1`)",
        ],
    );
    check(
        &object("networking.enterprise.mesh.gloo.solo.io/v1", "VirtualHost"),
        &[
            "f:1:13: error[E0022]: VirtualHost exists in version `v1beta1` only \
           (help: write `apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1`)",
        ],
    );
    check(
        &object("networking.gloo.solo.io/v2", "RouteTable"),
        &[
            "f:2:7: note[N0024]: this RouteTable of `networking.gloo.solo.io/v2` is skipped (help: the RouteTable that \
           is compiled has `apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1`)",
        ],
    );
    let deployments = [
        object("apps/v1", "StatefulSet"),
        object("apps/v1", "StatefulSet"),
    ]
    .join("---\n");
    check(
        &deployments,
        &["f:2:7: note[N0024]: 2 objects of kind StatefulSet of `apps/v1` are skipped"],
    );
}

#[test]
fn the_second_of_two_namesakes_is_left_out() {
    let object = |weight| format!("{TABLE}metadata: {{name: t}}\nspec: {{weight: {weight}}}\n");
    let resources = check(
        &format!("{}---\n{}", object(1), object(2)),
        &[
            "f:8:18: error[E0023]: RouteTable `default/t` is defined twice; this one is left out \
           (help: rename one of them, or remove it)",
        ],
    );
    check(
        &format!("{SERVICE}---\n{SERVICE}"),
        &[
            "f:8:18: error[E0023]: Service `default/s` is defined twice; this one is left out \
           (help: if they are of two clusters, pass each with `--inventory CLUSTER=PATH`; else remove one of them)",
        ],
    );
    assert_eq!(
        resources
            .route_tables
            .iter()
            .map(|table| table.weight)
            .collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn an_object_with_a_fault_of_its_own_is_left_out_and_remembered() {
    let resources = check(
        &format!("{TABLE}metadata: {{name: t}}\nspec: {{wieght: 1}}\n"),
        &["f:4:8: error[E0030]: unknown field `wieght` in `spec` (help: did you mean `weight`?)"],
    );
    assert!(resources.route_tables.is_empty());
    assert_eq!(resources.left_out[0].id.to_string(), "default/t");
}

#[test]
fn a_broken_route_leaves_its_siblings() {
    let left = check_routes(
        "{directResponseAction: {status: 200}},\n{directResponseAction: {status: 99}},\n{redirectAction: {httpsRedirect: true}}",
        &[
            "2:33: error[E0038]: the status of a direct response must be between 200 and 599, but is 99",
        ],
    );
    assert_eq!(left, 2);
}

#[test]
fn a_broken_inline_host_leaves_its_siblings() {
    let handler =
        "{http: {routeConfig: [{virtualHost: {domain: [a]}}, {virtualHost: {domains: [b]}}]}}";
    assert!(check_handler(
        handler,
        &[
            "f:2:38: error[E0030]: unknown field `domain` in `virtualHost` (help: did you mean `domains`?)"
        ],
    ));
}

#[test]
fn tls_is_required_in_words_or_by_a_boolean() {
    let handler = |value: &str| {
        format!(
            "{{http: {{routeConfig: [{{virtualHost: {{domains: [a], requireTls: {value}}}}}]}}}}"
        )
    };
    for value in ["NONE", "EXTERNAL_ONLY", "ALL", "true", "false"] {
        assert!(check_handler(&handler(value), &[]), "{value}");
    }
    let names = "`NONE`, `EXTERNAL_ONLY` or `ALL`";
    let not_allowed = |value: &str, meant: &str| {
        format!(
            "f:2:64: error[E0035]: `{value}` is not allowed here (help: {meant}allowed are {names})"
        )
    };
    let wrong_type = "f:2:64: error[E0034]: expected a boolean or a string, found a";
    for (value, reason) in [
        (
            "EXTERNAL",
            not_allowed("EXTERNAL", "did you mean `EXTERNAL_ONLY`? "),
        ),
        ("'true'", not_allowed("true", "")),
        (
            "1",
            format!("{wrong_type} number (help: write one of {names})"),
        ),
        ("[ALL]", format!("{wrong_type} list")),
    ] {
        check_handler(&handler(value), &[&reason]);
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let left = check_routes(
        "{nmae: a, matchers: [{uri: {prefix: [x]}}, {method: 1}], options: {retries: {attempts: -1}},\n\
         redirectAction: {responseCode: 307}}",
        &[
            "1:2: error[E0030]: unknown field `nmae` in `routes` (help: did you mean `name`?)",
            "1:37: error[E0034]: expected a string, found a list",
            "1:53: error[E0034]: expected a string, found a number (help: put it in quotes: `\"1\"`)",
            "1:88: error[E0038]: the number of attempts must be between 0 and 2147483647, but is -1",
            "2:32: error[E0034]: expected a string, found a number (help: write one of `MOVED_PERMANENTLY`, `FOUND`, \
             `SEE_OTHER`, `TEMPORARY_REDIRECT` or `PERMANENT_REDIRECT`)",
        ],
    );
    assert_eq!(left, 0);
}

#[test]
fn misplaced_fields_are_sent_home() {
    check_routes(
        "{options: {trafficPolicy: {}}, directResponseAction: {status: 200}}",
        &["1:12: error[E0031]: `trafficPolicy` does not belong here \
           (help: on a route the options stand directly under `options`)"],
    );
    check_matcher(
        "{prefix: /x}",
        &[
            "1:14: error[E0031]: `prefix` does not belong here (help: it belongs under `matchers.uri`)",
        ],
    );
    check_matcher(
        "{uri: {method: GET}}",
        &[
            "1:20: error[E0031]: `method` does not belong here (help: it belongs beside `uri`, one level or more to the left)",
        ],
    );
    check(
        &format!(
            "{TABLE}metadata: {{name: t}}\nroutes: []\nspec: {{options: {{requestTimeout: 5s}}}}\n"
        ),
        &[
            "f:4:1: error[E0031]: `routes` does not belong here (help: it belongs under `spec`)",
            "f:5:18: error[E0031]: `requestTimeout` does not belong here \
             (help: it belongs under `options.trafficPolicy`)",
        ],
    );
    check(
        &format!(
            "{TABLE}metadata: {{name: t}}\nspec: {{routes: [], options: {{mergeSlashes: true}}}}\n"
        ),
        &["f:4:30: error[E0031]: `mergeSlashes` does not belong here \
           (help: it belongs under `spec.options` of the VirtualGateway: the form of a path is the same for all of its routes)"],
    );
}

#[test]
fn a_prefix_of_whole_segments_stops_before_a_slash() {
    for (prefix, fault, way_out) in [
        (
            "/foo/",
            "ends in a slash",
            "write `pathSeparatedPrefix: /foo`, which takes `/foo` and what follows `/foo/`; \
             or `prefix: /foo/` for the latter alone",
        ),
        (
            "/",
            "ends in a slash",
            "write `prefix: /` to match every path",
        ),
        ("''", "is empty", "write `prefix: /` to match every path"),
    ] {
        assert!(!check_matcher(
            &format!("{{uri: {{pathSeparatedPrefix: {prefix}}}}}"),
            &[&format!(
                "1:41: error[E0208]: a `pathSeparatedPrefix` stops before a slash, but this one {fault} (help: {way_out})"
            )],
        ));
    }
}

#[test]
fn scalars_mean_what_kubernetes_reads() {
    assert!(!check_matcher(
        "{headers: [{name: x, value: yes}]}",
        &[
            "1:41: error[E0034]: expected a string, found a boolean (help: put it in quotes: `\"yes\"`)"
        ],
    ));
    assert!(check_matcher(
        "{headers: [{name: x, value: 'yes', regex: on, invertMatch: off}]}",
        &[]
    ));
    assert!(!check_matcher(
        "{headers: [{name: x, value: a, regex: 'true'}]}",
        &[
            "1:51: error[E0034]: expected `true` or `false`, found a string (help: remove the quotes)"
        ],
    ));
    assert!(check_options("{retries: {attempts: 0x10}}", &[]));
    assert!(!check_options(
        "{requestTimeout: 5}",
        &[
            "1:28: error[E0034]: expected a string, found a number (help: put it in quotes: `\"5\"`)"
        ],
    ));
    assert!(!check_options(
        "{retries: }",
        &[
            "1:12: error[E0034]: expected a map, found nothing (help: fill in a value, or remove the key)"
        ],
    ));
}

#[test]
fn destinations_are_never_dropped_silently() {
    let route = |destinations: &str| format!("{{routeAction: {{destinations: [{destinations}]}}}}");
    assert_eq!(
        check_routes(&route("{kubeService: {name: a, port: 80}, weight: 1}"), &[]),
        1
    );
    assert_eq!(
        check_routes(
            &route("{staticDestination: {name: a}}, {kubeService: {name: b, port: 0}}"),
            &["1:93: error[E0038]: a port must be between 1 and 65535, but is 0"],
        ),
        0
    );
    assert_eq!(
        check_routes(
            &route("{weight: 1}"),
            &[
                "1:31: error[E0303]: this destination does not say where to go \
               (help: add `kubeService`, `virtualDestination` or `staticDestination`)"
            ],
        ),
        0
    );
}

#[test]
fn connection_handlers() {
    let ssl =
        |http: &str, ssl: &str| format!("{{{http}, connectionOptions: {{sslConfig: {{{ssl}}}}}}}");
    assert!(check_handler(
        &ssl("http: {}", "secretName: s, tlsMode: SIMPLE"),
        &[]
    ));
    assert!(check_handler(
        "{connectionOptions: {httpsRedirect: true}}",
        &[]
    ));
    assert!(!check_handler(
        "{connectionOptions: {httpsRedirect: false}}",
        &["f:2:1: error[E0503]: this connection handler does nothing \
           (help: add `http`, `tcp`, or `connectionOptions.httpsRedirect: true`)"],
    ));
    assert!(!check_handler(
        &ssl("http: {}", "tlsMode: SIMPLE"),
        &[
            "f:2:53: error[E0504]: the TLS mode SIMPLE needs a certificate (help: add `secretName` or `sslFiles`)"
        ],
    ));
    assert!(!check_handler(
        &ssl("http: {}", "tlsMode: ISTIO_MUTUAL, secretName: s"),
        &[
            "f:2:53: error[E0504]: the TLS mode ISTIO_MUTUAL brings its own certificates \
           (help: remove `secretName` and `sslFiles`)"
        ],
    ));
    assert!(!check_handler(
        "{http: {}, tcp: {}}, {http: {}}",
        &[
            "f:2:12: error[E0036]: `http` and `tcp` exclude one another (help: write only one of `http` and `tcp`)",
            "f:2:22: error[E0502]: a gateway can have only one connection handler \
             (help: move the others to VirtualGateways of their own)",
        ],
    ));
}

#[test]
fn fields_of_the_old_schema_are_translated() {
    check(
        "apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: VirtualGateway\nmetadata: {name: g}\n\
         spec:\n  deployToIngressGateways: {bindPort: 8080}\n  connectionHandlers:\n  - http: {}\n    tlsContext: {}\n\
         \x20   connectionOptions: {sslConfig: {secretRef: {name: s}}}\n",
        &[
            "f:5:3: error[E0032]: `deployToIngressGateways` is a field of an earlier version of the API \
             (help: select the gateway with `ingressGatewaySelectors`, and its port with `portName`)",
            "f:8:5: error[E0032]: `tlsContext` is a field of an earlier version of the API \
             (help: write `connectionOptions.sslConfig`)",
            "f:9:37: error[E0032]: `secretRef` is a field of an earlier version of the API (help: write `secretName`; \
             the secret is looked up in the namespace of the gateway's pods)",
        ],
    );
}
