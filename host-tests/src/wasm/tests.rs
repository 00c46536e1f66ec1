//! The host, tried with small guests written by hand.

use super::*;

/// What every guest needs: the ABI marker, memory, and an allocator that never frees.
const PRELUDE: &str = r#"
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 65536))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get $size))))
"#;

fn module(imports: &str, body: &str) -> Module {
    let text = format!("(module {imports} {PRELUDE} {body})");
    Module::load(&wat::parse_str(text).expect("the guest parses")).expect("the guest loads")
}

fn start(imports: &str, body: &str) -> Vm {
    Vm::start(&module(imports, body), b"").expect("the guest accepts an empty configuration")
}

fn get(path: &str) -> Request {
    Request::new("GET", "www.example.com", path)
}

#[test]
fn a_guest_without_callbacks_lets_everything_pass() {
    let mut vm = start("", "");
    let Outcome::Forwarded(forwarded) =
        vm.request(get("/a").header("X-Twice", "1").header("x-twice", "2"))
    else {
        panic!("the request goes on")
    };
    assert_eq!(forwarded.headers.get(":path"), Some(b"/a".as_slice()));
    assert_eq!(forwarded.headers.get_all("x-twice"), [b"1", b"2"]);
    let response: Headers = [(":status", "200")].into_iter().collect();
    assert_eq!(vm.respond(forwarded.stream, response.clone()), Ok(response));
    assert!(vm.host_calls().is_empty());
}

#[test]
fn header_changes_reach_the_router() {
    let mut vm = start(
        r#"(import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
           (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
           (import "env" "proxy_set_property" (func $property (param i32 i32 i32 i32) (result i32)))"#,
        r#"(data (i32.const 0) "X-One" "HOST" "route")
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
               (if (call $replace (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 5) (i32.const 4)) (then unreachable))
               (if (call $remove (i32.const 0) (i32.const 5) (i32.const 4)) (then unreachable))
               (if (call $property (i32.const 9) (i32.const 5) (i32.const 0) (i32.const 5)) (then unreachable))
               (i32.const 0))"#,
    );
    let Outcome::Forwarded(forwarded) =
        vm.request(get("/").header("x-one", "a").header("x-one", "b"))
    else {
        panic!("the request goes on")
    };
    assert_eq!(forwarded.headers.get_all("x-one"), [b"HOST"]);
    assert_eq!(
        forwarded.headers.get(":authority"),
        None,
        "the host of a request is its authority"
    );
    assert_eq!(forwarded.properties.get("route"), Some(&b"X-One".to_vec()));
    assert_eq!(vm.host_calls().values().sum::<u32>(), 3);
    assert!((1..1000).contains(&vm.instructions()));
    assert_eq!(vm.close(forwarded.stream), Ok(()));
}

/// Answers 403 with a body, and adds a header to every response.
const LOCAL_REPLY_IMPORTS: &str = r#"
    (import "env" "proxy_send_local_response" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))"#;
const LOCAL_REPLY_BODY: &str = r#"
    (data (i32.const 0) "no entry" "details" "x-seen" "yes")
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $send (i32.const 403) (i32.const 8) (i32.const 7) (i32.const 0) (i32.const 8)
            (i32.const 0) (i32.const 0) (i32.const -1)))
        (i32.const 1))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $add (i32.const 2) (i32.const 15) (i32.const 6) (i32.const 21) (i32.const 3)))"#;

#[test]
fn a_local_reply_passes_the_response_callback() {
    let mut vm = start(LOCAL_REPLY_IMPORTS, LOCAL_REPLY_BODY);
    let Outcome::LocalReply(reply) = vm.request(get("/")) else {
        panic!("the guest answers")
    };
    assert_eq!(
        (reply.status, reply.body.as_slice(), reply.details.as_str()),
        (403, b"no entry".as_slice(), "details")
    );
    assert_eq!(reply.headers.get("x-seen"), Some(b"yes".as_slice()));
    assert_eq!(reply.headers.get("content-length"), Some(b"8".as_slice()));
}

