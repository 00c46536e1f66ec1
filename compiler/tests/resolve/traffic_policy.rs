//! TrafficPolicies: what they select, what they say, and what is reported about them.

use std::fmt::Write as _;

use meshgate_compiler::resolve::{ResolveOptions, Sharing};
use meshgate_compiler::tree::{Action, Route, Tree, written_out};

use crate::config::*;

fn policy(id: &str, created: &str, spec: &str) -> String {
    let created = match created {
        "" => String::new(),
        year => format!(", creationTimestamp: \"{year}-01-01T00:00:00Z\""),
    };
    object("TrafficPolicy", id, &created, spec).replace(
        "networking.enterprise.mesh.gloo.solo.io/v1beta1",
        "networking.mesh.gloo.solo.io/v1",
    )
}

fn forward(name: &str, more: &str) -> String {
    format!(
        "- {{name: {name}, matchers: [{{uri: {{prefix: /{name}}}}}]{more}, routeAction: {{destinations: [{{kubeService: {{name: a, port: 80}}}}]}}}}\n"
    )
}

fn routes(tree: &Tree) -> Vec<std::sync::Arc<Route>> {
    let hosts = tree.gateways.iter().flat_map(|gateway| &gateway.hosts);
    hosts
        .flat_map(|host| &host.virtual_hosts)
        .flat_map(|host| written_out(&host.routes))
        .collect()
}

/// `name timeout` of each route, and the findings.
fn timeouts(yaml: &str) -> (Vec<String>, Vec<String>) {
    let resolved = resolved(yaml);
    let timeouts = routes(&resolved.tree)
        .iter()
        .map(|route| {
            let timeout = route.options.request_timeout.as_ref();
            let seconds = timeout.map_or("-".to_owned(), |timeout| {
                timeout.value.as_secs().to_string()
            });
            format!("{} {seconds}", route.name.own)
        })
        .collect();
    (timeouts, resolved.findings)
}

/// Weights and clusters' services of the first route.
fn shares(yaml: &str, cluster: Option<&str>) -> (Vec<String>, Vec<String>) {
    let options = ResolveOptions {
        cluster: cluster.map(str::to_owned),
        ..ResolveOptions::default()
    };
    let resolved = resolved_with(yaml, &options);
    let shares = match routes(&resolved.tree).first().map(|route| &route.action) {
        Some(Action::Forward(forward)) => forward
            .destinations
            .iter()
            .map(|part| {
                let service = part.destination.cluster.rsplit('|').next();
                let service = service.and_then(|host| host.split('.').next());
                format!("{} {}", part.weight, service.unwrap_or_default())
            })
            .collect(),
        _ => Vec::new(),
    };
    (shares, resolved.findings)
}

fn shift(selector: &str, destinations: &str) -> String {
    policy(
        "test/p",
        "",
        &format!(
            "destinationSelector: {selector}\nrouteSelector: [{{}}]\npolicy: {{trafficShift: {{destinations: [{destinations}]}}}}"
        ),
    )
}

#[test]
fn selectors_look_in_the_namespace_of_the_policy() {
    let yaml = gateway()
        + &virtual_host_named("test/vh", "", "[a.com]", &forward("a", ""))
        + &virtual_host_named("other/vh", "", "[b.com]", &forward("b", ""))
        + &policy(
            "other/p",
            "",
            "routeSelector: [{virtualHostSelector: {}}]\npolicy: {requestTimeout: 1s}",
        );
    assert_eq!(timeouts(&yaml).0, ["b 1", "a -"]);
    let (timeouts, findings) = timeouts(&yaml.replace(
        "[{virtualHostSelector: {}}]\n",
        "[{virtualHostSelector: {namespaces: ['*']}}]\n",
    ));
    assert_eq!(timeouts, ["b 1", "a 1"]);
    assert_eq!(findings, Vec::<String>::new());
}

