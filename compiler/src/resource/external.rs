//! Services beside the gateway, and what they are asked: external authorization and rate limits.

use std::time::Duration;

use super::{Metadata, ObjectRef, ObjectSelector};
use crate::policy::external::{DescriptorEntry, TokenBucket};
use crate::source::{Span, Spanned};

/// `routeOptions.extauth` of a gateway.
#[derive(Clone, Debug)]
pub struct GatewayExtauth {
    /// `extauthzRef`; absent: the Service `ext-auth-service`.
    pub service: Option<ObjectRef>,
    /// `httpService`: HTTP is spoken, not gRPC.
    pub http: Option<ExtauthHttp>,
    /// `requestBody`; absent: it is asked without bodies.
    pub body: Option<ExtauthBody>,
    /// `requestTimeout`.
    pub timeout: Duration,
    /// `failureModeAllow`.
    pub failure_mode_allow: bool,
    /// `statusOnError`.
    pub status_on_error: u16,
    /// The key.
    pub span: Span,
}

/// `httpService`. Names of headers are lower-case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtauthHttp {
    /// `pathPrefix`.
    pub path_prefix: String,
    /// `request.allowedHeaders`.
    pub allowed_headers: Vec<String>,
    /// `request.headersToAdd`, ordered by name.
    pub headers_to_add: Vec<(String, String)>,
    /// `response.allowedUpstreamHeaders`.
    pub upstream_headers: Vec<String>,
    /// `response.allowedClientHeaders`.
    pub client_headers: Vec<String>,
}

/// `requestBody`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtauthBody {
    /// `maxRequestBytes`.
    pub max_bytes: u32,
    /// `allowPartialMessage`.
    pub allow_partial: bool,
    /// `packAsBytes`.
    pub as_bytes: bool,
}

/// `routeOptions.rateLimit` of a gateway.
#[derive(Clone, Debug)]
pub struct GatewayRateLimit {
    /// `ratelimitServerRef`; absent: the Service `rate-limiter`.
    pub service: Option<ObjectRef>,
    /// `requestTimeout`.
    pub timeout: Duration,
    /// `denyOnFail`.
    pub deny_on_fail: bool,
    /// `rateLimitBeforeAuth`.
    pub before_auth: bool,
    /// The key.
    pub span: Span,
}

/// `rateLimit` of a route.
#[derive(Clone, Debug, Default)]
pub struct RouteRateLimit {
    /// `raw`.
    pub raw: Vec<RateLimitActions>,
    /// `ratelimitClientConfigRef`.
    pub client: Option<ObjectRef>,
    /// `ratelimitServerConfigSelector`.
    pub servers: Option<ObjectSelector>,
    /// `local`.
    pub local: Option<TokenBucket>,
}

/// One entry of `rateLimits`: up to two descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitActions {
    /// `actions`.
    pub actions: Vec<DescriptorEntry>,
    /// `setActions`.
    pub set_actions: Vec<DescriptorEntry>,
}

/// A RateLimitClientConfig object.
#[derive(Clone, Debug)]
pub struct RateLimitClientConfig {
    /// Its metadata.
    pub metadata: Metadata,
    /// Its limits.
    pub limits: Vec<RateLimitActions>,
}

/// A RateLimitServerConfig object.
#[derive(Clone, Debug)]
pub struct RateLimitServerConfig {
    /// Its metadata.
    pub metadata: Metadata,
    /// `descriptors`.
    pub descriptors: Vec<ServerDescriptor>,
    /// What only the rate limit server of Solo.io understands: names and places of fields.
    pub uncountable: Vec<Spanned<&'static str>>,
}

/// What a rate limit server counts.
#[derive(Clone, Debug)]
pub struct ServerDescriptor {
    /// Key of an entry.
    pub key: String,
    /// Its value; absent: each value is counted for itself.
    pub value: Option<String>,
    /// How many requests it allows.
    pub limit: Option<ServerLimit>,
    /// What counts the entries after it.
    pub descriptors: Vec<ServerDescriptor>,
}

/// `rateLimit` of a descriptor.
#[derive(Clone, Debug)]
pub struct ServerLimit {
    /// `second`, `minute`, `hour` or `day`.
    pub unit: &'static str,
    /// Number of requests.
    pub requests: u32,
}
