//! The format of case files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use meshgate_compiler::cases::{self, Case};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::source::SourceMap;
use meshgate_compiler::{render, upstreams};
use serde::Deserialize;
use serde_json::Value;

use super::places::PlacedText;
use crate::yaml;

/// Name of the folder of examples with several clusters.
const ARCHITECTURES: &str = "architectures";

/// Resources, and requests with their answers, or what a compiler has to find wrong with the resources.
#[derive(Clone, Debug)]
pub struct Group {
    /// Name: `cases/envoy/match-headers`, `examples/bookinfo`.
    pub name: String,
    /// The resources as text.
    pub text: String,
    /// What runs in the clusters, if the group says so.
    pub clusters: Option<Clusters>,
    /// Requests and answers.
    pub cases: Vec<Case>,
    /// What is wrong with the resources.
    pub invalid: Option<Invalid>,
}

/// Inventories, and where the requests arrive.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// Cluster of the gateways.
    pub own: String,
    /// Each cluster with its inventory as text.
    pub inventories: Vec<(String, String)>,
}

/// What is wrong with the resources of a group.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// The resources.
    pub(super) resources: Vec<Value>,
    /// The same without what is wrong, if the group has them.
    pub(super) control: Option<Vec<Value>>,
    /// What has to be found.
    pub(super) expected: ExpectInvalid,
}

/// A case file.
#[derive(Debug, Deserialize)]
struct GroupFile {
    resources: Vec<Value>,
    #[serde(default)]
    cases: Vec<Case>,
    expect_invalid: Option<ExpectInvalid>,
    /// Resources without what is wrong; they take the place of their namesakes in `resources`.
    #[serde(default)]
    valid_control: Vec<Value>,
}

/// A finding that must be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectInvalid {
    /// `error`, `warning` or `none`.
    pub(super) severity: String,
    /// Why, in prose.
    pub(super) reason: String,
    /// Where, nearly: fields, or kinds and names of objects.
    #[serde(rename = "where")]
    pub(super) place: String,
}

impl Group {
    /// Resources, given as text, without requests.
    pub fn new(name: &str, text: String) -> Group {
        Group {
            name: name.to_owned(),
            text,
            clusters: None,
            cases: Vec::new(),
            invalid: None,
        }
    }