#[test]
fn a_label_is_compared_where_the_route_stands() {
    let yaml = gateway()
        + &virtual_host(&(forward("own", ", labels: {x: z}") + &delegate("d", "", "test/t")))
        + &table("test/t", &forward("below", ", labels: {x: z}"))
        + &policy(
            "test/p",
            "",
            "routeSelector: [{virtualHostSelector: {}, routeLabelMatcher: {x: z}}]\npolicy: {requestTimeout: 1s}",
        );
    assert_eq!(
        timeouts(&yaml),
        (vec!["own 1".to_owned(), "below -".to_owned()], vec![])
    );
    let tables_too = yaml.replace("{virtualHostSelector: {}, ", "{");
    assert_eq!(timeouts(&tables_too).0, ["own 1", "below 1"]);
}

#[test]
fn a_policy_without_route_selector_is_not_for_gateways() {
    for selector in ["", "routeSelector: []\n"] {
        let yaml = gateway()
            + &virtual_host(&forward("a", ""))
            + &policy(
                "test/p",
                "",
                &format!("{selector}policy: {{requestTimeout: 1s}}"),
            );
        assert_eq!(timeouts(&yaml), (vec!["a -".to_owned()], vec![]));
    }
}

#[test]
fn what_selects_nothing_is_reported() {
    let host = gateway() + &virtual_host(&forward("a", ""));
    for (selector, expected) in [
        (
            "{virtualHostRefs: [{name: nobody}]}",
            "W0114 at {name: nobody}: there is no VirtualHost `test/nobody`; none of its routes has this policy",
        ),
        (
            "{routeTableRefs: [{name: t, namespace: x}]}",
            "W0114 at {name: t, namespace: x}: there is no RouteTable `x/t`; none of its routes has this policy",
        ),
        (
            "{virtualHostSelector: {labels: {a: b}}}",
            "W0103 at {labels: {a: b}}: the selector selects no virtual host",
        ),
        (
            "{routeTableSelector: {}}",
            "W0103 at {}: the selector selects no route table",
        ),
        (
            "{routeLabelMatcher: {a: b}}",
            "W0114 at {routeLabelMatcher: {a: b}}: TrafficPolicy `test/p` selects no route here",
        ),
        (
            "{virtualHostSelector: {labels: {a: b}, expressions: [{key: a, operator: Exists}]}}",
            "E0101 at {labels: {a: b}, expressions: [{key: a, operator: Exists}]}: a selector with both `labels` and `expressions` selects nothing",
        ),
    ] {
        let policy = policy(
            "test/p",
            "",
            &format!("routeSelector: [{selector}]\npolicy: {{requestTimeout: 1s}}"),
        );
        assert_eq!(
            timeouts(&(host.clone() + &policy)),
            (vec!["a -".to_owned()], vec![expected.to_owned()]),
            "{selector}"
        );
    }
}

#[test]
fn what_gateways_ignore_is_reported() {
    let yaml = gateway()
        + &virtual_host(&forward("a", ""))
        + &policy(
            "test/p",
            "",
            "sourceSelector: [{kubeWorkloadMatcher: {namespaces: [x]}}]\nhttpRequestMatchers: [{prefix: /never}]\nrouteSelector: [{}]\n\
             policy: {requestTimeout: 1s, mtls: {istio: {tlsMode: SIMPLE}}, outlierDetection: {consecutiveErrors: 1}}",
        );
    let (timeouts, findings) = timeouts(&yaml);
    assert_eq!(timeouts, ["a 1"]);
    assert_eq!(
        findings,
        [
            "W0116 at httpRequestMatchers: `httpRequestMatchers` are ignored for routes of gateways, which have matchers of their own",
            "E0454 at outlierDetection: `outlierDetection` cannot depend on the source of requests",
        ]
    );
}

