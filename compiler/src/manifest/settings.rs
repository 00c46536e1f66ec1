//! What the filter is told besides the program.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tree::Tree;

/// Most series of metrics that the filter has for one program.
pub const MAX_SERIES: usize = 1_000;

/// Labels of the filter's metrics.
pub(super) const LABELS: [&str; 3] = ["virtual_host", "route", "outcome"];

/// Settings of the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterSettings {
    /// What it counts besides requests by virtual host.
    pub metrics: Vec<Metric>,
    /// The token of those who may ask why a request is answered as it is.
    pub explain: Option<TokenDigest>,
    /// Requests that no route is for go on as they came, instead of being answered with 404.
    pub pass_on: bool,
    /// The clusters that get a copy of a request follow its own in the header that names it, instead of the filter state.
    pub mirrors_in_header: bool,
}

/// What the filter counts only if it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Requests by route.
    Route,
    /// Times from the headers of a request to those of its response.
    Duration,
}

impl Metric {
    /// Its name in the configuration of the filter.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Route => "route",
            Metric::Duration => "duration",
        }
    }
}

/// SHA-256 of a token, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenDigest(String);

impl TokenDigest {
    /// Shortest token, in bytes: what is shorter can be guessed.
    pub const MIN_TOKEN: usize = 16;

    /// The digest of a token. `None` if it is too short, or cannot be the value of a header.
    pub fn of(token: &str) -> Option<TokenDigest> {
        let fits = token.len() >= Self::MIN_TOKEN && token.bytes().all(|b| b.is_ascii_graphic());
        let digest = || {
            Sha256::digest(token)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect()
        };
        fits.then(|| TokenDigest(digest()))
    }
}

impl FilterSettings {
    /// Whether there is anything to say.
    pub(super) fn is_empty(&self) -> bool {
        *self == FilterSettings::default()
    }

    /// A configuration of the filter, with a program or without, and the settings beside it.
    pub(super) fn add_to(&self, mut configuration: Value) -> Value {
        if !self.metrics.is_empty() {
            configuration["metrics"] = self.metrics.iter().map(|metric| metric.name()).collect();
        }
        if let Some(TokenDigest(digest)) = &self.explain {
            configuration["explain"] = json!({ "tokenSha256": digest });
        }
        if self.pass_on {
            configuration["passOn"] = json!(true);
        }
        if self.mirrors_in_header {
            configuration["mirrorsInHeader"] = json!(true);
        }
        configuration
    }

    /// What is to be said of metrics that will not have all series.
    pub(super) fn too_many_series(&self, tree: &Tree) -> Option<String> {
        let hosts: BTreeSet<_> = (tree.gateways.iter().flat_map(|gateway| &gateway.hosts))
            .flat_map(|host| &host.virtual_hosts)
            .map(|host| &host.name)
            .collect();
        let mut routes = 0;
        if self.metrics.contains(&Metric::Route) {
            for gateway in &tree.gateways {
                gateway.routes(|_| routes += 1);
            }
        }
        let (count, what) = match hosts.len() > MAX_SERIES {
            true => (hosts.len(), "virtual hosts"),
            false => (routes, "routes"),
        };
        (count > MAX_SERIES).then(|| {
            format!(
                "there are {count} {what}, and metrics of requests have {MAX_SERIES} series; \
                 requests beyond them are counted under `other`"
            )
        })
    }
}
