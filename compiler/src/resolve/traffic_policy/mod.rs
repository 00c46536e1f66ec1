//! TrafficPolicies: options for routes that they select, outside those of all virtual hosts, route tables and routes.
//!
//! Among the policies of a route the oldest wins, option by option. Which options a policy has does not depend on
//! where it was selected, so a route only has to know the set of its policies.

mod destinations;
mod selection;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::rare::Empty as _;
use crate::resource::{Resources, TrafficPolicy};
use crate::source::{Span, Spanned};
use crate::tree::{Destination, DestinationTarget, Forward, WeightedDestination};

pub use self::destinations::{DestinationPolicies, Settings};
pub(super) use self::selection::{Owner, PolicySet, Selection};
pub use self::selection::{Selected, selected_routes};

use self::destinations::selects_service;
use super::inventory::Services;
use super::options::Level;
use super::prepare::Catalogue;

/// Most destinations of a route.
pub(super) const MAX_DESTINATIONS: usize = 100;
/// What the shares of one list add up to.
const WHOLE: u32 = 100;

/// The policies that select routes, oldest first.
#[derive(Debug)]
pub(super) struct Policies<'r> {
    list: Vec<Policy<'r>>,
    services: Services<'r>,
    /// Cluster of the gateways, if known.
    cluster: Option<&'r str>,
}

#[derive(Debug)]
struct Policy<'r> {
    source: &'r TrafficPolicy,
    level: Level,
    /// The destinations that take over; absent inside if they could not be found.
    shift: Option<Spanned<Option<Vec<WeightedDestination>>>>,
}

/// What several policies say about a route that has them all.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Options.
    pub(super) level: Level,
    /// One of them could not be read, so that it is not known what the route should be like.
    pub(super) is_broken: bool,
    /// Those that shift traffic.
    shifts: Vec<usize>,
}

/// A [`Forward`] that policies concern.
pub(super) enum Shifted {
    /// None of its destinations is shifted.
    Unchanged,
    /// New destinations, by these policies.
    Changed(Vec<WeightedDestination>, Vec<usize>),
    /// Destinations could not be found, which was reported.
    Lost,
    /// There would be too many destinations, because of this policy.
    TooMany(usize),
}

impl<'r> Policies<'r> {
    /// Looks up what policies refer to, and reports those that select nothing.
    pub(super) fn new(
        resources: &'r Resources,
        cluster: Option<&'r str>,
        catalogue: &mut Catalogue<'r>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        selection::report(resources, diagnostics);
        destinations::report(resources, diagnostics);
        let mut list = Vec::new();
        for source in selection::selecting(resources) {
            let namespace = &source.metadata.id.namespace;
            let level = source
                .options
                .as_ref()
                .map(|written| catalogue.level(written, namespace, diagnostics));
            if level.is_none() {
                diagnostics.push(
                    Diagnostic::at(
                        Code::BrokenPolicy,
                        source.metadata.span,
                        format!(
                            "TrafficPolicy `{}` has errors; the routes it selects are left out rather than served without it",
                            source.metadata.id
                        ),
                    )
                    .help("correct it, or remove it"),
                );
            }
            let shift = source.shift.as_ref().map(|shift| {
                let written = &shift.value;
                let found = catalogue.weighted(written, shift.span, namespace, diagnostics);
                Spanned::new(found, shift.span)
            });
            list.push(Policy {
                source,
                level: level.unwrap_or_default(),
                shift,
            });
        }
        Self {
            list,
            services: Services::new(resources),
            cluster,
        }
    }

    /// What they select of the routes of an owner.
    pub(super) fn selection(&self, owner: Owner<'_>) -> Selection<'r> {
        Selection::new(self.list.iter().map(|policy| policy.source), owner)
    }

    /// What the policies of a set say together.
    pub(super) fn merged(&self, set: &PolicySet) -> Merged {
        let mut merged = Merged::default();
        for at in set.iter() {
            let policy = &self.list[at];
            if !policy.level.is_empty() {
                merged.level = merged.level.inherit(&policy.level);
            }
            merged.is_broken |= policy.source.options.is_none();
            if policy.shift.is_some() {
                merged.shifts.push(at);
            }
        }
        merged
    }

    /// Splits the share of each destination that a policy shifts; the oldest one does. What takes over is not shifted
    /// again.
    pub(super) fn shifted(&self, forward: &Forward, merged: &Merged) -> Shifted {
        let by: Vec<Option<usize>> = forward
            .destinations
            .iter()
            .map(|weighted| {
                let mut shifts = merged.shifts.iter().copied();
                shifts.find(|&policy| self.selects(policy, &weighted.destination))
            })
            .collect();
        let mut used: Vec<usize> = by.iter().flatten().copied().collect();
        let Some(&last) = used.last() else {
            return Shifted::Unchanged;
        };
        let mut destinations = Vec::new();
        for (weighted, policy) in forward.destinations.iter().zip(by) {
            let shift = policy.and_then(|policy| self.list[policy].shift.as_ref());
            let Some(shift) = shift else {
                destinations.push(WeightedDestination {
                    weight: weighted.weight * WHOLE,
                    ..weighted.clone()
                });
                continue;
            };
            let Some(parts) = &shift.value else {
                return Shifted::Lost;
            };
            destinations.extend(parts.iter().map(|part| WeightedDestination {
                weight: weighted.weight * part.weight,
                destination: part.destination.clone(),
                headers: part.headers.clone().or_else(|| weighted.headers.clone()),
            }));
            if destinations.len() > MAX_DESTINATIONS {
                return Shifted::TooMany(last);
            }
        }
        if destinations.iter().all(|part| part.weight % WHOLE == 0) {
            for part in &mut destinations {
                part.weight /= WHOLE;
            }
        }
        used.sort_unstable();
        used.dedup();
        Shifted::Changed(destinations, used)
    }

    /// Place of a policy's `trafficShift`.
    pub(super) fn shift_span(&self, policy: usize) -> Span {
        let shift = self.list[policy].shift.as_ref();
        shift.map_or_else(Span::default, |shift| shift.span)
    }

    /// Whether a policy's `trafficShift` is about a destination. Only Kubernetes Services can be shifted.
    fn selects(&self, policy: usize, destination: &Destination) -> bool {
        let DestinationTarget::KubeService {
            name, cluster_name, ..
        } = &destination.target
        else {
            return false;
        };
        let selectors = &self.list[policy].source.destinations;
        let cluster = cluster_name.as_deref().or(self.cluster);
        selects_service(selectors, name, cluster, &self.services)
    }

    /// Reports policies that were to shift traffic and never did.
    pub(super) fn report_idle(
        &self,
        has_shifted: impl Fn(usize) -> bool,
        diagnostics: &mut Diagnostics,
    ) {
        for (at, policy) in self.list.iter().enumerate() {
            if let Some(shift) = &policy.shift
                && shift.value.is_some()
                && !has_shifted(at)
            {
                diagnostics.push(
                    Diagnostic::at(
                        Code::PolicySelectsNothing,
                        shift.span,
                        "`trafficShift` shifts nothing: no route that the policy selects has a destination that it selects and no older policy shifts",
                    )
                    .help("compare `destinationSelector` with the `kubeService` of the routes: names, namespaces and clusters"),
                );
            }
        }
    }
}
