//! Rate limits and external authorization: which objects routes refer to, and which services gateways ask.

use std::collections::HashSet;
use std::sync::Arc;

use super::inventory::{Wanted, full_name};
use super::prepare::{Catalogue, empty_selection};
use super::selector;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::external::{DescriptorEntry, Extauth, RateLimit};
use crate::resource::external::{
    RateLimitActions, RateLimitClientConfig, RateLimitServerConfig, RouteRateLimit,
};
use crate::resource::{LeftOut, ObjectName, ObjectRef, Resources, VirtualGateway};
use crate::source::{Span, Spanned};
use crate::tree::{self, Gateway};

/// What a rate limit server of Solo.io knows descriptors of set actions by.
const SET_ACTIONS: &str = "solo.setDescriptor.uniqueValue";

const GRPC: &[&str] = &["grpc", "http2"];
const HTTP: &[&str] = &["http"];

/// The objects that rate limits refer to.
#[derive(Debug)]
pub(super) struct RateLimitConfigs<'r> {
    clients: &'r [RateLimitClientConfig],
    /// In order of their names.
    servers: Vec<&'r RateLimitServerConfig>,
    left_out: &'r [LeftOut],
}

impl<'r> RateLimitConfigs<'r> {
    pub(super) fn new(resources: &'r Resources) -> Self {
        let mut servers: Vec<_> = resources.rate_limit_servers.iter().collect();
        servers.sort_by_key(|server| &server.metadata.id);
        Self {
            clients: &resources.rate_limit_clients,
            servers,
            left_out: &resources.left_out,
        }
    }

    /// The `rateLimit` of an object in `namespace`, with what it refers to. What is missing is reported, and limits nothing.
    pub(super) fn resolve(
        &self,
        written: &Spanned<RouteRateLimit>,
        namespace: &str,
        diagnostics: &mut Diagnostics,
    ) -> Spanned<Arc<RateLimit>> {
        let limits = match &written.client {
            Some(reference) => self.client(reference, namespace, diagnostics),
            None => &written.raw,
        };
        let prefixes = match &written.servers {
            // What no server config counts is not asked for.
            Some(_) => self.prefixes(written, namespace, diagnostics),
            None => vec![None],
        };
        let descriptors = prefixes.iter().flat_map(|prefix| {
            let prefix = prefix.as_ref().map(generic_key);
            limits
                .iter()
                .flat_map(move |limit| descriptors(limit, prefix.clone()))
        });
        let limit = RateLimit {
            descriptors: descriptors.collect(),
            local: written.local.clone(),
        };
        Spanned::new(Arc::new(limit), written.span)
    }

    fn client(
        &self,
        reference: &ObjectRef,
        namespace: &str,
        diagnostics: &mut Diagnostics,
    ) -> &'r [RateLimitActions] {
        let name = full_name(reference, namespace);
        let found = self
            .clients
            .iter()
            .find(|client| client.metadata.id == name);
        if let Some(client) = found {
            return &client.limits;
        }
        let is_left_out = |left: &LeftOut| left.kind == "RateLimitClientConfig" && left.id == name;
        if !self.left_out.iter().any(is_left_out) {
            diagnostics.push(
                Diagnostic::at(
                    Code::MissingRateLimit,
                    reference.span,
                    format!("there is no RateLimitClientConfig `{name}`; nothing is limited until it exists"),
                )
                .help("pass its file as well, or correct the name or namespace"),
            );
        }
        &[]
    }

    fn prefixes(
        &self,
        written: &RouteRateLimit,
        namespace: &str,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Option<String>> {
        let Some(selected) = &written.servers else {
            return Vec::new();
        };
        if !selector::check(selected, diagnostics) {
            return Vec::new();
        }
        let selects = |server: &&&RateLimitServerConfig| {
            selector::selects(selected, namespace, &server.metadata)
        };
        let servers = self.servers.iter().filter(selects);
        let names: Vec<_> = servers
            .map(|server| {
                let ObjectName { namespace, name } = &server.metadata.id;
                Some(format!("{namespace}.{name}"))
            })
            .collect();
        if names.is_empty() {
            diagnostics.push(empty_selection(
                selected,
                namespace,
                "RateLimitServerConfig",
            ));
        }
        names
    }
}

