//! Gateways that forward connections as they are.

use crate::diagnostic::Diagnostics;
use crate::resource::{HandlerKind, TcpRoutes, VirtualGateway};
use crate::tree::{Gateway, Tcp};

use super::prepare::Catalogue;

/// Finds the destinations of connections. `sources` are the gateways as written, in the same order.
pub(super) fn resolve<'r>(
    sources: &[&'r VirtualGateway],
    catalogue: &mut Catalogue<'r>,
    gateways: &mut [Gateway],
    diagnostics: &mut Diagnostics,
) {
    for (source, gateway) in sources.iter().zip(gateways) {
        let handler = source.handlers.first().map(|handler| &handler.kind);
        if let Some(HandlerKind::Tcp(routes)) = handler {
            let namespace = &source.metadata.id.namespace;
            gateway.tcp = Some(tcp(routes, namespace, catalogue, diagnostics));
        }
    }
}

/// What is wrong with one destination is wrong with all: the share of a missing one must not go to the others.
fn tcp<'r>(
    routes: &'r TcpRoutes,
    namespace: &'r str,
    catalogue: &mut Catalogue<'r>,
    diagnostics: &mut Diagnostics,
) -> Tcp {
    let weight = |at: usize| {
        let written = routes.destinations.get(at)?.weight.as_ref()?;
        Some(written.value)
    };
    let all = 0..routes.destinations.len();
    let is_even = all.clone().all(|at| weight(at).unwrap_or(0) == 0);
    let found: Vec<_> = routes
        .destinations
        .iter()
        .map(|written| catalogue.inventory.resolve(written, namespace, diagnostics))
        .collect();
    let destinations: Option<Vec<_>> = found
        .into_iter()
        .zip(all)
        .map(|(destination, at)| {
            let share = if is_even { 1 } else { weight(at).unwrap_or(0) };
            Some((destination?, share))
        })
        .collect();
    Tcp {
        destinations: destinations.unwrap_or_default(),
        by_server_name: routes.by_server_name,
        settings: routes.settings.clone(),
        span: routes.span,
    }
}
