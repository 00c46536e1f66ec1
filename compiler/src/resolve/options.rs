//! Inheritance of options: field by field, the level nearest to the leaf route wins.

use crate::options::{Options, SameOptions};
use crate::rare::Empty;
use crate::resource::WrittenOptions;
use crate::source::Spanned;

/// Options of one level, or of a level with everything it inherits.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// The options that are enforced.
    pub(super) options: Options,
    /// Names and places of options that are not supported yet. A leaf route that has one is refused.
    pub(super) unsupported: Vec<Spanned<String>>,
}

impl Empty for Level {
    const EMPTY: &'static Self = &Self {
        options: Options::NONE,
        unsupported: Vec::new(),
    };

    fn is_empty(&self) -> bool {
        self.options.is_empty() && self.unsupported.is_empty()
    }
}

impl Level {
    /// What decides whether two levels can stand for each other; those with unsupported options never can.
    pub(super) fn key(&self) -> SameOptions {
        SameOptions(self.options.clone())
    }

    /// What one level says for itself.
    pub(super) fn new(written: &WrittenOptions) -> Self {
        Self {
            options: written.plain.clone(),
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
        Self {
            options: self.options.inherit(&outer.options),
            unsupported,
        }
    }
}
