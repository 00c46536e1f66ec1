//! The meshgate filter: a proxy-wasm adapter around the routing program.
//!
//! The plugin configuration carries a routing program. Each request is decided by it: the filter names the cluster in a
//! header that the catch-all route of the proxy reads, or answers by itself. It owns the effects of a decision on a
//! request; what is decided, and why, is the engine's.
//!
//! Invariants:
//! - Nothing that a client sends makes the guest trap, and a program that does not verify is refused before a request
//!   meets it.
//! - No header by which a client could steer the proxy's router gets past the filter.
//! - A request costs one host call to read its headers, and one more for each thing that changes.

#![deny(unsafe_code)]

mod body;
mod configuration;
mod connection;
mod contexts;
mod control;
mod effects;
mod explain;
mod external;
mod headers;
mod host;
mod random;
mod root;
mod stats;
mod stream;
mod timer;
mod words;

use proxy_wasm::traits::RootContext;

use crate::root::Root;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(Root::new(id)) });
}}
