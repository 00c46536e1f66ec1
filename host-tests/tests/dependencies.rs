//! The arrows between the crates: `filter → engine ← compiler`, and nothing of YAML or proxies where it does not belong.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Names of what a crate of the workspace depends on, but not for its tests.
fn dependencies(metadata: &Value, name: &str) -> BTreeSet<String> {
    let packages = metadata["packages"]
        .as_array()
        .expect("metadata lists packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == name)
        .expect("the crate is in the workspace");
    let dependencies = package["dependencies"]
        .as_array()
        .expect("a package lists dependencies");
    let built = dependencies
        .iter()
        .filter(|dependency| dependency["kind"].is_null());
    built
        .map(|dependency| dependency["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn crates_depend_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let ours = |name: &str| {
        let dependencies = dependencies(&metadata, name);
        dependencies
            .into_iter()
            .filter(|name| name.starts_with("meshgate-"))
            .collect::<Vec<_>>()
    };
    assert_eq!(ours("meshgate-engine"), Vec::<String>::new());
    assert_eq!(ours("meshgate-compiler"), ["meshgate-engine"]);
    assert_eq!(ours("meshgate-filter"), ["meshgate-engine"]);
    for (name, stranger) in [
        ("meshgate-engine", "proxy-wasm"),
        ("meshgate-engine", "regex-automata"),
        ("meshgate-engine", "saphyr-parser"),
        ("meshgate-filter", "regex-automata"),
        ("meshgate-filter", "saphyr-parser"),
        ("meshgate-compiler", "proxy-wasm"),
    ] {
        assert!(
            !dependencies(&metadata, name).contains(stranger),
            "{name} depends on {stranger}"
        );
    }
}
