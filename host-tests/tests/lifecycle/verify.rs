//! What `meshgate verify` says about running gateways, good ones and bad ones.

use std::thread;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use meshgate_compiler::verify::{self, Check, Known, Report, State, verify};
use meshgate_host_tests::envoy::bootstrap::{cluster_names, echo_bootstrap};
use meshgate_host_tests::envoy::delivery::{Delivery, Payload, manager};
use meshgate_host_tests::envoy::{Envoy, Settings};
use meshgate_host_tests::upstream::Upstreams;
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};

use crate::gateway::{Gateway, Start};
use crate::shop;
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("verify/good_and_refused_updates", good_and_refused),
    ("verify/as_compressed_text", as_compressed_text),
    ("verify/of_the_listener", of_the_listener),
    ("verify/broken_at_the_start", broken_at_the_start),
    ("verify/changed_bootstraps", changed_bootstraps),
];

fn look(envoy: &Envoy, program: Option<&Known>) -> Report {
    let body = |path| {
        let response = envoy.admin("GET", path).unwrap();
        String::from_utf8(response.body).unwrap()
    };
    let config_dump: Value = serde_json::from_str(&body("/config_dump")).unwrap();
    verify(&verify::Gateway {
        config_dump: &config_dump,
        stats: Some(&body("/stats")),
        program,
    })
}

fn program(number: u64) -> Known {
    Known::new(shop::program(number)).unwrap()
}

/// What is wrong, by what was looked at.
fn wrong(report: &Report) -> Vec<(Check, &str)> {
    report
        .findings
        .iter()
        .filter(|finding| finding.state == State::Wrong)
        .map(|finding| (finding.check, finding.message.as_str()))
        .collect()
}

#[track_caller]
fn assert_wrong(report: &Report, check: Check, message: &str) {
    assert!(
        wrong(report)
            .iter()
            .any(|(found, text)| *found == check && text.contains(message)),
        "{report:#?}"
    );
}

fn good_and_refused(tools: &Tools) {
    let mut gateway = Gateway::start(tools, Start::default());
    let report = look(&gateway.envoy, Some(&program(1)));
    assert_eq!(wrong(&report), [], "{report:#?}");
    assert_eq!(report.generations, ["p1".to_owned()].into());
    for check in [
        Check::Filter,
        Check::Route,
        Check::Program,
        Check::Clusters,
        Check::Updates,
    ] {
        let fine = report
            .findings
            .iter()
            .any(|finding| finding.check == check && finding.state == State::Ok);
        assert!(fine, "{check:?}: {report:#?}");
    }

    // The dump holds what was refused.
    gateway.replace_in_vain(&Payload::Bytes(b"broken".to_vec()));
    let report = look(&gateway.envoy, Some(&program(2)));
    assert_wrong(&report, Check::Program, "not a meshgate routing program");

    // The dump does not say whether the program in it was among the refused, but the filter's gauge does.
    gateway.replace(&Payload::Bytes(shop::program(3)));
    let report = look(&gateway.envoy, None);
    assert_eq!(wrong(&report), [], "{report:#?}");
    assert_eq!(report.generations, ["p3".to_owned()].into());
    let body = |path| gateway.admin(path);
    let config_dump: Value = serde_json::from_str(&body("/config_dump")).unwrap();
    let look_with = |stats: &str| {
        verify(&verify::Gateway {
            config_dump: &config_dump,
            stats: Some(stats),
            program: None,
        })
    };
    let stats = body("/stats");
    let is_gauge = |line: &&str| line.starts_with("wasmcustom.meshgate.generation: ");
    let without: Vec<&str> = stats.lines().filter(|line| !is_gauge(line)).collect();
    let report = look_with(&without.join("\n"));
    assert_eq!(wrong(&report), [], "{report:#?}");
    assert!(report.generations.is_empty(), "{report:#?}");
    let other = [&without[..], &["wasmcustom.meshgate.generation: 1"]].concat();
    let report = look_with(&other.join("\n"));
    assert_wrong(&report, Check::Program, "another program serves");
}

