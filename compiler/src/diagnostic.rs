//! What the compiler tells its users: diagnostics with stable codes, places and a way out.
//!
//! A stage appends to [`Diagnostics`] and goes on; only writing a program needs zero errors.
//!

use crate::code::Code;
use crate::source::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something worth knowing; nothing to do.
    Note,
    /// The configuration works, but probably not as meant.
    Warning,
    /// The object it points at is left out.
    Error,
}

/// A place with an optional remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there, for example ``the route that shadows it``; empty for a plain underline.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code; its severity is the default one.
    pub code: Code,
    /// Effective severity.
    pub severity: Severity,
    /// One line, lower-case, no final period, user input in backticks.
    pub message: String,
    /// The place it is about. Always present for findings about text; absent for findings about a whole run.
    pub primary: Option<Label>,
    /// Other places that matter, such as the other end of a cycle.
    pub secondary: Vec<Label>,
    /// The way out, if there is an obvious one.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding at a place.
    pub fn at(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            primary: Some(Label {
                span,
                text: String::new(),
            }),
            secondary: Vec::new(),
            help: None,
        }
    }

    /// A finding about the whole run.
    pub fn global(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            help: None,
        }
    }

    /// Adds a remark to the primary place.
    #[must_use]
    pub fn remark(mut self, text: impl Into<String>) -> Self {
        if let Some(primary) = &mut self.primary {
            primary.text = text.into();
        }
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The findings of a run, in the order they were made until [`Diagnostics::sort`].
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds the findings of another list.
    pub fn append(&mut self, mut other: Diagnostics) {
        self.list.append(&mut other.list);
    }

    /// All findings.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Orders by place, then code, and drops exact repetitions (one table reached twice is reported once).
    pub fn sort(&mut self) {
        let place = |d: &Diagnostic| d.primary.as_ref().map(|label| label.span);
        self.list
            .sort_by(|a, b| (place(a), a.code, &a.message).cmp(&(place(b), b.code, &b.message)));
        self.list.dedup();
    }

    /// Number of findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }
}
