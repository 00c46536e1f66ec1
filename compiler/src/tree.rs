//! The resolved tree: gateways, their hosts, and flat lists of routes in first-match order.
//!
//! Everything is decided here: selectors followed, delegation flattened, conditions of parents conjoined, options
//! inherited, references looked up. What is left for a request is to find the first route that matches. Routes that
//! many places delegate to are stored once, see [`Delegation`].
//! The linear oracle evaluates this tree as it stands and so defines what is correct.

mod clusters;
mod delegation;
mod destination;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use meshgate_engine::policy::CredentialCheck;

pub use crate::options::Options;
use crate::policy::Mirror;
use crate::rare::Rare;
pub use crate::resource::TextPlace;
use crate::resource::external::{GatewayExtauth, GatewayRateLimit};
use crate::resource::{
    HeaderManipulation, Listener, Normalization, ObjectName, PathKind, RequireTls, TcpSettings,
};
use crate::rewrite::{HostRewrite, PathRewrite, Replacement};
use crate::source::{Span, Spanned};

pub use self::clusters::{Backend, GatewayWorkload, MeshMember, VirtualDestination, VirtualMesh};
pub(crate) use self::delegation::{Above, below};
pub use self::delegation::{Delegation, Entry, SharedRoutes, written_out};
pub use self::destination::{Destination, DestinationTarget};

/// The result of resolution.
#[derive(Debug, Default)]
pub struct Tree {
    /// Cluster in which the gateways run, if known.
    pub cluster: Option<String>,
    /// Gateways in order of namespace and name.
    pub gateways: Vec<Gateway>,
    /// The checks of each AuthConfig, all of which a request has to pass.
    pub auth_configs: BTreeMap<ObjectName, Vec<CredentialCheck>>,
    /// Virtual meshes in order of namespace and name.
    pub virtual_meshes: Vec<VirtualMesh>,
    /// Virtual destinations in order of namespace and name.
    pub virtual_destinations: Vec<VirtualDestination>,
}

impl Tree {
    /// All destinations: of requests, then of connections.
    pub fn destinations(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.of_requests().chain(self.of_connections())
    }

    /// The destinations of all routes, in order, those of shared routes once; then the services of gateways.
    pub fn of_requests(&self) -> impl Iterator<Item = &Arc<Destination>> {
        let of_routes = self.routes().into_iter().flat_map(|route| {
            let destinations = match &route.action {
                Action::Forward(forward) => &forward.destinations[..],
                Action::Redirect(_) | Action::DirectResponse(_) => &[],
            };
            destinations
                .iter()
                .map(|weighted| &weighted.destination)
                .chain(route.mirrors().iter().map(|mirror| &mirror.destination))
        });
        of_routes.chain(self.services().map(|(destination, _)| destination))
    }

    /// The destinations of connections that are forwarded as they are.
    pub fn of_connections(&self) -> impl Iterator<Item = &Arc<Destination>> {
        let handlers = self
            .gateways
            .iter()
            .filter_map(|gateway| gateway.tcp.as_ref());
        let destinations = handlers.flat_map(|tcp| &tcp.destinations);
        destinations.map(|(destination, _)| destination)
    }

    /// All routes, in order; shared ones once.
    pub(crate) fn routes(&self) -> Vec<&Route> {
        let mut seen = HashSet::new();
        let mut routes = Vec::new();
        let hosts = self.gateways.iter().flat_map(|gateway| &gateway.hosts);
        for virtual_host in hosts.flat_map(|host| &host.virtual_hosts) {
            stored(&virtual_host.routes, &mut seen, &mut routes);
        }
        routes
    }

    /// The services that gateways ask, and whether it is by gRPC.
    pub fn services(&self) -> impl Iterator<Item = (&Arc<Destination>, bool)> {
        let gateways = self.gateways.iter();
        gateways.flat_map(|gateway| gateway.services.destinations())
    }

    /// Whether the filter must get bodies of requests.
    pub(crate) fn needs_bodies(&self) -> bool {
        let mut auths =
            (self.gateways.iter()).filter_map(|gateway| gateway.services.extauth.as_ref());
        auths.any(|auth| auth.settings.body.is_some())
    }
}

/// The routes of a list, without the shared ones that were seen before.
fn stored<'t>(
    entries: &'t [Entry],
    seen: &mut HashSet<*const SharedRoutes>,
    routes: &mut Vec<&'t Route>,
) {
    for entry in entries {
        match entry {
            Entry::Route(route) => routes.push(route),
            Entry::Delegation(delegation) => {
                if seen.insert(Arc::as_ptr(&delegation.shared)) {
                    stored(&delegation.shared.entries, seen, routes);
                }
            }
        }
    }
}

