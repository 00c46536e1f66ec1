//! The host calls of proxy-wasm ABI 0.2.1.
//!
//! Calls to clusters that a test has not added are answered as Envoy does for a cluster that it does not know. Those to others
//! wait until the test answers them, for as long as it takes.

use wasmtime::{Caller, Linker};

use super::abi::{self, LogLevel, MapType, MetricKind, Status};
use super::call::{self, Question};
use super::guest::{Answer, Failure, Guest, Slice};
use super::headers::Headers;
use super::local_reply::SentReply;
use super::state::{Host, LogLine, Phase, Timer};

macro_rules! host_calls {
    ($linker:ident: $($name:literal ($($argument:ident: $type:ty),*) $call:expr;)*) => {
        $(
            $linker.func_wrap("env", $name, |caller: Caller<'_, Host>, $($argument: $type),*| {
                answer($call(&mut Guest::new(caller, $name), $($argument),*))
            })?;
        )*
    };
}

fn answer(answer: Answer) -> wasmtime::Result<u32> {
    match answer {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Failure::Status(status)) => Ok(status as u32),
        Err(Failure::Trap(error)) => Err(error),
    }
}

/// Adds every host call of the ABI to the linker.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    host_calls! { linker:
        "proxy_log"(level: u32, data: u32, size: u32) log;
        "proxy_get_log_level"(result: u32) |guest: &mut Guest<'_>, result| number(guest, result, LogLevel::Info as u32);
        "proxy_get_current_time_nanoseconds"(result: u32)
            |guest: &mut Guest<'_>, result| {
                let now = guest.host().now;
                Ok(guest.write_u64(result, now)?)
            };
        "proxy_set_tick_period_milliseconds"(period: u32) set_tick_period;
        "proxy_set_effective_context"(context: u32) set_effective_context;
        "proxy_done"() |_: &mut Guest<'_>| Ok(());

        "proxy_get_buffer_bytes"(buffer: u32, start: u32, size: u32, data: u32, length: u32) get_buffer_bytes;
        "proxy_set_buffer_bytes"(_buffer: u32, _start: u32, _size: u32, _data: u32, _length: u32)
            |_: &mut Guest<'_>, _, _, _, _, _| not_found();
        "proxy_get_header_map_pairs"(map: u32, data: u32, size: u32) get_header_map_pairs;
        "proxy_set_header_map_pairs"(map: u32, data: u32, size: u32) set_header_map_pairs;
        "proxy_get_header_map_value"(map: u32, key: u32, key_size: u32, data: u32, size: u32) get_header_map_value;
        "proxy_add_header_map_value"(map: u32, key: u32, key_size: u32, data: u32, size: u32)
            |guest: &mut Guest<'_>, map, key, key_size, data, size| {
                change_header(guest, map, slice(key, key_size), slice(data, size), |map, name, value| map.add(name, value))
            };
        "proxy_replace_header_map_value"(map: u32, key: u32, key_size: u32, data: u32, size: u32)
            |guest: &mut Guest<'_>, map, key, key_size, data, size| {
                change_header(guest, map, slice(key, key_size), slice(data, size), |map, name, value| map.replace(name, value))
            };
        "proxy_remove_header_map_value"(map: u32, key: u32, key_size: u32)
            |guest: &mut Guest<'_>, map, key, key_size| {
                change_header(guest, map, slice(key, key_size), slice(0, 0), |map, name, _| map.remove(name))
            };

        "proxy_get_property"(path: u32, path_size: u32, data: u32, size: u32) get_property;
        "proxy_set_property"(path: u32, path_size: u32, data: u32, size: u32) set_property;
        "proxy_send_local_response"(
            status: u32, details: u32, details_size: u32, body: u32, body_size: u32, headers: u32, headers_size: u32,
            grpc_status: i32
        ) send_local_response;
        "proxy_continue_stream"(_stream: u32) |guest: &mut Guest<'_>, _| {
            let stream = guest.host().stream().ok_or(Status::BadArgument)?;
            stream.continued = true;
            Ok(())
        };
        // Streams of this host are closed by the test that drives them.
        "proxy_close_stream"(_stream: u32) |_: &mut Guest<'_>, _| Ok(());
        "proxy_call_foreign_function"(
            name: u32, name_size: u32, _arguments: u32, _arguments_size: u32, data: u32, size: u32
        ) call_foreign_function;

        "proxy_define_metric"(kind: u32, name: u32, name_size: u32, result: u32) define_metric;
        "proxy_increment_metric"(metric: u32, offset: i64)
            |guest: &mut Guest<'_>, metric, offset| Ok(guest.host().metrics.increment(metric, offset)?);
        "proxy_record_metric"(metric: u32, value: u64)
            |guest: &mut Guest<'_>, metric, value| Ok(guest.host().metrics.record(metric, value)?);
        "proxy_get_metric"(metric: u32, result: u32) get_metric;

        "proxy_get_shared_data"(key: u32, key_size: u32, data: u32, size: u32, cas: u32) get_shared_data;
        "proxy_set_shared_data"(key: u32, key_size: u32, data: u32, size: u32, cas: u32) set_shared_data;
        "proxy_register_shared_queue"(name: u32, name_size: u32, result: u32) register_shared_queue;
        "proxy_resolve_shared_queue"(_vm: u32, _vm_size: u32, name: u32, name_size: u32, result: u32)
            resolve_shared_queue;
        "proxy_enqueue_shared_queue"(queue: u32, data: u32, size: u32) enqueue_shared_queue;
        "proxy_dequeue_shared_queue"(queue: u32, data: u32, size: u32) dequeue_shared_queue;

        "proxy_http_call"(
            upstream: u32, upstream_size: u32, headers: u32, headers_size: u32, body: u32, body_size: u32,
            _trailers: u32, _trailers_size: u32, _timeout: u32, token: u32
        ) |guest: &mut Guest<'_>, upstream, upstream_size, headers, headers_size, body, body_size, _, _, _, token| {
            let slices = [slice(upstream, upstream_size), slice(headers, headers_size), slice(body, body_size)];
            http_call(guest, slices, token)
        };
        "proxy_grpc_call"(
            upstream: u32, upstream_size: u32, service: u32, service_size: u32, method: u32, method_size: u32,
            _metadata: u32, _metadata_size: u32, message: u32, message_size: u32, _timeout: u32, token: u32
        ) |guest: &mut Guest<'_>, upstream, upstream_size, service, service_size, method, method_size, _, _,
           message, message_size, _, token| {
            let slices = [
                slice(upstream, upstream_size), slice(service, service_size), slice(method, method_size),
                slice(message, message_size),
            ];
            grpc_call(guest, slices, token)
        };
        "proxy_grpc_stream"(
            _upstream: u32, _upstream_size: u32, _service: u32, _service_size: u32, _method: u32, _method_size: u32,
            _metadata: u32, _metadata_size: u32, _token: u32
        ) |_: &mut Guest<'_>, _, _, _, _, _, _, _, _, _| Err(Status::ParseFailure.into());
        "proxy_grpc_send"(_token: u32, _message: u32, _message_size: u32, _end_of_stream: u32)
            |_: &mut Guest<'_>, _, _, _, _| not_found();
        "proxy_grpc_cancel"(_token: u32) |_: &mut Guest<'_>, _| not_found();
        "proxy_grpc_close"(_token: u32) |_: &mut Guest<'_>, _| not_found();
        "proxy_get_status"(_code: u32, _message: u32, _message_size: u32)
            |_: &mut Guest<'_>, _, _, _| not_found();
    }
    Ok(())
}

