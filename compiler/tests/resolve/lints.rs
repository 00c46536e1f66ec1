//! Findings about trees that work.

use crate::config::*;

/// Codes for a virtual host with these routes.
fn lint(routes: &[String]) -> Vec<String> {
    let resolved = resolved(&(gateway() + &virtual_host(&routes.concat())));
    resolved
        .codes()
        .iter()
        .map(|code| (*code).to_owned())
        .collect()
}

fn redirect(name: &str, matcher: &str, action: &str) -> String {
    format!("- {{name: {name}, matchers: [{matcher}], redirectAction: {{{action}}}}}\n")
}

/// Whether the second matcher is found to be covered by the first.
fn covered(first: &str, second: &str) -> bool {
    lint(&[answer("a", first), answer("b", second)])
        .iter()
        .any(|code| code == "W0253")
}

#[test]
fn coverage() {
    for (first, second) in [
        ("{uri: {prefix: /a}}", "{uri: {prefix: /a}}"),
        ("{uri: {prefix: /a}}", "{uri: {prefix: /ab}}"),
        ("{uri: {prefix: /a}}", "{uri: {exact: /a/b}}"),
        ("{uri: {exact: /a}}", "{uri: {exact: /a}}"),
        ("{uri: {prefix: /}}", "{uri: {regex: '/x.*'}}"),
        ("{uri: {prefix: /}}", "{uri: {suffix: .css}}"),
        ("{uri: {prefix: /a}}", "{uri: {pathSeparatedPrefix: /a}}"),
        (
            "{uri: {pathSeparatedPrefix: /a}}",
            "{uri: {pathSeparatedPrefix: /a}}",
        ),
        (
            "{uri: {pathSeparatedPrefix: /a}}",
            "{uri: {pathSeparatedPrefix: /a/b}}",
        ),
        ("{uri: {pathSeparatedPrefix: /a}}", "{uri: {exact: /a}}"),
        ("{uri: {pathSeparatedPrefix: /a}}", "{uri: {exact: /a/}}"),
        ("{uri: {pathSeparatedPrefix: /a}}", "{uri: {prefix: /a/b}}"),
        (
            "{uri: {pathSeparatedPrefix: /a}}",
            "{uri: {regex: '/a/.*'}}",
        ),
        ("{uri: {prefix: /a}}", "{uri: {regex: '/a/.*'}}"),
        (
            "{uri: {regex: '/a.*'}}",
            "{uri: {regex: '/a.*'}, method: GET}",
        ),
        (
            "{uri: {suffix: .css}}",
            "{uri: {suffix: .css}, headers: [{name: x}]}",
        ),
        (
            "{uri: {prefix: /A, ignoreCase: true}}",
            "{uri: {prefix: /aB}}",
        ),
        (
            "{uri: {prefix: /1}}",
            "{uri: {prefix: /1, ignoreCase: true}}",
        ),
        ("{headers: [{name: x}]}", "{headers: [{name: X, value: a}]}"),
        (
            "{headers: [{name: x, value: a}]}",
            "{headers: [{name: other}, {name: x, value: a}]}",
        ),
        (
            "{queryParameters: [{name: q}]}",
            "{queryParameters: [{name: q, value: '1', regex: true}]}",
        ),
        ("{method: GET}", "{method: GET, uri: {prefix: /a}}"),
    ] {
        assert!(covered(first, second), "{first} covers {second}");
    }
    for (first, second) in [
        ("{uri: {prefix: /ab}}", "{uri: {prefix: /a}}"),
        ("{uri: {exact: /a}}", "{uri: {prefix: /a}}"),
        (
            "{uri: {prefix: /a}}",
            "{uri: {prefix: /a, ignoreCase: true}}",
        ),
        ("{uri: {prefix: /a}}", "{uri: {regex: '/.*'}}"),
        ("{uri: {pathSeparatedPrefix: /a}}", "{uri: {prefix: /a}}"),
        ("{uri: {pathSeparatedPrefix: /a}}", "{uri: {prefix: /ab}}"),
        ("{uri: {pathSeparatedPrefix: /a}}", "{uri: {exact: /ab}}"),
        ("{uri: {pathSeparatedPrefix: /a}}", "{uri: {regex: '/a.*'}}"),
        ("{uri: {prefix: /a}, method: GET}", "{uri: {prefix: /a}}"),
        (
            "{uri: {prefix: /a}, method: GET}",
            "{uri: {prefix: /a}, method: POST}",
        ),
        ("{headers: [{name: x, value: a}]}", "{headers: [{name: x}]}"),
        (
            "{headers: [{name: x, value: a}]}",
            "{headers: [{name: x, value: b}]}",
        ),
        (
            "{headers: [{name: x, invertMatch: true}]}",
            "{headers: [{name: x}]}",
        ),
        (
            "{headers: [{name: x}]}",
            "{headers: [{name: x, value: a, invertMatch: true}]}",
        ),
        (
            "{queryParameters: [{name: q}]}",
            "{queryParameters: [{name: Q}]}",
        ),
    ] {
        assert!(!covered(first, second), "{first} does not cover {second}");
    }
}

