//! Objects that put a program to work in a proxy.

pub mod envoy;
pub mod istio;
pub mod ratelimit;
