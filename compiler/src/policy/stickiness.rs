//! `stickiness`: by what clients stay with one of several destinations.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::answer;
use crate::tree::{DestinationTarget, WeightedDestination};

/// Properties of a request that decide which destination it goes to. Without any, it is chance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stickiness {
    /// `hashPolicies`, in order.
    pub properties: Vec<Property>,
}

/// One of `hashPolicies`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Property {
    /// Where its value stands.
    pub kind: PropertyKind,
    /// `terminal`: those that follow do not count for requests that have this one.
    pub is_terminal: bool,
}

/// Where a value stands in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PropertyKind {
    /// `header`, lower-case.
    Header(String),
    /// `cookie`.
    Cookie(Cookie),
    /// `sourceIp`.
    SourceIp,
}

/// `cookie`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// How long clients without it keep the one that they are given; zero = as long as the browser runs; absent = they are
    /// given none.
    pub ttl: Option<Duration>,
    /// Paths below which clients send it.
    pub path: String,
}

impl Cookie {
    /// What follows name and value of a cookie that a client is given, whole seconds at least.
    pub(crate) fn attributes(&self) -> Option<String> {
        let mut text = String::new();
        let ttl = self.ttl?;
        if !ttl.is_zero() {
            let seconds = ttl.as_secs().max(1);
            write!(text, "; Max-Age={seconds}").ok()?;
        }
        write!(text, "; Path={}; HttpOnly", self.path).ok()?;
        Some(text)
    }
}

/// Names by which the destinations of a route draw lots: `kubeService shop/cart@west:8080 version=v2`. They say what is
/// asked for, not how a proxy calls it, so that all gateways agree. The same destination once more has a number, from 2 on.
pub(crate) fn names(destinations: &[WeightedDestination]) -> Vec<String> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let names = destinations.iter().map(|weighted| {
        let destination = weighted.destination.as_ref();
        let answer::Destination {
            kind,
            namespace,
            name,
            cluster_name,
            port,
            ..
        } = destination.into();
        let cluster = cluster_name.map(|cluster| format!("@{cluster}"));
        let mut text = format!(
            "{kind} {namespace}/{name}{}:{port}",
            cluster.unwrap_or_default()
        );
        if let DestinationTarget::KubeService { subset, .. }
        | DestinationTarget::VirtualDestination { subset, .. } = &destination.target
        {
            for (key, value) in subset {
                text = text + " " + key + "=" + value;
            }
        }
        let count = seen.entry(text.clone()).or_default();
        *count += 1;
        match count {
            1 => text,
            count => format!("{text} #{count}"),
        }
    });
    names.collect()
}
