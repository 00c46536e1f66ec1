//! A module that a program was packaged with.

use meshgate_compiler::package::{add_program, packaged};
use meshgate_host_tests::wasm::{Module, Vm};

use crate::program::{ProgramBuilder, module, wasm};
use crate::{cluster, get, replied};

fn routes_to(name: &str) -> Vec<u8> {
    ProgramBuilder::new(name).forward("/", name, |_| ()).bytes()
}

#[test]
fn it_serves_without_a_configuration() {
    let module = add_program(&wasm(), &routes_to("a")).unwrap();
    let module = Module::load(&module).unwrap();
    for configuration in ["", " \n"] {
        let mut vm = Vm::start(&module, configuration.as_bytes()).unwrap();
        assert_eq!(cluster(&mut vm, get("/")), "a");
        let line = &vm.logs().first().unwrap().message;
        assert!(line.contains("routing program `a` accepted"), "{line}");
    }
}

#[test]
fn settings_do_not_take_its_place() {
    let module = add_program(&wasm(), &routes_to("a")).unwrap();
    let module = Module::load(&module).unwrap();
    let mut vm = Vm::start(&module, br#"{"metrics":["route"]}"#).unwrap();
    assert_eq!(cluster(&mut vm, get("/")), "a");
    let counted = |name: &&String| name.ends_with("meshgate.route_requests");
    assert_eq!(vm.metrics().keys().filter(counted).count(), 1);
}

#[test]
fn a_program_in_the_configuration_goes_first() {
    let module = add_program(&wasm(), &routes_to("a")).unwrap();
    let module = Module::load(&module).unwrap();
    let mut vm = Vm::start(&module, &routes_to("b")).unwrap();
    assert_eq!(cluster(&mut vm, get("/")), "b");
    // A broken one is refused; it is not a way back to the one in the module.
    assert!(Vm::start(&module, b"broken").is_err());
}

#[test]
fn another_program_takes_the_place_of_the_first() {
    let first = add_program(&wasm(), &routes_to("first")).unwrap();
    let second = add_program(&first, &routes_to("b")).unwrap();
    assert_eq!(packaged(&second), Ok(Some(routes_to("b"))));
    assert!(second.len() < first.len());
    assert_eq!(second, add_program(&wasm(), &routes_to("b")).unwrap());
    let mut vm = Vm::start(&Module::load(&second).unwrap(), b"").unwrap();
    assert_eq!(cluster(&mut vm, get("/")), "b");
}

/// Larger than the filter's memory when it starts.
#[test]
fn a_large_program() {
    let mut program = ProgramBuilder::new("large");
    for number in 0..60_000 {
        program = program.forward(&format!("/{number}/"), &format!("cluster-{number}"), |_| ());
    }
    let program = program.bytes();
    assert!(program.len() > 4 << 20, "{}", program.len());
    let module = Module::load(&add_program(&wasm(), &program).unwrap()).unwrap();
    let mut vm = Vm::start(&module, b"").unwrap();
    assert_eq!(cluster(&mut vm, get("/59999/x")), "cluster-59999");
}

#[test]
fn the_filter_as_it_is_built_has_none() {
    assert_eq!(packaged(&wasm()), Ok(None));
    let mut vm = Vm::start(module(), b"").unwrap();
    assert_eq!(replied(&mut vm, get("/")).status, 503);
}

#[test]
fn only_a_good_program_and_a_filter_go_together() {
    let error = add_program(&wasm(), b"broken").unwrap_err();
    assert!(error.contains("the program is refused"), "{error}");
    let error = add_program(b"broken", &routes_to("a")).unwrap_err();
    assert!(error.contains("not a wasm module"), "{error}");
    let other = wat::parse_str("(module (memory 1))").unwrap();
    let error = add_program(&other, &routes_to("a")).unwrap_err();
    assert!(
        error.contains("exports no `meshgate_packaged_size`"),
        "{error}"
    );
}
