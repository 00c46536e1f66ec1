//! The meshgate routing program: its format, its verifier and its evaluator.
//!
//! A program is one blob of bytes that holds everything one gateway workload needs to route requests. The compiler
//! writes it; [`Program::new`] verifies it once; [`Program::decide`] then answers requests and cannot fail.
//! The engine does no I/O, never panics on any bytes or any request, and does not allocate to decide.
//!
//! ```text
//! envelope (MessagePack)  magic, version, checksum
//!   head (MessagePack)    generation, gateways, actions, destinations, header operations    read once
//!   index (raw sections)  hosts, path tries, rule sets, predicates, automata, names         evaluated in place
//! ```
//!
//! A request is answered in this order: the gateway's hosts choose one virtual host; its path tries find the rule
//! sets whose path condition holds; the clause with the lowest number whose remaining conditions hold wins. A clause
//! is one matcher of one route; its number is its position in first-match order. A clause may also leave the decision to
//! another virtual host, so that routes that are used in many places are stored once.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod automaton;
mod clause_name;
mod compare;
mod decision;
mod envelope;
mod error;
mod field;
mod format;
mod forward;
mod hash_table;
mod host;
mod name;
mod normalize;
mod parameters;
pub mod policy;
mod predicate;
mod program;
mod read;
mod redirect;
pub mod replace;
mod request;
mod rule_set;
mod search;
mod signature;
mod stickiness;
mod surroundings;
mod tables;
mod trie;
mod verify;
#[cfg(feature = "write")]
pub mod write;

pub use decision::{Decision, Match};
pub use envelope::{MAJOR_VERSION, MINOR_VERSION};
pub use error::{FormatError, FormatErrorKind};
pub use forward::Forwarding;
pub use name::SegmentKind;
pub use normalize::Normalization;
pub use program::{Program, SectionSize};
pub use request::{Headers, Request};
pub use signature::{Algorithm, Key, KeyMaterial};
pub use stickiness::{Property, PropertyKind, Stickiness};
pub use surroundings::Surroundings;
pub use tables::{
    Action, ActionKind, Destination, DestinationKind, DirectResponse, Forward, Gateway, Head,
    HeaderOperations, HostRewrite, PathRewrite, Redirect, RedirectPath, Retries, Share,
};
