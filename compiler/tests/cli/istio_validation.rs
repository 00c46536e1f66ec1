//! `compile --envoy`: an Envoy validates what is written. The real ones are those of [`crate::envoy::tools`].

use std::fs;
use std::path::Path;
use std::process::Command;

use meshgate_compiler::manifest::istio::{Manifest, Wave, validation};
use serde_json::{Value, json};

use crate::envoy::tools;
use crate::folder::Folder;
use crate::istio::{self, MODULE, files};
use crate::{istio_clusters, istio_connections};

/// Folders with an output of every kind that there is, as JSON.
fn outputs(more: &[&str]) -> Vec<Folder> {
    let json = &[&["--format", "json"], more].concat()[..];
    let listeners = istio::folder();
    istio::compile(&listeners, &[json, &MODULE].concat()).ended_with(0);
    let connections = istio_connections::folder();
    istio_connections::compile(&connections, json).ended_with(0);
    let clusters = istio_clusters::folder(istio_clusters::RESOURCES);
    istio_clusters::compile(&clusters, json).ended_with(0);
    let bodies = istio::asking_with_bodies();
    istio::compile(&bodies, &[json, &MODULE].concat()).ended_with(0);
    let mirrors = Folder::new(&[]);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mirror");
    let args = [
        "compile",
        example.to_str().unwrap(),
        "--target",
        "istio",
        "-o",
        "out",
    ];
    mirrors
        .run(&[&args[..], &MODULE, json].concat())
        .ended_with(0);
    vec![listeners, connections, clusters, bodies, mirrors]
}

/// The EnvoyFilters that were written into folders.
fn filters(folders: &[Folder]) -> Vec<Manifest> {
    let mut filters = Vec::new();
    for folder in folders {
        let out = folder.path().join("out");
        for file in files(&out)
            .iter()
            .filter(|file| file.contains("envoyfilter."))
        {
            let text = fs::read(out.join(file)).unwrap();
            filters.push(filter(serde_json::from_slice(&text).unwrap()));
        }
    }
    filters
}

fn filter(object: Value) -> Manifest {
    let name = |key: &str| object["metadata"][key].as_str().unwrap().to_owned();
    Manifest {
        cluster: None,
        wave: Wave::Listeners,
        kind: "EnvoyFilter",
        namespace: name("namespace"),
        name: name("name"),
        object,
    }
}

fn is_taken(envoy: &Path, bootstrap: &Value) -> bool {
    let mut command = Command::new(envoy);
    command.args(["--mode", "validate", "--log-level", "off", "--config-yaml"]);
    let output = command.arg(bootstrap.to_string()).output().unwrap();
    output.status.success()
}

#[test]
fn real_envoys_take_what_is_written() {
    let Some((envoys, _)) = tools() else {
        return;
    };
    for envoy in envoys {
        outputs(&["--envoy", envoy.to_str().unwrap()]);
    }
}

#[test]
fn every_value_is_validated() {
    let Some((envoys, _)) = tools() else {
        return;
    };
    let envoy = envoys.first().unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for good in filters(&outputs(&[])) {
        let bootstrap = validation::bootstrap(&good).unwrap().unwrap();
        assert!(is_taken(envoy, &bootstrap), "{bootstrap}");
        let patches = good.object["spec"]["configPatches"].as_array().unwrap();
        for (n, patch) in patches.iter().enumerate() {
            if patch["patch"]["operation"] == "REMOVE" {
                continue;
            }
            let mut broken = good.clone();
            let value = &mut broken.object["spec"]["configPatches"][n]["patch"]["value"];
            // A name and a configuration are all that this one is.
            match patch["applyTo"] == "EXTENSION_CONFIG" {
                true => value["typed_config"]["nonsense"] = json!(1),
                false => value["nonsense"] = json!(1),
            }
            let bootstrap = validation::bootstrap(&broken).unwrap().unwrap();
            assert!(!is_taken(envoy, &bootstrap), "{patch}");
            kinds.insert(patch["applyTo"].as_str().unwrap().to_owned());
        }
    }
    let expected = [
        "CLUSTER",
        "EXTENSION_CONFIG",
        "HTTP_FILTER",
        "HTTP_ROUTE",
        "LISTENER",
        "LISTENER_FILTER",
        "NETWORK_FILTER",
        "ROUTE_CONFIGURATION",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_patch_that_has_no_place_is_not_passed_over() {
    let unknown = filter(json!({
        "metadata": { "name": "n", "namespace": "ns" },
        "spec": { "configPatches": [{ "applyTo": "BOOTSTRAP", "patch": { "operation": "MERGE", "value": {} } }] },
    }));
    let reason = validation::bootstrap(&unknown).unwrap_err();
    assert_eq!(reason, "\"BOOTSTRAP\" with \"MERGE\"");
}

/// What an Envoy that takes nothing says.
const REFUSING: &str = "#!/bin/sh
echo '[critical][main] [x.cc:66] error initializing configuration '\\''/tmp/envoy.json'\\'': no such field: x' >&2
exit 1
";

#[cfg(unix)]
#[test]
fn a_refusal_names_the_object_and_nothing_is_written() {
    use std::os::unix::fs::PermissionsExt;

    let folder = istio::folder();
    let envoy = folder.write("envoy", REFUSING.as_bytes());
    fs::set_permissions(&envoy, fs::Permissions::from_mode(0o755)).unwrap();
    let envoy = envoy.to_str().unwrap();
    let said = "error: Envoy does not take EnvoyFilter `istio-ingress/meshgate--ingress` of cluster `west`: no such field: x";
    istio::compile(&folder, &[&MODULE[..], &["--envoy", envoy]].concat())
        .ended_with(1)
        .said(said);
    assert!(!folder.path().join("out").exists());

    // As $ENVOY names it.
    let mut command = folder.command(&["compile", "shop.yaml", "--target", "istio", "-o", "out"]);
    command
        .args(MODULE)
        .args(["--inventory", "west=inventory/west.yaml"]);
    let output = command.env("ENVOY", envoy).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains(said));

    let shop = Folder::shop();
    let bootstrap = [
        "compile",
        ".",
        "--target",
        "envoy",
        "--filter",
        "f.wasm",
        "-o",
        "envoy.json",
    ];
    shop.run(&[&bootstrap[..], &["--envoy", envoy]].concat())
        .ended_with(1)
        .said("error: Envoy does not take the bootstrap: no such field: x");
    assert!(!shop.path().join("envoy.json").exists());
    shop.run(&[
        "compile", ".", "--target", "program", "-o", "p", "--envoy", envoy,
    ])
    .ended_with(2)
    .said("`--envoy` validates what is written for Envoy");
    shop.run(&[&bootstrap[..], &["--envoy", "missing"]].concat())
        .ended_with(2)
        .said("--envoy is `missing`, which is not a file");
}
