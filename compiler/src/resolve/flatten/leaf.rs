//! Leaf routes: what they do with all the options and policies that they have.

use std::rc::Rc;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::Spanned;
use crate::tree::{Action, Forward, Options};

use super::super::options::Level;
use super::super::traffic_policy::{MAX_DESTINATIONS, Merged, PolicySet, Shifted};
use super::{Flattener, LimitReached};

impl Flattener<'_, '_> {
    /// The action and the options of a leaf route. `None` if it is left out.
    pub(super) fn leaf(
        &mut self,
        action: &Action,
        level: Level,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<(Action, Options)>, LimitReached> {
        if level.policies.is_empty() {
            return Ok((!level.is_refused()).then(|| (action.clone(), level.options)));
        }
        let merged = self.merged(&level.policies);
        let level = level.inherit(&merged.level);
        if merged.is_broken || level.is_refused() {
            return Ok(None);
        }
        let mut options = level.options;
        let action = match action {
            Action::Forward(forward) => self
                .shifted(forward, &merged, &mut options, diagnostics)?
                .map(Action::Forward),
            Action::Redirect(_) | Action::DirectResponse(_) => Some(action.clone()),
        };
        Ok(action.map(|action| (action, options)))
    }

    /// What the policies of a route say together.
    fn merged(&mut self, policies: &PolicySet) -> Rc<Merged> {
        if let Some(known) = self.merged.get(policies) {
            return Rc::clone(known);
        }
        let merged = Rc::new(self.policies.merged(policies));
        self.merged.insert(policies.clone(), Rc::clone(&merged));
        merged
    }

    /// A `routeAction` with its traffic shifted by policies. `None` if the route is left out.
    fn shifted(
        &mut self,
        forward: &Forward,
        merged: &Merged,
        options: &mut Options,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<Forward>, LimitReached> {
        match self.policies.shifted(forward, merged) {
            Shifted::Unchanged => Ok(Some(forward.clone())),
            Shifted::Changed(destinations, by) => {
                // Policies multiply destinations as delegation multiplies routes.
                self.spend(destinations.len())?;
                let first = by.first().map(|&policy| self.policies.shift_span(policy));
                options.shifted = first.map(|span| Spanned::new((), span));
                self.has_shifted.extend(by);
                Ok(Some(Forward {
                    destinations,
                    path_rewrite: forward.path_rewrite.clone(),
                    host_rewrite: forward.host_rewrite.clone(),
                }))
            }
            Shifted::Lost => Ok(None),
            Shifted::TooMany(policy) => {
                self.has_shifted.insert(policy);
                let span = self.policies.shift_span(policy);
                if self.is_new(Code::TooManyDestinations, span) {
                    diagnostics.push(
                        Diagnostic::at(
                            Code::TooManyDestinations,
                            span,
                            format!(
                                "with this shift a route has more than {MAX_DESTINATIONS} destinations"
                            ),
                        )
                        .help("put destinations of one kind behind one VirtualDestination or Service"),
                    );
                }
                Ok(None)
            }
        }
    }
}
