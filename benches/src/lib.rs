//! Workloads for benchmarks and tests: route tables of any size, and requests whose answer is known.
//!
//! - [`Table`]: what the routes of one virtual host look like, as plain data
//! - [`tree`]: such a table as a resolved tree, so that what is measured is not YAML
//! - [`Delegated`]: many virtual hosts that delegate to a few route tables, as YAML
//! - [`yaml`]: such tables as YAML, for the whole way from text to program
//! - [`requests`]: requests, each with the route that has to take it
//! - [`Peer`]: other routers with the same tables
//! - [`Guest`]: the engine in wasm
#![forbid(unsafe_code)]

mod delegated;
pub mod generated;
mod guest;
mod linear;
mod peers;
mod requests;
mod table;
mod tree;
pub mod yaml;

pub use delegated::{Delegated, compile_sources};
pub use guest::Guest;
pub use peers::{Peer, PeerKind};
pub use requests::{OwnedRequest, request, requests};
pub(crate) use table::SERVICES;
pub use table::{Path, RouteShape, Table, Value};
pub use tree::{program, program_bytes, tree};
