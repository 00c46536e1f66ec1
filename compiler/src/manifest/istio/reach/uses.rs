//! Every place that sends a gateway's requests or connections somewhere.

use crate::source::Span;
use crate::tree::{Action, Destination, Gateway};

/// The destinations of a gateway, each with the place that names it: routes, mirrors, services that the gateway asks,
/// connections that are forwarded as they are.
pub(super) fn uses(gateway: &Gateway) -> Vec<(&Destination, Span)> {
    let mut uses: Vec<(&Destination, Span)> = Vec::new();
    gateway.routes(|route| {
        if let Action::Forward(forward) = &route.action {
            let destinations = forward.destinations.iter();
            uses.extend(destinations.map(|one| (one.destination.as_ref(), route.span)));
        }
        if let Some(mirrors) = &route.options.mirrors {
            let destinations = mirrors.value.iter();
            uses.extend(destinations.map(|one| (one.destination.as_ref(), mirrors.span)));
        }
    });
    if let Some(auth) = &gateway.services.extauth {
        uses.push((&auth.destination, auth.settings.span));
    }
    if let Some(limits) = &gateway.services.rate_limit
        && let Some(destination) = &limits.destination
    {
        uses.push((destination, limits.settings.span));
    }
    if let Some(tcp) = &gateway.tcp {
        let destinations = tcp.destinations.iter();
        uses.extend(destinations.map(|(one, _)| (one.as_ref(), tcp.span)));
    }
    uses
}
