//! The state behind the host calls of one VM.

use std::collections::BTreeMap;

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use super::abi::{LogLevel, MapType, Status};
use super::call::Calls;
use super::headers::Headers;
use super::local_reply::SentReply;
use super::store::{Metrics, SharedData, SharedQueues};

/// The time at which everything begins, in nanoseconds of the Unix epoch (2026-01-01).
pub(super) const NOW: u64 = 1_767_225_600_000_000_000;

/// Envoy gives a VM no more linear memory than this.
const MEMORY_LIMIT: usize = 1 << 30;

/// A line that the guest wrote to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Severity.
    pub level: LogLevel,
    /// Text, as the guest wrote it.
    pub message: String,
}

/// Everything the host calls of one VM read and write.
pub(super) struct Host {
    pub(super) limits: StoreLimits,
    /// The context on whose behalf the guest runs.
    pub(super) context: u32,
    pub(super) plugin_configuration: Vec<u8>,
    pub(super) roots: BTreeMap<u32, Root>,
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) logs: Vec<LogLine>,
    pub(super) metrics: Metrics,
    pub(super) shared_data: SharedData,
    pub(super) queues: SharedQueues,
    /// Calls to services.
    pub(super) services: Calls,
    /// Host calls by name since the start of the current operation.
    pub(super) calls: BTreeMap<&'static str, u32>,
    /// The time, in nanoseconds of the Unix epoch.
    pub(super) now: u64,
    random: u64,
}

/// A root context: one plugin configuration.
#[derive(Debug, Default)]
pub(super) struct Root {
    /// Whether a newer configuration has taken over, so that this one ends with its last stream.
    pub(super) replaced: bool,
    /// Its timer, if it is on.
    pub(super) timer: Option<Timer>,
}

/// The timer of a root context; in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub(super) period: u64,
    /// When it runs out next.
    pub(super) due: u64,
}

/// The phases of a stream; each has its own header map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Request,
    Response,
    Log,
}

/// A request and its response.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) root: u32,
    pub(super) phase: Phase,
    pub(super) request: Headers,
    pub(super) response: Headers,
    pub(super) properties: BTreeMap<String, Vec<u8>>,
    pub(super) sent_reply: Option<SentReply>,
    /// Whether the guest let its request go on after a pause.
    pub(super) continued: bool,
    pub(super) body: RequestBody,
}

/// The body of a request, as far as the guest gets it.
#[derive(Debug, Default)]
pub(super) struct RequestBody {
    /// Whether it gets it at all.
    pub(super) is_heard: bool,
    /// Whether the next piece is put after the last one.
    pub(super) is_gathered: bool,
    /// What the guest can read of it.
    pub(super) bytes: Vec<u8>,
}

impl Host {
    pub(super) fn new() -> Host {
        Host {
            limits: StoreLimitsBuilder::new().memory_size(MEMORY_LIMIT).build(),
            context: 0,
            plugin_configuration: Vec::new(),
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            logs: Vec::new(),
            metrics: Metrics::default(),
            shared_data: SharedData::default(),
            queues: SharedQueues::default(),
            services: Calls::default(),
            calls: BTreeMap::new(),
            now: NOW,
            random: 0,
        }
    }

    /// The next number of a fixed sequence (splitmix64): well mixed, and the same in every run.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The stream on whose behalf the guest runs, if it does not run on behalf of a root context.
    pub(super) fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.context)
    }

    /// The root context on whose behalf the guest runs, be it for one of its streams.
    pub(super) fn root(&self) -> u32 {
        self.streams
            .get(&self.context)
            .map_or(self.context, |stream| stream.root)
    }

    /// The header map, if the phase of the stream allows to read it.
    pub(super) fn map(&mut self, map: MapType) -> Option<&Headers> {
        if map == MapType::CallHeaders {
            return self.services.answer.as_ref().map(|answer| &answer.headers);
        }
        let stream = self.stream()?;
        match (map, stream.phase) {
            (MapType::RequestHeaders, Phase::Request | Phase::Log) => Some(&stream.request),
            (MapType::ResponseHeaders, Phase::Response | Phase::Log) => Some(&stream.response),
            _ => None,
        }
    }

    /// The header map, if the phase of the stream allows to change it.
    pub(super) fn map_mut(&mut self, map: MapType) -> Result<&mut Headers, Status> {
        let stream = self.stream().ok_or(Status::BadArgument)?;
        match (map, stream.phase) {
            (MapType::RequestHeaders, Phase::Request) => Ok(&mut stream.request),
            (MapType::ResponseHeaders, Phase::Response) => Ok(&mut stream.response),
            _ => Err(Status::BadArgument),
        }
    }
}
