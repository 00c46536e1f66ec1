//! Inheritance of options: field by field, the level nearest to the leaf route wins.

use std::sync::Arc;

use super::inventory::Inventory;
use super::traffic_policy::PolicySet;
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
    /// Policies that routes have besides, see [`super::traffic_policy`].
    pub(super) policies: PolicySet,
    /// Mirrors that could not be found were reported. A leaf route that has them is left out.
    has_lost_mirrors: bool,
}

impl Empty for Level {
    const EMPTY: &'static Self = &Self {
        options: Options::NONE,
        policies: PolicySet::EMPTY,
        has_lost_mirrors: false,
    };

    fn is_empty(&self) -> bool {
        self.options.is_empty() && self.policies.is_empty() && !self.has_lost_mirrors
    }
}

impl Level {
    /// What decides whether two levels can stand for each other; those that are refused never can.
    pub(super) fn key(&self) -> (SameOptions, PolicySet) {
        (SameOptions(self.options.clone()), self.policies.clone())
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
            policies: PolicySet::EMPTY,
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
        self.has_lost_mirrors
    }

    /// These options, with what they leave open taken from `outer`.
    #[must_use]
    pub(super) fn inherit(&self, outer: &Level) -> Self {
        Self {
            options: self.options.inherit(&outer.options),
            policies: self.policies.union(&outer.policies),
            has_lost_mirrors: match self.options.mirrors {
                Some(_) => self.has_lost_mirrors,
                None => outer.has_lost_mirrors,
            },
        }
    }
}
