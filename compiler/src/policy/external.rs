//! Policies that are decided beside the routes, by services or by AuthConfig objects.

use super::TextMatch;
use crate::resource::ObjectName;
use crate::source::Span;

/// `extauth`: whether a service is asked if a request may pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Extauth {
    /// `disable`: it is not, whatever the levels above say.
    Disabled,
    /// `configRef`: the gateway itself checks what the AuthConfig of this name says.
    Config(ObjectName),
    /// `customAuth`: it is, and is told this about the route. Ordered by key.
    Custom(Vec<(String, String)>),
}

/// `rateLimit`: how many requests may pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// What the service is asked to count: descriptors, each with all its entries.
    pub descriptors: Vec<Vec<DescriptorEntry>>,
    /// `local`: what the gateway counts by itself.
    pub local: Option<TokenBucket>,
}

/// `local`: a bucket of tokens. Two that are written in two places are two buckets, even if they are equal otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenBucket {
    /// How many tokens it holds.
    pub max_tokens: u32,
    /// How often one is added, in nanoseconds.
    pub nanoseconds_per_token: u64,
    /// Where it is written.
    pub span: Span,
}

/// An entry of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DescriptorEntry {
    /// `genericKey`, and what meshgate adds by itself.
    Text {
        /// Key.
        key: String,
        /// Value.
        value: String,
    },
    /// `requestHeaders`.
    Header {
        /// Key.
        key: String,
        /// Name, lower-case.
        name: String,
    },
    /// `remoteAddress`.
    RemoteAddress,
    /// `sourceCluster`.
    SourceCluster,
    /// `destinationCluster`.
    DestinationCluster,
    /// `headerValueMatch`.
    HeaderMatch {
        /// Value.
        value: String,
        /// Whether the conditions shall hold.
        expect: bool,
        /// Conditions, all of them.
        headers: Vec<HeaderCondition>,
    },
    /// `metadata`.
    Property {
        /// Key.
        key: String,
        /// Property of the proxy.
        path: Vec<String>,
        /// Value if it is missing; empty = none.
        default: String,
    },
}

/// A condition on a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderCondition {
    /// Name, lower-case.
    pub name: String,
    /// Condition on its value.
    pub value: HeaderValue,
    /// Negate.
    pub invert: bool,
}

/// A condition on the value of a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HeaderValue {
    /// It is there.
    Present,
    /// A text.
    Text(TextMatch),
    /// An integer of at least the first number, and less than the second.
    Range(i64, i64),
}
