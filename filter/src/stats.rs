//! What is counted about requests.
//!
//! A metric has its labels in its name, in the form in which Istio's proxies make labels of them:
//! `virtual_host=.=shop.www;.;outcome=.=forwarded;.;meshgate.requests`. A metric is defined when it is first needed, so that
//! there are no series of what does not happen.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Write;

use meshgate_engine::Program;
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use serde::Deserialize;

/// Most series of one program. What is beyond them is counted in series called `other`.
const MOST_SERIES: u32 = 1_000;
/// Most metrics of all programs that a VM has had: a host keeps those of earlier programs.
const MOST_METRICS: usize = 10_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Forwarded,
    /// It goes on as it came.
    Unclaimed,
    Redirected,
    DirectResponse,
    Rejected,
    NotFound,
    NoProgram,
}

impl Outcome {
    const COUNT: usize = 7;

    /// Its name, in metrics and explanations.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Outcome::Forwarded => "forwarded",
            Outcome::Unclaimed => "unclaimed",
            Outcome::Redirected => "redirected",
            Outcome::DirectResponse => "direct_response",
            Outcome::Rejected => "rejected",
            Outcome::NotFound => "not_found",
            Outcome::NoProgram => "no_program",
        }
    }
}

/// What is counted only if it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Extra {
    /// Requests by route.
    Route,
    /// Times from the headers of a request to those of its response.
    Duration,
}

/// The metrics of one program.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    extras: Vec<Extra>,
    /// By one more than the number of the virtual host's name in the program; 0 for requests without one.
    hosts: Table<Vec<u16>>,
    /// By the full name of the route.
    routes: Table<HashMap<Vec<u8>, u16>>,
    /// How many series more there may be.
    left: Left,
    would_refuse: u32,
}

#[derive(Debug)]
struct Left(Cell<u32>);

impl Default for Left {
    fn default() -> Left {
        Left(Cell::new(MOST_SERIES))
    }
}

/// Series by what they are about, and those for what is beyond the limit.
#[derive(Debug, Default)]
struct Table<P> {
    known: RefCell<Known<P>>,
    other: Cell<Series>,
}

/// Series that are defined, some of their metrics at least.
#[derive(Debug, Default)]
struct Known<P> {
    /// One more than the place in `series`; 0 stands for none.
    places: P,
    series: Vec<Series>,
}

/// Places by key.
trait Places<K: ?Sized> {
    fn get(&self, key: &K) -> u16;
    fn set(&mut self, key: &K, place: u16);
}

impl Places<usize> for Vec<u16> {
    fn get(&self, key: &usize) -> u16 {
        <[u16]>::get(self, *key).copied().unwrap_or_default()
    }

    fn set(&mut self, key: &usize, place: u16) {
        if self.len() <= *key {
            self.resize(*key + 1, 0);
        }
        if let Some(slot) = self.get_mut(*key) {
            *slot = place;
        }
    }
}

impl Places<[u8]> for HashMap<Vec<u8>, u16> {
    fn get(&self, key: &[u8]) -> u16 {
        HashMap::get(self, key).copied().unwrap_or_default()
    }

    fn set(&mut self, key: &[u8], place: u16) {
        self.insert(key.to_vec(), place);
    }
}

/// Metrics by [`Outcome`], and the histogram of times. Those that are zero are not defined yet.
type Series = [u32; Outcome::COUNT + 1];
const DURATION: usize = Outcome::COUNT;

/// What a request is counted under.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject<'a> {
    /// Number of the virtual host's name in a program.
    pub(crate) host: Option<(u32, &'a Program)>,
    /// Full name of the route; empty if there is none, or if it is not asked for.
    pub(crate) route: &'a [u8],
}

impl Subject<'_> {
    fn host_key(&self) -> usize {
        self.host.map_or(0, |(host, _)| host as usize + 1)
    }
}

impl Stats {
    pub(crate) fn new(extras: Vec<Extra>) -> Stats {
        Stats {
            extras,
            would_refuse: define(MetricType::Counter, "meshgate.would_refuse"),
            ..Stats::default()
        }
    }

    /// Tells which program serves: a gauge that has its number.
    pub(crate) fn set_generation(&self, number: u64) {
        let gauge = define(MetricType::Gauge, "meshgate.generation");
        let _ = hostcalls::record_metric(gauge, number);
    }

    pub(crate) fn wants(&self, extra: Extra) -> bool {
        self.extras.contains(&extra)
    }

    /// Counts a request that a policy would have refused if it were enforced.
    #[cold]
    pub(crate) fn count_would_refuse(&self) {
        increment(self.would_refuse);
    }

    /// Counts one request.
    pub(crate) fn count(&self, subject: &Subject<'_>, outcome: Outcome) {
        let at = outcome as usize;
        let host = self.hosts.known(&subject.host_key(), at);
        increment(host.unwrap_or_else(|| self.of_host(subject, at)));
        if !subject.route.is_empty() && self.wants(Extra::Route) {
            let route = self.routes.known(subject.route, at);
            increment(route.unwrap_or_else(|| self.of_route(subject, at)));
        }
    }

    /// The histogram for the time that a request takes, by its route if those are asked for.
    #[cold]
    pub(crate) fn durations(&self, subject: &Subject<'_>) -> u32 {
        match subject.route.is_empty() || !self.wants(Extra::Route) {
            true => self.of_host(subject, DURATION),
            false => self.of_route(subject, DURATION),
        }
    }