fn slice(pointer: u32, length: u32) -> Slice {
    Slice { pointer, length }
}

fn not_found() -> Answer {
    Err(Status::NotFound.into())
}

fn number(guest: &mut Guest<'_>, result: u32, number: u32) -> Answer {
    Ok(guest.write_u32(result, number)?)
}

fn http_call(guest: &mut Guest<'_>, [cluster, headers, body]: [Slice; 3], token: u32) -> Answer {
    let cluster = guest.read_text(cluster)?;
    let headers = abi::decode_pairs(&guest.read(headers)?)?;
    let question = Question::Http(headers, guest.read(body)?);
    let begun = begin_call(guest, cluster, question);
    number(guest, token, begun.ok_or(Status::BadArgument)?)
}

fn grpc_call(
    guest: &mut Guest<'_>,
    [target, service, method, message]: [Slice; 4],
    token: u32,
) -> Answer {
    let cluster = call::grpc_cluster(&guest.read(target)?)?;
    let path = format!(
        "/{}/{}",
        guest.read_text(service)?,
        guest.read_text(method)?
    );
    let question = Question::Grpc(path, guest.read(message)?);
    let begun = begin_call(guest, cluster, question);
    number(guest, token, begun.ok_or(Status::ParseFailure)?)
}

fn begin_call(guest: &mut Guest<'_>, cluster: String, question: Question) -> Option<u32> {
    let host = guest.host();
    let root = host.root();
    host.services.begin(root, cluster, question)
}

