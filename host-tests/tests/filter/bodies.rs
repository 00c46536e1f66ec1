//! Requests that are held for their bodies. Calls to services fail at once in this host, so what is asked about passes if
//! the program says so.

use meshgate_engine::policy::{
    Auth, AuthBody, AuthProtocol, AuthService, Fault, FaultKind, Percentage, Policies, Services,
};
use meshgate_host_tests::wasm::{OpenStream, Outcome, Request, Vm};

use crate::forwarded;
use crate::program::{ProgramBuilder, start};

const LIMIT: usize = 10;

/// `/` is asked about with bodies, `/slow` after a time, `/open` not at all.
fn vm(allow_partial: bool) -> Vm {
    let asked = || Policies {
        auth: Some(Auth::default()),
        ..Policies::default()
    };
    let slow = Policies {
        fault: Some(Fault {
            kind: FaultKind::Delay(50),
            percentage: Percentage(1_000_000),
        }),
        ..asked()
    };
    let service = AuthService {
        cluster: "authorizer".to_owned(),
        timeout_ms: 100,
        protocol: AuthProtocol::Grpc,
        body: Some(AuthBody {
            max_bytes: u32::try_from(LIMIT).unwrap(),
            allow_partial,
            as_bytes: true,
        }),
        failure_mode_allow: true,
        status_on_error: 503,
    };
    let services = Services {
        auth: Some(service),
        ..Services::default()
    };
    start(
        ProgramBuilder::new("g")
            .services(services)
            .forward("/slow", "slow", |_| ())
            .policies(slow)
            .forward("/open", "open", |_| ())
            .forward("/", "shop", |_| ())
            .policies(asked()),
    )
}

fn post(path: &str) -> Request {
    Request::new("POST", "www.example.com", path).with_body()
}

#[track_caller]
fn held(outcome: Outcome) -> OpenStream {
    match outcome {
        Outcome::Paused(stream) => stream,
        other => panic!("it is not held: {other:?}"),
    }
}

/// What becomes of a request with a body in these pieces: its status, or 200 if it is forwarded. All but the last piece leave it held.
#[track_caller]
fn status(vm: &mut Vm, pieces: &[usize], ends: bool) -> u16 {
    let mut stream = held(vm.request(post("/")));
    let (last, pieces) = pieces.split_last().unwrap();
    for piece in pieces {
        stream = held(vm.body(stream, &vec![b'x'; *piece], false));
    }
    match vm.body(stream, &vec![b'x'; *last], ends) {
        Outcome::Forwarded(forwarded) => {
            vm.close(forwarded.stream).unwrap();
            200
        }
        Outcome::LocalReply(reply) => reply.status,
        other => panic!("it is not decided: {other:?}"),
    }
}

#[test]
fn a_request_is_held_until_its_body_is_complete_or_too_long() {
    for allow_partial in [false, true] {
        let vm = &mut vm(allow_partial);
        let too_long = if allow_partial { 200 } else { 413 };
        for pieces in [&[0][..], &[1], &[LIMIT], &[4, 0, 6], &[5, 5, 0]] {
            assert_eq!(status(vm, pieces, true), 200, "{pieces:?}");
        }
        for pieces in [&[LIMIT + 1][..], &[1_000_000], &[5, 5, 1], &[LIMIT, 1_000]] {
            for ends in [false, true] {
                assert_eq!(status(vm, pieces, ends), too_long, "{pieces:?}");
            }
        }
    }
}

#[test]
fn what_has_no_body_and_what_is_not_asked_about_is_not_held() {
    let mut vm = vm(false);
    for request in [
        Request::new("POST", "www.example.com", "/"),
        post("/open"),
        Request::new("CONNECT", "www.example.com", "/").with_body(),
    ] {
        let forwarded = forwarded(&mut vm, request);
        vm.close(forwarded.stream).unwrap();
    }
}

#[test]
fn bodies_come_while_requests_wait() {
    let wait = std::time::Duration::from_millis(50);
    let (mut vm, body) = (vm(false), [b'x'; LIMIT]);
    // Before the time is over, and after.
    let stream = held(vm.request(post("/slow")));
    let stream = held(vm.body(stream, &body, true));
    vm.advance(wait).unwrap();
    assert!(matches!(vm.outcome(stream), Outcome::Forwarded(_)));
    let stream = held(vm.request(post("/slow")));
    let stream = held(vm.body(stream, &body, false));
    vm.advance(wait).unwrap();
    let stream = held(vm.outcome(stream));
    assert!(matches!(vm.body(stream, b"", true), Outcome::Forwarded(_)));
    // One that is too long is refused when its turn comes.
    let stream = held(vm.request(post("/slow")));
    let stream = held(vm.body(stream, &[b'x'; LIMIT + 1], false));
    vm.advance(wait).unwrap();
    assert!(matches!(vm.outcome(stream), Outcome::LocalReply(reply) if reply.status == 413));
}

#[test]
fn clients_may_leave_at_any_time() {
    let mut vm = vm(true);
    for path in ["/", "/slow"] {
        for pieces in 0..4 {
            let mut stream = held(vm.request(post(path)));
            for _ in 0..pieces {
                stream = held(vm.body(stream, b"xx", false));
            }
            vm.close(stream).unwrap();
        }
    }
    assert_eq!(status(&mut vm, &[1], true), 200);
}
