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

use proxy_wasm::types::{Action, BufferType, MapType, Status};

use crate::body::{self, Piece};
use crate::contexts::{self, Deleted};
use crate::external::{Answer, Token};
use crate::headers::{HeaderPairs, encode_pairs};
use crate::stream::{self, BodyAction};

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

// What services and workers are asked.
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
    ) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        return_token: *mut u32,
    ) -> u32;
    fn proxy_grpc_call(
        cluster: *const u8,
        cluster_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        timeout: u32,
        return_token: *mut u32,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
        return_version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> u32;
}

// Not the host's: `cargo xtask filter` puts functions into the module that say there is no program in it, and
// `meshgate package` replaces them.
#[link(wasm_import_module = "meshgate")]
unsafe extern "C" {
    fn meshgate_packaged_size() -> usize;
    fn meshgate_packaged_copy(destination: *mut u8);
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
extern "C" fn meshgate_on_request_headers(stream: u32, _count: u32, end_of_stream: u32) -> u32 {
    const CONTINUE: u32 = 0;
    /// The body comes to the filter nevertheless.
    const STOP_HEADERS: u32 = 1;
    /// The host keeps everything, and slows down the client.
    const STOP_ALL: u32 = 4;
    match stream::on_request_headers(stream, end_of_stream != 0) {
        Action::Continue => CONTINUE,
        _ if body::is_expected(stream) => STOP_HEADERS,
        _ => STOP_ALL,
    }
}

/// A piece of the body of a request is there. `size`: with all that the host has been told to gather.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_request_body(stream: u32, size: u32, end_of_stream: u32) -> u32 {
    const CONTINUE: u32 = 0;
    /// The host gathers it. Too much of it is an error.
    const STOP_AND_BUFFER: u32 = 1;
    /// The host keeps it, and slows down the client.
    const STOP: u32 = 2;
    let piece = Piece::Data {
        size: size as usize,
        is_end: end_of_stream != 0,
    };
    match stream::on_request_body(stream, piece) {
        BodyAction::Continue => CONTINUE,
        BodyAction::Gather => STOP_AND_BUFFER,
        BodyAction::Hold => STOP,
    }
}

/// The trailers of a request are there, which end its body.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_request_trailers(stream: u32, _count: u32) -> u32 {
    const CONTINUE: u32 = 0;
    const STOP: u32 = 1;
    match stream::on_request_body(stream, Piece::Trailers) {
        BodyAction::Continue => CONTINUE,
        BodyAction::Gather | BodyAction::Hold => STOP,
    }
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

/// A call by HTTP has ended. Without headers there was no response.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_http_call_response(
    _root: u32,
    token: u32,
    headers: u32,
    body_size: u32,
    _trailers: u32,
) {
    let answer = match headers {
        0 => Answer::None,
        _ => Answer::Http(
            HeaderPairs::new(header_pairs(MapType::HttpCallResponseHeaders)),
            answer(BufferType::HttpCallResponseBody, body_size),
        ),
    };
    stream::on_answer(Token::Http(token), answer);
}

/// A call by gRPC was answered.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_grpc_receive(_root: u32, token: u32, size: u32) {
    let message = answer(BufferType::GrpcReceiveBuffer, size);
    stream::on_answer(Token::Grpc(token), Answer::Grpc(message));
}

/// A call by gRPC has failed.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_grpc_close(_root: u32, token: u32, _status: u32) {
    stream::on_answer(Token::Grpc(token), Answer::None);
}

/// A context ends.
#[unsafe(no_mangle)]
extern "C" fn meshgate_on_delete(context: u32) {
    match contexts::delete(context) {
        // SAFETY: takes any number. It would panic for a root context that does not exist, which this one does.
        Deleted::Root => unsafe { proxy_on_delete(context) },
        Deleted::Stream => body::forget(context),
    }
}

const OK: u32 = Status::Ok as u32;

/// The serialised headers of the request; empty if there are none.
pub(crate) fn request_headers() -> Vec<u8> {
    header_pairs(MapType::HttpRequestHeaders)
}

fn header_pairs(map: MapType) -> Vec<u8> {
    // SAFETY: the host writes a pointer and a size to two live variables, and nothing else.
    let pairs =
        returned(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) });
    pairs.unwrap_or_default()
}

/// Most bytes of an answer that are looked at.
const MOST_OF_ANSWER: u32 = 1 << 20;

