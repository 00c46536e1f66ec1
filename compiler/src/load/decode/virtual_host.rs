//! VirtualHost and RouteTable.

use super::value::strings;
use super::{options, route};
use crate::diagnostic::Diagnostics;
use crate::load::node::Node;
use crate::resource::{Metadata, RouteTable, VirtualHostSpec, WrittenOptions};

/// The spec of a VirtualHost, of its own or inline in a gateway.
pub(in crate::load) fn spec(
    node: &mut Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<VirtualHostSpec> {
    let routes = route::routes(node, diagnostics);
    let options = inherited_options(node, diagnostics);
    if node.faulty {
        return None;
    }
    Some(VirtualHostSpec {
        domains: strings(node, "domains"),
        routes,
        options: options?,
        ignore_path_parameters: node.flag("ignorePathParameters"),
        span: node.span,
    })
}

/// A RouteTable.
pub(in crate::load) fn route_table(
    metadata: Metadata,
    node: &mut Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<RouteTable> {
    let routes = route::routes(node, diagnostics);
    let options = inherited_options(node, diagnostics);
    if node.faulty {
        return None;
    }
    let weight = node.get("weight").and_then(Node::integer).unwrap_or(0);
    Some(RouteTable {
        metadata,
        routes,
        weight: i32::try_from(weight).ok()?,
        options: options?,
        span: node.span,
    })
}

/// `options.trafficPolicy`: the options that the routes inherit.
fn inherited_options(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<WrittenOptions> {
    match node
        .get("options")
        .and_then(|options| options.get("trafficPolicy"))
    {
        Some(policy) => options::options(policy, diagnostics),
        None => Some(WrittenOptions::default()),
    }
}