/// One VirtualGateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name.
    pub name: ObjectName,
    /// The gateways that run and serve it, in all clusters; ordered.
    pub workloads: Vec<GatewayWorkload>,
    /// Whether an inventory says so; otherwise `workloads` is what the selectors say.
    pub workloads_known: bool,
    /// How it listens.
    pub listener: Arc<Listener>,
    /// What is done to paths before they are matched.
    pub paths: Normalization,
    /// Name of the port on the gateway's Service, if written.
    pub port_name: Option<String>,
    /// Every request is redirected to https; there are no hosts then.
    pub https_redirect: bool,
    /// The gateway terminates TLS.
    pub tls: bool,
    /// Hosts; no two have a domain in common.
    pub hosts: Vec<Host>,
    /// Where connections go, if they are not understood as HTTP; there are no hosts then.
    pub tcp: Option<Tcp>,
    /// The services that it asks.
    pub services: Services,
    /// Place of its name.
    pub span: Span,
}

/// Where the connections of a gateway go as they are.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Destinations with their weights, which are relative and not all zero; none if the server name of TLS says where
    /// connections go, or if there was an error in one of them.
    pub destinations: Vec<(Arc<Destination>, u32)>,
    /// Connections go to the cluster that the server name names.
    pub by_server_name: bool,
    /// How connections are forwarded.
    pub settings: TcpSettings,
    /// Place of the handler.
    pub span: Span,
}

impl Gateway {
    /// Calls `visit` with each of its routes; with shared ones once.
    pub(crate) fn routes<'t>(&'t self, mut visit: impl FnMut(&'t Route)) {
        let mut routes = Vec::new();
        let mut seen = HashSet::new();
        for virtual_host in self.hosts.iter().flat_map(|host| &host.virtual_hosts) {
            stored(&virtual_host.routes, &mut seen, &mut routes);
        }
        routes.into_iter().for_each(&mut visit);
    }

    /// Whether it may run in a cluster: it is not known to run in others only.
    pub fn may_run_in(&self, cluster: &str) -> bool {
        let mut workloads = self.workloads.iter();
        self.workloads.is_empty() || workloads.any(|workload| workload.in_cluster(cluster))
    }
}

/// Services that a gateway asks about requests.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// `routeOptions.extauth`; absent too if the service could not be found.
    pub extauth: Option<AuthService>,
    /// `routeOptions.rateLimit`.
    pub rate_limit: Option<RateLimitService>,
}

impl Services {
    /// Where they are, and whether they are asked by gRPC.
    pub fn destinations(&self) -> impl Iterator<Item = (&Arc<Destination>, bool)> {
        let auth = self.extauth.as_ref();
        let auth = auth.map(|auth| (&auth.destination, auth.settings.http.is_none()));
        let limits = self.rate_limit.as_ref();
        let limits = limits.and_then(|limits| Some((limits.destination.as_ref()?, true)));
        auth.into_iter().chain(limits)
    }
}

/// The service that authorizes requests of routes with `extauth`.
#[derive(Clone, Debug)]
pub struct AuthService {
    /// Where it is.
    pub destination: Arc<Destination>,
    /// How it is asked.
    pub settings: GatewayExtauth,
}

/// The service that counts requests of routes with `rateLimit`.
#[derive(Clone, Debug)]
pub struct RateLimitService {
    /// Where it is; absent if it could not be found.
    pub destination: Option<Arc<Destination>>,
    /// How it is asked.
    pub settings: GatewayRateLimit,
}

/// Domains that share one list of routes. Virtual hosts that claim the same domain are merged: their routes follow
/// one another, oldest virtual host first.
#[derive(Clone, Debug)]
pub struct Host {
    /// Domains, lower-case.
    pub domains: Vec<Domain>,
    /// The virtual hosts behind them, in the order in which their routes are tried.
    pub virtual_hosts: Vec<Arc<VirtualHost>>,
}

impl Host {
    /// Whether paths are matched without parameters (what follows a `;`, up to the next slash). Of several virtual hosts, one that
    /// says so is enough.
    pub fn ignores_path_parameters(&self) -> bool {
        let mut hosts = self.virtual_hosts.iter();
        hosts.any(|host| host.ignore_path_parameters)
    }

    /// Which clients are redirected to https when they come without TLS. Of several virtual hosts, the strictest counts.
    pub fn require_tls(&self) -> RequireTls {
        let hosts = self.virtual_hosts.iter();
        let strictest = hosts.map(|host| host.require_tls).max();
        strictest.unwrap_or_default()
    }
}

