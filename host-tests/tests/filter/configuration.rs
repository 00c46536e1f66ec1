//! Which configurations are accepted, and what happens to those that are not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshgate_host_tests::wasm::{LogLevel, Refused, Vm};

use crate::program::{ProgramBuilder, module, operations, start};
use crate::{cluster, forwarded, get, replied, text};

fn routes_to(name: &str) -> ProgramBuilder {
    ProgramBuilder::new(name).forward("/", name, |_| ())
}

fn json(program: &[u8]) -> String {
    format!(
        r#" {{"program":{{"encoding":"base64","data":"{}"}}}}"#,
        STANDARD.encode(program)
    )
}

/// The one line that says why a configuration was refused.
#[track_caller]
fn reason(refused: Refused) -> String {
    assert_eq!(refused.trap, None);
    match refused.logs.as_slice() {
        [line] => {
            assert_eq!(line.level, LogLevel::Error);
            line.message.clone()
        }
        lines => panic!("not one line: {lines:?}"),
    }
}

#[test]
fn an_accepted_program_is_announced() {
    let bytes = routes_to("g1").bytes();
    let vm = Vm::start(module(), &bytes).unwrap();
    let line = vm.logs().first().unwrap();
    assert_eq!(line.level, LogLevel::Info);
    assert_eq!(
        line.message,
        format!(
            "meshgate: routing program `g1` accepted: 1 gateways, 1 clauses, {} bytes",
            bytes.len()
        )
    );
}

#[test]
fn a_program_may_come_as_json() {
    let mut vm = Vm::start(module(), json(&routes_to("a").bytes()).as_bytes()).unwrap();
    assert_eq!(cluster(&mut vm, get("/")), "a");
}

fn compressed(bytes: &[u8]) -> String {
    let data = STANDARD.encode(miniz_oxide::deflate::compress_to_vec_zlib(bytes, 8));
    format!(r#"{{"program":{{"encoding":"zlib+base64","data":"{data}"}}}}"#)
}

#[test]
fn a_program_may_come_compressed() {
    let program = routes_to("a").bytes();
    let mut vm = Vm::start(module(), compressed(&program).as_bytes()).unwrap();
    assert_eq!(cluster(&mut vm, get("/")), "a");

    let mut refused =
        |configuration: String| reason(vm.configure(configuration.as_bytes()).unwrap_err());
    let cut = json(&miniz_oxide::deflate::compress_to_vec_zlib(&program, 8)[..40]);
    let cut = cut.replace("base64", "zlib+base64");
    assert!(refused(cut).contains("not zlib data, or not all of it"));
    let plain = json(&program).replace("base64", "zlib+base64");
    assert!(refused(plain).contains("not zlib data"));
    // A few kilobytes that would fill the memory.
    let bomb = compressed(&vec![0; 64 * 1024 * 1024 + 1]);
    assert!(bomb.len() < 100_000);
    assert!(refused(bomb).contains("larger than 64 MiB"));
    assert_eq!(cluster(&mut vm, get("/")), "a");
}

#[test]
fn json_is_read_strictly() {
    let program = STANDARD.encode(routes_to("a").bytes());
    let refused =
        |configuration: String| reason(Vm::start(module(), configuration.as_bytes()).unwrap_err());
    for (configuration, expected) in [
        (
            format!(r#"{{"program":{{"data":"{program}"}}}}"#),
            "missing field `encoding`",
        ),
        (
            format!(r#"{{"program":{{"encoding":"hex","data":"{program}"}}}}"#),
            "unknown variant `hex`",
        ),
        (
            format!(r#"{{"program":{{"encoding":"base64","data":"{program}"}},"debug":1}}"#),
            "unknown field `debug`",
        ),
        (
            r#"{"program":{"encoding":"base64","data":"=="}}"#.to_owned(),
            "not base64",
        ),
        (
            r#"{"program":{"encoding":"base64","data":""}}"#.to_owned(),
            "not a meshgate routing program",
        ),
        ("{".to_owned(), "EOF"),
    ] {
        let reason = refused(configuration.clone());
        assert!(reason.contains(expected), "{configuration}: {reason}");
    }
}

#[test]
fn without_a_program_the_answer_is_503() {
    for configuration in [b"".as_slice(), b" \n"] {
        let mut vm = Vm::start(module(), configuration).unwrap();
        let reply = replied(&mut vm, get("/").header("x-meshgate-cluster", "mine"));
        assert_eq!(
            (reply.status, reply.details.as_str()),
            (503, "meshgate_no_program")
        );
        assert_eq!(reply.body, b"the gateway has no routing program yet\n");
        assert_eq!(reply.request.get("x-meshgate-cluster"), None);
        vm.configure(&routes_to("a").bytes()).unwrap();
        assert_eq!(cluster(&mut vm, get("/")), "a");
    }
}

#[test]
fn a_broken_program_is_refused_and_the_running_one_stays() {
    let mut vm = start(routes_to("old"));
    let new = routes_to("new").bytes();
    for length in (1..new.len()).step_by(7) {
        let reason = reason(vm.configure(&new[..length]).unwrap_err());
        assert!(
            reason.starts_with("meshgate: configuration refused: "),
            "{reason}"
        );
        assert!(reason.contains("(at offset 0x"), "{reason}");
    }
    // The first bytes say what it is, and in which version; a newer minor version is no damage.
    for at in (32..new.len()).step_by(11) {
        let mut damaged = new.clone();
        damaged[at] ^= 0x40;
        reason(vm.configure(&damaged).unwrap_err());
    }
    assert_eq!(cluster(&mut vm, get("/")), "old");
    vm.configure(&new).unwrap();
    assert_eq!(cluster(&mut vm, get("/")), "new");
}

#[test]
fn a_stream_ends_with_the_program_that_it_began_with() {
    let program = |name: &str| {
        let stamp = operations((&[], &[]), (&[], &[("x-program", name)]));
        let mut program = ProgramBuilder::new(name);
        let share = program.share(name, 1, Some(stamp));
        program.forward("/", name, |forward| forward.shares = vec![share])
    };
    let mut vm = start(program("old"));
    let stream = forwarded(&mut vm, get("/")).stream;
    vm.configure(&program("new").bytes()).unwrap();
    let response = vm
        .respond(stream, [(":status", "200")].into_iter().collect())
        .unwrap();
    assert_eq!(text(response.get("x-program")), "old");
    assert_eq!(cluster(&mut vm, get("/")), "new");
}

#[test]
fn memory_does_not_grow_with_requests_or_updates() {
    let mut vm = start(routes_to("a"));
    let mut round = || {
        for _ in 0..2500 {
            cluster(&mut vm, get("/").header("x-meshgate-cluster", "mine"));
            replied(&mut vm, get("none"));
        }
        for _ in 0..10 {
            vm.configure(&routes_to("a").bytes()).unwrap();
        }
        vm.memory_pages()
    };
    let first = round();
    assert_eq!(round(), first);
}
