//! Objects that put a program to work in a proxy.

pub mod envoy;
mod mirrors;
pub mod ratelimit;