/// As it is in a mesh.
fn as_compressed_text(tools: &Tools) {
    let data = BASE64_STANDARD.encode(compress_to_vec_zlib(&shop::program(1), 8));
    let text = json!({ "program": { "encoding": "zlib+base64", "data": data } });
    let start = Start {
        configuration: Payload::Text(text.to_string()),
        ..Start::default()
    };
    let gateway = Gateway::start(tools, start);
    let report = look(&gateway.envoy, Some(&program(1)));
    assert_eq!(wrong(&report), [], "{report:#?}");
    assert_eq!(report.generations, ["p1".to_owned()].into());
}

fn of_the_listener(tools: &Tools) {
    let start = Start {
        delivery: Delivery::Listener,
        ..Start::default()
    };
    let mut gateway = Gateway::start(tools, start);
    let report = look(&gateway.envoy, Some(&program(1)));
    assert_eq!(wrong(&report), [], "{report:#?}");
    gateway.replace_in_vain(&Payload::Bytes(b"broken".to_vec()));
    let report = look(&gateway.envoy, Some(&program(1)));
    assert_wrong(&report, Check::Updates, "was refused");
    assert_eq!(report.generations, ["p1".to_owned()].into());
}

fn broken_at_the_start(tools: &Tools) {
    let start = Start {
        configuration: Payload::Bytes(b"broken".to_vec()),
        ..Start::default()
    };
    let gateway = Gateway::start(tools, start);
    let report = look(&gateway.envoy, None);
    assert!(report.is_wrong(), "{report:#?}");
    assert_wrong(&report, Check::Program, "not a meshgate routing program");
}

/// Starts an Envoy whose bootstrap was changed, and looks at it.
fn changed(tools: &Tools, change: impl FnOnce(&mut Value)) -> Report {
    let compiled = shop::compiled(1);
    let upstreams = Upstreams::start(cluster_names(&compiled)).unwrap();
    let program = shop::program(1);
    let mut bootstrap = echo_bootstrap(&compiled, &program, &tools.filter, &upstreams);
    change(&mut bootstrap["static_resources"]);
    let envoy = Envoy::start(&Settings {
        binary: &tools.envoy,
        bootstrap: &bootstrap.to_string(),
        workers: 1,
    })
    .unwrap_or_else(|reason| panic!("{reason}"));
    // Listeners are in the dump as soon as they are known.
    thread::sleep(Duration::from_millis(50));
    look(&envoy, None)
}

fn changed_bootstraps(tools: &Tools) {
    let report = changed(tools, |_| ());
    assert_eq!(wrong(&report), [], "{report:#?}");

    let placeholder = changed(tools, |resources| {
        let manager = manager(&mut resources["listeners"][0]);
        let host = &mut manager["route_config"]["virtual_hosts"][0];
        host.as_object_mut().unwrap().remove("matcher");
        host["routes"] = json!([{
            "name": "meshgate-catchall",
            "match": { "prefix": "/" },
            "direct_response": { "status": 503 },
        }]);
    });
    assert_wrong(&placeholder, Check::Route, "has no route");

    let kept = changed(tools, |resources| {
        let manager = manager(&mut resources["listeners"][0]);
        manager["route_config"]["request_headers_to_remove"] = json!([]);
    });
    assert_wrong(&kept, Check::Route, "does not remove it");

    let unguarded = changed(tools, |resources| {
        let filters = &mut manager(&mut resources["listeners"][0])["http_filters"];
        filters.as_array_mut().unwrap().remove(0);
    });
    assert_wrong(&unguarded, Check::Filter, "no listener has the filter");
    assert_wrong(&unguarded, Check::Route, "clients choose the cluster");

    let missing = shop::cluster("stock");
    let report = changed(tools, |resources| {
        resources["clusters"]
            .as_array_mut()
            .unwrap()
            .retain(|cluster| cluster["name"] != missing.as_str());
    });
    assert_wrong(
        &report,
        Check::Clusters,
        &format!("`{missing}` does not exist"),
    );
    assert_eq!(wrong(&report).len(), 1, "{report:#?}");
}
