//! Gateways, virtual hosts and domains.

use crate::config::*;

fn host(id: &str, metadata: &str, domains: &str) -> String {
    virtual_host_named(id, metadata, domains, &answer("r", &prefix("/")))
}

#[test]
fn a_selector_means_the_gateways_namespace() {
    let yaml = gateway_with("- virtualHostSelector: {}")
        + &host("infra/here", "", "[a.com]")
        + &host("test/there", "", "[b.com]");
    assert_eq!(resolved(&yaml).hosts(), ["a.com: infra/here"]);
}

#[test]
fn selected_and_inline_hosts_are_united() {
    let yaml = gateway_with(
        "- virtualHostSelector: {labels: {k: v}, namespaces: ['*']}\n- virtualHostSelector: {namespaces: [test]}\n- virtualHost:\n    domains: [inline.com]\n    routes:\n    - {name: i, delegateAction: {refs: [{name: t}]}}",
    ) + &host("test/a", ", labels: {k: v}", "[a.com]")
        + &host("test/b", "", "[b.com]")
        + &table("infra/t", &answer("r", &prefix("/")));
    let resolved = resolved(&yaml);
    assert_eq!(
        resolved.hosts(),
        ["inline.com: infra/gw", "a.com: test/a", "b.com: test/b"]
    );
    assert_eq!(
        resolved.names(),
        ["infra.gw/i/infra.t/r", "test.a/r", "test.b/r"]
    );
}

#[test]
fn shared_domains_are_merged_oldest_first() {
    let hosts = [
        host(
            "test/young",
            ", creationTimestamp: '2022-02-01T00:00:00Z'",
            "[shared.com, young.com]",
        ),
        host(
            "test/old",
            ", creationTimestamp: '2022-01-01T00:00:00Z'",
            "[old.com, SHARED.com, too.com]",
        ),
        host("test/ageless", "", "['*', too.com]"),
    ];
    let yaml = gateway() + &hosts.concat();
    let resolved = resolved(&yaml);
    let expected = [
        "old.com: test/old",
        "shared.com: test/old, test/young",
        "too.com: test/old, test/ageless",
        "young.com: test/young",
        "*: test/ageless",
    ];
    assert_eq!(resolved.hosts(), expected);
    assert_eq!(
        resolved
            .findings
            .iter()
            .filter(|finding| finding.starts_with("W0551"))
            .collect::<Vec<_>>(),
        [
            "W0551 at shared.com: `shared.com` is also a domain of virtual host `test/old`, whose routes are tried before these",
            "W0551 at SHARED.com: `shared.com` is also a domain of virtual host `test/young`, whose routes are tried after these",
            "W0551 at too.com: `too.com` is also a domain of virtual host `test/ageless`, whose routes are tried after these",
            "W0551 at too.com: `too.com` is also a domain of virtual host `test/old`, whose routes are tried before these",
        ]
    );
    let reversed: String = hosts.iter().rev().map(String::as_str).collect();
    assert_eq!(self::resolved(&(reversed + &gateway())).hosts(), expected);
}

#[test]
fn domains_that_cannot_be() {
    let yaml = gateway()
        + &host(
            "test/vh",
            "",
            "[a.com, 'a*b.com', 'a b', ö.com, 'a.com:0', A.com]",
        );
    let resolved = resolved(&yaml);
    assert_eq!(resolved.hosts(), ["a.com: test/vh"]);
    assert_eq!(
        resolved.findings,
        [
            "E0550 at 'a*b.com': the wildcard of `a*b.com` is neither at its start nor at its end",
            "E0550 at 'a b': `a b` is not a domain: ' ' cannot be part of one",
            "E0550 at ö.com: `ö.com` is not ASCII; write it in its `xn--` form, as clients send it",
            "E0550 at 'a.com:0': `0` is not a port; a domain is `host` or `host:port`",
            "W0552 at A.com: `A.com` is there twice",
        ]
    );
}

#[test]
fn a_domain_inside_a_wildcard() {
    let yaml = gateway() + &host("test/vh", "", "['*.foo.bar', '*.bar', bar]");
    assert_eq!(
        resolved(&yaml).findings,
        ["W0552 at '*.foo.bar': `*.foo.bar` is covered by `*.bar` of the same host"]
    );
}

#[test]
fn an_empty_host_is_ignored_but_a_broken_one_keeps_its_domain() {
    let yaml = gateway()
        + &object(
            "VirtualHost",
            "test/empty",
            "",
            "domains: [empty.com]\nroutes: []",
        )
        + &virtual_host_named("test/broken", "", "[broken.com]", "- {name: no-action}")
        + &host("test/rest", "", "['*']");
    let resolved = resolved(&yaml);
    assert_eq!(
        resolved.hosts(),
        ["broken.com: test/broken", "*: test/rest"]
    );
    assert_eq!(resolved.names(), ["test.rest/r"]);
    assert!(resolved.findings.contains(
        &"W0553 at empty: virtual host `test/empty` has no routes and is ignored".to_owned()
    ));
    assert!(
        !resolved
            .findings
            .iter()
            .any(|finding| finding.contains("test/broken"))
    );
}

#[test]
fn redirecting_gateways_have_no_hosts() {
    let yaml = object(
        "VirtualGateway",
        "infra/gw",
        "",
        "ingressGatewaySelectors: [{portName: http2}]\nconnectionHandlers:\n- connectionOptions: {httpsRedirect: true}",
    );
    let resolved = resolved(&yaml);
    assert!(resolved.tree.gateways[0].https_redirect);
    assert_eq!(resolved.hosts(), Vec::<String>::new());
    assert_eq!(resolved.findings, Vec::<String>::new());
}