fn generic_key(value: impl Into<String>) -> DescriptorEntry {
    DescriptorEntry::Text {
        key: "generic_key".to_owned(),
        value: value.into(),
    }
}

fn descriptors(
    limit: &RateLimitActions,
    prefix: Option<DescriptorEntry>,
) -> impl Iterator<Item = Vec<DescriptorEntry>> {
    let with = |marker: Option<DescriptorEntry>, entries: &[DescriptorEntry]| {
        (!entries.is_empty()).then(|| {
            let begin = marker.into_iter().chain(prefix.clone());
            begin.chain(entries.iter().cloned()).collect()
        })
    };
    let set = with(Some(generic_key(SET_ACTIONS)), &limit.set_actions);
    with(None, &limit.actions).into_iter().chain(set)
}

/// Finds the services of the gateways, and reports routes that ask for one which their gateway does not have. `sources`
/// are the gateways as written, in the same order.
pub(super) fn services<'r>(
    sources: &[&'r VirtualGateway],
    catalogue: &mut Catalogue<'r>,
    gateways: &mut [Gateway],
    diagnostics: &mut Diagnostics,
) {
    for (source, gateway) in sources.iter().zip(gateways) {
        gateway.services = tree::Services {
            extauth: auth_service(source, catalogue, diagnostics),
            rate_limit: rate_limit_service(source, catalogue, diagnostics),
        };
        report_missing(source, gateway, diagnostics);
    }
}

fn auth_service<'r>(
    source: &'r VirtualGateway,
    catalogue: &mut Catalogue<'r>,
    diagnostics: &mut Diagnostics,
) -> Option<tree::AuthService> {
    let written = source.extauth.as_ref()?;
    let wanted = Wanted {
        reference: written.service.as_ref(),
        default: "ext-auth-service",
        protocols: if written.http.is_some() { HTTP } else { GRPC },
        namespace: &source.metadata.id.namespace,
        span: written.span,
    };
    let destination = catalogue.external(&wanted, diagnostics)?;
    Some(tree::AuthService {
        destination,
        settings: written.clone(),
    })
}

fn rate_limit_service<'r>(
    source: &'r VirtualGateway,
    catalogue: &mut Catalogue<'r>,
    diagnostics: &mut Diagnostics,
) -> Option<tree::RateLimitService> {
    let written = source.rate_limit.as_ref()?;
    let wanted = Wanted {
        reference: written.service.as_ref(),
        default: "rate-limiter",
        protocols: GRPC,
        namespace: &source.metadata.id.namespace,
        span: written.span,
    };
    Some(tree::RateLimitService {
        destination: catalogue.external(&wanted, diagnostics),
        settings: written.clone(),
    })
}

/// Each place where a route asks for a service is reported once for each gateway that has none. A service that is
/// configured and could not be found has been reported.
fn report_missing(source: &VirtualGateway, gateway: &Gateway, diagnostics: &mut Diagnostics) {
    let mut seen: HashSet<Span> = HashSet::new();
    gateway.routes(|route| {
        let asks = |extauth: &Arc<Extauth>| matches!(**extauth, Extauth::Custom(_));
        if let Some(extauth) = &route.options.extauth
            && asks(&extauth.value)
            && source.extauth.is_none()
            && seen.insert(extauth.span)
        {
            diagnostics.push(
                Diagnostic::at(
                    Code::NoAuthService,
                    extauth.span,
                    format!(
                        "gateway `{}` has no authorization service, so it refuses all requests of the route",
                        gateway.name
                    ),
                )
                .also(gateway.span, "the gateway")
                .help("write `routeOptions.extauth` beside the gateway's `routeConfig`"),
            );
        }
        if let Some(limit) = &route.options.rate_limit
            && !limit.descriptors.is_empty()
            && source.rate_limit.is_none()
            && seen.insert(limit.span)
        {
            diagnostics.push(
                Diagnostic::at(
                    Code::NoRateLimitService,
                    limit.span,
                    format!(
                        "gateway `{}` has no rate limit service, so nobody counts the requests of the route",
                        gateway.name
                    ),
                )
                .also(gateway.span, "the gateway")
                .help("write `routeOptions.rateLimit` beside the gateway's `routeConfig`, or a `local` limit"),
            );
        }
    });
}
