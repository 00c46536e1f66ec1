//! What the module offers to a host, and what it asks of one. A host calls each callback that is exported, for every
//! stream; and it refuses a module with an import that it does not have.

use wasmtime::{Engine, Module};

use crate::program::wasm;

fn module() -> Module {
    Module::new(&Engine::default(), wasm()).unwrap()
}

#[test]
fn exports_are_those_that_the_filter_needs() {
    let module = module();
    let mut names: Vec<&str> = module.exports().map(|export| export.name()).collect();
    names.sort_unstable();
    let expected = [
        "_initialize",
        "malloc",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_request_headers",
        "proxy_on_response_headers",
    ];
    assert_eq!(names, expected);
}

#[test]
fn imports_are_those_that_every_host_has() {
    let module = module();
    let mut names: Vec<String> = module
        .imports()
        .map(|import| format!("{}.{}", import.module(), import.name()))
        .collect();
    names.sort_unstable();
    let expected = ["?"];
    assert_eq!(names, expected);
}