#[test]
fn one_matcher_of_several() {
    let resolved = resolved(
        &(gateway()
            + &virtual_host(
                &(answer("a", "{method: GET, uri: {prefix: /api/v1/prod}}")
                    + &answer(
                        "b",
                        "{method: GET, uri: {prefix: /api/v1/product}}, {method: POST, uri: {prefix: /api}}",
                    )
                    + &answer(
                        "c",
                        "{uri: {prefix: /c}}, {method: GET, uri: {prefix: /cc}}",
                    )),
            )),
    );
    assert_eq!(
        resolved.findings,
        [
            "W0254 at {method: GET, uri: {prefix: /api/v1/product}}: this matcher of route `test.vh/b` is covered by route `test.vh/a`",
            "W0254 at {method: GET, uri: {prefix: /cc}}: this matcher of route `test.vh/c` is covered by an earlier one of the same route",
        ]
    );
}

#[test]
fn products_of_matchers_are_not_blamed_on_the_routes() {
    let yaml = gateway()
        + &virtual_host(&delegate(
            "d",
            &format!("{}, {}", prefix("/a"), prefix("/a/b")),
            "test/t",
        ))
        + &table("test/t", &answer("r", &prefix("/")));
    assert_eq!(resolved(&yaml).codes(), Vec::<&str>::new());
}

#[test]
fn a_route_is_reported_once_for_all_gateways() {
    let second = gateway().replace("name: gw", "name: gw2");
    let yaml = gateway()
        + &second
        + &virtual_host(&(answer("a", &prefix("/")) + &answer("b", &prefix("/b"))));
    assert_eq!(resolved(&yaml).codes(), ["W0253"]);
}

#[test]
fn conditions_that_exclude_each_other() {
    for headers in [
        "{name: x, value: a}, {name: X, value: b}",
        "{name: x, value: a}, {name: x, value: a, invertMatch: true}",
        "{name: x}, {name: x, invertMatch: true}",
        "{name: x, value: a}, {name: x, value: '[b-z]', regex: true}",
        "{name: x, value: '[a-z]', regex: true, invertMatch: true}, {name: x, value: a}",
    ] {
        assert_eq!(
            lint(&[answer("r", &format!("{{headers: [{headers}]}}"))]),
            ["W0255"],
            "{headers}"
        );
    }
    for headers in [
        "{name: x}, {name: x, value: a, invertMatch: true}",
        "{name: x, value: a}, {name: x, value: b, invertMatch: true}",
        "{name: x, value: a}, {name: x, value: '[a-z]', regex: true}",
        "{name: x, value: a}, {name: other, value: b}",
    ] {
        assert_eq!(
            lint(&[answer("r", &format!("{{headers: [{headers}]}}"))]),
            Vec::<String>::new(),
            "{headers}"
        );
    }
}

#[test]
fn contradictions_between_parent_and_child() {
    let yaml = gateway()
        + &virtual_host(&delegate(
            "d",
            "{queryParameters: [{name: q, value: a}]}",
            "test/t",
        ))
        + &table(
            "test/t",
            &answer("r", "{queryParameters: [{name: q, value: b}]}"),
        );
    assert_eq!(
        resolved(&yaml).findings,
        [
            "W0255 at {queryParameters: [{name: q, value: b}]}: the conditions on query parameter `q` never hold together"
        ]
    );
}

#[test]
fn regexes_without_a_slash() {
    for (regex, expected) in [
        ("api/.*", vec!["W0256"]),
        ("(a|b)+/", vec!["W0256"]),
        ("^api", vec!["W0256"]),
        (".*", vec![]),
        ("/?api", vec![]),
        ("(api|/api)", vec![]),
        ("[^a]pi", vec![]),
    ] {
        assert_eq!(
            lint(&[answer("r", &format!("{{uri: {{regex: '{regex}'}}}}"))]),
            expected,
            "{regex}"
        );
    }
    let below = |parent: &str, regex: &str| {
        let yaml = gateway()
            + &virtual_host(&delegate("d", &prefix(parent), "test/t"))
            + &table(
                "test/t",
                &answer("r", &format!("{{uri: {{regex: '{regex}'}}}}")),
            );
        resolved(&yaml).codes().len()
    };
    assert_eq!(below("/a", "v1/.*"), 1);
    assert_eq!(below("/a", "/v1/.*"), 0);
    assert_eq!(below("/a", ".*"), 0);
    assert_eq!(below("/a", "(b.*)?"), 0);
}

