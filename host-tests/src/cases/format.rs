//! The format of case files.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::places::PlacedText;
use crate::yaml;

/// Resources, and requests with their answers, or what a compiler has to find wrong with the resources.
#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    /// Path of the file below the corpus, without its ending: `envoy/match-headers`.
    #[serde(skip)]
    pub name: String,
    /// The resources.
    pub resources: Vec<Value>,
    /// Needs fields beyond the published API.
    #[serde(default)]
    pub extension: bool,
    /// Systems disagree about the answers.
    #[serde(default)]
    pub divergent: bool,
    /// Requests and answers.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// What is wrong with the resources.
    pub expect_invalid: Option<ExpectInvalid>,
    /// Resources that take the place of their namesakes in `resources` and have nothing wrong with them.
    #[serde(default)]
    pub valid_control: Vec<Value>,
}

/// A request and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Name, for messages.
    pub name: String,
    /// The request.
    pub request: Request,
    /// What must be true of the answer; see [`run`](super::run).
    pub expect: BTreeMap<String, Value>,
    /// How the upstream answers.
    #[serde(default)]
    pub upstream_response: UpstreamResponse,
}

/// A request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Method.
    #[serde(default = "get")]
    pub method: String,
    /// `http` or `https`.
    #[serde(default = "http")]
    pub scheme: String,
    /// Host, perhaps with a port.
    pub authority: String,
    /// Path with query.
    pub path: String,
    /// Names and values.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Whether it came over TLS. Nothing depends on it besides the scheme.
    #[serde(default, rename = "tls")]
    _tls: bool,
    /// Name of the gateway that receives it; the first one if absent.
    pub gateway: Option<String>,
    /// Fixes a weighted choice: below 1 the fraction itself, else a number that counts modulo the sum of the weights, 100.
    random: Option<f64>,
}

/// Headers of an upstream's response.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamResponse {
    /// Names and values.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// A finding that must be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectInvalid {
    /// `error`, `warning` or `none`.
    pub severity: String,
    /// Why, in prose.
    pub reason: String,
    /// Where, nearly: fields, or kinds and names of objects.
    #[serde(rename = "where")]
    pub place: String,
}

fn get() -> String {
    "GET".to_owned()
}

fn http() -> String {
    "http".to_owned()
}

impl Request {
    /// Builds a request without further headers, for tests.
    pub fn new(method: &str, scheme: &str, authority: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            _tls: scheme == "https",
            gateway: None,
            random: None,
        }
    }

    /// What decides weighted choices, if the case fixes it: 0 <= random < 1.
    pub fn random(&self) -> Option<f64> {
        let random = self.random?;
        // Numbers stand in the middle of their share, so that no rounding moves them to the next one.
        Some(if random < 1.0 {
            random
        } else {
            (random % 100.0 + 0.5) / 100.0
        })
    }
}

impl fmt::Display for Request {
    /// Writes the request as the arguments of `meshgate route`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request {
            method,
            scheme,
            authority,
            path,
            ..
        } = self;
        write!(f, "{method} {scheme}://{authority}{path}")?;
        self.headers
            .iter()
            .try_for_each(|(name, value)| write!(f, " -H '{name}: {value}'"))
    }
}

impl Group {
    /// The resources as text, one document for each.
    pub fn text(&self) -> String {
        PlacedText::new(&self.resources).text
    }

    /// The resources with those of `valid_control` added, in place of their namesakes where there are any, as text.
    pub fn control_text(&self) -> String {
        let is_kept = |resource: &&Value| {
            let mut controls = self.valid_control.iter();
            controls.all(|control| identity(control) != identity(resource))
        };
        let kept = self.resources.iter().filter(is_kept);
        let all: Vec<Value> = kept.chain(&self.valid_control).cloned().collect();
        PlacedText::new(&all).text
    }

    fn read(path: &Path, name: String) -> Result<Group, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let value = if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            serde_json::from_str(&text).map_err(|error| error.to_string())?
        } else {
            yaml::parse(&text)?
        };
        let mut group: Group = serde_json::from_value(value).map_err(|error| error.to_string())?;
        group.name = name;
        Ok(group)
    }
}

fn identity(resource: &Value) -> [&Value; 3] {
    let metadata = &resource["metadata"];
    [&resource["kind"], &metadata["namespace"], &metadata["name"]]
}

/// Reads every group below a directory (files that end in `.json` or `.yaml`), in order of their names.
///
/// # Errors
/// When a file cannot be read or is not a group; the message names it.
pub fn read_directory(root: &Path) -> Result<Vec<Group>, String> {
    let mut files = Vec::new();
    find_files(root, &mut files).map_err(|error| format!("`{}`: {error}", root.display()))?;
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(root).unwrap_or(&file).with_extension("");
            Group::read(&file, name.display().to_string())
                .map_err(|reason| format!("`{}`: {reason}", file.display()))
        })
        .collect()
}

fn find_files(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
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
