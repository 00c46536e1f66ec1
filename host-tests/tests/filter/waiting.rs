//! Requests that wait: for a time that fault injection gives them.

use std::time::Duration;

use meshgate_engine::policy::{Fault, FaultKind, Percentage, Policies};
use meshgate_host_tests::wasm::{OpenStream, Outcome, Vm};

use crate::program::{ProgramBuilder, start};
use crate::{get, replied};

const MILLISECOND: Duration = Duration::from_millis(1);

fn fault(kind: FaultKind, percent: u32) -> Policies {
    Policies {
        fault: Some(Fault {
            kind,
            percentage: Percentage(percent * 10_000),
        }),
        ..Policies::default()
    }
}

/// `/50` and `/20` wait for so many milliseconds, `/` does not wait.
fn delays() -> Vm {
    start(
        ProgramBuilder::new("g")
            .forward("/50", "slow", |_| ())
            .policies(fault(FaultKind::Delay(50), 100))
            .forward("/20", "quick", |_| ())
            .policies(fault(FaultKind::Delay(20), 100))
            .forward("/", "now", |_| ()),
    )
}

#[track_caller]
fn paused(vm: &mut Vm, path: &str) -> OpenStream {
    match vm.request(get(path)) {
        Outcome::Paused(stream) => stream,
        other => panic!("{path} does not wait: {other:?}"),
    }
}

#[track_caller]
fn still_waits(vm: &mut Vm, stream: OpenStream) -> OpenStream {
    match vm.outcome(stream) {
        Outcome::Paused(stream) => stream,
        other => panic!("it does not wait any more: {other:?}"),
    }
}

#[track_caller]
fn goes_to(vm: &mut Vm, stream: OpenStream, cluster: &str) {
    match vm.outcome(stream) {
        Outcome::Forwarded(forwarded) => {
            let chosen = forwarded.headers.get("x-meshgate-cluster");
            assert_eq!(chosen, Some(cluster.as_bytes()));
            vm.close(forwarded.stream).expect("no trap");
        }
        other => panic!("it is not forwarded: {other:?}"),
    }
}

#[test]
fn each_request_waits_for_its_own_time() {
    let mut vm = delays();
    assert!(!vm.has_timer(), "nothing waits");
    let slow = paused(&mut vm, "/50");
    vm.advance(MILLISECOND * 10).expect("no trap");
    let quick = paused(&mut vm, "/20");
    vm.advance(MILLISECOND * 19).expect("no trap");
    let quick = still_waits(&mut vm, quick);
    vm.advance(MILLISECOND).expect("no trap");
    goes_to(&mut vm, quick, "quick");
    let slow = still_waits(&mut vm, slow);
    vm.advance(MILLISECOND * 20).expect("no trap");
    goes_to(&mut vm, slow, "slow");
    assert!(!vm.has_timer(), "nothing waits any more");
}

#[test]
fn clients_that_leave_harm_nothing() {
    let mut vm = delays();
    let (gone, stays) = (paused(&mut vm, "/20"), paused(&mut vm, "/50"));
    vm.close(gone).expect("no trap");
    vm.advance(MILLISECOND * 50).expect("no trap");
    goes_to(&mut vm, stays, "slow");
    let gone = paused(&mut vm, "/50");
    vm.close(gone).expect("no trap");
    vm.advance(MILLISECOND * 50).expect("no trap");
    assert!(!vm.has_timer(), "nothing waits any more");
}

#[test]
fn a_request_is_decided_by_the_program_it_began_with() {
    let mut vm = delays();
    let old = paused(&mut vm, "/20");
    let new = ProgramBuilder::new("new").forward("/", "new", |_| ());
    vm.configure(&new.bytes()).expect("it is accepted");
    vm.advance(MILLISECOND * 20).expect("no trap");
    goes_to(&mut vm, old, "quick");
}

#[test]
fn a_share_of_the_requests_is_aborted() {
    let program = ProgramBuilder::new("g")
        .forward("/", "a", |_| ())
        .policies(fault(FaultKind::Abort(503), 25));
    let mut vm = start(program);
    let mut aborted = 0;
    for _ in 0..4000 {
        match vm.request(get("/")) {
            Outcome::Forwarded(forwarded) => vm.close(forwarded.stream).expect("no trap"),
            Outcome::LocalReply(reply) => {
                assert_eq!(
                    (reply.status, &*reply.body),
                    (503, &b"fault filter abort"[..])
                );
                aborted += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    // Five standard deviations about 1000.
    assert!((863..=1137).contains(&aborted), "{aborted} of 4000");

    let all = ProgramBuilder::new("g")
        .forward("/", "a", |_| ())
        .policies(fault(FaultKind::Abort(418), 100));
    assert_eq!(replied(&mut start(all), get("/")).status, 418);
}
