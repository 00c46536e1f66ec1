//! A gateway with routes of others, which have the requests that no route of the program is for.

use meshgate_compiler::manifest::settings::FilterSettings;
use meshgate_host_tests::both_envoys::{Test, Tools};
use meshgate_host_tests::envoy::delivery::Payload;

use crate::gateway::{Gateway, Start, echo};
use crate::{observe, shop};

pub(crate) const TESTS: &[Test] = &[
    ("beside/others_have_the_rest", others_have_the_rest),
    ("beside/others_have_all_without_program", others_have_all),
];

fn start(tools: &Tools, configuration: Payload) -> Gateway {
    Gateway::start(
        tools,
        Start {
            configuration,
            has_others: true,
            trusts_clients: true,
            ..Start::default()
        },
    )
}

/// A client that Envoy trusts, and that wants to choose, gets what others have for it.
#[track_caller]
fn goes_to_others(gateway: &Gateway, path: &str) {
    let stock = shop::cluster("stock");
    let spoofed = [
        ("x-meshgate-cluster", stock.as_bytes()),
        ("x-envoy-upstream-rq-timeout-ms", b"1"),
    ];
    for headers in [&[][..], &spoofed] {
        let passed = echo(&gateway.send("GET", path, headers));
        assert_eq!(passed.upstream, shop::cluster("copy"));
        assert_eq!(passed.path, path);
        let mut names = passed.headers.iter().map(|(name, _)| name.as_str());
        assert_eq!(names.find(|name| name.starts_with("x-meshgate-")), None);
    }
}

fn others_have_the_rest(tools: &Tools) {
    let settings = FilterSettings {
        pass_on: true,
        ..FilterSettings::default()
    };
    let gateway = start(tools, observe::configuration(&settings));
    goes_to_others(&gateway, "/elsewhere//x?y=//");
    assert_eq!(gateway.count("unclaimed"), 2);
    assert_eq!(
        echo(&gateway.get("/stock")).upstream,
        shop::cluster("stock")
    );
    assert_eq!(gateway.get("/fixed").body, b"p1");
    assert_eq!(gateway.get("/forbidden").status, 403);
    gateway.assert_unharmed();
}

fn others_have_all(tools: &Tools) {
    let gateway = start(tools, Payload::Text(r#"{"passOn":true}"#.to_owned()));
    goes_to_others(&gateway, "/stock");
    assert_eq!(gateway.count("no_program"), 2);
    gateway.assert_unharmed();
}
