//! Inheritance of options: field by field, the level nearest to the leaf route wins.

use std::sync::Arc;

use super::inventory::Inventory;
use crate::diagnostic::Diagnostics;
use crate::options::{Options, SameOptions};
use crate::policy::Mirror;
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
    /// Mirrors that could not be found were reported. A leaf route that has them is left out.
    has_lost_mirrors: bool,
}

impl Empty for Level {
    const EMPTY: &'static Self = &Self {
        options: Options::NONE,
        unsupported: Vec::new(),
        has_lost_mirrors: false,
    };

    fn is_empty(&self) -> bool {
        self.options.is_empty() && !self.is_refused()
    }
}

impl Level {
    /// What decides whether two levels can stand for each other; those with unsupported options never can.
    pub(super) fn key(&self) -> SameOptions {
        SameOptions(self.options.clone())
    }

    /// What one level of an object in `namespace` says for itself.
    pub(super) fn new<'r>(
        written: &'r WrittenOptions,
        namespace: &'r str,
        inventory: &mut Inventory<'r>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut level = Self {
            options: written.plain.clone(),
            unsupported: written.unsupported.clone(),
            has_lost_mirrors: false,
        };
        if let Some(mirrors) = &written.mirrors {
            let mut found = Vec::with_capacity(mirrors.len());
            for mirror in &mirrors.value {
                let destination =
                    inventory.shared_kube_service(&mirror.service, namespace, diagnostics);
                level.has_lost_mirrors |= destination.is_none();
                found.extend(destination.map(|destination| Mirror {
                    destination,
                    percentage: mirror.percentage,
                }));
            }
            level.options.mirrors = Some(Spanned::new(Arc::new(found), mirrors.span));
        }
        level
    }

    /// Whether leaf routes with these options are left out.
    pub(super) fn is_refused(&self) -> bool {
        self.has_lost_mirrors || !self.unsupported.is_empty()
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
            has_lost_mirrors: match self.options.mirrors {
                Some(_) => self.has_lost_mirrors,
                None => outer.has_lost_mirrors,
            },
        }
    }
}
