//! From what a proxy does to an answer.

use meshgate_compiler::answer::{Answer, Asks, Outcome, Request, Response};
use meshgate_compiler::cases::{Observed, Unseen};
use meshgate_compiler::route;
use meshgate_compiler::tree::Action;

use super::configuration::Configuration;

/// What a proxy with the filter shows from outside.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Index of the gateway that received the request.
    pub(super) gateway: usize,
    /// Full name of the route, as the filter tells it to access logs.
    pub(super) route: Option<String>,
    /// Response code details of a local reply; `via_upstream` if there was none.
    pub(super) details: String,
    /// Name of the cluster that the request was sent to.
    pub(super) cluster: Option<String>,
    /// The request that was sent there.
    pub(super) request: Option<Request>,
    /// What the client got.
    pub(super) response: Response,
    /// What services were asked.
    pub(super) asks: Asks,
}

impl Seen {
    /// Puts the parts together that can be seen.
    pub(super) fn observe(
        self,
        configuration: &Configuration,
        unseen: &'static [Unseen],
    ) -> Result<Observed, String> {
        let outcome = match self.details.as_str() {
            "via_upstream" => Outcome::Forward,
            "meshgate_redirect" => Outcome::Redirect,
            "meshgate_direct_response" | "meshgate_cors_preflight" => Outcome::DirectResponse,
            refused if refused.starts_with("meshgate_refused_") => Outcome::Rejected,
            "meshgate_route_not_found" => Outcome::NotFound,
            other => {
                let status = self.response.status;
                return Err(format!("the proxy itself answered with {status}: {other}"));
            }
        };
        let tree = &configuration.compiled.tree;
        let gateway = tree.gateways.get(self.gateway);
        let mut answer = Answer {
            gateway: gateway.map(|gateway| gateway.name.to_string()),
            // What is no route of anybody's has an empty name: a redirect to https.
            route: self.route.filter(|name| !name.is_empty()),
            outcome,
            request: self.request,
            asks: self.asks,
            response: (outcome != Outcome::Forward).then(|| self.response.clone()),
            ..Answer::not_found()
        };
        if let Some(route) = route::find_route(tree, self.gateway, &answer) {
            answer.route_name = route.name.leaf().map(str::to_owned);
            // Several destinations may have one cluster; the route tells which one is meant.
            if let (Action::Forward(forward), Some(cluster)) = (&route.action, &self.cluster) {
                let mut destinations = forward.destinations.iter();
                let chosen = destinations
                    .find(|weighted| {
                        weighted.destination.cluster == *cluster && weighted.weight > 0
                    })
                    .ok_or_else(|| format!("`{cluster}` is no destination of the route"))?;
                answer.destination = Some(chosen.destination.as_ref().into());
            }
        }
        Ok(Observed {
            answer,
            response: Some(self.response),
            unseen,
        })
    }
}
