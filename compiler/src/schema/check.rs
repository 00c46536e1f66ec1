//! Walks a document along the schema and reports everything that does not fit.

use super::advice::{self, Level};
use super::{Object, Type};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Entry, Node, Scalar, ScalarKind, Value};
use crate::source::Span;

/// Checks an object against its schema; marks what is faulty.
pub(crate) fn check(node: &mut Node<'_>, root: &'static Object, diagnostics: &mut Diagnostics) {
    value(node, Type::Object(root), None, diagnostics);
}

/// Checks an element of the list that a path of fields leads to, as [`check`] does for the whole object.
pub(crate) fn check_element(
    node: &mut Node<'_>,
    root: &'static Object,
    path: &[&str],
    diagnostics: &mut Diagnostics,
) {
    element(node, root, path, None, diagnostics);
}

fn element(
    node: &mut Node<'_>,
    object: &'static Object,
    path: &[&str],
    parent: Option<&Level<'_>>,
    diagnostics: &mut Diagnostics,
) {
    let Some((key, below)) = path.split_first() else {
        return;
    };
    let level = Level {
        object,
        key,
        parent,
    };
    match object.field(key).map(|field| field.ty) {
        Some(Type::Object(inner)) => element(node, inner, below, Some(&level), diagnostics),
        Some(Type::List(inner)) => {
            value(node, *inner, Some(&level), diagnostics);
        }
        _ => {}
    }
}

/// Checks one value. Returns whether its owner is faulty because of it.
fn value(
    node: &mut Node<'_>,
    ty: Type,
    level: Option<&Level<'_>>,
    diagnostics: &mut Diagnostics,
) -> bool {
    if let Type::Nullable(inner) = ty {
        return !node.is_null() && value(node, *inner, level, diagnostics);
    }
    let mut faulty = node.faulty;
    match (ty, &mut node.value) {
        (Type::Any, _) => {}
        (Type::Object(object), Value::Map(entries)) => {
            faulty |= fields(entries, object, level, diagnostics)
        }
        (Type::Map(inner), Value::Map(entries)) => {
            for entry in entries {
                faulty |= value(&mut entry.value, *inner, level, diagnostics);
            }
        }
        (Type::List(inner), Value::List(list)) => {
            for node in list {
                faulty |= value(node, *inner, level, diagnostics);
            }
        }
        // Its elements were checked one by one.
        (Type::List(_), Value::Routes(routes)) => {
            diagnostics.append(std::mem::take(&mut routes.checks));
        }
        (_, Value::Scalar(written)) => faulty |= scalar(written, ty, node.span, diagnostics),
        (_, found) => {
            faulty = true;
            // The whole list or map may be long; its first line is enough.
            let help = match (ty, &found) {
                (Type::List(_), Value::Map(_)) => {
                    Some("put a `- ` before its first key, and indent the others")
                }
                (Type::Object(_) | Type::Map(_), Value::List(_)) => Some("remove the `- `"),
                _ => None,
            };
            let found = if matches!(found, Value::List(_) | Value::Routes(_)) {
                "a list"
            } else {
                "a map"
            };
            diagnostics.push(wrong_type(node.span, ty, found, help));
        }
    }
    node.faulty = faulty;
    let separable = matches!(ty, Type::Object(object) if object.separable);
    faulty && !separable
}

