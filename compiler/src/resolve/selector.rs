//! Selection of objects by label and namespace.

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Expression, Metadata, ObjectSelector, Operator};

/// Whether a selector can select anything: reports labels beside expressions, and expressions that are not valid.
/// One that is not valid selects nothing.
pub(super) fn check(selector: &ObjectSelector, diagnostics: &mut Diagnostics) -> bool {
    let mut valid = true;
    if !selector.labels.is_empty() && !selector.expressions.is_empty() {
        diagnostics.push(
            Diagnostic::at(
                Code::SelectorConflict,
                selector.span,
                "a selector with both `labels` and `expressions` selects nothing",
            )
            .help("write the labels as expressions with the operator `Equals`"),
        );
        valid = false;
    }
    for expression in &selector.expressions {
        if let Some(message) = fault(expression) {
            diagnostics.push(Diagnostic::at(
                Code::SelectorExpression,
                expression.span,
                message,
            ));
            valid = false;
        }
    }
    valid
}

fn fault(expression: &Expression) -> Option<String> {
    let operator = expression.operator.value;
    let count = expression.values.len();
    match operator {
        Operator::In | Operator::NotIn if count == 0 => {
            Some(format!("operator `{operator:?}` needs at least one value"))
        }
        Operator::Exists | Operator::DoesNotExist if count > 0 => {
            Some(format!("operator `{operator:?}` takes no values"))
        }
        Operator::Equals | Operator::NotEquals if count != 1 => Some(format!(
            "operator `{operator:?}` needs exactly one value, not {count}"
        )),
        Operator::GreaterThan | Operator::LessThan => match expression.values.as_slice() {
            [value] if value.parse::<i64>().is_ok() => None,
            [value] => Some(format!(
                "operator `{operator:?}` compares integers, and `{}` is none",
                value.value
            )),
            _ => Some(format!(
                "operator `{operator:?}` needs exactly one value, not {count}"
            )),
        },
        _ => None,
    }
}

/// Whether a valid selector of an owner in `namespace` selects an object.
pub(super) fn selects(selector: &ObjectSelector, namespace: &str, object: &Metadata) -> bool {
    selects_namespace(selector, namespace, &object.id.namespace)
        && selector
            .labels
            .iter()
            .all(|(key, value)| object.labels.get(key) == Some(value))
        && selector
            .expressions
            .iter()
            .all(|expression| expression.holds(&object.labels))
}

fn selects_namespace(selector: &ObjectSelector, owner: &str, namespace: &str) -> bool {
    if selector.namespaces.is_empty() {
        return namespace == owner;
    }
    selector
        .namespaces
        .iter()
        .any(|allowed| allowed.value == "*" || allowed.value == namespace)
}