#[test]
fn routes_of_a_broken_policy_are_left_out() {
    for spec in [
        "routeSelector: [{virtualHostRefs: [{name: vh}]}]\npolicy: {requestTimeout: soon}",
        "routeSelector: [{virtualHostRefs: [{name: vh}]}]\npolicy: {extAuth: {}}",
        "routeSelector: [{virtualHostRefs: [{name: vh}]}]\npolicy: {retries: 3}",
        "routeSelector: [{virtualHostRefs: [{name: vh}]}]\npolicy: {trafficShift: {destinations: []}}",
        "routeSelector: [{virtualHostRefs: [{name: vh}]}]\ndestinationSelector: [{kubeServiceRefs: {services: [{name: a}]}}]\npolicy: {requestTimeout: 1s}",
    ] {
        let yaml = gateway()
            + &virtual_host(&forward("a", ", options: {requestTimeout: 1s}"))
            + &virtual_host_named("test/other", "", "[b.com]", &forward("b", ""))
            + &policy("test/p", "", spec);
        let (timeouts, findings) = timeouts(&yaml);
        assert_eq!(timeouts, ["b -"], "{spec}");
        assert!(
            findings.iter().any(|finding| finding
                == "E0453 at p: TrafficPolicy `test/p` has errors; the routes it selects are left out rather than served without it"),
            "{findings:?}"
        );
    }
    // Nobody knows which routes this one was meant for.
    let yaml = gateway()
        + &virtual_host(&forward("a", ""))
        + &policy(
            "test/p",
            "",
            "routeSelector: [{virtualHosts: [vh]}]\npolicy: {requestTimeout: 1s}",
        );
    let (timeouts, findings) = timeouts(&yaml);
    assert_eq!(timeouts, ["a -"]);
    assert!(
        findings[0].starts_with("E0030 at virtualHosts"),
        "{findings:?}"
    );
}

#[test]
fn a_mirror_of_a_policy_that_is_lost_takes_routes_along_that_have_none_of_their_own() {
    let service = object("Service", "test/copy", "", "ports: [{port: 80}]")
        .replace("networking.enterprise.mesh.gloo.solo.io/v1beta1", "v1");
    let yaml = service
        + &gateway()
        + &virtual_host(
            &(forward("own", ", options: {mirror: {kubeService: {name: copy}}}")
                + &forward("lost", "")),
        )
        + &policy(
            "test/p",
            "",
            "routeSelector: [{}]\npolicy: {mirror: {kubeService: {name: copy}, port: 81}}",
        );
    let (timeouts, findings) = timeouts(&yaml);
    assert_eq!(timeouts, ["own -"]);
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[test]
fn an_option_has_its_place_in_the_policy() {
    let yaml = gateway()
        + &virtual_host(&forward("a", ""))
        + &policy(
            "test/p",
            "",
            "routeSelector: [{}]\npolicy:\n  retries: {attempts: 7}\n  trafficShift: {destinations: [{kubeService: {name: b, port: 80}}]}",
        );
    let resolved = resolved(&yaml);
    let routes = routes(&resolved.tree);
    let places: Vec<(&str, &str)> = routes[0]
        .options
        .places()
        .into_iter()
        .map(|(name, span)| (name, &yaml[span.start as usize..span.end as usize]))
        .collect();
    assert_eq!(
        places,
        [("retries", "retries"), ("trafficShift", "trafficShift")]
    );
}

#[test]
fn a_shift_concerns_the_services_that_are_selected() {
    let route = |cluster: &str| {
        gateway()
            + &virtual_host(&format!(
                "- {{routeAction: {{destinations: [{{kubeService: {{name: a, port: 80{cluster}}}}}]}}}}\n"
            ))
    };
    let to = "{kubeService: {name: b, port: 80}, weight: 1}, {kubeService: {name: c, port: 80}, weight: 1}";
    let by_name =
        "[{kubeServiceRefs: {services: [{name: a, namespace: test, clusterName: east}]}}]";
    let shifted = vec!["50 b".to_owned(), "50 c".to_owned()];
    let unshifted = vec!["100 a".to_owned()];
    for (written, cluster, selector, expected) in [
        ("", None, "[]", &shifted),
        ("", None, by_name, &shifted),
        ("", Some("east"), by_name, &shifted),
        ("", Some("west"), by_name, &unshifted),
        (", clusterName: east", Some("east"), by_name, &shifted),
        (
            "",
            None,
            "[{kubeServiceMatcher: {namespaces: [test]}}]",
            &shifted,
        ),
        (
            "",
            None,
            "[{kubeServiceMatcher: {namespaces: [x]}}]",
            &unshifted,
        ),
        // Labels of a service that is not there are not known.
        (
            "",
            None,
            "[{kubeServiceMatcher: {labels: {x: z}}}]",
            &unshifted,
        ),
        ("", None, "[{}]", &unshifted),
    ] {
        let (shares, findings) = shares(&(route(written) + &shift(selector, to)), cluster);
        assert_eq!(&shares, expected, "{written} {cluster:?} {selector}");
        let idle = findings.iter().any(|finding| {
            finding.starts_with("W0114 at trafficShift: `trafficShift` shifts nothing")
        });
        assert_eq!(idle, *expected == unshifted, "{findings:?}");
    }
}

#[test]
fn a_route_is_left_out_whose_new_destination_is_lost() {
    let service = object("Service", "test/b", "", "ports: [{port: 81}]")
        .replace("networking.enterprise.mesh.gloo.solo.io/v1beta1", "v1");
    let yaml = service
        + &gateway()
        + &virtual_host(
            &(forward("a", "")
                + "- {name: b, routeAction: {destinations: [{kubeService: {name: b}}]}}\n"),
        )
        + &shift(
            "[{kubeServiceRefs: {services: [{name: a, namespace: test, clusterName: east}]}}]",
            "{kubeService: {name: b, port: 80}}",
        );
    let (timeouts, findings) = timeouts(&yaml);
    assert_eq!(timeouts, ["b -"]);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with("E0351 at 80"), "{findings:?}");
}

