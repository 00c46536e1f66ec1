//! Inheritance of options: field by field, the level nearest to the leaf route wins.

use std::sync::Arc;

use crate::rare::Empty;
use crate::resource;
use crate::source::Spanned;
use crate::tree;

/// Options of one level, or of a level with everything it inherits.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// The options that are enforced.
    pub(super) options: tree::Options,
    /// Names and places of options that are not supported yet. A leaf route that has one is refused.
    pub(super) unsupported: Vec<Spanned<String>>,
}

impl Empty for Level {
    const EMPTY: &'static Self = &Self {
        options: tree::Options::NONE,
        unsupported: Vec::new(),
    };

    fn is_empty(&self) -> bool {
        self.options.is_empty() && self.unsupported.is_empty()
    }
}

impl Level {
    /// What one level says for itself.
    pub(super) fn new(written: &resource::Options) -> Self {
        Self {
            options: tree::Options {
                request_timeout: written.request_timeout.clone(),
                retries: written.retries.clone(),
                header_manipulation: written
                    .header_manipulation
                    .as_ref()
                    .map(|headers| Spanned::new(Arc::new(headers.value.clone()), headers.span)),
            },
            unsupported: written.unsupported.clone(),
        }
    }

    /// These options, with what they leave open taken from `outer`.
    #[must_use]
    pub(super) fn inherit(&self, outer: &Level) -> Self {
        let mut unsupported = self.unsupported.clone();
        unsupported.extend(
            outer
                .unsupported
                .iter()
                .filter(|option| self.unsupported.iter().all(|own| own.value != option.value))
                .cloned(),
        );
        let (own, outer) = (&self.options, &outer.options);
        Self {
            options: tree::Options {
                request_timeout: own
                    .request_timeout
                    .as_ref()
                    .or(outer.request_timeout.as_ref())
                    .cloned(),
                retries: own.retries.as_ref().or(outer.retries.as_ref()).cloned(),
                header_manipulation: own
                    .header_manipulation
                    .as_ref()
                    .or(outer.header_manipulation.as_ref())
                    .cloned(),
            },
            unsupported,
        }
    }
}
