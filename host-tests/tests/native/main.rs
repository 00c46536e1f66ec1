//! Policies and actions mean the same here as in Envoy's own filters and routes: the same configuration in both
//! notations, the same requests, the same answers, in both versions of Envoy. What differs on purpose is written down in the
//! tests, and in `docs/native.md` with its reason. (Tokens and rules about access have a test of their own, `access`.)

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, and says where"
)]

mod actions;
mod browsers;
mod faults;
mod headers;
mod limits;
mod pair;
mod retries;
mod tls;

use meshgate_host_tests::both_envoys::{self, Test, Tools};

fn main() {
    let tests: Vec<Test> = [
        actions::TESTS,
        browsers::TESTS,
        faults::TESTS,
        headers::TESTS,
        limits::TESTS,
        tls::TESTS,
        retries::TESTS,
    ]
    .concat();
    both_envoys::run(&tests);
}