#[test]
fn a_route_has_a_hundred_destinations_at_most() {
    let many = |name: &str, count: usize| {
        (0..count).fold(String::new(), |mut list, at| {
            let _ = write!(list, "{{kubeService: {{name: {name}{at}, port: 80}}}}, ");
            list
        })
    };
    let route = |count| {
        gateway()
            + &virtual_host(&format!(
                "- {{routeAction: {{destinations: [{}]}}}}\n",
                many("a", count)
            ))
    };
    let shift = shift("[]", &many("b", 50));
    assert_eq!(shares(&(route(2) + &shift), None).0.len(), 100);
    let (shares, findings) = shares(&(route(3) + &shift), None);
    assert_eq!(shares, Vec::<String>::new());
    assert!(
        findings[0].starts_with("E0357 at trafficShift: with this shift a route has more than 100"),
        "{findings:?}"
    );
}

#[test]
fn shared_routes_have_the_policies_of_their_place() {
    let mut many = String::new();
    for at in 0..300 {
        many += &forward(&format!("r{at}"), "");
    }
    let host = |at: usize| {
        virtual_host_named(
            &format!("test/h{at}"),
            "",
            &format!("[h{at}.com]"),
            &delegate("d", &prefix("/x"), "test/t"),
        )
    };
    let yaml = gateway()
        + &(0..4).map(host).collect::<String>()
        + &table("test/t", &many)
        + &policy(
            "test/p",
            "",
            "routeSelector: [{virtualHostRefs: [{name: h1}, {name: h3}]}]\npolicy: {requestTimeout: 1s}",
        );
    let of = |sharing| {
        let options = ResolveOptions {
            sharing,
            ..ResolveOptions::default()
        };
        let tree = resolved_with(&yaml, &options).tree;
        let routes = routes(&tree);
        routes
            .iter()
            .map(|route| {
                (
                    route.name.to_string(),
                    route.options.request_timeout.clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    let shared = of(Sharing::Always);
    assert_eq!(shared, of(Sharing::Never));
    let with = shared.iter().filter(|(_, timeout)| timeout.is_some());
    assert_eq!((shared.len(), with.count()), (1200, 600));
}
