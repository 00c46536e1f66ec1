//! A real Envoy as a child process, and what it takes to talk to it.

pub mod bootstrap;
pub mod client;
pub mod delivery;
pub mod log;
mod process;

pub use process::{Envoy, Settings, free_ports};
