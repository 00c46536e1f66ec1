//! Route options (`TrafficPolicySpec.Policy`): what a virtual host, route table or route sets for itself.

use std::time::Duration;

use super::ClusterObjectRef;
use crate::options::Options;
use crate::policy::Percentage;
use crate::rare::Empty;
use crate::resource::external::RouteRateLimit;
use crate::source::Spanned;

/// What one level says for itself.
#[derive(Clone, Debug, Default)]
pub struct WrittenOptions {
    /// Options that mean the same wherever they stand.
    pub plain: Options,
    /// `rateLimit`, which refers to objects.
    pub rate_limit: Option<Box<Spanned<RouteRateLimit>>>,
    /// `mirror` or `mirrors`.
    pub mirrors: Option<Spanned<Vec<WrittenMirror>>>,
}

impl Empty for WrittenOptions {
    const EMPTY: &'static Self = &Self {
        plain: Options::NONE,
        rate_limit: None,
        mirrors: None,
    };

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.rate_limit.is_none() && self.mirrors.is_none()
    }
}

/// `mirror`.
#[derive(Clone, Debug)]
pub struct WrittenMirror {
    /// Where copies go.
    pub service: ClusterObjectRef,
    /// How many requests are copied.
    pub percentage: Percentage,
}

/// `retries`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Retries {
    /// Number of retries after the first try.
    pub attempts: u32,
    /// Time limit of each try, at least 1 ms.
    pub per_try_timeout: Option<Duration>,
    /// What a request is tried again for.
    pub conditions: RetryConditions,
}

/// `retryOn` and `retriableStatusCodes`, by Envoy's names: each once, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RetryConditions {
    /// Those that look at a response, or at the lack of one.
    pub http: Vec<&'static str>,
    /// Those that look at the status of a gRPC response.
    pub grpc: Vec<&'static str>,
    /// Statuses for `retriable-status-codes`, which is among the conditions if there are any.
    pub status_codes: Vec<u16>,
}

/// Where nothing is written: the request has not reached its destination, or the destination says that another try may
/// succeed. None of them repeats a request that was worked on.
impl Default for RetryConditions {
    fn default() -> Self {
        Self {
            http: vec![
                "connect-failure",
                "refused-stream",
                "retriable-status-codes",
            ],
            grpc: vec!["cancelled", "unavailable"],
            status_codes: vec![503],
        }
    }
}

/// `headerManipulation`: removal, then setting, then addition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HeaderManipulation {
    /// Names, lower-case.
    pub remove_request: Vec<String>,
    /// Names (lower-case) and values, ordered by name.
    pub append_request: Vec<(String, String)>,
    /// The same, in place of all values that there are.
    pub set_request: Vec<(String, String)>,
    /// Names, lower-case.
    pub remove_response: Vec<String>,
    /// Names (lower-case) and values, ordered by name.
    pub append_response: Vec<(String, String)>,
    /// The same, in place of all values that there are.
    pub set_response: Vec<(String, String)>,
}

impl HeaderManipulation {
    /// Those fields, by their names in the API, that say something about requests.
    pub(crate) fn request_fields(&self) -> impl Iterator<Item = &'static str> {
        let fields = [
            ("removeRequestHeaders", self.remove_request.is_empty()),
            ("appendRequestHeaders", self.append_request.is_empty()),
            ("setRequestHeaders", self.set_request.is_empty()),
        ];
        let written = fields.into_iter().filter(|(_, is_empty)| !is_empty);
        written.map(|(name, _)| name)
    }
}
