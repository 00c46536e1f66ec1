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
        "meshgate_packaged_copy",
        "meshgate_packaged_size",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_grpc_close",
        "proxy_on_grpc_receive",
        "proxy_on_http_call_response",
        "proxy_on_request_body",
        "proxy_on_request_headers",
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
        "proxy_on_tick",
    ];
    assert_eq!(names, expected);
}

/// Host calls of ABI 0.2.1 that all supported Envoys have. The filter makes a few of them; the others come with the
/// methods that every root context of the SDK has.
const HOST_CALLS: [&str; 32] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

#[test]
fn imports_are_those_that_every_host_has() {
    for import in module().imports() {
        let known = match import.module() {
            "env" => HOST_CALLS.contains(&import.name()),
            "wasi_snapshot_preview1" => import.name() == "random_get",
            _ => false,
        };
        assert!(known, "{}.{}", import.module(), import.name());
    }
}
