//! Hosts for the meshgate filter, and the tests that run in them.

#![forbid(unsafe_code)]

pub mod wasm;
