//! TrafficPolicy: options for routes that it selects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    DestinationSelector, Metadata, ObjectRef, ObjectSelector, OutlierDetection, TlsMode,
    WeightedDestination, WrittenOptions,
};
use crate::source::{Span, Spanned};

/// A TrafficPolicy object.
#[derive(Clone, Debug)]
pub struct TrafficPolicy {
    /// Its metadata.
    pub metadata: Metadata,
    /// `routeSelector`: any of them has to select a route. Absent (or empty): the policy is about traffic inside the
    /// mesh, not about routes of gateways.
    pub routes: Option<Spanned<Vec<RouteSelector>>>,
    /// `destinationSelector`: any of them has to select a destination for `trafficShift` and the settings of destinations
    /// to concern it; an empty list selects all. It has no say about the other options.
    pub destinations: Vec<DestinationSelector>,
    /// The options of `policy`; absent if something in it was reported.
    pub options: Option<WrittenOptions>,
    /// `policy.trafficShift`: the destinations that take over.
    pub shift: Option<Spanned<Vec<WeightedDestination>>>,
    /// What it says about the destinations themselves, whatever routes lead to them.
    pub settings: DestinationSettings,
    /// The spec as written.
    pub spec: Value,
}

/// How gateways treat destinations.
#[derive(Clone, Debug, Default)]
pub struct DestinationSettings {
    /// `outlierDetection`.
    pub outlier_detection: Option<Spanned<OutlierDetection>>,
    /// `mtls.istio.tlsMode`.
    pub tls_mode: Option<Spanned<TlsMode>>,
}

/// An element of `routeSelector`.
#[derive(Clone, Debug)]
pub struct RouteSelector {
    /// Virtual hosts by name.
    pub host_refs: Vec<ObjectRef>,
    /// Virtual hosts by label.
    pub host_selector: Option<ObjectSelector>,
    /// Route tables by name.
    pub table_refs: Vec<ObjectRef>,
    /// Route tables by label.
    pub table_selector: Option<ObjectSelector>,
    /// Labels that a route must have; empty: all routes of the virtual hosts and route tables.
    pub labels: BTreeMap<String, String>,
    /// The whole selector.
    pub span: Span,
}

impl RouteSelector {
    /// Whether it selects in every virtual host and every route table.
    pub fn is_everywhere(&self) -> bool {
        self.host_refs.is_empty()
            && self.host_selector.is_none()
            && self.table_refs.is_empty()
            && self.table_selector.is_none()
    }
}
