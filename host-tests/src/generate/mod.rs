//! Generated configurations and requests, for property tests, fuzzing and benchmarks.
//!
//! Everything is drawn from small alphabets of paths, names and values, so that requests often match, and often miss
//! by one character, one header or one letter's case. What is generated is valid: an error is a bug.

mod choice;
mod options;
mod requests;
mod resources;

pub use requests::{Draft, drafts};
pub use resources::{Configuration, any_configuration, configuration, delegating_configuration};
