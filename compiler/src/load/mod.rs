//! Loading: files to [`Resources`].
//!
//! Text becomes document trees (`yaml`, `json`), each document one or several objects (`object`), which are checked
//! against the [schema](crate::schema) and decoded (`decode`). Everything that is wrong with a file is reported in one
//! run. What is wrong leaves out the smallest thing that can be left out without changing the meaning of the rest:
//! a route, a virtual host, an object, a document; never a condition, never one destination of several.

mod decode;
mod json;
mod keys;
mod mesh_settings;
pub(crate) mod node;
mod object;
mod read;
mod yaml;

use std::path::Path;

use crate::cases;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::Resources;
use crate::source::{FileId, SourceFile, SourceMap, Span};
use crate::upstreams;

pub use read::{MAX_FILE_BYTES, read, read_inventory};

/// Turns all files of a source map into resources.
pub fn parse(sources: &SourceMap, diagnostics: &mut Diagnostics) -> Resources {
    let mut loader = object::Loader::new(diagnostics);
    for (index, file) in sources.files().iter().enumerate() {
        let companion = is_companion(&file.name);
        let strict = is_json(&file.name);
        loader.enter(file.cluster.as_ref());
        for part in yaml::parts(&file.text) {
            for document in part_documents(FileId(index as u32), part, strict, loader.diagnostics())
            {
                if !(companion && document.get("apiVersion").is_none()) {
                    loader.document(document);
                }
            }
        }
    }
    loader.finish()
}

/// The documents of one file, whatever they are. An unknown file has none.
pub(crate) fn documents<'s>(
    sources: &'s SourceMap,
    file: FileId,
    diagnostics: &mut Diagnostics,
) -> Vec<node::Node<'s>> {
    let Some(SourceFile { name, text, .. }) = sources.file(file) else {
        return Vec::new();
    };
    let strict = is_json(name);
    yaml::parts(text)
        .into_iter()
        .flat_map(|part| part_documents(file, part, strict, diagnostics))
        .collect()
}

fn is_json(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "json")
}

/// The documents of a part of a file. What begins like JSON and is not may still be YAML, unless its name says JSON.
fn part_documents<'s>(
    file: FileId,
    part: (usize, &'s str),
    strict: bool,
    diagnostics: &mut Diagnostics,
) -> Vec<node::Node<'s>> {
    if json::looks_like_json(part.1) {
        let json = json::documents(file, part);
        if strict || json.error.is_none() {
            json.findings
                .into_iter()
                .chain(json.error)
                .for_each(|finding| diagnostics.push(finding));
            return json.documents;
        }
    }
    yaml::documents(file, part, diagnostics)
}

/// Deepest nesting of lists and maps; the resources need about 20.
const MAX_DEPTH: usize = 100;

fn too_deep(span: Span) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::at(
            Code::NestingTooDeep,
            span,
            format!("lists and maps are nested more than {MAX_DEPTH} levels deep"),
        )
        .help("no resource needs more than about 20 levels"),
    )
}

/// Whether a file has the name of one that lies beside resources and is none itself: where destinations are, and
/// requests to try.
fn is_companion(name: &str) -> bool {
    let name = Path::new(name).file_name().and_then(|name| name.to_str());
    matches!(name, Some(upstreams::FILE_NAME | cases::FILE_NAME))
}

/// The documents of one text as JSON, whatever they are; those with mistakes in them are left out. Meant for tests and
/// tools.
pub fn values(text: &str) -> Vec<serde_json::Value> {
    let mut sources = SourceMap::default();
    let file = sources.add(String::new(), text.to_owned());
    let documents = documents(&sources, file, &mut Diagnostics::default());
    documents.iter().map(node::Node::json).collect()
}

/// Reads resources from one text; `name` stands for the file name. Meant for tests and tools.
pub fn from_text(name: &str, text: &str) -> (SourceMap, Resources, Diagnostics) {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    sources.add(name.to_owned(), text.to_owned());
    let resources = parse(&sources, &mut diagnostics);
    (sources, resources, diagnostics)
}
