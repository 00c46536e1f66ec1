//! The objects of every example, compared with files that were looked through.

use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::istio::{MODULE, golden};

/// The folders in one, in order.
fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).unwrap();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

#[test]
fn the_objects_of_the_examples() {
    for example in folders(&examples()) {
        if name(&example) == "architectures" {
            continue;
        }
        let folder = Folder::new(&[]);
        let args = ["compile", example.to_str().unwrap(), "--target", "istio"];
        let rest = ["-o", "out", "--one-file"];
        folder
            .run(&[&args[..], &rest[..], &MODULE[..]].concat())
            .ended_with(0)
            .said("the ports of its pods are not known");
        let text = fs::read_to_string(folder.path().join("out/cluster.yaml")).unwrap();
        golden(&format!("{}.yaml", name(&example)), &text);
    }
}

#[test]
fn the_objects_of_the_architectures() {
    for example in folders(&examples().join("architectures")) {
        let clusters = folders(&example);
        let mut arguments = vec!["compile".to_owned()];
        for file in ["resources.yaml", "mesh.yaml"] {
            let file = example.join(file);
            if file.is_file() {
                arguments.push(file.display().to_string());
            }
        }
        for cluster in &clusters {
            arguments.push("--inventory".to_owned());
            arguments.push(format!("{}={}", name(cluster), cluster.display()));
        }
        arguments.extend(["--target", "istio", "-o", "out", "--one-file"].map(str::to_owned));
        arguments.extend(MODULE.map(str::to_owned));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let folder = Folder::new(&[]);
        folder.run(&arguments).ended_with(0);
        for cluster in &clusters {
            let file = format!("out/{}.yaml", name(cluster));
            let text = fs::read_to_string(folder.path().join(file)).unwrap();
            golden(&format!("{}-{}.yaml", name(&example), name(cluster)), &text);
        }
    }
}
