//! The border to the host, where request data crosses it, without the detours of the SDK. The only place with `unsafe`
//! code.
//!
//! - Host calls: as bytes, and without an allocation for each header. None of them fails in a way that a filter could do
//!   something about; what the host refuses stays as it was.
//! - Callbacks: those that come with every request. The SDK exports callbacks of its own, which look up a boxed context in
//!   up to three hash maps. `cargo xtask filter` puts the ones below in their place after linking: an export
//!   `meshgate_on_…` becomes `proxy_on_…`. Root contexts still are the SDK's.

#![expect(
    unsafe_code,
    reason = "foreign functions pass memory by pointer and length, and callbacks have names without a namespace"
)]

use std::ptr::null_mut;

use proxy_wasm::types::{MapType, Status};

use crate::contexts::{self, Deleted};
use crate::stream;

// Imports of proxy-wasm ABI 0.2.1. Statuses are numbers here: a host may answer with one that the SDK does not know.
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(
        map: u32,
        return_data: *mut *mut u8,
        return_size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream_type: u32) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(data: *mut u8, size: usize) -> u16;
}

// Callbacks of the SDK, which have these names in the linked module too.
unsafe extern "C" {
    fn proxy_on_context_create(context: u32, root: u32);
    fn proxy_on_delete(context: u32);
}

/// A context begins: a root context if `root` is zero, else a stream of that root context.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_context_create(context: u32, root: u32) {
    if root != 0 {
        contexts::create_stream(context, root);
    } else if contexts::create_root(context) {
        // SAFETY: takes any numbers. It would panic for a root context that exists, which this one does not.
        unsafe { proxy_on_context_create(context, 0) };
    }
}

/// The headers of a request are there.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_request_headers(stream: u32, _count: u32, _end_of_stream: u32) -> u32 {
    stream::on_request_headers(stream) as u32
}

/// The timer of a root context has run out.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_tick(root: u32) {
    stream::on_tick(root);
}

/// The headers of a response are there.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_response_headers(stream: u32, _count: u32, _end_of_stream: u32) -> u32 {
    stream::on_response_headers(stream) as u32
}

/// A context ends.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_delete(context: u32) {
    if contexts::delete(context) == Deleted::Root {
        // SAFETY: takes any number. It would panic for a root context that does not exist, which this one does.
        unsafe { proxy_on_delete(context) };
    }
}

const OK: u32 = Status::Ok as u32;

/// The serialised headers of the request; empty if there are none.
pub(crate) fn request_headers() -> Vec<u8> {
    // SAFETY: the host writes a pointer and a size to two live variables, and nothing else.
    let pairs = returned(|data, size| unsafe {
        proxy_get_header_map_pairs(MapType::HttpRequestHeaders as u32, data, size)
    });
    pairs.unwrap_or_default()
}

/// A property of the stream, by the parts of its path with a zero byte between them.
pub(crate) fn property(path: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: the host reads the path, which lives during the call, and writes a pointer and a size to two live variables.
    returned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Makes a host call that returns bytes in memory which it has allocated in this module.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let mut data: *mut u8 = null_mut();
    let mut size = 0;
    let status = call(&mut data, &mut size);
    if status != OK || data.is_null() {
        return None;
    }
    // SAFETY: the host got the memory from the allocator that the SDK exports, which returns a boxed slice of exactly the
    // size that was asked for, filled all of it, and leaves it to this module.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Makes `value` the only value of a header of the request or the response.
pub(crate) fn replace_header(map: MapType, name: &[u8], value: &[u8]) {
    // SAFETY: the host reads name and value, which live during the call.
    unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
}

/// Adds a value to a header of the request or the response.
pub(crate) fn add_header(map: MapType, name: &[u8], value: &[u8]) {
    // SAFETY: the host reads name and value, which live during the call.
    unsafe {
        proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
}

/// Removes a header of the request or the response.
pub(crate) fn remove_header(map: MapType, name: &[u8]) {
    // SAFETY: the host reads the name, which lives during the call.
    unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
}

/// Sets a property of the stream. Access logs find it in the filter state, as `wasm.` and the name.
pub(crate) fn set_property(name: &[u8], value: &[u8]) {
    // SAFETY: the host reads name and value, which live during the call.
    unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
}

/// Answers the request. `headers` are serialised pairs; `details` is a word for access logs.
pub(crate) fn send_local_response(status: u16, details: &[u8], headers: &[u8], body: &[u8]) {
    // Leaves the gRPC status to the proxy, which derives it from the HTTP status for gRPC clients.
    const NO_GRPC_STATUS: i32 = -1;
    // SAFETY: the host reads the four slices, which live during the call.
    unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    };
}

/// The time in nanoseconds.
pub(crate) fn now() -> u64 {
    let mut now = 0;
    // SAFETY: the host writes 8 bytes to a live variable of 8 bytes.
    unsafe { proxy_get_current_time_nanoseconds(&mut now) };
    now
}

/// Sets the timer of the root context of what is being done; zero stops it.
pub(crate) fn set_timer(milliseconds: u32) {
    // SAFETY: takes any number.
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
}

/// Makes the following host calls concern a stream. `false` if there is no such stream any more.
pub(crate) fn act_for(stream: u32) -> bool {
    // SAFETY: takes any number.
    unsafe { proxy_set_effective_context(stream) == OK }
}

/// Lets a request go on that was paused.
pub(crate) fn continue_request() {
    const REQUEST: u32 = 0;
    // SAFETY: takes any number.
    unsafe { proxy_continue_stream(REQUEST) };
}

/// Random bytes of the operating system.
pub(crate) fn random_seed() -> u64 {
    let mut seed = [0; 8];
    // SAFETY: the host writes 8 bytes to a live array of 8 bytes.
    unsafe { random_get(seed.as_mut_ptr(), seed.len()) };
    u64::from_le_bytes(seed)
}
