//! TrafficPolicy.

use super::cluster::destination_selector;
use super::route::weighted_destination;
use super::value::object_ref;
use super::{every, options, selector};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::resource::traffic_policy::{RouteSelector, TrafficPolicy};
use crate::resource::{DestinationSettings, Metadata, WeightedDestination};
use crate::source::{Span, Spanned};

/// A TrafficPolicy. One whose `policy` cannot be read is kept, because it is known which routes it was meant for; one
/// whose selectors cannot be read is not.
pub(in crate::load) fn traffic_policy(
    metadata: Metadata,
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<TrafficPolicy> {
    let routes = every(node.list_at("routeSelector"), |node| {
        route_selector(node, diagnostics)
    });
    let destinations = every(node.list_at("destinationSelector"), |node| {
        destination_selector(node, diagnostics)
    });
    let policy = node.get("policy");
    let options = match policy {
        Some(policy) => options::of_traffic_policy(policy, diagnostics),
        None => Some(Default::default()),
    };
    let written = policy.and_then(|policy| policy.entry("trafficShift"));
    let shift = match written {
        Some(entry) => {
            shift(&entry.value, diagnostics).map(|shift| Some(Spanned::new(shift, entry.key_span)))
        }
        None => Some(None),
    };
    let sources = node
        .entry("sourceSelector")
        .filter(|entry| !entry.value.list().is_empty());
    let mut settings = policy.map(options::settings).unwrap_or_default();
    if let Some(sources) = sources {
        report_of_some_sources(&mut settings, sources.key_span, diagnostics);
    }
    let written = node
        .entry("routeSelector")
        .filter(|entry| !entry.value.list().is_empty());
    let has_options = policy.is_some_and(|policy| {
        let mut entries = policy.entries().iter();
        entries.any(|entry| !options::SETTINGS.contains(&entry.key.as_ref()))
    });
    match written {
        None if has_options => diagnostics.push(
            Diagnostic::at(
                Code::MeshPolicy,
                metadata.span,
                format!(
                    "TrafficPolicy `{}` has no `routeSelector`, so routes of gateways do not have its options",
                    metadata.id
                ),
            )
            .help("write `routeSelector: [{}]` for all routes of gateways"),
        ),
        None => {}
        Some(_) => {
            if let (Some(policy), None) = (policy, sources) {
                options::report_not_for_routes(policy, diagnostics);
            }
            if let Some(sources) = sources {
                diagnostics.push(Diagnostic::at(
                    Code::MeshPolicy,
                    sources.key_span,
                    "`sourceSelector` is about traffic inside the mesh: requests to gateways are not asked for their source",
                ));
            }
            let matchers = node.entry("httpRequestMatchers");
            if let Some(matchers) = matchers.filter(|entry| !entry.value.list().is_empty()) {
                diagnostics.push(
                    Diagnostic::at(
                        Code::IgnoredRequestMatchers,
                        matchers.key_span,
                        "`httpRequestMatchers` are ignored for routes of gateways, which have matchers of their own",
                    )
                    .help("give labels to the routes that are meant, and select them with `routeLabelMatcher`"),
                );
            }
        }
    }
    // Of a list with a fault in it not all can be read.
    let is_whole = |key| node.get(key).is_none_or(|node| !node.faulty);
    let selects = is_whole("routeSelector").then_some(routes?)?;
    let is_readable = is_whole("policy") && is_whole("destinationSelector");
    let (shift, destinations, options) = match (shift, destinations, options) {
        (Some(shift), Some(destinations), Some(options)) if is_readable => {
            (shift, destinations, Some(options))
        }
        _ => {
            settings = Default::default();
            (None, Vec::new(), None)
        }
    };
    Some(TrafficPolicy {
        metadata,
        routes: written.map(|entry| Spanned::new(selects, entry.key_span)),
        destinations,
        options,
        shift,
        settings,
        spec: node.json(),
    })
}

/// Takes away settings of destinations that hold for traffic from some sources only.
fn report_of_some_sources(
    settings: &mut DestinationSettings,
    sources: Span,
    diagnostics: &mut Diagnostics,
) {
    if let Some(outliers) = settings.outlier_detection.take() {
        diagnostics.push(
            Diagnostic::at(
                Code::OutlierSources,
                outliers.span,
                "`outlierDetection` cannot depend on the source of requests",
            )
            .also(sources, "selects sources")
            .help("write `outlierDetection` in a TrafficPolicy without `sourceSelector`"),
        );
    }
    if let Some(mode) = settings.tls_mode.take() {
        diagnostics.push(
            Diagnostic::at(
                Code::MeshPolicy,
                mode.span,
                "`mtls` of a policy with `sourceSelector` is about traffic inside the mesh, so gateways do not have it",
            )
            .also(sources, "selects sources")
            .help("write `mtls` in a TrafficPolicy without `sourceSelector`"),
        );
    }
}

fn shift(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<WeightedDestination>> {
    let entries = node.list_at("destinations");
    if entries.is_empty() && !node.faulty {
        diagnostics.push(
            Diagnostic::at(
                Code::NoDestinations,
                node.span,
                "this `trafficShift` has no destinations",
            )
            .help("add at least one entry to `destinations`"),
        );
        return None;
    }
    every(entries, |node| weighted_destination(node, diagnostics))
}

fn route_selector(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<RouteSelector> {
    let mut refs = |key, what| {
        every(node.list_at(key), |node| {
            object_ref(node, what, diagnostics)
        })
    };
    let host_refs = refs("virtualHostRefs", "a reference to a virtual host");
    let table_refs = refs("routeTableRefs", "a reference to a route table");
    let mut object_selector = |key| match node.get(key) {
        Some(node) => selector::object_selector(node, diagnostics).map(Some),
        None => Some(None),
    };
    let host_selector = object_selector("virtualHostSelector");
    let table_selector = object_selector("routeTableSelector");
    Some(RouteSelector {
        host_refs: host_refs?,
        host_selector: host_selector?,
        table_refs: table_refs?,
        table_selector: table_selector?,
        labels: node.string_map_at("routeLabelMatcher"),
        span: node.span,
    })
}