fn log(guest: &mut Guest<'_>, level: u32, data: u32, size: u32) -> Answer {
    let level = LogLevel::from_abi(level)?;
    let message = guest.read_text(slice(data, size))?;
    guest.host().logs.push(LogLine { level, message });
    Ok(())
}

fn set_effective_context(guest: &mut Guest<'_>, context: u32) -> Answer {
    let host = guest.host();
    if !(host.streams.contains_key(&context) || host.roots.contains_key(&context)) {
        return Err(Status::BadArgument.into());
    }
    host.context = context;
    Ok(())
}

fn set_tick_period(guest: &mut Guest<'_>, period: u32) -> Answer {
    let host = guest.host();
    let (root, now) = (host.root(), host.now);
    let root = host.roots.get_mut(&root).ok_or(Status::BadArgument)?;
    let period = u64::from(period) * 1_000_000;
    root.timer = (period > 0).then(|| Timer {
        period,
        due: now.saturating_add(period),
    });
    Ok(())
}

fn get_buffer_bytes(
    guest: &mut Guest<'_>,
    buffer: u32,
    start: u32,
    size: u32,
    data: u32,
    length: u32,
) -> Answer {
    let host = guest.host();
    let whole: &[u8] = match buffer {
        abi::BUFFER_REQUEST_BODY => match host.streams.get(&host.context) {
            Some(stream) => &stream.body.bytes,
            None => return not_found(),
        },
        abi::BUFFER_HTTP_CALL_BODY | abi::BUFFER_GRPC_MESSAGE => match &host.services.answer {
            Some(answer) => &answer.body,
            None => return not_found(),
        },
        abi::BUFFER_VM_CONFIGURATION => &[],
        abi::BUFFER_PLUGIN_CONFIGURATION => &host.plugin_configuration,
        _ => return not_found(),
    };
    let start = usize::try_from(start)
        .unwrap_or(usize::MAX)
        .min(whole.len());
    let end = start
        .saturating_add(usize::try_from(size).unwrap_or(usize::MAX))
        .min(whole.len());
    let bytes = whole.get(start..end).unwrap_or_default().to_vec();
    guest.give(&bytes, data, length)
}

/// The name under which a map keeps a header: Envoy has the `host` header of a request as `:authority`.
fn canonical(map: MapType, name: Vec<u8>) -> Vec<u8> {
    if map == MapType::RequestHeaders && name.eq_ignore_ascii_case(b"host") {
        b":authority".to_vec()
    } else {
        name
    }
}

fn get_header_map_pairs(guest: &mut Guest<'_>, map: u32, data: u32, size: u32) -> Answer {
    let map = MapType::from_abi(map)?;
    let pairs = guest
        .host()
        .map(map)
        .map(|headers| abi::encode_pairs(headers.iter()))
        .unwrap_or_default();
    guest.give(&pairs, data, size)
}

fn set_header_map_pairs(guest: &mut Guest<'_>, map: u32, data: u32, size: u32) -> Answer {
    let map = MapType::from_abi(map)?;
    let headers = abi::decode_pairs(&guest.read(slice(data, size))?)?;
    *guest.host().map_mut(map)? = headers
        .iter()
        .map(|(name, value)| (canonical(map, name.to_vec()), value))
        .collect();
    Ok(())
}

fn get_header_map_value(
    guest: &mut Guest<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    data: u32,
    size: u32,
) -> Answer {
    let map = MapType::from_abi(map)?;
    let name = canonical(map, guest.read(slice(key, key_size))?);
    let headers = guest.host().map(map).ok_or(Status::BadArgument)?;
    let value = headers.get(name).ok_or(Status::NotFound)?.to_vec();
    guest.give(&value, data, size)
}

fn change_header(
    guest: &mut Guest<'_>,
    map: u32,
    name: Slice,
    value: Slice,
    change: fn(&mut Headers, Vec<u8>, Vec<u8>),
) -> Answer {
    let map = MapType::from_abi(map)?;
    let name = canonical(map, guest.read(name)?);
    let value = guest.read(value)?;
    change(guest.host().map_mut(map)?, name, value);
    Ok(())
}

