//! The head of a program: what is looked up by number once a clause has won.
//!
//! Everything here is read once, at load. Equal values are stored once and referred to by index.

use serde::{Deserialize, Serialize};

use crate::normalize::Normalization;
use crate::policy::{Policies, Services};
use crate::replace::Replacement;
use crate::signature::Key;
use crate::stickiness::Stickiness;

/// The cold part of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Name of this version of the configuration, for logs; chosen by the compiler or its user.
    pub generation: String,
    /// Gateways, in the order of the index's gateway section.
    pub gateways: Vec<Gateway>,
    /// Actions of clauses.
    pub actions: Vec<Action>,
    /// Destinations of forward actions.
    pub destinations: Vec<Destination>,
    /// Header operations of actions and destinations.
    pub header_operations: Vec<HeaderOperations>,
    /// Replacements of path and host rewrites.
    pub replacements: Vec<Replacement>,
    /// Policies of actions.
    pub policies: Vec<Policies>,
    /// Keys of policies.
    pub keys: Vec<Key>,
    /// Services of the gateways, in the same order; of those beyond the end there are none.
    pub services: Vec<Services>,
    /// Virtual hosts of gateways, in ascending order, that do not look at parameters in paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_parameters: Vec<u32>,
}

/// One VirtualGateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Port it listens on; tells the gateways of one program apart.
    pub port: u16,
    /// What is done to the paths of requests before they are decided.
    #[serde(default, skip_serializing_if = "Normalization::is_none")]
    pub paths: Normalization,
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Action {
    /// Forward, redirect or direct response.
    pub kind: ActionKind,
    /// Index of the route's header operations.
    pub headers: Option<u32>,
    /// Index of the route's policies.
    pub policies: Option<u32>,
}

/// The three kinds of actions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ActionKind {
    /// Send the request on.
    Forward(Forward),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer with a fixed response.
    DirectResponse(DirectResponse),
}

/// Send the request on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Forward {
    /// At least one.
    pub shares: Vec<Share>,
    /// Sum of the weights; more than zero.
    pub total_weight: u32,
    /// What happens to the path.
    pub rewrite: Option<PathRewrite>,
    /// What happens to the host.
    pub host: Option<HostRewrite>,
    /// Whole-request timeout in milliseconds; 0 = none; absent = the proxy's default.
    pub timeout_ms: Option<u64>,
    /// How a share is chosen; absent = by chance.
    pub stickiness: Option<Stickiness>,
    /// Retries; absent = the proxy's default.
    pub retries: Option<Retries>,
}

/// A destination and its share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Share {
    /// Weight relative to [`Forward::total_weight`].
    pub weight: u32,
    /// Index of the destination.
    pub destination: u32,
    /// Index of the destination's own header operations.
    pub headers: Option<u32>,
}

/// What a rewrite replaces, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PathRewrite {
    /// The first `len` bytes of the path.
    Prefix {
        /// Length of the matched prefix in bytes.
        len: u32,
        /// What takes its place.
        to: String,
    },
    /// The whole path; the query stays.
    Whole {
        /// What takes its place.
        to: String,
    },
    /// Everything in the path that a pattern matches.
    Matches {
        /// Index of the replacement.
        replacement: u32,
    },
    /// The whole path, if a pattern matches what follows its first `len` bytes.
    Rest {
        /// Length of what comes before in bytes.
        len: u32,
        /// Index of the replacement.
        replacement: u32,
    },
}

/// What a request's host is replaced with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HostRewrite {
    /// This text.
    Text(String),
    /// The value of a header, by its lower-case name; without it the host stays.
    Header(String),
    /// The path, with everything in it that a pattern matches replaced: the index of the replacement.
    Path(u32),
}

/// Retries of a forwarded request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retries {
    /// Number of retries after the first try.
    pub attempts: u32,
    /// Time limit of each try in milliseconds.
    pub per_try_timeout_ms: Option<u64>,
    /// What a request is tried again for, by Envoy's names, with commas between them.
    pub on: String,
    /// The same for statuses of gRPC.
    pub grpc_on: String,
    /// Statuses that it is tried again for if `on` says so, with commas between them.
    pub status_codes: String,
}

/// Answer with a redirect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Redirect {
    /// 300 to 399.
    pub status: u16,
    /// Replaces host and port.
    pub host: Option<String>,
    /// What happens to the path.
    pub path: RedirectPath,
    /// Takes the place of the port, also that of `host`.
    pub port: Option<u16>,
    /// The new scheme.
    pub scheme: Option<String>,
    /// The query is dropped.
    pub strip_query: bool,
}

/// Path of a redirect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RedirectPath {
    /// Stays as it is.
    Keep,
    /// Replaced. A query in it takes the place of the request's.
    Full(String),
    /// Rewritten.
    Rewrite(PathRewrite),
}

/// Answer with a fixed response.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// Kind of the object.
    pub kind: DestinationKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Kubernetes cluster it was asked for in.
    pub cluster_name: Option<String>,
    /// Pod labels, sorted.
    pub subset: Vec<(String, String)>,
    /// Port.
    pub port: u16,
    /// Name of the Envoy cluster.
    pub cluster: String,
}

/// Kind of the object behind a [`Destination`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DestinationKind {
    /// A Kubernetes Service.
    KubeService,
    /// A VirtualDestination.
    VirtualDestination,
    /// An external service.
    StaticDestination,
}

/// Header operations: removal, then setting, then addition. Names are lower-case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeaderOperations {
    /// Names of request headers to remove.
    pub remove_request: Vec<String>,
    /// Request headers to add.
    pub append_request: Vec<(String, String)>,
    /// Request headers to set: the only value.
    pub set_request: Vec<(String, String)>,
    /// Names of response headers to remove.
    pub remove_response: Vec<String>,
    /// Response headers to add.
    pub append_response: Vec<(String, String)>,
    /// Response headers to set: the only value.
    pub set_response: Vec<(String, String)>,
}
