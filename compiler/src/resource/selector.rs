//! Selectors of objects by label and namespace.

use std::collections::BTreeMap;

use crate::source::{Span, Spanned};

/// Selects virtual hosts or route tables. An empty selector selects everything in the owner's namespace.
#[derive(Clone, Debug)]
pub struct ObjectSelector {
    /// All of these labels must be there.
    pub labels: BTreeMap<String, String>,
    /// All of these must hold. Labels and expressions together select nothing.
    pub expressions: Vec<Expression>,
    /// Namespaces; empty = the owner's, `*` anywhere = all.
    pub namespaces: Vec<Spanned<String>>,
    /// The whole selector.
    pub span: Span,
}

/// One label requirement.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Label key.
    pub key: Spanned<String>,
    /// Operator; `Equals` when absent.
    pub operator: Spanned<Operator>,
    /// Operands.
    pub values: Vec<Spanned<String>>,
    /// The whole expression.
    pub span: Span,
}

/// Operator of an [`Expression`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Operator {
    /// One value, equal. Also written `DoubleEquals`.
    #[default]
    Equals,
    /// One value, not equal, or the label is absent.
    NotEquals,
    /// One of the values.
    In,
    /// None of the values, or the label is absent.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is an integer greater than the value.
    GreaterThan,
    /// The label is an integer less than the value.
    LessThan,
}
