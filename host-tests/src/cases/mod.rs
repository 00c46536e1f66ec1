//! Request/answer cases: where they are, and the programs that answer them. The format of a case and the comparison are the
//! compiler's, whose users have cases of their own.
//!
//! A group is a set of resources and the requests that are sent to them, each with the answer that must come. Several
//! executors answer the same requests: the linear oracle, the engine, the filter in wasmtime, the filter in Envoy, and in a
//! mesh. What an executor cannot see is not compared for it; the oracle and the engine see every decision, the others what it leads to.

mod configuration;
mod envoy;
mod executor;
mod format;
mod invalid;
mod istio;
mod native;
mod observe;
mod places;
#[cfg(feature = "wasmtime")]
mod wasmtime;

pub use configuration::Configuration;
pub use envoy::InEnvoy;
pub use executor::{Executor, Session};
pub use format::{Clusters, Group, Invalid, read_cases, read_example, read_examples};
pub use invalid::check_invalid;
pub use istio::InIstio;
pub use meshgate_compiler::cases::{
    Case, Observed, Request, Unseen, UpstreamResponse, Verdict, compare,
};
pub use native::{Engine, Oracle};
#[cfg(feature = "wasmtime")]
pub use wasmtime::Wasmtime;
