//! External authorization and rate limits in real Envoys: with services that answer, are slow, dead, or answer rubbish, and
//! with real servers where there are some. Every test runs in the newest and in the oldest Envoy that is supported.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, and says where"
)]

mod authorization;
mod bodies;
mod bodies_envoy;
mod clients;
mod gateway;
mod limits;
mod local;
mod real;
mod service;

use meshgate_host_tests::both_envoys::{self, Test, Tools};

fn main() {
    let tests: Vec<Test> = [
        authorization::TESTS,
        bodies::TESTS,
        clients::TESTS,
        limits::TESTS,
        local::TESTS,
        &real::tests(),
    ]
    .concat();
    both_envoys::run(&tests);
}