/// What a service has sent. Of too much, there is nothing.
fn answer(buffer: BufferType, size: u32) -> Vec<u8> {
    match size {
        0..=MOST_OF_ANSWER => buffer_bytes(buffer, size as usize),
        _ => Vec::new(),
    }
}

/// The first bytes of what is there of the body of the request, `most` at most.
pub(crate) fn request_body(most: usize) -> Vec<u8> {
    buffer_bytes(BufferType::HttpRequestBody, most)
}

fn buffer_bytes(buffer: BufferType, most: usize) -> Vec<u8> {
    // SAFETY: the host writes a pointer and a size to two live variables.
    let bytes = returned(|data, returned_size| unsafe {
        proxy_get_buffer_bytes(buffer as u32, 0, most, data, returned_size)
    });
    bytes.unwrap_or_default()
}

/// Whether the request or the response has a header.
pub(crate) fn has_header(map: MapType, name: &[u8]) -> bool {
    let mut data: *mut u8 = null_mut();
    let mut size = 0;
    // SAFETY: the host reads the name, which lives during the call, and writes a pointer and a size to two live variables.
    let status = unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), &mut data, &mut size)
    };
    take(status, data, size);
    status == OK
}

/// Calls a service by HTTP. Returns the token of the call, unless it fails at once.
pub(crate) fn http_call(
    cluster: &[u8],
    headers: &[(&[u8], &[u8])],
    body: &[u8],
    milliseconds: u32,
) -> Option<Token> {
    let mut pairs = Vec::new();
    encode_pairs(headers, &mut pairs);
    let mut none = Vec::new();
    encode_pairs(&[], &mut none);
    let mut token = 0;
    // SAFETY: the host reads slices that live during the call, and writes a number to a live variable.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            pairs.as_ptr(),
            pairs.len(),
            body.as_ptr(),
            body.len(),
            none.as_ptr(),
            none.len(),
            milliseconds,
            &mut token,
        )
    };
    (status == OK).then_some(Token::Http(token))
}

/// Calls a method of a gRPC service; `target` is a message that says where it is. Returns the token of the call, unless it fails at once.
pub(crate) fn grpc_call(
    target: &[u8],
    service: &[u8],
    method: &[u8],
    message: &[u8],
    milliseconds: u32,
) -> Option<Token> {
    let mut none = Vec::new();
    encode_pairs(&[], &mut none);
    let mut token = 0;
    // SAFETY: the host reads slices that live during the call, and writes a number to a live variable.
    let status = unsafe {
        proxy_grpc_call(
            target.as_ptr(),
            target.len(),
            service.as_ptr(),
            service.len(),
            method.as_ptr(),
            method.len(),
            none.as_ptr(),
            none.len(),
            message.as_ptr(),
            message.len(),
            milliseconds,
            &mut token,
        )
    };
    (status == OK).then_some(Token::Grpc(token))
}

/// A value that all workers share, and its version.
pub(crate) fn shared_data(key: &[u8]) -> Option<(Vec<u8>, u32)> {
    let mut version = 0;
    // SAFETY: the host reads the key, which lives during the call, and writes to live variables.
    let value = returned(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut version)
    });
    value.map(|value| (value, version))
}

/// Changes a value that all workers share. `false` if it has not the version any more; version 0 stands for any.
pub(crate) fn set_shared_data(key: &[u8], value: &[u8], version: u32) -> bool {
    // SAFETY: the host reads two slices that live during the call.
    let status = unsafe {
        proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            version,
        )
    };
    status == OK
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
    take(status, data, size)
}

/// Takes over memory that the host has allocated in this module.
fn take(status: u32, data: *mut u8, size: usize) -> Option<Vec<u8>> {
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

/// The program that is part of the module, if one was packaged with it.
pub(crate) fn packaged_program() -> Option<Vec<u8>> {
    // SAFETY: the function takes nothing and touches no memory.
    let size = unsafe { meshgate_packaged_size() };
    if size == 0 {
        return None;
    }
    let mut program = vec![0; size];
    // SAFETY: the function writes as many bytes as the other one says, to a live vector of so many bytes.
    unsafe { meshgate_packaged_copy(program.as_mut_ptr()) };
    Some(program)
}

/// Random bytes of the operating system.
pub(crate) fn random_seed() -> u64 {
    let mut seed = [0; 8];
    // SAFETY: the host writes 8 bytes to a live array of 8 bytes.
    unsafe { random_get(seed.as_mut_ptr(), seed.len()) };
    u64::from_le_bytes(seed)
}
