//! The `meshgate` command as its users run it: a process with arguments, files and pipes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]

mod check;
mod clusters;
mod compile;
mod destination_policies;
mod diff;
mod envoy;
mod explain;
mod folder;
mod inspect;
mod istio;
mod istio_attach;
mod istio_clusters;
mod istio_connections;
mod istio_differences;
mod istio_examples;
mod istio_validation;
mod package;
mod route;
mod settings;
mod test;
mod usage;
mod verify;
