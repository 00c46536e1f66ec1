//! What the gateway does with one request, in the form that `meshgate route` prints. The JSON shape is stable.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::policy::external::Extauth;
use crate::resource::{self, RetryConditions};
use crate::tree;

/// The answer to one request. A part that does not apply is `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// `namespace/name` of the gateway that received the request.
    pub gateway: Option<String>,
    /// `namespace/name` of the virtual host; the gateway's for an inline host.
    pub virtual_host: Option<String>,
    /// Full name of the route, with the name of the matcher if that has one.
    pub route: Option<String>,
    /// The leaf route's own name.
    pub route_name: Option<String>,
    /// What happened.
    pub outcome: Outcome,
    /// The destination that was chosen.
    pub destination: Option<Destination>,
    /// All destinations of the route.
    pub destinations: Option<Vec<WeightedDestination>>,
    /// The request that the destination receives.
    pub request: Option<Request>,
    /// The response, if the gateway answers by itself.
    pub response: Option<Response>,
    /// Effective options of the route.
    pub options: Option<Options>,
    /// What services are asked about it. It is taken for granted that they let it pass, and change nothing.
    #[serde(skip_serializing_if = "Asks::is_empty")]
    pub asks: Asks,
}

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It went to a destination.
    Forward,
    /// A redirect was the answer.
    Redirect,
    /// A fixed response was the answer.
    DirectResponse,
    /// No route matched.
    NotFound,
    /// A policy refused it.
    Rejected,
}

/// What services beside the gateway are asked about a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asks {
    /// What the authorization service is told about the route (`contextExtensions`): nothing, if it is asked by HTTP. Absent if it
    /// is not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extauth: Option<BTreeMap<String, String>>,
    /// The descriptors that the rate limit service is sent; none if it is not asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limit: Vec<Vec<DescriptorEntry>>,
}

/// An entry of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DescriptorEntry {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

impl Asks {
    /// Whether nobody is asked.
    pub fn is_empty(&self) -> bool {
        *self == Asks::default()
    }
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// `kubeService`, `virtualDestination` or `staticDestination`.
    pub kind: &'static str,
    /// Name of the object.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Cluster that the route asks for.
    pub cluster_name: Option<String>,
    /// Port.
    pub port: u16,
    /// Name of the Envoy cluster.
    pub cluster: String,
}

/// A destination and its share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightedDestination {
    /// The destination.
    #[serde(flatten)]
    pub destination: Destination,
    /// Its share of the sum of all weights, which is 100, or 10,000 after a shift that whole percents cannot say.
    pub weight: u32,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Host, with a port if there was one.
    pub authority: String,
    /// Path with query.
    pub path: String,
    /// Names, lower-case, and values.
    pub headers: Vec<(String, String)>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Names, lower-case, and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

/// Options that are in force for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Whole-request timeout, for example `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<String>,
    /// Retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// How long fault injection keeps this request waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// A service is asked whether the request may pass. It is taken for granted that it says yes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub extauth: bool,
    /// The request counts for rate limits. It is taken for granted that none is exceeded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rate_limit: bool,
    /// Destinations that get a copy of this request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Destination>,
}

/// Retries of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Number of retries after the first try.
    pub attempts: u32,
    /// Time limit of each try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<String>,
    /// Conditions, by Envoy's names. Both lists are empty for the conditions that hold where nothing is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retry_on: Vec<String>,
    /// Statuses for the condition `retriable-status-codes`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retriable_status_codes: Vec<u16>,
}

impl Retries {
    /// Retries with the conditions that a proxy is told: three lists with commas.
    pub fn new(attempts: u32, each: Option<String>, on: &str, grpc_on: &str, codes: &str) -> Self {
        let conditions = on.split(',').chain(grpc_on.split(','));
        let conditions = conditions.filter(|name| !name.is_empty());
        let retries = Self {
            attempts,
            per_try_timeout: each,
            retry_on: conditions.map(str::to_owned).collect(),
            retriable_status_codes: (codes.split(','))
                .filter_map(|code| code.parse().ok())
                .collect(),
        };
        retries.without_usual()
    }

    /// Leaves the usual conditions out.
    fn without_usual(mut self) -> Self {
        let usual = RetryConditions::default();
        if self.retriable_status_codes == usual.status_codes
            && (self.retry_on.iter()).eq(usual.http.iter().chain(&usual.grpc))
        {
            self.retry_on.clear();
            self.retriable_status_codes.clear();
        }
        self
    }
}

impl From<&resource::Retries> for Retries {
    fn from(retries: &resource::Retries) -> Self {
        let conditions = &retries.conditions;
        let names = conditions.http.iter().chain(&conditions.grpc);
        let retries = Self {
            attempts: retries.attempts,
            per_try_timeout: retries.per_try_timeout.map(duration),
            retry_on: names.copied().map(str::to_owned).collect(),
            retriable_status_codes: conditions.status_codes.clone(),
        };
        retries.without_usual()
    }
}

impl Answer {
    /// The answer when nothing matches. Further parts are filled in as far as the search came.
    pub fn not_found() -> Self {
        Self {
            gateway: None,
            virtual_host: None,
            route: None,
            route_name: None,
            outcome: Outcome::NotFound,
            destination: None,
            destinations: None,
            request: None,
            response: Some(Response {
                status: 404,
                headers: Vec::new(),
                body: String::new(),
            }),
            options: None,
            asks: Asks::default(),
        }
    }
}

impl From<&tree::Destination> for Destination {
    fn from(destination: &tree::Destination) -> Self {
        let (kind, name, cluster_name) = match &destination.target {
            tree::DestinationTarget::KubeService {
                name, cluster_name, ..
            } => ("kubeService", name, cluster_name.clone()),
            tree::DestinationTarget::VirtualDestination { name, .. } => {
                ("virtualDestination", name, None)
            }
            tree::DestinationTarget::StaticDestination { name, .. } => {
                ("staticDestination", name, None)
            }
        };
        Self {
            kind,
            name: name.name.clone(),
            namespace: name.namespace.clone(),
            cluster_name,
            port: destination.port,
            cluster: destination.cluster.clone(),
        }
    }
}

impl From<&tree::Options> for Options {
    fn from(options: &tree::Options) -> Self {
        Self {
            request_timeout: options
                .request_timeout
                .as_ref()
                .map(|timeout| duration(timeout.value)),
            retries: options
                .retries
                .as_ref()
                .map(|retries| (&retries.value).into()),
            delay: None,
            extauth: (options.extauth.as_ref())
                .is_some_and(|extauth| matches!(*extauth.value, Extauth::Custom(_))),
            rate_limit: options.rate_limit.is_some(),
            mirrors: Vec::new(),
        }
    }
}

/// A duration in the largest unit that it is a whole number of: `90s`, `1500ms`.
pub fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (divisor, unit) = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")]
        .into_iter()
        .find(|(divisor, _)| nanos.is_multiple_of(*divisor))
        .unwrap_or((1, "ns"));
    format!("{}{unit}", nanos / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (millis, expected) in [(0, "0s"), (90_000, "90s"), (1_500, "1500ms")] {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
        assert_eq!(duration(Duration::from_micros(2_500)), "2500us");
    }
}
