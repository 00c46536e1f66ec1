//! Selectors of objects.

use super::every;
use super::value::{required, strings};
use crate::diagnostic::Diagnostics;
use crate::load::node::Node;
use crate::resource::{Expression, ObjectSelector, Operator};
use crate::source::Spanned;

/// `virtualHostSelector` or `delegateAction.selector`. Whether its expressions make sense is decided when it is used.
pub(super) fn object_selector(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<ObjectSelector> {
    Some(ObjectSelector {
        labels: node.string_map_at("labels"),
        expressions: every(node.list_at("expressions"), |node| {
            expression(node, diagnostics)
        })?,
        namespaces: strings(node, "namespaces"),
        span: node.span,
    })
}

fn expression(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Expression> {
    let key = required(node, "key", "an expression", diagnostics)?;
    let operator = match node.get("operator") {
        None => Spanned::new(Operator::default(), node.span),
        Some(operator) => Spanned::new(
            match operator.string()? {
                "Equals" | "DoubleEquals" => Operator::Equals,
                "NotEquals" => Operator::NotEquals,
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                "GreaterThan" => Operator::GreaterThan,
                "LessThan" => Operator::LessThan,
                _ => return None,
            },
            operator.span,
        ),
    };
    Some(Expression {
        key,
        operator,
        values: strings(node, "values"),
        span: node.span,
    })
}
