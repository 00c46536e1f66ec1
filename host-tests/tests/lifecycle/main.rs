//! The life of a gateway: a real Envoy with the filter, programs that come and go, and clients and upstreams that
//! misbehave. Every test runs in the newest and in the oldest Envoy that is supported.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, and says where"
)]

mod beside;
mod examples;
mod gateway;
mod grpc;
mod hostile;
mod load;
mod memory;
mod mirrors;
mod observe;
mod requests;
mod shop;
mod updates;
mod verify;
mod waiting;

use meshgate_host_tests::both_envoys::{self, Test, Tools};

fn main() {
    let tests: Vec<Test> = [
        examples::TESTS,
        beside::TESTS,
        requests::TESTS,
        updates::TESTS,
        hostile::TESTS,
        memory::TESTS,
        verify::TESTS,
        waiting::TESTS,
        mirrors::TESTS,
        observe::TESTS,
    ]
    .concat();
    both_envoys::run(&tests);
}
