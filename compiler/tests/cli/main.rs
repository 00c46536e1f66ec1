//! The `meshgate` command as its users run it: a process with arguments, files and pipes.

mod check;
mod compile;
mod envoy;
mod folder;
mod inspect;
mod route;
mod usage;
