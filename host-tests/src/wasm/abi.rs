//! The numbers and layouts of the proxy-wasm ABI 0.2.1.

use super::headers::Headers;

/// What a host call answers. Values the host never gives are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    ParseFailure = 4,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
}

/// The header maps the host knows. The ABI has more (trailers, metadata), which are never there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapType {
    RequestHeaders,
    ResponseHeaders,
    /// Of the answer to a call by HTTP.
    CallHeaders,
    Absent,
}

impl MapType {
    pub(super) fn from_abi(number: u32) -> Result<MapType, Status> {
        match number {
            0 => Ok(MapType::RequestHeaders),
            2 => Ok(MapType::ResponseHeaders),
            6 => Ok(MapType::CallHeaders),
            1 | 3..=5 | 7 => Ok(MapType::Absent),
            _ => Err(Status::BadArgument),
        }
    }
}

/// Buffer number of the body of a request.
pub(super) const BUFFER_REQUEST_BODY: u32 = 0;
/// Buffer number of the body of the answer to a call by HTTP.
pub(super) const BUFFER_HTTP_CALL_BODY: u32 = 4;
/// Buffer number of the message that answers a call by gRPC.
pub(super) const BUFFER_GRPC_MESSAGE: u32 = 5;
/// Buffer number of the VM configuration, which is always empty here.
pub(super) const BUFFER_VM_CONFIGURATION: u32 = 6;
/// Buffer number of the plugin configuration.
pub(super) const BUFFER_PLUGIN_CONFIGURATION: u32 = 7;

/// What a headers callback answers to let the stream go on; everything else pauses it.
pub(super) const ACTION_CONTINUE: u32 = 0;
/// What it answers to get the body of a request that it pauses.
pub(super) const ACTION_STOP_HEADERS: u32 = 1;
/// What a body callback answers to get the piece again, with the next one after it.
pub(super) const ACTION_GATHER: u32 = 1;

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Finest detail.
    Trace,
    /// For developers.
    Debug,
    /// Normal events; Envoy's default level.
    Info,
    /// Something that needs attention.
    Warn,
    /// Something that failed.
    Error,
    /// Something that stops the filter.
    Critical,
}

impl LogLevel {
    pub(super) fn from_abi(number: u32) -> Result<LogLevel, Status> {
        Ok(match number {
            0 => LogLevel::Trace,
            1 => LogLevel::Debug,
            2 => LogLevel::Info,
            3 => LogLevel::Warn,
            4 => LogLevel::Error,
            5 => LogLevel::Critical,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Takes any value.
    Gauge,
    /// Collects samples.
    Histogram,
}

impl MetricKind {
    pub(super) fn from_abi(number: u32) -> Result<MetricKind, Status> {
        Ok(match number {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// Serialises header pairs: a count, the lengths of every name and value, then the names and values, each ended by a zero
/// byte. Numbers are little-endian `u32`.
pub(super) fn encode_pairs<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let count = u32::try_from(pairs.clone().count()).unwrap_or(u32::MAX);
    let mut out = count.to_le_bytes().to_vec();
    for (name, value) in pairs.clone() {
        out.extend(length(name));
        out.extend(length(value));
    }
    for (name, value) in pairs {
        out.extend(name);
        out.push(0);
        out.extend(value);
        out.push(0);
    }
    out
}

/// Parses what [`encode_pairs`] writes; an empty buffer holds no pairs.
pub(super) fn decode_pairs(bytes: &[u8]) -> Result<Headers, Status> {
    if bytes.is_empty() {
        return Ok(Headers::new());
    }
    decode_some_pairs(bytes).ok_or(Status::BadArgument)
}

fn decode_some_pairs(bytes: &[u8]) -> Option<Headers> {
    let (count, rest) = split_number(bytes)?;
    let (mut lengths, mut data) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut headers = Headers::new();
    while !lengths.is_empty() {
        let (name_length, rest) = split_number(lengths)?;
        let (value_length, rest) = split_number(rest)?;
        lengths = rest;
        let name = take_terminated(&mut data, name_length)?;
        let value = take_terminated(&mut data, value_length)?;
        headers.add(name, value);
    }
    Some(headers)
}

fn split_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn take_terminated<'a>(data: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = data.split_at_checked(length)?;
    let (0, rest) = rest.split_first()? else {
        return None;
    };
    *data = rest;
    Some(bytes)
}
