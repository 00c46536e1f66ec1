//! What a gateway tells about requests: its access log, its metrics, and explanations.

use meshgate_compiler::manifest::envoy::{EnvoyOptions, bootstrap};
use meshgate_compiler::manifest::settings::{FilterSettings, Metric, TokenDigest};
use meshgate_host_tests::envoy::client::Response;
use meshgate_host_tests::envoy::delivery::{Payload, manager};

use crate::gateway::{Gateway, Start, echo, received, wait_for};
use crate::shop;
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("observe/refusals_are_in_the_log", refusals_in_the_log),
    ("observe/metrics_have_labels", metrics_have_labels),
    ("observe/explanations", explanations),
];

const TOKEN: &str = "a-token-of-32-characters-or-more";

/// The plugin configuration that `meshgate compile` writes for settings.
pub(crate) fn configuration(settings: &FilterSettings) -> Payload {
    let compiled = shop::compiled(1);
    let options = EnvoyOptions {
        listen: std::net::Ipv4Addr::LOCALHOST.into(),
        ports: &compiled.ports,
        admin: None,
        filter: "filter.wasm".as_ref(),
        access_log: true,
        settings,
    };
    let mut bootstrap = bootstrap(
        &compiled.tree,
        &compiled.resources,
        compiled.program.as_deref().unwrap(),
        &Default::default(),
        &options,
        &mut Default::default(),
    );
    let manager = manager(&mut bootstrap["static_resources"]["listeners"][0]);
    let configuration = &manager["http_filters"][0]["typed_config"]["config"]["configuration"];
    assert_eq!(
        configuration["@type"],
        "type.googleapis.com/google.protobuf.StringValue"
    );
    Payload::Text(configuration["value"].as_str().unwrap().to_owned())
}

fn start(tools: &Tools, settings: FilterSettings) -> Gateway {
    let start = Start {
        configuration: configuration(&settings),
        ..Start::default()
    };
    Gateway::start(tools, start)
}

fn refusals_in_the_log(tools: &Tools) {
    let gateway = Gateway::start(tools, Start::default());
    let mut log = gateway.access_log();
    for (method, status, details) in [
        ("GET", 200, "meshgate_direct_response"),
        ("DELETE", 403, "meshgate_refused_authorization[no_deletes]"),
        ("PUT", 403, "meshgate_refused_authorization"),
    ] {
        let response = gateway.send(method, "/guarded", &[]);
        assert_eq!(response.status, status, "{method}");
        let entry = log.next_entry().unwrap();
        assert_eq!(entry.details.as_deref(), Some(details), "{entry:?}");
        let route = entry.route.as_deref();
        assert_eq!(route, Some("platform.shop/guarded-p1"), "{entry:?}");
    }
    gateway.assert_unharmed();
}

/// The line of a metric in what Prometheus reads.
fn metric(gateway: &Gateway, name: &str, labels: &[&str]) -> Option<u64> {
    let metrics = gateway.admin("/stats/prometheus");
    metrics.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix('{')?;
        let (found, value) = rest.split_once("} ")?;
        let mut found: Vec<&str> = found.split(',').collect();
        found.sort_unstable();
        (found == labels).then(|| value.parse().ok())?
    })
}

fn metrics_have_labels(tools: &Tools) {
    let settings = FilterSettings {
        metrics: vec![Metric::Route, Metric::Duration],
        ..FilterSettings::default()
    };
    let gateway = start(tools, settings);
    for path in ["/orders/17", "/stock/17", "/fixed", "/elsewhere"] {
        gateway.get(path);
    }
    let shop = r#"virtual_host="platform.shop""#;
    for (outcome, count) in [("forwarded", 2), ("direct_response", 1), ("not_found", 1)] {
        let outcome = format!(r#"outcome="{outcome}""#);
        let labels = [outcome.as_str(), shop];
        let found = metric(&gateway, "meshgate_requests", &labels);
        assert_eq!(found, Some(count), "{outcome}");
    }
    let route = r#"route="platform.shop/stock-p1""#;
    let labels = [r#"outcome="forwarded""#, route];
    let found = metric(&gateway, "meshgate_route_requests", &labels);
    assert_eq!(found, Some(1));
    // Envoy adds up histograms every few seconds.
    wait_for("histograms", || {
        metric(&gateway, "meshgate_route_duration_ms_count", &[route]).filter(|count| *count == 1)
    });
    let number = metric(&gateway, "meshgate_generation", &[""]);
    let program = meshgate_engine::Program::new(shop::program(1)).unwrap();
    assert_eq!(number, Some(program.number()));
    gateway.assert_unharmed();
}

fn explanations(tools: &Tools) {
    let settings = FilterSettings {
        explain: TokenDigest::of(TOKEN),
        ..FilterSettings::default()
    };
    let gateway = start(tools, settings);
    let explained = |method: &str, path: &str, token: &str| {
        let response = gateway.send(method, path, &[("x-meshgate-explain", token.as_bytes())]);
        let explanation = header(&response, "x-meshgate-explain");
        (response, explanation)
    };
    let place = "generation=p1; gateway=platform.edge; virtual-host=platform.shop; ";
    let (response, explanation) = explained("GET", "/stock/17", TOKEN);
    let cluster = shop::cluster("stock");
    let expected =
        format!("{place}route=platform.shop/stock-p1; outcome=forwarded; cluster={cluster}");
    assert_eq!(explanation, Some(expected));
    let echo = echo(&response);
    assert_eq!(received(&echo, "x-meshgate-explain"), None);
    for (method, path, expected) in [
        (
            "DELETE",
            "/guarded",
            "route=platform.shop/guarded-p1; policies=authorization; outcome=rejected; \
             policy=authorization[no_deletes]",
        ),
        (
            "GET",
            "/delayed",
            "route=platform.shop/delayed-p1; policies=fault; outcome=forwarded; cluster=",
        ),
        (
            "GET",
            "/moved",
            "route=platform.shop/moved-p1; outcome=redirected",
        ),
        ("GET", "/elsewhere", "outcome=not_found"),
    ] {
        let (_, explanation) = explained(method, path, TOKEN);
        let explanation = explanation.unwrap_or_else(|| panic!("{path} is not explained"));
        let expected = format!("{place}{expected}");
        assert!(explanation.starts_with(&expected), "{explanation}");
    }
    for path in ["/stock/17", "/fixed", "/elsewhere"] {
        let (_, explanation) = explained("GET", path, "another-token-of-32-characters-..");
        assert_eq!(explanation, None);
        assert_eq!(header(&gateway.get(path), "x-meshgate-explain"), None);
    }
    gateway.assert_unharmed();
}

fn header(response: &Response, name: &str) -> Option<String> {
    let mut headers = response.headers.iter();
    let (_, value) = headers.find(|(header, _)| header.eq_ignore_ascii_case(name))?;
    Some(String::from_utf8(value.clone()).unwrap())
}