    fn read_cases(path: &Path, name: String) -> Result<Group, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let value = if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            serde_json::from_str(&text).map_err(|error| error.to_string())?
        } else {
            yaml::parse(&text)?
        };
        let file: GroupFile = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Ok(Group {
            name,
            text: PlacedText::new(&file.resources).text,
            clusters: None,
            cases: file.cases,
            invalid: file.expect_invalid.map(|expected| Invalid {
                control: (!file.valid_control.is_empty())
                    .then(|| with_control(&file.resources, &file.valid_control)),
                resources: file.resources,
                expected,
            }),
        })
    }

    fn read_example(directory: &Path, name: String) -> Result<Group, String> {
        let cases = read_requests(&directory.join(cases::FILE_NAME))?;
        let text = Group::read_resources(directory)?;
        Ok(Group {
            cases,
            ..Group::new(&name, text)
        })
    }

    fn read_resources(directory: &Path) -> Result<String, String> {
        let mut text = String::new();
        for path in sorted_entries(directory).map_err(|error| error.to_string())? {
            let is_resources = path
                .extension()
                .is_some_and(|extension| extension == "yaml")
                && ![cases::FILE_NAME, upstreams::FILE_NAME]
                    .iter()
                    .any(|name| path.ends_with(name));
            if is_resources {
                text.push_str("---\n");
                text.push_str(&read(&path)?);
            }
        }
        Ok(text)
    }

    /// One group for each cluster whose gateways answer requests.
    fn read_architecture(directory: &Path, name: &str) -> Result<Vec<Group>, String> {
        let text = Group::read_resources(directory)?;
        let mut inventories = Vec::new();
        let mut requests = Vec::new();
        for path in sorted_entries(directory).map_err(|error| error.to_string())? {
            let cluster = path.file_name().unwrap_or_default().display().to_string();
            if path.is_dir() {
                inventories.push((cluster.clone(), read(&path.join("inventory.yaml"))?));
                let file = path.join(cases::FILE_NAME);
                if file.is_file() {
                    requests.push((cluster, read_requests(&file)?));
                }
            }
        }
        let group = |(own, cases): (String, Vec<Case>)| Group {
            cases,
            clusters: Some(Clusters {
                own: own.clone(),
                inventories: inventories.clone(),
            }),
            ..Group::new(&format!("{name}/{own}"), text.clone())
        };
        Ok(requests.into_iter().map(group).collect())
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

fn read_requests(path: &Path) -> Result<Vec<Case>, String> {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let file = sources.add(path.display().to_string(), read(path)?);
    let cases = cases::read(&sources, file, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(render::lines(&diagnostics, &sources));
    }
    Ok(cases.into_iter().map(|case| case.value).collect())
}

/// The resources, with those of the control added in place of their namesakes.
fn with_control(resources: &[Value], control: &[Value]) -> Vec<Value> {
    let is_kept = |resource: &&Value| {
        let mut controls = control.iter();
        controls.all(|control| identity(control) != identity(resource))
    };
    resources
        .iter()
        .filter(is_kept)
        .chain(control)
        .cloned()
        .collect()
}

fn identity(resource: &Value) -> [&Value; 3] {
    let metadata = &resource["metadata"];
    [&resource["kind"], &metadata["namespace"], &metadata["name"]]
}

/// Reads every case file below a directory (files that end in `.json` or `.yaml`), in order of their names.
///
/// # Errors
/// When a file cannot be read or has not the form of a case file; the message names it.
pub fn read_cases(root: &Path) -> Result<Vec<Group>, String> {
    let mut files = Vec::new();
    find_files(root, &mut files).map_err(|error| format!("`{}`: {error}", root.display()))?;
    files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(root).unwrap_or(&file).with_extension("");
            Group::read_cases(&file, format!("cases/{}", name.display()))
                .map_err(|reason| format!("`{}`: {reason}", file.display()))
        })
        .collect()
}

/// Reads every example of a directory: each a folder with resources, and requests in `requests.yaml`. Those of the folder
/// `architectures` have inventories and requests for each of their clusters.
///
/// # Errors
/// When an example cannot be read; the message names it.
pub fn read_examples(root: &Path) -> Result<Vec<Group>, String> {
    let folders = |root: &Path| -> Result<Vec<PathBuf>, String> {
        let entries =
            sorted_entries(root).map_err(|error| format!("`{}`: {error}", root.display()))?;
        Ok(entries.into_iter().filter(|path| path.is_dir()).collect())
    };
    let mut groups = Vec::new();
    for directory in folders(root)? {
        if !directory.ends_with(ARCHITECTURES) {
            groups.push(read_example(&directory)?);
            continue;
        }
        for directory in folders(&directory)? {
            let name = directory.file_name().unwrap_or_default();
            let name = format!("examples/{ARCHITECTURES}/{}", name.display());
            groups.append(&mut Group::read_architecture(&directory, &name)?);
        }
    }
    Ok(groups)
}

/// Reads one example.
///
/// # Errors
/// When it cannot be read; the message names it.
pub fn read_example(directory: &Path) -> Result<Group, String> {
    let name = directory.file_name().unwrap_or_default();
    Group::read_example(directory, format!("examples/{}", name.display()))
        .map_err(|reason| format!("`{}`: {reason}", directory.display()))
}

fn find_files(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for path in sorted_entries(directory)? {
        if path.is_dir() {
            find_files(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json" || extension == "yaml")
        {
            files.push(path);
        }
    }
    Ok(())
}

fn sorted_entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
