//! The filter as it is shipped, in a host that plays Envoy.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod access;
mod attach;
mod bodies;
mod configuration;
mod hostile;
mod module;
mod observe;
mod packaged;
mod program;
mod routing;
mod shadow;
mod shares;
mod stickiness;
mod waiting;

use meshgate_host_tests::wasm::{Forwarded, LocalReply, Outcome, Request, Vm};

/// A plain request.
fn get(path: &str) -> Request {
    Request::new("GET", "www.example.com", path)
}

/// Runs a request that goes on to the router.
#[track_caller]
fn forwarded(vm: &mut Vm, request: Request) -> Forwarded {
    match vm.request(request) {
        Outcome::Forwarded(forwarded) => forwarded,
        other => panic!("not forwarded: {other:?}"),
    }
}

/// Runs a request that the filter answers.
#[track_caller]
fn replied(vm: &mut Vm, request: Request) -> LocalReply {
    match vm.request(request) {
        Outcome::LocalReply(reply) => reply,
        other => panic!("not answered: {other:?}"),
    }
}

/// Runs a request and closes its stream; returns the cluster it was sent to.
#[track_caller]
fn cluster(vm: &mut Vm, request: Request) -> String {
    let forwarded = forwarded(vm, request);
    vm.close(forwarded.stream).unwrap();
    text(forwarded.headers.get("x-meshgate-cluster"))
}

/// A header value as text.
#[track_caller]
fn text(value: Option<&[u8]>) -> String {
    String::from_utf8(value.expect("the header is there").to_vec()).unwrap()
}
