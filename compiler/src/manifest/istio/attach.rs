//! The ways to attach to a gateway.

use crate::manifest::mirrors;
use crate::manifest::settings::FilterSettings;
use crate::tree::Tree;

/// How the filter's choice of a destination takes effect at a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// The ports are meshgate's: an EnvoyFilter makes one route that goes wherever the filter says.
    #[default]
    Exclusive,
    /// VirtualServices of others serve the same ports: requests that no route of the program is for are theirs. An
    /// EnvoyFilter puts the route for the others before theirs.
    Beside,
    /// Istio's stable API alone: a VirtualService with a route for every destination that the filter can choose.
    Stable,
}

impl Attach {
    /// What the filter is told.
    pub(super) fn settings(self, settings: &FilterSettings, tree: &Tree) -> FilterSettings {
        FilterSettings {
            pass_on: self == Attach::Beside,
            mirrors_in_header: self == Attach::Stable && !mirrors::choices(tree).is_empty(),
            ..settings.clone()
        }
    }
}
