//! Hosts for the meshgate filter, and the tests that run in them.

#![forbid(unsafe_code)]

pub mod both_envoys;
pub mod cases;
pub mod demo;
pub mod envoy;
pub mod fuzz;
pub mod generate;
pub mod istio;
pub mod proto;
pub mod services;
pub mod tokens;
pub mod tools;
pub mod upstream;
#[cfg(feature = "wasmtime")]
pub mod wasm;
mod yaml;