#[test]
fn a_local_reply_takes_the_form_that_the_client_reads() {
    let mut vm = start(LOCAL_REPLY_IMPORTS, LOCAL_REPLY_BODY);
    let Outcome::LocalReply(reply) = vm.request(Request::new("HEAD", "a", "/")) else {
        panic!("the guest answers")
    };
    assert_eq!((reply.status, reply.body.len()), (403, 0));
    let grpc = get("/").header("content-type", "application/grpc+proto");
    let Outcome::LocalReply(reply) = vm.request(grpc) else {
        panic!("the guest answers")
    };
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.headers.get("grpc-status"), Some(b"7".as_slice()));
    assert_eq!(
        reply.headers.get("grpc-message"),
        Some(b"no entry".as_slice())
    );
}

#[test]
fn a_guest_that_loops_is_stopped_and_stays_dead() {
    let mut vm = start(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
               (loop $again (br $again)) (i32.const 0))"#,
    );
    let Outcome::Trapped(trap) = vm.request(get("/")) else {
        panic!("the guest is stopped")
    };
    assert!(trap.to_string().contains("fuel"), "{trap}");
    let Outcome::Trapped(again) = vm.request(get("/")) else {
        panic!("the VM is dead")
    };
    assert_eq!(trap, again);
}

#[test]
fn a_module_with_an_unknown_import_is_not_loaded() {
    let text = format!(r#"(module (import "env" "proxy_brew_coffee" (func)) {PRELUDE})"#);
    let error = Module::load(&wat::parse_str(text).expect("the guest parses"))
        .expect_err("nobody provides the import");
    assert!(error.to_string().contains("proxy_brew_coffee"), "{error}");
}

#[test]
fn open_streams_keep_the_configuration_that_they_started_with() {
    // Refuses configurations of one byte and traps on those of two; logs the root context of every stream that ends, and
    // of every root context that is deleted.
    let mut vm = start(
        r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#,
        r#"(data (i32.const 100) "0123456789")
           (func (export "proxy_on_configure") (param i32 i32) (result i32)
               (if (i32.eq (local.get 1) (i32.const 2)) (then unreachable))
               (i32.ne (local.get 1) (i32.const 1)))
           (func (export "proxy_on_context_create") (param i32 i32)
               (i32.store8 (local.get 0) (local.get 1)))
           (func (export "proxy_on_delete") (param i32)
               (drop (call $log (i32.const 2)
                   (i32.add (i32.const 100) (i32.load8_u (local.get 0))) (i32.const 1))))"#,
    );
    let Outcome::Forwarded(old) = vm.request(get("/")) else {
        panic!("the request goes on")
    };
    assert!(vm.configure(b"1").expect_err("refused").trap.is_none());
    assert!(vm.configure(b"22").expect_err("trapped").trap.is_some());
    vm.configure(b"333").expect("accepted");
    let Outcome::Forwarded(new) = vm.request(get("/")) else {
        panic!("the request goes on")
    };
    assert!(
        vm.logs().is_empty(),
        "the old root context lives as long as its stream"
    );
    vm.close(old.stream).expect("closed");
    vm.close(new.stream).expect("closed");
    let messages: Vec<&str> = vm.logs().iter().map(|line| line.message.as_str()).collect();
    assert_eq!(
        messages,
        ["1", "0", "3"],
        "old stream, old root, new stream"
    );
}

#[test]
fn pairs_survive_the_wire_and_damage_is_noticed() {
    let headers: Headers = [("a", "1"), ("b", ""), ("a", "\u{fc}")]
        .into_iter()
        .collect();
    let bytes = abi::encode_pairs(headers.iter());
    assert_eq!(abi::decode_pairs(&bytes), Ok(headers));
    for length in 1..bytes.len() {
        assert!(
            abi::decode_pairs(&bytes[..length]).is_err(),
            "cut to {length} bytes"
        );
    }
}