/// A virtual host with its delegations followed.
#[derive(Debug)]
pub struct VirtualHost {
    /// Its name; the gateway's for an inline host.
    pub name: ObjectName,
    /// Routes in first-match order.
    pub routes: Vec<Entry>,
    /// `ignorePathParameters`.
    pub ignore_path_parameters: bool,
    /// `requireTls`.
    pub require_tls: RequireTls,
    /// Place of its name (inline: of its spec).
    pub span: Span,
}

/// A domain pattern. Order of preference: exact, longest suffix, longest prefix, any. A wildcard stands for one or
/// more characters; `*` alone also takes a request without a host.
///
/// The port of a request is the digits after a colon, if there are any and other colons only stand inside brackets.
/// Patterns that name a port match only requests whose authority names that port, and all of them are preferred to those
/// that name none; the others take every port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain {
    /// Kind.
    pub kind: DomainKind,
    /// Lower-case text without the `*` and without the port: `example.com`, `.example.com` for
    /// `*.example.com`, `example.` for `example.*`, empty for `*`.
    pub text: String,
    /// Port, if the pattern names one (`example.com:8443`, `*.example.com:8443`).
    pub port: Option<u16>,
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            DomainKind::Exact => f.write_str(&self.text),
            DomainKind::Suffix => write!(f, "*{}", self.text),
            DomainKind::Prefix => write!(f, "{}*", self.text),
            DomainKind::Any => f.write_str("*"),
        }?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Kind of a [`Domain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainKind {
    /// The whole host.
    Exact,
    /// `*text`.
    Suffix,
    /// `text*`.
    Prefix,
    /// `*`.
    Any,
}

/// A leaf route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Path of names from the virtual host down.
    pub name: RouteName,
    /// Alternatives in order, conjoined with those of every ancestor; at least one.
    pub matchers: Vec<Matcher>,
    /// What to do.
    pub action: Action,
    /// Effective options, each with the place it comes from.
    pub options: Rare<Options>,
    /// The route as written.
    pub span: Span,
}

impl Route {
    /// Destinations that get copies of its requests.
    pub(crate) fn mirrors(&self) -> &[Mirror] {
        let mirrors = self.options.mirrors.as_ref();
        mirrors.map_or(&[], |mirrors| mirrors.value.as_slice())
    }
}

/// Full name of a route: `<ns>.<virtual host>/<route>/<ns>.<table>/<route>…`, with `#<index>` for a missing route name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteName {
    /// Segments from the virtual host to the list that the leaf route stands in; routes of one list share them.
    pub above: Arc<[String]>,
    /// Last segment: the leaf route's own name, or its position.
    pub own: String,
    /// Whether the leaf route has a name of its own.
    pub is_named: bool,
}

impl RouteName {
    /// All segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        let above = self.above.iter().map(String::as_str);
        above.chain([self.own.as_str()])
    }

    /// The leaf route's own name, if it has one.
    pub fn leaf(&self) -> Option<&str> {
        self.is_named.then_some(&self.own)
    }
}

impl std::fmt::Display for RouteName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in self.above.iter() {
            write!(f, "{segment}/")?;
        }
        f.write_str(&self.own)
    }
}

/// All parts must hold.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Name of the leaf matcher, appended to the route name.
    pub name: Option<String>,
    /// Path condition.
    pub path: PathMatch,
    /// Header conditions of the leaf and its ancestors.
    pub headers: Vec<HeaderMatch>,
    /// Query parameter conditions of the leaf and its ancestors.
    pub query: Vec<QueryMatch>,
    /// Method, if any level asks for one.
    pub method: Option<String>,
    /// The leaf matcher as written (the leaf route if it has none).
    pub span: Span,
}

/// A path condition after joining: literal parts, then what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMatch {
    /// Literal text from the start of the path, in parts that may differ in case sensitivity. Neighbours differ.
    /// Empty for a regex or suffix that is not below a parent's prefix.
    pub literal: Vec<LiteralPart>,
    /// The literal text ends where a segment of the path does: nothing follows it, or a slash.
    pub whole_segments: bool,
    /// What must follow the literal text.
    pub tail: PathTail,
}

/// Literal text of one case sensitivity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LiteralPart {
    /// Text as written.
    pub text: String,
    /// Compare ASCII letters without case.
    pub ignore_case: bool,
}

/// What follows the literal text of a [`PathMatch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathTail {
    /// Nothing: an exact match.
    End,
    /// Anything: a prefix match; the literal text is what `pathRewrite` replaces.
    Any,
    /// A suffix at the end of what follows (not overlapping the literal text).
    Suffix(LiteralPart),
    /// RE2 on all of what follows. The pattern has no case option of its own.
    Regex(Spanned<String>),
}

impl PathMatch {
    /// Every path.
    pub fn any() -> Self {
        Self {
            literal: vec![LiteralPart {
                text: "/".to_owned(),
                ignore_case: false,
            }],
            whole_segments: false,
            tail: PathTail::Any,
        }
    }

