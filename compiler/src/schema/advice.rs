//! What to say about fields that the schema does not have where they stand.

use super::{Object, Type};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::suggest::closest;

/// A key of a map that is being checked, and the maps around it.
pub(super) struct Level<'a> {
    pub(super) object: &'static Object,
    pub(super) key: &'a str,
    pub(super) parent: Option<&'a Level<'a>>,
}

/// The finding for a key that its object does not have.
pub(super) fn unknown_field(level: &Level<'_>, span: Span) -> Diagnostic {
    let Level {
        object,
        key,
        parent,
    } = *level;
    let known = |list: &'static [(&'static str, &'static str)]| {
        list.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, text)| *text)
    };
    let shown = key;
    if let Some(instead) = known(object.old) {
        return Diagnostic::at(
            Code::OldField,
            span,
            format!("`{shown}` is a field of an earlier version of the API"),
        )
        .help(instead);
    }
    if let Some(place) = known(object.misplaced) {
        return misplaced(key, span, place);
    }
    if let Some(path) = below(object, key) {
        let path = match parent {
            Some(parent) => format!("{}.{path}", parent.key),
            None => path,
        };
        return misplaced(key, span, &format!("it belongs under `{path}`"));
    }
    let owner = parent.map_or("an object".to_owned(), |parent| format!("`{}`", parent.key));
    let unknown = Diagnostic::at(
        Code::UnknownField,
        span,
        format!("unknown field `{shown}` in {owner}"),
    );
    let names = object.fields.iter().map(|field| field.name);
    if let Some(name) = known(object.renamed).or_else(|| similar(key, names)) {
        return unknown.help(format!("did you mean `{name}`?"));
    }
    let mut ancestor = parent;
    while let Some(level) = ancestor {
        if level.object.field(key).is_some() {
            return misplaced(
                key,
                span,
                &format!(
                    "it belongs beside `{}`, one level or more to the left",
                    level.key
                ),
            );
        }
        ancestor = level.parent;
    }
    if object.fields.is_empty() {
        return unknown.help("no fields are allowed here");
    }
    let names: Vec<&str> = object.fields.iter().map(|field| field.name).collect();
    unknown.help(format!("known fields are {}", all(&names)))
}

fn misplaced(key: &str, span: Span, place: &str) -> Diagnostic {
    Diagnostic::at(
        Code::MisplacedField,
        span,
        format!("`{}` does not belong here", key),
    )
    .help(place)
}

/// Where a field of this name stands below an object, at most two levels down; the path without the field itself.
fn below(object: &'static Object, name: &str) -> Option<String> {
    fn inner(ty: Type) -> Option<&'static Object> {
        match ty {
            Type::Object(object) => Some(object),
            Type::List(element) => inner(*element),
            _ => None,
        }
    }
    let children = || {
        object
            .fields
            .iter()
            .filter_map(|field| Some((field.name, inner(field.ty)?)))
    };
    let has = |object: &Object| object.field(name).is_some();
    if let Some((child, _)) = children().find(|(_, object)| has(object)) {
        return Some(child.to_owned());
    }
    children().find_map(|(child, object)| {
        let mut grandchildren = object
            .fields
            .iter()
            .filter_map(|field| Some((field.name, inner(field.ty)?)));
        grandchildren
            .find(|(_, object)| has(object))
            .map(|(grandchild, _)| format!("{child}.{grandchild}"))
    })
}

/// The candidate that was probably meant; `path_rewrite` and `PathRewrite` mean `pathRewrite`.
pub(super) fn similar(
    name: &str,
    candidates: impl Iterator<Item = &'static str> + Clone,
) -> Option<&'static str> {
    // What is much longer than any field is no typing mistake, and comparing it is not free.
    if name.len() > 64 {
        return None;
    }
    let letters = |text: &str| {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase()
    };
    let wanted = letters(name);
    candidates
        .clone()
        .find(|candidate| letters(candidate) == wanted)
        .or_else(|| closest(name, candidates.clone()))
        .or_else(|| only_longer(name, candidates))
}

/// The one candidate that begins with the name: `cluster` is `clusterName`, if nothing else begins so.
fn only_longer(name: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if name.len() < 4 {
        return None;
    }
    let mut longer = candidates.filter(|candidate| candidate.starts_with(name));
    let first = longer.next();
    first.filter(|_| longer.next().is_none())
}

/// `a`, `b` or `c`, each in backticks.
pub(super) fn alternatives(values: &[&str]) -> String {
    list(values, "or")
}

/// `a`, `b` and `c`, each in backticks.
pub(super) fn all(values: &[&str]) -> String {
    list(values, "and")
}

fn list(values: &[&str], conjunction: &str) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    match quoted.as_slice() {
        [init @ .., last] if !init.is_empty() => {
            format!("{} {conjunction} {last}", init.join(", "))
        }
        [only] => only.clone(),
        _ => String::new(),
    }
}
