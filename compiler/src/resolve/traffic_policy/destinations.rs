//! What TrafficPolicies say about destinations, whatever routes lead to them.

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{
    DestinationSelector, ObjectName, OutlierDetection, Resources, Service, TlsMode, TrafficPolicy,
};
use crate::source::{Span, Spanned};
use crate::tree::{Destination, DestinationTarget, Tree};

use super::super::age;
use super::super::inventory::Services;
use super::super::workload::selects_any;

/// The policies that say something about destinations.
#[derive(Debug)]
pub struct DestinationPolicies<'r> {
    /// Oldest first.
    list: Vec<&'r TrafficPolicy>,
    services: Services<'r>,
}

/// How gateways treat a destination: of each setting, what the oldest policy says that has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'r> {
    /// When an instance that fails is left alone.
    pub outlier_detection: Option<&'r Spanned<OutlierDetection>>,
    /// Whether TLS is spoken.
    pub tls_mode: Option<&'r Spanned<TlsMode>>,
}

impl Settings<'_> {
    /// Whether no policy says anything.
    pub fn is_empty(self) -> bool {
        self.outlier_detection.is_none() && self.tls_mode.is_none()
    }

    /// The settings that policies say, each with its place.
    pub fn places(self) -> impl Iterator<Item = (&'static str, Span)> {
        let outliers = self.outlier_detection.map(|outliers| outliers.span);
        let mode = self.tls_mode.map(|mode| mode.span);
        let all = [("outlierDetection", outliers), ("mtls", mode)];
        all.into_iter()
            .filter_map(|(name, span)| Some((name, span?)))
    }
}

impl<'r> DestinationPolicies<'r> {
    /// Finds them.
    pub fn new(resources: &'r Resources) -> Self {
        let mut list: Vec<&TrafficPolicy> = resources.traffic_policies.iter().collect();
        list.retain(|policy| {
            policy.settings.outlier_detection.is_some() || policy.settings.tls_mode.is_some()
        });
        list.sort_by_key(|policy| age(&policy.metadata));
        Self {
            list,
            services: Services::new(resources),
        }
    }

    /// For a Service of a cluster; without one, it may be of any.
    pub fn of_service(&self, name: &ObjectName, cluster: Option<&str>) -> Settings<'r> {
        self.settings(|selectors| selects_service(selectors, name, cluster, &self.services))
    }

    /// For a static destination.
    pub fn of_external(&self, name: &ObjectName) -> Settings<'r> {
        self.settings(|selectors| {
            let mut named = selectors.iter().flat_map(|selector| &selector.external);
            selectors.is_empty() || named.any(|one| one.value == *name)
        })
    }

    /// For what a route of a tree goes to. The services behind a virtual destination are taken for one: the first that a policy
    /// says something about.
    pub fn of(&self, tree: &Tree, destination: &Destination) -> Settings<'r> {
        match &destination.target {
            DestinationTarget::KubeService {
                name, cluster_name, ..
            } => self.of_service(name, cluster_name.as_deref().or(tree.cluster.as_deref())),
            DestinationTarget::StaticDestination { name, .. } => self.of_external(name),
            DestinationTarget::VirtualDestination { name, .. } => {
                let mut virtuals = tree.virtual_destinations.iter();
                let mut settings = Settings::default();
                let Some(found) = virtuals.find(|one| one.name == *name) else {
                    return settings;
                };
                for backend in &found.backends {
                    let own = self.of_service(
                        &backend.service,
                        backend.cluster.as_deref().or(tree.cluster.as_deref()),
                    );
                    settings.outlier_detection =
                        settings.outlier_detection.or(own.outlier_detection);
                    settings.tls_mode = settings.tls_mode.or(own.tls_mode);
                }
                if found.outlier_detection.is_some() {
                    settings.outlier_detection = None;
                }
                settings
            }
        }
    }

    fn settings(&self, selects: impl Fn(&[DestinationSelector]) -> bool) -> Settings<'r> {
        let mut settings = Settings::default();
        for policy in &self.list {
            if !selects(&policy.destinations) {
                continue;
            }
            let own = &policy.settings;
            settings.outlier_detection =
                (settings.outlier_detection).or(own.outlier_detection.as_ref());
            settings.tls_mode = settings.tls_mode.or(own.tls_mode.as_ref());
        }
        settings
    }
}

/// Reports static destinations that policies name and that are not there. What runs in other clusters need not be known.
pub(super) fn report(resources: &Resources, diagnostics: &mut Diagnostics) {
    let is_there = |name: &ObjectName| {
        let mut destinations = resources.destinations.iter();
        let left_out = || {
            let mut objects = resources.left_out.iter();
            objects.any(|object| object.kind == "Destination" && object.id == *name)
        };
        destinations.any(|one| one.metadata.id == *name && one.external.is_some()) || left_out()
    };
    let policies = resources.traffic_policies.iter();
    let selectors = policies.flat_map(|policy| &policy.destinations);
    for named in selectors.flat_map(|selector| &selector.external) {
        if !is_there(&named.value) {
            diagnostics.push(
                Diagnostic::at(
                    Code::PolicySelectsNothing,
                    named.span,
                    format!("there is no static destination `{}`", named.value),
                )
                .help("pass the Destination with its `externalService` as well, or correct the name or namespace"),
            );
        }
    }
}

/// Whether one of the selectors of a policy selects a Service of a cluster. An empty list selects all.
pub(super) fn selects_service(
    selectors: &[DestinationSelector],
    name: &ObjectName,
    cluster: Option<&str>,
    services: &Services<'_>,
) -> bool {
    if selectors.is_empty() {
        return true;
    }
    let service = services.find(&name.namespace, &name.name, cluster);
    let unknown = || Service::unknown(name, "");
    // A plain manifest stands for every cluster, and the route for one.
    let service = Service {
        cluster: cluster.map(str::to_owned),
        ..service.cloned().unwrap_or_else(unknown)
    };
    selects_any(selectors, &service)
}