    /// The literal text.
    pub fn literal_text(&self) -> String {
        self.literal.iter().map(|part| part.text.as_str()).collect()
    }

    /// Number of bytes of literal text.
    pub fn literal_len(&self) -> usize {
        self.literal.iter().map(|part| part.text.len()).sum()
    }

    /// Number of bytes that a prefix rewrite replaces; `None` = the whole path.
    pub fn rewrite_len(&self) -> Option<usize> {
        matches!(self.tail, PathTail::Any).then(|| self.literal_len())
    }

    /// The kind it was written as, for sorting and messages.
    pub fn kind(&self) -> PathKind {
        match self.tail {
            PathTail::End => PathKind::Exact,
            PathTail::Any => PathKind::Prefix,
            PathTail::Suffix(_) => PathKind::Suffix,
            PathTail::Regex(_) => PathKind::Regex,
        }
    }
}

/// A header condition.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// Name, lower-case; `:authority` for the host.
    pub name: String,
    /// Condition on the value; repeated headers are joined with `,` first.
    pub value: ValueMatch,
    /// Negate. With a value it also holds when the header is missing.
    pub invert: bool,
    /// A header that is missing counts as an empty one.
    pub missing_as_empty: bool,
}

/// A query parameter condition: on the first parameter of that name, nothing decoded.
#[derive(Clone, Debug)]
pub struct QueryMatch {
    /// Name, case-sensitive.
    pub name: String,
    /// Condition on the value.
    pub value: ValueMatch,
}

/// Condition on a value.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// It is there.
    Present,
    /// It is this text.
    Exact(String),
    /// RE2 on the whole value.
    Regex(Spanned<String>),
    /// Text in the value; at least its place or its case is other than that of [`ValueMatch::Exact`].
    Text(TextPlace, LiteralPart),
    /// A decimal number that is not below the first and below the second.
    Range(i64, i64),
}

impl HeaderMatch {
    /// Whether both say the same, wherever they were written.
    pub fn same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.invert == other.invert
            && self.missing_as_empty == other.missing_as_empty
            && self.value.same(&other.value)
    }
}

impl QueryMatch {
    /// Whether both say the same, wherever they were written.
    pub fn same(&self, other: &Self) -> bool {
        self.name == other.name && self.value.same(&other.value)
    }
}

impl ValueMatch {
    /// Whether both say the same, wherever they were written.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, Self::Present) => true,
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.value == b.value,
            (Self::Text(place, a), Self::Text(other, b)) => place == other && a == b,
            (Self::Range(a, b), Self::Range(c, d)) => a == c && b == d,
            _ => false,
        }
    }
}

/// What a leaf route does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send the request on.
    Forward(Forward),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer with a fixed response.
    DirectResponse(DirectResponse),
}

/// Send the request on.
#[derive(Clone, Debug)]
pub struct Forward {
    /// At least one; weights sum to 100, or to 10,000 where traffic is shifted and whole percents would not do.
    pub destinations: Vec<WeightedDestination>,
    /// What happens to the path. The matched prefix is that of [`PathMatch::rewrite_len`]; every matcher of a route with a
    /// rewrite by template is a regex with the groups that it needs.
    pub path_rewrite: Option<PathRewrite>,
    /// What happens to the host.
    pub host_rewrite: Option<HostRewrite>,
}

/// A destination and its share.
#[derive(Clone, Debug)]
pub struct WeightedDestination {
    /// Share of the sum of all. Zero gets no traffic.
    pub weight: u32,
    /// Where to.
    pub destination: Arc<Destination>,
    /// Header operations of this destination, after all of the route's.
    pub headers: Option<Arc<HeaderManipulation>>,
}

/// Answer with a redirect.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// Replaces host and port.
    pub host: Option<String>,
    /// What happens to the path.
    pub path: RedirectPath,
    /// Status.
    pub status: u16,
    /// The new scheme.
    pub scheme: Option<Cow<'static, str>>,
    /// The new port; also that of the new host.
    pub port: Option<u16>,
    /// Drop the query.
    pub strip_query: bool,
}

/// Path of a [`Redirect`].
#[derive(Clone, Debug)]
pub enum RedirectPath {
    /// Stays.
    Keep,
    /// Replaced; a query in it replaces the request's. Starts with a slash.
    Full(String),
    /// What a pattern matches is replaced; the new path always starts with a slash.
    Matches(Arc<Replacement>),
    /// The matched prefix is replaced, or the whole path ([`PathMatch::rewrite_len`]). Empty, or starts with a slash;
    /// the new path always does.
    Prefix(String),
}

/// Answer with a fixed response.
#[derive(Clone, Debug)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: u16,
    /// Body.
    pub body: String,
}
