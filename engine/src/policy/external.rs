//! Policies that services beside the gateway decide: external authorization and rate limits.
//!
//! A route says what is asked; its gateway says whom. Asking is the filter's.

use serde::{Deserialize, Serialize};

/// The services that a gateway asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// Who decides about requests of routes with [`Auth`]; without, they are refused.
    pub auth: Option<AuthService>,
    /// Who counts requests of routes with a [`RateLimit`], and what happens if nobody does.
    pub rate_limits: RateLimits,
}

/// A gateway's authorization service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthService {
    /// Name of the Envoy cluster.
    pub cluster: String,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u32,
    /// How it is asked.
    pub protocol: AuthProtocol,
    /// Whether requests pass when there is no answer.
    pub failure_mode_allow: bool,
    /// Status of the answer when there is none from the service.
    pub status_on_error: u16,
    /// What it gets of the bodies of requests; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<AuthBody>,
}

/// How an authorization service is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthProtocol {
    /// `envoy.service.auth.v3.Authorization/Check`.
    Grpc,
    /// A request like the one to decide.
    Http(AuthHttp),
}

/// Most bytes of a body that a service can be sent: what Envoy holds of a body unless told otherwise.
pub const MOST_OF_BODY: u32 = 1 << 20;

/// What an authorization service gets of the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthBody {
    /// Most bytes of it; from 1 to [`MOST_OF_BODY`].
    pub max_bytes: u32,
    /// Whether the service gets the beginning of a longer one. Without, requests with longer ones are refused.
    pub allow_partial: bool,
    /// Whether it is sent by gRPC as it is (`raw_body`), not as text (`body`).
    pub as_bytes: bool,
}

/// The HTTP variant. Names of headers are lower-case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthHttp {
    /// Stands before the path of the request.
    pub path_prefix: String,
    /// Headers of the request that the service gets besides those that it always gets.
    pub allowed_headers: Vec<String>,
    /// Headers that only the service gets.
    pub headers_to_add: Vec<(String, String)>,
    /// Headers of the service's answer that the destination gets.
    pub upstream_headers: Vec<String>,
    /// Headers of the service's answer that the client gets with a refusal; none written = all.
    pub client_headers: Vec<String>,
}

/// A gateway's rate limit service (`envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitService {
    /// Name of the Envoy cluster.
    pub cluster: String,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u32,
}

/// How a gateway treats rate limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimits {
    /// The service, if there is one.
    pub service: Option<RateLimitService>,
    /// Whether requests are refused when there is no answer.
    pub deny_on_fail: bool,
    /// Whether limits come before external authorization.
    pub before_auth: bool,
}

/// External authorization of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Auth {
    /// What the service is told about the route.
    pub context: Vec<(String, String)>,
}

/// Rate limits of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RateLimit {
    /// What the service is asked to count, each a list of entries. A descriptor that lacks an entry is not sent.
    pub descriptors: Vec<Vec<DescriptorEntry>>,
    /// A limit that the gateway counts by itself.
    pub local: Option<TokenBucket>,
}

/// Where an entry of a descriptor comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DescriptorEntry {
    /// A text.
    Text {
        /// Key.
        key: String,
        /// Value.
        value: String,
    },
    /// A header of the request; absent when the header is.
    Header {
        /// Key.
        key: String,
        /// Name, lower-case.
        name: String,
    },
    /// The client's address.
    RemoteAddress,
    /// The cluster that the gateway's proxy belongs to.
    SourceCluster,
    /// The cluster that the request goes to; absent when the gateway answers.
    DestinationCluster,
    /// A text, if the headers match or, where so wished, if they do not.
    HeaderMatch {
        /// Value.
        value: String,
        /// Whether they shall match.
        expect: bool,
        /// Conditions that hold together.
        headers: Vec<HeaderCondition>,
    },
    /// A property of the request; absent when it is missing and there is no default.
    Property {
        /// Key.
        key: String,
        /// Parts of its path.
        path: Vec<String>,
        /// Value when it is missing; empty = none.
        default: String,
    },
}

/// A condition on a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeaderCondition {
    /// Name, lower-case.
    pub name: String,
    /// Condition on its value; repeated headers are joined with `,`.
    pub value: HeaderValue,
    /// Negate.
    pub invert: bool,
}

/// A condition on the value of a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HeaderValue {
    /// It is there.
    Present,
    /// A condition on the text.
    Text(super::TextMatch),
    /// An integer of at least `start` and less than `end`.
    Range {
        /// First number.
        start: i64,
        /// First number beyond.
        end: i64,
    },
}

/// A bucket that holds at most `max_tokens`, each request takes one, and that is filled evenly over time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenBucket {
    /// Which bucket: routes that name the same one share it.
    pub name: String,
    /// How many requests it allows at once; more than zero.
    pub max_tokens: u32,
    /// How often a token is added, in nanoseconds; more than zero.
    pub nanoseconds_per_token: u64,
}

impl TokenBucket {
    /// Takes a token at a time (`now`, nanoseconds). A bucket is the time at which it was or will have been empty, which
    /// is zero for a full one.
    ///
    /// # Errors
    /// In how many nanoseconds there is a token, when there is none.
    pub fn take(&self, empty_at: u64, now: u64) -> Result<u64, u64> {
        let capacity = self
            .nanoseconds_per_token
            .saturating_mul(u64::from(self.max_tokens));
        let after = empty_at
            .max(now.saturating_sub(capacity))
            .saturating_add(self.nanoseconds_per_token);
        match after.checked_sub(now) {
            None | Some(0) => Ok(after),
            Some(missing) => Err(missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn bucket() -> TokenBucket {
        TokenBucket {
            name: String::new(),
            max_tokens: 3,
            nanoseconds_per_token: SECOND / 2,
        }
    }

    #[test]
    fn a_full_bucket_allows_as_many_requests_as_it_has_tokens() {
        let (bucket, now) = (bucket(), 100 * SECOND);
        let mut state = 0;
        for _ in 0..3 {
            state = bucket.take(state, now).expect("there is a token");
        }
        assert_eq!(bucket.take(state, now), Err(SECOND / 2));
        assert_eq!(bucket.take(state, now + SECOND / 2 - 1), Err(1));
        let state = bucket
            .take(state, now + SECOND / 2)
            .expect("one was filled in");
        assert_eq!(bucket.take(state, now + SECOND / 2), Err(SECOND / 2));
    }

    #[test]
    fn a_bucket_does_not_fill_beyond_its_size() {
        let bucket = bucket();
        let mut state = 0;
        for _ in 0..3 {
            state = bucket.take(state, 1000 * SECOND).expect("there is a token");
        }
        assert!(bucket.take(state, 1000 * SECOND).is_err());
    }

    #[test]
    fn extreme_buckets_and_times_are_no_problem() {
        let bucket = TokenBucket {
            name: String::new(),
            max_tokens: u32::MAX,
            nanoseconds_per_token: u64::MAX,
        };
        for (empty_at, now) in [(0, 0), (u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
            let _ = bucket.take(empty_at, now);
        }
    }
}
