//! Settings of the filter: what `meshgate compile` writes beside the program.

use serde_json::{Value, json};

use crate::folder::Folder;

const ENVOY: [&str; 6] = [
    "compile",
    ".",
    "--target",
    "envoy",
    "--filter",
    "/opt/filter.wasm",
];

/// The configuration of the filter in a bootstrap.
fn configuration(bootstrap: &Value) -> &Value {
    let manager = &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
    &manager["typed_config"]["http_filters"][0]["typed_config"]["config"]["configuration"]
}

fn bootstrap(folder: &Folder, args: &[&str]) -> Value {
    folder
        .run(&[&ENVOY[..], args].concat())
        .ended_with(0)
        .json()
}

#[test]
fn without_settings_the_configuration_is_the_program() {
    let bootstrap = bootstrap(&Folder::shop(), &[]);
    let kind = &configuration(&bootstrap)["@type"];
    assert_eq!(kind, "type.googleapis.com/google.protobuf.BytesValue");
}

#[test]
fn settings_stand_beside_the_program() {
    let folder = Folder::shop();
    folder.write("token", b"0123456789abcdef\n");
    let args = ["--metrics", "route,duration", "--metrics", "route"];
    let bootstrap = bootstrap(
        &folder,
        &[&args[..], &["--explain-token", "token"]].concat(),
    );
    let text = configuration(&bootstrap)["value"].as_str().unwrap();
    let mut settings: Value = serde_json::from_str(text).unwrap();
    assert!(settings["program"]["data"].is_string());
    settings["program"].take();
    let digest = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
    let expected = json!({
        "program": null,
        "metrics": ["route", "duration"],
        "explain": { "tokenSha256": digest },
    });
    assert_eq!(settings, expected);
    assert!(!bootstrap.to_string().contains("0123456789abcdef\""));
}

#[test]
fn tokens_that_can_be_guessed_or_not_be_sent_are_refused() {
    let folder = Folder::shop();
    for token in ["0123456789abcde", "0123456789 abcdef", "0123456789abcdeé"] {
        folder.write("token", token.as_bytes());
        folder
            .run(&[&ENVOY[..], &["--explain-token", "token"]].concat())
            .ended_with(2)
            .said("the token in `token` cannot be used");
    }
    folder
        .run(&[&ENVOY[..], &["--explain-token", "absent"]].concat())
        .ended_with(2)
        .said("cannot read `absent`");
}

#[test]
fn a_program_has_no_settings() {
    Folder::shop()
        .run(&[
            "compile",
            ".",
            "--target",
            "program",
            "-o",
            "p.bin",
            "--metrics",
            "route",
        ])
        .ended_with(2)
        .said("`--metrics` is a setting of the filter");
}

#[test]
fn more_virtual_hosts_than_series_are_noted() {
    let folder = Folder::shop();
    let hosts: String = (0..1_000)
        .map(|number| {
            format!(
                "---\napiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: VirtualHost\n\
                 metadata: {{name: host-{number}, namespace: shop}}\n\
                 spec:\n  domains: [h{number}.example.com]\n  routes: [{{directResponseAction: {{status: 200}}}}]\n"
            )
        })
        .collect();
    folder.write("hosts.yaml", hosts.as_bytes());
    folder
        .run(&ENVOY)
        .ended_with(0)
        .said("note[N0652]: there are 1001 virtual hosts");
}