/// A property path with dots in place of the zero bytes between its parts.
fn property_path(guest: &mut Guest<'_>, path: Slice) -> Result<String, Status> {
    Ok(guest.read_text(path)?.replace('\0', "."))
}

fn get_property(guest: &mut Guest<'_>, path: u32, path_size: u32, data: u32, size: u32) -> Answer {
    let path = property_path(guest, slice(path, path_size))?;
    let stream = guest.host().stream().ok_or(Status::NotFound)?;
    let value = stream
        .properties
        .get(&path)
        .ok_or(Status::NotFound)?
        .clone();
    guest.give(&value, data, size)
}

fn set_property(guest: &mut Guest<'_>, path: u32, path_size: u32, data: u32, size: u32) -> Answer {
    let path = property_path(guest, slice(path, path_size))?;
    let value = guest.read(slice(data, size))?;
    let stream = guest.host().stream().ok_or(Status::NotFound)?;
    stream.properties.insert(path, value);
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the signature is the ABI's")]
fn send_local_response(
    guest: &mut Guest<'_>,
    status: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc_status: i32,
) -> Answer {
    let reply = SentReply {
        status,
        details: guest.read_text(slice(details, details_size))?,
        headers: abi::decode_pairs(&guest.read(slice(headers, headers_size))?)?,
        body: guest.read(slice(body, body_size))?,
        grpc_status,
    };
    let stream = guest.host().stream().ok_or(Status::BadArgument)?;
    if stream.phase == Phase::Log {
        return Err(Status::BadArgument.into());
    }
    // Of several replies the first counts.
    stream.sent_reply.get_or_insert(reply);
    Ok(())
}

fn call_foreign_function(
    guest: &mut Guest<'_>,
    name: u32,
    name_size: u32,
    _arguments: u32,
    _arguments_size: u32,
    data: u32,
    size: u32,
) -> Answer {
    match guest.read(slice(name, name_size))?.as_slice() {
        // There is no route to forget here.
        b"clear_route_cache" => guest.give(&[], data, size),
        _ => not_found(),
    }
}

fn define_metric(
    guest: &mut Guest<'_>,
    kind: u32,
    name: u32,
    name_size: u32,
    result: u32,
) -> Answer {
    let kind = MetricKind::from_abi(kind)?;
    let name = guest.read_text(slice(name, name_size))?;
    let metric = guest.host().metrics.define(kind, name);
    number(guest, result, metric)
}

fn get_metric(guest: &mut Guest<'_>, metric: u32, result: u32) -> Answer {
    let value = guest.host().metrics.get(metric)?;
    Ok(guest.write_u64(result, value)?)
}

fn get_shared_data(
    guest: &mut Guest<'_>,
    key: u32,
    key_size: u32,
    data: u32,
    size: u32,
    cas: u32,
) -> Answer {
    let key = guest.read(slice(key, key_size))?;
    let (value, current) = guest.host().shared_data.get(&key)?;
    guest.write_u32(cas, current)?;
    guest.give(&value, data, size)
}

fn set_shared_data(
    guest: &mut Guest<'_>,
    key: u32,
    key_size: u32,
    data: u32,
    size: u32,
    cas: u32,
) -> Answer {
    let key = guest.read(slice(key, key_size))?;
    let value = guest.read(slice(data, size))?;
    Ok(guest.host().shared_data.set(key, value, cas)?)
}

fn register_shared_queue(guest: &mut Guest<'_>, name: u32, name_size: u32, result: u32) -> Answer {
    let name = guest.read(slice(name, name_size))?;
    let host = guest.host();
    let root = host.root();
    let queue = host.queues.register(name, root);
    number(guest, result, queue)
}

fn resolve_shared_queue(
    guest: &mut Guest<'_>,
    _vm: u32,
    _vm_size: u32,
    name: u32,
    name_size: u32,
    result: u32,
) -> Answer {
    let name = guest.read(slice(name, name_size))?;
    let queue = guest.host().queues.resolve(&name)?;
    number(guest, result, queue)
}

fn enqueue_shared_queue(guest: &mut Guest<'_>, queue: u32, data: u32, size: u32) -> Answer {
    let message = guest.read(slice(data, size))?;
    Ok(guest.host().queues.enqueue(queue, message)?)
}

fn dequeue_shared_queue(guest: &mut Guest<'_>, queue: u32, data: u32, size: u32) -> Answer {
    let message = guest.host().queues.dequeue(queue)?;
    guest.give(&message, data, size)
}