fn fields(
    entries: &mut [Entry<'_>],
    object: &'static Object,
    parent: Option<&Level<'_>>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let mut faulty = false;
    for Entry {
        key,
        key_span,
        value: node,
    } in &mut *entries
    {
        let level = Level {
            object,
            key,
            parent,
        };
        match object.field(key) {
            Some(field) => faulty |= value(node, field.ty, Some(&level), diagnostics),
            None if object.open => {}
            None => {
                faulty = true;
                diagnostics.push(advice::unknown_field(&level, *key_span));
            }
        }
    }
    for group in object.one_of {
        let mut written = entries
            .iter()
            .filter(|entry| group.contains(&entry.key.as_ref()));
        let Some(first) = written.next() else {
            continue;
        };
        for other in written {
            faulty = true;
            diagnostics.push(
                Diagnostic::at(
                    Code::ExclusiveFields,
                    other.key_span,
                    format!("`{}` and `{}` exclude one another", first.key, other.key),
                )
                .also(first.key_span, "the other one")
                .help(format!("write only one of {}", advice::all(group))),
            );
        }
    }
    faulty
}

/// Checks a scalar. Returns whether it is faulty.
fn scalar(scalar: &Scalar<'_>, ty: Type, span: Span, diagnostics: &mut Diagnostics) -> bool {
    let kind = scalar.kind();
    let (found, help) = match (ty, kind) {
        (Type::String, ScalarKind::String)
        | (Type::Boolean | Type::BooleanOr(_), ScalarKind::Boolean(_))
        | (Type::Number, ScalarKind::Integer(_) | ScalarKind::Float(_)) => return false,
        (Type::Enum(values) | Type::BooleanOr(values), ScalarKind::String) => {
            return match values.contains(&scalar.text.as_ref()) {
                true => false,
                false => {
                    diagnostics.push(unknown_value(&scalar.text, values, span));
                    true
                }
            };
        }
        (Type::Uint32, ScalarKind::Integer(value)) => {
            return out_of_range(value, 0, i64::from(u32::MAX), span, diagnostics);
        }
        (Type::Int32, ScalarKind::Integer(value)) => {
            return out_of_range(
                value,
                i64::from(i32::MIN),
                i64::from(i32::MAX),
                span,
                diagnostics,
            );
        }
        (Type::Int64, ScalarKind::Integer(_)) => return false,
        (Type::String | Type::Enum(_), ScalarKind::Boolean(_)) => (
            "a boolean",
            Some(format!("put it in quotes: `\"{}\"`", scalar.text)),
        ),
        (Type::String, ScalarKind::Integer(_) | ScalarKind::Float(_)) => (
            "a number",
            Some(format!("put it in quotes: `\"{}\"`", scalar.text)),
        ),
        (
            Type::Enum(values) | Type::BooleanOr(values),
            ScalarKind::Integer(_) | ScalarKind::Float(_),
        ) => (
            "a number",
            Some(format!("write one of {}", advice::alternatives(values))),
        ),
        (
            Type::Boolean | Type::Number | Type::Uint32 | Type::Int32 | Type::Int64,
            ScalarKind::String,
        ) => {
            let bare = Scalar {
                text: scalar.text.clone(),
                string: false,
            }
            .kind();
            let help = scalar.string && !matches!(bare, ScalarKind::String | ScalarKind::Null);
            ("a string", help.then(|| "remove the quotes".to_owned()))
        }
        (Type::List(_), ScalarKind::String) => (
            "a string",
            Some("put a `- ` before it to make it a list".to_owned()),
        ),
        (Type::Object(object), ScalarKind::String) if object.field("name").is_some() => {
            ("a string", Some(format!("write `name: {}`", scalar.text)))
        }
        (_, ScalarKind::Null) => (
            "nothing",
            Some("fill in a value, or remove the key".to_owned()),
        ),
        (_, ScalarKind::Boolean(_)) => ("a boolean", None),
        (_, ScalarKind::Integer(_) | ScalarKind::Float(_)) => ("a number", None),
        (_, ScalarKind::String) => ("a string", None),
    };
    diagnostics.push(wrong_type(span, ty, found, help.as_deref()));
    true
}

fn out_of_range(
    value: i64,
    minimum: i64,
    maximum: i64,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> bool {
    let fits = (minimum..=maximum).contains(&value);
    if !fits {
        let message =
            format!("this number must be between {minimum} and {maximum}, but is {value}");
        diagnostics.push(Diagnostic::at(Code::NumberOutOfRange, span, message));
    }
    !fits
}

fn unknown_value(found: &str, values: &'static [&'static str], span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::at(
        Code::UnknownValue,
        span,
        format!("`{}` is not allowed here", found),
    );
    let allowed = advice::alternatives(values);
    match advice::similar(found, values.iter().copied()) {
        Some(similar) => {
            diagnostic.help(format!("did you mean `{similar}`? allowed are {allowed}"))
        }
        None => diagnostic.help(format!("allowed are {allowed}")),
    }
}

fn wrong_type(span: Span, ty: Type, found: &str, help: Option<&str>) -> Diagnostic {
    let expected = match ty {
        Type::String | Type::Enum(_) => "a string",
        Type::Boolean => "`true` or `false`",
        Type::BooleanOr(_) => "a boolean or a string",
        Type::Uint32 | Type::Int32 | Type::Int64 => "a whole number",
        Type::Number => "a number",
        Type::List(_) => "a list",
        Type::Map(_) | Type::Object(_) => "a map",
        Type::Any | Type::Nullable(_) => "a value",
    };
    let diagnostic = Diagnostic::at(
        Code::WrongType,
        span,
        format!("expected {expected}, found {found}"),
    );
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}
