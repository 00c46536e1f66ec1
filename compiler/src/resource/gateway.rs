//! VirtualGateway.

use std::sync::Arc;
use std::time::Duration;

use super::external::{GatewayExtauth, GatewayRateLimit};
use super::{
    IngressGatewaySelector, Listener, Metadata, ObjectSelector, VirtualHostSpec,
    WeightedDestination,
};
use crate::options::Options;
use crate::source::{Span, Spanned};

/// A VirtualGateway object.
#[derive(Clone, Debug)]
pub struct VirtualGateway {
    /// Its metadata.
    pub metadata: Metadata,
    /// `ingressGatewaySelectors[].portName` of the first selector that names one.
    pub port_name: Option<Spanned<String>>,
    /// `ingressGatewaySelectors`: the gateways that serve it.
    pub selectors: Vec<IngressGatewaySelector>,
    /// How it listens.
    pub listener: Arc<Listener>,
    /// What is done to paths before they are matched.
    pub paths: Normalization,
    /// Connection handlers; exactly one is supported.
    pub handlers: Vec<ConnectionHandler>,
    /// `routeOptions.extauth`.
    pub extauth: Option<GatewayExtauth>,
    /// `routeOptions.rateLimit`.
    pub rate_limit: Option<GatewayRateLimit>,
    /// The whole spec.
    pub span: Span,
}

/// What is done to the path of a request before it is matched and forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Normalization {
    /// `options.normalizePath`: resolve `.` and `..`, make `/` of `\\`, decode what need not be encoded.
    pub resolve: bool,
    /// `options.mergeSlashes`: make one of several slashes.
    pub merge_slashes: bool,
    /// `options.pathWithEscapedSlashesAction` is `UNESCAPE_AND_FORWARD`: make `/` of `%2F` and `\\` of `%5C`.
    pub decode_slashes: bool,
}

impl From<Normalization> for meshgate_engine::Normalization {
    fn from(paths: Normalization) -> Self {
        Self {
            resolve: paths.resolve,
            merge_slashes: paths.merge_slashes,
            decode_slashes: paths.decode_slashes,
        }
    }
}

/// How connections to the gateway's port are handled.
#[derive(Clone, Debug)]
pub struct ConnectionHandler {
    /// `http`, `tcp` or neither.
    pub kind: HandlerKind,
    /// `connectionOptions.httpsRedirect`.
    pub https_redirect: bool,
    /// `connectionOptions.sslConfig` is there.
    pub tls: bool,
    /// `http.routeOptions`: options of all routes that say and inherit nothing else.
    pub defaults: Options,
    /// The whole handler.
    pub span: Span,
}

/// What a handler does with a connection.
#[derive(Clone, Debug)]
pub enum HandlerKind {
    /// `http`: entries of `routeConfig`, unioned in order.
    Http(Vec<RouteConfig>),
    /// `tcp`.
    Tcp(TcpRoutes),
    /// Neither; legal together with `httpsRedirect`.
    None,
}

/// `tcp`: where connections go as they are.
#[derive(Clone, Debug)]
pub struct TcpRoutes {
    /// The destinations of `tcpHosts`; none if connections go by server name.
    pub destinations: Vec<WeightedDestination>,
    /// Connections go to the cluster that the server name of TLS names (`forwardSniClusterName`).
    pub by_server_name: bool,
    /// `options.tcpProxySettings`.
    pub settings: TcpSettings,
    /// The whole `tcp`.
    pub span: Span,
}

/// `tcpProxySettings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpSettings {
    /// Most attempts to connect, 1 or more; absent: 1.
    pub max_connect_attempts: Option<u32>,
    /// A connection without traffic is closed after this time, at least 1 ms.
    pub idle_timeout: Option<Duration>,
    /// `host:port` that connections are tunnelled to, by an HTTP CONNECT request.
    pub tunnel: Option<String>,
}

/// One entry of `routeConfig`.
#[derive(Clone, Debug)]
pub enum RouteConfig {
    /// Selected VirtualHost objects.
    Selector(ObjectSelector),
    /// A virtual host written inline, owned by the gateway.
    Inline(Box<VirtualHostSpec>),
}