#[test]
fn matchers_without_a_path() {
    assert_eq!(
        lint(&[answer("r", "{uri: {prefix: /a}}, {headers: [{name: x}]}")]),
        ["W0258"]
    );
    assert_eq!(
        lint(&[answer(
            "r",
            "{headers: [{name: other}]}, {headers: [{name: x}]}"
        )]),
        Vec::<String>::new()
    );
}

#[test]
fn rewrites() {
    let rewrite = |prefix: &str, replacement: &str| {
        redirect(
            "r",
            prefix,
            &format!("prefixRewrite: {replacement}, hostRedirect: b.com"),
        )
    };
    assert_eq!(
        lint(&[rewrite("{uri: {prefix: /a}}", "/b")]),
        Vec::<String>::new()
    );
    assert_eq!(
        lint(&[rewrite("{uri: {prefix: /a/}}", "/b/")]),
        Vec::<String>::new()
    );
    assert_eq!(lint(&[rewrite("{uri: {prefix: /a/}}", "/b")]), ["W0360"]);
    assert_eq!(lint(&[rewrite("{uri: {prefix: /a}}", "/")]), ["W0360"]);
    assert_eq!(
        lint(&[rewrite("{uri: {exact: /a}}", "/b/")]),
        Vec::<String>::new()
    );
    assert_eq!(
        lint(&[rewrite("{uri: {exact: /a}}, {uri: {prefix: /a/}}", "/b/")]),
        ["W0359"]
    );
    let both = [
        rewrite("{uri: {prefix: /a/}}", "/").replace("name: r", "name: s"),
        rewrite("{uri: {prefix: /a}}", "/"),
    ];
    assert_eq!(
        lint(&both),
        Vec::<String>::new(),
        "what would suffer is taken before"
    );
}

#[test]
fn redirects_to_themselves() {
    for (matcher, action) in [
        ("{uri: {prefix: /}}", "pathRedirect: /maintenance"),
        ("{uri: {exact: /a}}", "pathRedirect: /a"),
        ("{uri: {prefix: /a}}", "prefixRewrite: /a/b"),
        ("{uri: {prefix: /}}", "hostRedirect: a.com"),
    ] {
        assert_eq!(
            lint(&[redirect("r", matcher, action)])
                .last()
                .map(String::as_str),
            Some("W0358"),
            "{action}"
        );
    }
    for (matcher, action) in [
        (
            "{uri: {prefix: /}}",
            "hostRedirect: b.com, pathRedirect: /maintenance",
        ),
        ("{uri: {exact: /a}}", "pathRedirect: /b"),
        ("{uri: {prefix: /a}}", "prefixRewrite: /b"),
        ("{uri: {prefix: /}}", "httpsRedirect: true"),
    ] {
        assert_eq!(
            lint(&[redirect("r", matcher, action)]),
            Vec::<String>::new(),
            "{action}"
        );
    }
    let page = [
        answer("page", &exact("/maintenance")),
        redirect("r", &prefix("/"), "pathRedirect: /maintenance"),
    ];
    assert_eq!(lint(&page), Vec::<String>::new(), "the page is there");
}

#[test]
fn on_a_shared_domain_a_route_is_only_unreachable_there() {
    let yaml = gateway()
        + &virtual_host_named("test/a", "", "[shared.com]", &answer("all", &prefix("/")))
        + &virtual_host_named(
            "test/b",
            "",
            "[shared.com, own.com]",
            &answer("r", &prefix("/x")),
        );
    let findings = resolved(&yaml).findings;
    let found = findings.iter().find(|finding| finding.starts_with("W0253"));
    assert!(
        found.is_some_and(|finding| finding.ends_with(
            "route `test.b/r` is never reached on `shared.com`: `test.a/all` takes all its requests first"
        )),
        "{findings:?}"
    );
}

