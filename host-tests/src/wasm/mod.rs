//! A proxy-wasm host (ABI 0.2.1) on wasmtime: requests in, outcomes out.
//!
//! The host plays the part of one Envoy worker thread: it loads a module, starts a VM with a plugin configuration, runs
//! requests through it and reports what became of them (the headers that go on, a local reply, a pause or a trap). Tests
//! state what must come out, never which host calls must happen in which order; the number of host calls is available
//! beside the outcome, because host calls are what a filter costs.
//!
//! It answers as Envoy does wherever a filter can tell the difference: header maps are only there in their phase, a local
//! reply passes through the response callbacks, a configuration that is refused leaves the running one in place.
//! It does not model bodies or trailers, services answer when a test makes them, and everything in it is repeatable: the clock stands still, the random
//! numbers come from a fixed seed, and a guest that loops runs out of fuel.

mod abi;
mod call;
mod exchange;
mod failure;
mod guest;
mod headers;
mod imports;
mod local_reply;
mod state;
mod store;
mod vm;
mod wasi;

pub use abi::{LogLevel, MetricKind};
pub use call::{Call, Question};
pub use exchange::{Forwarded, LocalReply, OpenStream, Outcome, Request};
pub use failure::{LoadError, Refused, Trap};
pub use headers::Headers;
pub use state::LogLine;
pub use store::Metric;
pub use vm::{Module, Vm};

#[cfg(test)]
mod tests;
