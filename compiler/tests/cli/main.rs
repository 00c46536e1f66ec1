//! The `meshgate` command as its users run it: a process with arguments, files and pipes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]

mod check;
mod clusters;
mod compile;
mod envoy;
mod explain;
mod folder;
mod inspect;
mod istio;
mod route;
mod settings;
mod usage;