#[test]
fn paths_that_are_never_in_form() {
    let lint = |options: &str, host: &str, uri: &str| -> Vec<String> {
        let gateway = object(
            "VirtualGateway",
            "infra/gw",
            "",
            &format!(
                "ingressGatewaySelectors: [{{portName: http2}}]\noptions: {options}\nconnectionHandlers: \
                 [{{http: {{routeConfig: [{{virtualHostSelector: {{namespaces: ['*']}}}}]}}}}]"
            ),
        );
        let route = answer("r", &format!("{{uri: {uri}}}"));
        let host = object(
            "VirtualHost",
            "test/vh",
            "",
            &format!("domains: [a.com]\n{host}\nroutes:\n{route}"),
        );
        let text = gateway + &host;
        resolved(&text).findings
    };
    let all = "{normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: UNESCAPE_AND_FORWARD}";
    for (options, uri, form) in [
        ("{normalizePath: true}", "{exact: /a/../b}", Some("/b")),
        ("{normalizePath: true}", "{exact: /a/./b}", Some("/a/b")),
        ("{normalizePath: true}", "{exact: '/%61'}", Some("/a")),
        ("{normalizePath: true}", "{exact: '/100%'}", Some("/100%25")),
        ("{normalizePath: true}", "{exact: '/a\\b'}", Some("/a/b")),
        ("{normalizePath: true}", "{exact: /a/..}", Some("/")),
        ("{normalizePath: true}", "{prefix: /a/../b}", Some("/b")),
        ("{normalizePath: true}", "{prefix: /a/../}", Some("/")),
        (
            "{normalizePath: true}",
            "{pathSeparatedPrefix: /a/..}",
            Some("/"),
        ),
        ("{normalizePath: true}", "{suffix: /../b}", Some("/b")),
        ("{mergeSlashes: true}", "{exact: /a//b}", Some("/a/b")),
        ("{mergeSlashes: true}", "{prefix: //}", Some("/")),
        ("{mergeSlashes: true}", "{suffix: x//y}", Some("/y")),
        (all, "{exact: /a%2Fb, ignoreCase: true}", Some("/a/b")),
        // What may be the beginning or the end of something else.
        ("{normalizePath: true}", "{prefix: /a/..}", None),
        ("{normalizePath: true}", "{prefix: '/a%2'}", None),
        ("{normalizePath: true}", "{exact: '/a%20b'}", None),
        ("{normalizePath: true}", "{exact: /a//b}", None),
        ("{normalizePath: true}", "{exact: /.../b}", None),
        ("{mergeSlashes: true}", "{exact: /a/../b}", None),
        ("{mergeSlashes: true}", "{prefix: /}", None),
        (all, "{suffix: ../b}", None),
        (all, "{regex: '/a/[.][.]/b'}", None),
        (all, "{prefix: /a/b}", None),
        (all, "{pathSeparatedPrefix: /a}", None),
        ("{}", "{exact: /a//../b}", None),
    ] {
        let findings = lint(options, "", uri);
        let expected = form.map(|form| format!("infra/gw` makes `{form}` of it"));
        assert_eq!(
            findings.len(),
            usize::from(form.is_some()),
            "{uri}: {findings:?}"
        );
        let found = findings.first().zip(expected);
        assert!(
            found.is_none_or(
                |(found, text)| found.starts_with("W0259 at {uri: ") && found.ends_with(&text)
            ),
            "{uri}: {findings:?}"
        );
    }
    // Where parameters are left out, `/..;/b` is matched as `/../b`.
    let ignores = "ignorePathParameters: true";
    assert_eq!(lint(all, ignores, "{exact: /a/../b}"), [""; 0]);
    for uri in ["{prefix: '/a;v=1'}", "{suffix: '/a;v=1'}"] {
        let findings = lint("{}", ignores, uri);
        assert!(
            findings.len() == 1 && findings[0].contains("leaves out what follows a `;`"),
            "{findings:?}"
        );
        assert_eq!(lint(all, "", uri), [""; 0]);
    }
}

/// A table is looked at on each gateway.
#[test]
fn paths_that_are_in_form_on_one_gateway_only() {
    let gateway = |name: &str, options: &str| {
        object(
            "VirtualGateway",
            &format!("infra/{name}"),
            "",
            &format!(
                "ingressGatewaySelectors: [{{portName: http2}}]\noptions: {options}\nconnectionHandlers: \
                 [{{http: {{routeConfig: [{{virtualHostSelector: {{namespaces: ['*']}}}}]}}}}]"
            ),
        )
    };
    let yaml = gateway("a", "{}")
        + &gateway("b", "{mergeSlashes: true}")
        + &virtual_host(&delegate("d", &prefix("/a"), "test/t"))
        + &table("test/t", &answer("r", &exact("/x//y")));
    let findings = resolved(&yaml).findings;
    assert!(
        findings.len() == 1 && findings[0].contains("gateway `infra/b` makes `/a/x/y` of it"),
        "{findings:?}"
    );
}