    /// Adds a time, in milliseconds, to a histogram.
    #[cold]
    pub(crate) fn record(histogram: u32, milliseconds: u64) {
        // What the host could not define stays empty.
        let _ = hostcalls::record_metric(histogram, milliseconds);
    }

    #[cold]
    fn of_host(&self, subject: &Subject<'_>, at: usize) -> u32 {
        self.hosts
            .metric(&subject.host_key(), at, &self.left.0, |is_other| {
                let host = match (is_other, subject.host) {
                    (true, _) => b"other",
                    (false, Some((host, program))) => program.root_name(host),
                    (false, None) => b"",
                };
                Described {
                    label: "virtual_host",
                    value: host,
                    counter: "meshgate.requests",
                    histogram: "meshgate.duration_ms",
                }
            })
    }

    #[cold]
    fn of_route(&self, subject: &Subject<'_>, at: usize) -> u32 {
        self.routes
            .metric(subject.route, at, &self.left.0, |is_other| Described {
                label: "route",
                value: match is_other {
                    true => b"other",
                    false => subject.route,
                },
                counter: "meshgate.route_requests",
                histogram: "meshgate.route_duration_ms",
            })
    }
}

/// What a series is called.
struct Described<'a> {
    label: &'static str,
    value: &'a [u8],
    counter: &'static str,
    histogram: &'static str,
}

impl<P> Table<P> {
    /// A metric that has been defined already.
    #[inline]
    fn known<K: ?Sized>(&self, key: &K, at: usize) -> Option<u32>
    where
        P: Places<K>,
    {
        let known = self.known.borrow();
        let place = usize::from(known.places.get(key)).checked_sub(1)?;
        let metric = *known.series.get(place)?.get(at)?;
        (metric != 0).then_some(metric)
    }

    /// A metric, which is defined if it has to be. Beyond the limit it is that of all others.
    fn metric<'a, K: ?Sized>(
        &self,
        key: &K,
        at: usize,
        left: &Cell<u32>,
        describe: impl Fn(bool) -> Described<'a>,
    ) -> u32
    where
        P: Places<K>,
    {
        if let Some(known) = self.known(key, at) {
            return known;
        }
        if let Some(fewer) = left.get().checked_sub(1)
            && DEFINED.with_borrow(HashMap::len) < MOST_METRICS
        {
            let metric = define_series(at, describe(false));
            if metric != 0 {
                left.set(fewer);
                self.set(key, at, metric);
                return metric;
            }
        }
        let mut other = self.other.get();
        let metric = other.get_mut(at).map_or(0, |metric| {
            if *metric == 0 {
                *metric = define_series(at, describe(true));
            }
            *metric
        });
        self.other.set(other);
        metric
    }

    fn set<K: ?Sized>(&self, key: &K, at: usize, metric: u32)
    where
        P: Places<K>,
    {
        let Known { places, series } = &mut *self.known.borrow_mut();
        if places.get(key) == 0 {
            series.push(Series::default());
            // There are no more than MOST_SERIES.
            places.set(key, u16::try_from(series.len()).unwrap_or_default());
        }
        let place = usize::from(places.get(key)).checked_sub(1);
        if let Some(series) = place.and_then(|place| series.get_mut(place))
            && let Some(slot) = series.get_mut(at)
        {
            *slot = metric;
        }
    }
}

fn define_series(at: usize, described: Described<'_>) -> u32 {
    let mut name = String::new();
    if !described.value.is_empty() {
        append_label(described.label, described.value, &mut name);
    }
    const OUTCOMES: [Outcome; Outcome::COUNT] = [
        Outcome::Forwarded,
        Outcome::Unclaimed,
        Outcome::Redirected,
        Outcome::DirectResponse,
        Outcome::Rejected,
        Outcome::NotFound,
        Outcome::NoProgram,
    ];
    match OUTCOMES.get(at) {
        Some(outcome) => {
            append_label("outcome", outcome.name().as_bytes(), &mut name);
            name.push_str(described.counter);
            define(MetricType::Counter, &name)
        }
        None => {
            name.push_str(described.histogram);
            define(MetricType::Histogram, &name)
        }
    }
}

/// Appends a label. What would end its value, and what no reader of metrics expects, becomes `_`.
fn append_label(label: &str, value: &[u8], name: &mut String) {
    let plain = |byte: &u8| match byte {
        b';' | b'=' | b'"' | b'\\' => '_',
        byte if byte.is_ascii_graphic() => char::from(*byte),
        _ => '_',
    };
    let value: String = value.iter().map(plain).collect();
    let _ = write!(name, "{label}=.={value};.;");
}

thread_local! {
    /// The metrics of all programs so far.
    static DEFINED: RefCell<HashMap<String, u32>> = RefCell::default();
}

/// Defines a metric, unless an earlier program has done so: a host has a new number for each definition, and keeps them all.
/// Zero if it cannot be.
fn define(kind: MetricType, name: &str) -> u32 {
    DEFINED.with_borrow_mut(|defined| {
        if let Some(&metric) = defined.get(name) {
            return metric;
        }
        let metric = hostcalls::define_metric(kind, name).unwrap_or(0);
        defined.insert(name.to_owned(), metric);
        metric
    })
}

fn increment(counter: u32) {
    // What the host could not define stays at zero.
    let _ = hostcalls::increment_metric(counter, 1);
}
