//! Requests with the answers that must come: the format of `requests.yaml`, and the comparison.
//!
//! `meshgate test` and the project's own tests read the same files. What an executor (the engine, the filter in a proxy)
//! cannot see is not compared for it.

mod check;
mod read;
mod request;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use check::KEYS;
pub use check::{Observed, Unseen, Verdict, compare};
pub use read::read;
pub use request::{Request, UpstreamResponse};

/// Name of the file of requests that belongs to the resources in the same folder.
pub const FILE_NAME: &str = "requests.yaml";

/// A request and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Name, for messages.
    pub name: String,
    /// The request.
    pub request: Request,
    /// What must be true of the answer; see [`compare`].
    pub expect: BTreeMap<String, Value>,
    /// How the upstream answers.
    #[serde(default)]
    pub upstream_response: UpstreamResponse,
}
