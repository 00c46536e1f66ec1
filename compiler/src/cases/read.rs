//! Reading a file of requests, every case with its place.

use serde_json::{Map, Value};

use super::{Case, KEYS, Request, UpstreamResponse};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load;
use crate::load::node::{self, Node, Scalar, ScalarKind};
use crate::source::{FileId, SourceMap, Span, Spanned};
use crate::suggest::closest;

/// Fields of a case.
const FIELDS: [&str; 4] = ["name", "request", "expect", "upstream_response"];

/// Reads a file of requests: a list of cases, each with its place. A case that cannot be read is reported and left out.
pub fn read(
    sources: &SourceMap,
    file: FileId,
    diagnostics: &mut Diagnostics,
) -> Vec<Spanned<Case>> {
    let mut cases = Vec::new();
    for document in load::documents(sources, file, diagnostics) {
        if !matches!(document.value, node::Value::List(_)) && !document.is_null() {
            diagnostics.push(invalid(
                document.span,
                "a file of requests is a list".to_owned(),
            ));
        }
        for node in document.list() {
            match case(node) {
                Ok(case) => cases.push(Spanned::new(case, node.span)),
                Err(finding) => diagnostics.push(*finding),
            }
        }
    }
    cases
}

fn invalid(span: Span, message: String) -> Diagnostic {
    Diagnostic::at(Code::InvalidCase, span, message).help(
        "write cases such as `{name: home, request: {url: \"http://example.com/\"}, expect: {route: home}}`",
    )
}

fn case(node: &Node<'_>) -> Result<Case, Box<Diagnostic>> {
    let expect = node.get("expect");
    check_keys(node, &FIELDS, "a case has no field")?;
    for field in &FIELDS[..3] {
        if node.get(field).is_none() {
            let message = format!("a case needs `{field}`");
            return Err(Box::new(invalid(node.span, message)));
        }
    }
    let expect = expect.map_or_else(
        || Ok(Map::new()),
        |expect| {
            check_keys(expect, &KEYS, "nothing can be expected of")?;
            match value(expect)? {
                Value::Object(expect) if !expect.is_empty() => Ok(expect),
                _ => Err(Box::new(invalid(
                    expect.span,
                    "a case expects something: `expect` is a map that is not empty".to_owned(),
                ))),
            }
        },
    )?;
    let upstream_response = match node.get("upstream_response") {
        Some(response) => part(response)?,
        None => UpstreamResponse::default(),
    };
    let request = node.get("request").map(part::<Request>);
    match (node.get("name").map(part), request) {
        (Some(name), Some(request)) => Ok(Case {
            name: name?,
            request: request?,
            expect: expect.into_iter().collect(),
            upstream_response,
        }),
        _ => Err(Box::new(invalid(node.span, "this is no case".to_owned()))),
    }
}

fn check_keys(node: &Node<'_>, known: &[&str], fault: &str) -> Result<(), Box<Diagnostic>> {
    let unknown = |key: &str| !known.contains(&key);
    let Some(entry) = node.entries().iter().find(|entry| unknown(&entry.key)) else {
        return Ok(());
    };
    let message = format!("{fault} `{}`", entry.key);
    let finding = Diagnostic::at(Code::InvalidCase, entry.key_span, message);
    Err(Box::new(match closest(&entry.key, known.iter().copied()) {
        Some(similar) => finding.help(format!("did you mean `{similar}`?")),
        None => finding.help(format!("there is `{}`", known.join("`, `"))),
    }))
}

/// Decodes a part of a case.
fn part<T: serde::de::DeserializeOwned>(node: &Node<'_>) -> Result<T, Box<Diagnostic>> {
    serde_json::from_value(value(node)?)
        .map_err(|error| Box::new(invalid(node.span, error.to_string())))
}

/// The same as JSON.
fn value(node: &Node<'_>) -> Result<Value, Box<Diagnostic>> {
    Ok(match &node.value {
        node::Value::Scalar(scalar) => plain(scalar),
        node::Value::List(list) => list.iter().map(value).collect::<Result<Value, _>>()?,
        node::Value::Map(entries) => {
            let mut object = Map::new();
            for entry in entries {
                object.insert(entry.key.clone().into_owned(), value(&entry.value)?);
            }
            Value::Object(object)
        }
        node::Value::Routes(_) => {
            let message = "routes are resources, and no part of a case".to_owned();
            return Err(Box::new(invalid(node.span, message)));
        }
    })
}

fn plain(scalar: &Scalar<'_>) -> Value {
    match scalar.kind() {
        ScalarKind::Null => Value::Null,
        ScalarKind::Boolean(value) => Value::from(value),
        ScalarKind::Integer(value) => Value::from(value),
        ScalarKind::Float(value) => Value::from(value),
        ScalarKind::String => Value::from(scalar.text.as_ref()),
    }
}
