//! Route options (`TrafficPolicySpec.Policy`): what a virtual host, route table or route sets for itself.

use std::time::Duration;

use crate::rare::Empty;
use crate::source::{Span, Spanned};

/// Options of one level; every field is inherited on its own.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whole-request timeout; zero = none.
    pub request_timeout: Option<Spanned<Duration>>,
    /// Retries.
    pub retries: Option<Spanned<Retries>>,
    /// Header operations.
    pub header_manipulation: Option<Spanned<HeaderManipulation>>,
    /// Options of the API that meshgate does not enforce yet: field name and place. A route that has one, its own
    /// or inherited, is refused.
    pub unsupported: Vec<Spanned<String>>,
}

impl Empty for Options {
    const EMPTY: &'static Self = &Self {
        request_timeout: None,
        retries: None,
        header_manipulation: None,
        unsupported: Vec::new(),
    };

    fn is_empty(&self) -> bool {
        self.request_timeout.is_none()
            && self.retries.is_none()
            && self.header_manipulation.is_none()
            && self.unsupported.is_empty()
    }
}

/// `retries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Number of retries after the first try.
    pub attempts: u32,
    /// Time limit of each try, at least 1 ms.
    pub per_try_timeout: Option<Duration>,
}

/// `headerManipulation`. Removal comes before addition.
#[derive(Clone, Debug, Default)]
pub struct HeaderManipulation {
    /// Names, lower-case.
    pub remove_request: Vec<Spanned<String>>,
    /// Names (lower-case) and values, ordered by name.
    pub append_request: Vec<HeaderValue>,
    /// Names, lower-case.
    pub remove_response: Vec<Spanned<String>>,
    /// Names (lower-case) and values, ordered by name.
    pub append_response: Vec<HeaderValue>,
}

/// A header to add.
#[derive(Clone, Debug)]
pub struct HeaderValue {
    /// Name, lower-case.
    pub name: String,
    /// Value.
    pub value: String,
    /// The entry.
    pub span: Span,
}
