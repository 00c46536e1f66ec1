//! Compiles virtual gateways, virtual hosts and route tables into meshgate routing programs.
//!
//! Text becomes [`resource`]s (every value with its place), resources become a resolved [`tree`], the tree becomes
//! program bytes. Every stage is one function from a value to a value that appends to [`diagnostic::Diagnostics`].
#![forbid(unsafe_code)]

pub mod answer;
pub mod cases;
pub mod code;
pub mod compile;
pub mod diagnostic;
pub mod diff;
pub mod lint;
pub mod load;
pub mod lower;
pub mod manifest;
pub mod options;
pub mod oracle;
pub mod package;
pub mod policy;
pub mod rare;
pub mod regex;
pub mod render;
pub mod resolve;
pub mod resource;
pub mod rewrite;
pub mod route;
mod schema;
pub mod source;
pub mod status;
mod suggest;
pub mod tree;
pub mod upstreams;
pub mod verify;
