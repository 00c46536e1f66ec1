//! Objects that put a program to work in a proxy.

pub mod configuration;
pub mod envoy;
pub mod istio;
mod mirrors;
pub mod ratelimit;
pub mod settings;
mod tcp;
mod treatment;
