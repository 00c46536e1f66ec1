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

impl Expression {
    /// Whether it holds for these labels, if it is valid.
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let label = labels.get(&self.key.value);
        let among =
            || label.is_some_and(|label| self.values.iter().any(|value| value.value == *label));
        let operand = self.values.first();
        let operand = operand.and_then(|value| value.parse::<i64>().ok());
        let number = label.and_then(|label| label.parse::<i64>().ok());
        match self.operator.value {
            Operator::Equals | Operator::In => among(),
            Operator::NotEquals | Operator::NotIn => !among(),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => number
                .zip(operand)
                .is_some_and(|(number, operand)| number > operand),
            Operator::LessThan => number
                .zip(operand)
                .is_some_and(|(number, operand)| number < operand),
        }
    }
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

/// Selects what has all of these labels and meets all of these requirements.
#[derive(Clone, Debug, Default)]
pub struct LabelSelector {
    /// `matchLabels`.
    pub labels: BTreeMap<String, String>,
    /// `matchExpressions`.
    pub expressions: Vec<Expression>,
}

impl LabelSelector {
    /// Whether something with these labels is selected.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.labels.iter();
        wanted.all(|(key, value)| labels.get(key) == Some(value))
            && self.expressions.iter().all(|one| one.holds(labels))
    }
}
