//! Whether a running Envoy serves a routing program as it should, from what its admin interface says of it.
//!
//! Everything is read from the config dump: listeners with the filter, the route that takes every request to the cluster
//! that the filter names, the program itself, and the clusters that it can choose. Statistics add which updates were refused.

mod dump;
mod routes;

use std::collections::BTreeSet;

use meshgate_engine::{FormatError, Program};
use serde::Serialize;
use serde_json::Value;

use dump::{Filter, Manager};

/// What is known of a gateway.
#[derive(Clone, Copy, Debug)]
pub struct Gateway<'a> {
    /// Answer of `/config_dump`.
    pub config_dump: &'a Value,
    /// Answer of `/stats`, as text.
    pub stats: Option<&'a str>,
    /// The program that the gateway should serve, if known.
    pub program: Option<&'a Known>,
}

/// A program and the bytes that it is in.
#[derive(Debug)]
pub struct Known {
    bytes: Vec<u8>,
    program: Program,
}

impl Known {
    /// Reads a program.
    ///
    /// # Errors
    /// When it does not verify.
    pub fn new(bytes: Vec<u8>) -> Result<Known, FormatError> {
        let program = Program::new(bytes.clone())?;
        Ok(Known { bytes, program })
    }
}

/// What there is to say about a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Generations of the programs that are served: one, unless listeners differ.
    pub generations: BTreeSet<String>,
    /// One for each thing that was looked at, and for each thing that is wrong.
    pub findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub state: State,
    /// What was looked at.
    pub check: Check,
    /// What was found, and if it is wrong the way out.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It is as it should be.
    Ok,
    /// It cannot be told from what the gateway says.
    Unknown,
    /// Requests are not served as they should be.
    Wrong,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// The filter is on a listener.
    Filter,
    /// The routes to the cluster that a header names.
    Route,
    /// The program that is served.
    Program,
    /// The clusters that the program can choose.
    Clusters,
    /// Updates that Envoy refused.
    Updates,
}

impl Report {
    /// Whether anything is wrong.
    pub fn is_wrong(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.state == State::Wrong)
    }

    fn add(&mut self, state: State, check: Check, message: impl Into<String>) {
        self.findings.push(Finding {
            state,
            check,
            message: message.into(),
        });
    }
}

/// Looks at everything.
pub fn verify(gateway: &Gateway<'_>) -> Report {
    let mut report = Report::default();
    let managers = dump::managers(gateway.config_dump);
    let programs = filters(gateway, &managers, &mut report);
    routes::look(gateway, &managers, &programs, &mut report);
    clusters(gateway, &programs, &mut report);
    updates(gateway, &mut report);
    report
}

/// Reports on the filters; returns the programs that they serve.
fn filters(gateway: &Gateway<'_>, managers: &[Manager<'_>], report: &mut Report) -> Vec<Known> {
    let mut programs = Vec::new();
    let mut attached = false;
    let refusals = gateway
        .stats
        .into_iter()
        .flat_map(str::lines)
        .filter_map(counter)
        .any(|(name, count)| name.starts_with("extension_config_discovery.") && count > 0);
    let serving = serving(gateway, managers);
    for manager in managers {
        for filter in &manager.filters {
            attached = true;
            let listener = manager.listener;
            report.add(
                State::Ok,
                Check::Filter,
                format!("listener `{listener}` has the filter"),
            );
            match filter {
                Filter::Program(bytes) => match Known::new(bytes.clone()) {
                    Ok(program) => {
                        let arrival = Arrival { serving, refusals };
                        serves(listener, &program, gateway.program, arrival, report);
                        programs.push(program);
                    }
                    Err(error) => report.add(
                        State::Wrong,
                        Check::Program,
                        format!("listener `{listener}`: {error}; apply a program that `meshgate compile` wrote"),
                    ),
                },
                Filter::Empty => report.add(
                    State::Unknown,
                    Check::Program,
                    format!("listener `{listener}` has no program in its configuration: either the module was packaged with one, or requests get 503"),
                ),
                Filter::Missing(name) => report.add(
                    State::Wrong,
                    Check::Program,
                    format!("listener `{listener}` waits for the configuration of filter `{name}`: requests get 500 until a good one arrives"),
                ),
                Filter::Unreadable(reason) => report.add(
                    State::Wrong,
                    Check::Program,
                    format!("listener `{listener}`: the configuration of the filter holds no program: {reason}"),
                ),
            }
        }
    }
    if !attached {
        report.add(
            State::Wrong,
            Check::Filter,
            "no listener has the filter: look at the selector, the namespace and the ports of the WasmPlugin",
        );
    }
    programs
}

/// The number of the program that serves, as the filter's gauge has it. It is that of the program that was accepted last, so
/// it says nothing where several serve.
fn serving(gateway: &Gateway<'_>, managers: &[Manager<'_>]) -> Option<u64> {
    let filters = managers.iter().flat_map(|manager| &manager.filters);
    let programs: BTreeSet<&[u8]> = filters
        .filter_map(|filter| match filter {
            Filter::Program(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
        .collect();
    let mut lines = gateway.stats.into_iter().flat_map(str::lines);
    let gauge = lines.find_map(|line| line.strip_prefix("wasmcustom.meshgate.generation: "))?;
    (programs.len() <= 1).then(|| gauge.trim().parse().ok())?
}

/// What is known of how the program in a dump has arrived.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// The number of the program that serves.
    serving: Option<u64>,
    /// Whether updates were refused.
    refusals: bool,
}

fn serves(
    listener: &str,
    served: &Known,
    wanted: Option<&Known>,
    arrival: Arrival,
    report: &mut Report,
) {
    let generation = served.program.generation();
    let is_serving = arrival
        .serving
        .map(|number| number == served.program.number());
    if is_serving == Some(false) {
        report.add(
            State::Wrong,
            Check::Program,
            format!("listener `{listener}` was given generation `{generation}`, but another program serves: the update was refused, or is not accepted yet"),
        );
        return;
    }
    if arrival.refusals && is_serving.is_none() {
        // Envoy shows the configuration that arrived last, also when it has refused it.
        report.add(
            State::Unknown,
            Check::Program,
            format!("listener `{listener}` was given generation `{generation}`, but Envoy has refused updates, and does not say whether this one: see its log"),
        );
        return;
    }
    report.generations.insert(generation.to_owned());
    let message = format!("listener `{listener}` serves generation `{generation}`");
    match wanted {
        Some(wanted) if wanted.program.generation() != generation => report.add(
            State::Wrong,
            Check::Program,
            format!(
                "{message}, not `{}`: the update was refused, or has not arrived",
                wanted.program.generation()
            ),
        ),
        Some(wanted) if wanted.bytes != served.bytes => report.add(
            State::Wrong,
            Check::Program,
            format!("{message}, but the program differs from the given one of the same generation"),
        ),
        _ => report.add(State::Ok, Check::Program, message),
    }
}

/// Compares the clusters that programs can choose with those that exist.
fn clusters(gateway: &Gateway<'_>, programs: &[Known], report: &mut Report) {
    let chosen: BTreeSet<&str> = programs
        .iter()
        .chain(gateway.program)
        .flat_map(|known| &known.program.head().destinations)
        .map(|destination| destination.cluster.as_str())
        .collect();
    if programs.is_empty() && gateway.program.is_none() {
        report.add(
            State::Unknown,
            Check::Clusters,
            "without a program there are no clusters to look for: name one with `--program`",
        );
        return;
    }
    let existing = dump::clusters(gateway.config_dump);
    let mut missing = 0;
    for cluster in &chosen {
        let reason = match existing.get(cluster) {
            Some(true) => continue,
            Some(false) => "is not ready yet: it waits for its endpoints or secrets",
            None => {
                "does not exist: look at the Service, its port, the subset of its DestinationRule, and `exportTo`"
            }
        };
        missing += 1;
        report.add(
            State::Wrong,
            Check::Clusters,
            format!("cluster `{cluster}` {reason}; requests to it get 503"),
        );
    }
    if missing == 0 {
        let message = match chosen.len() {
            1 => "the cluster that the program can choose exists".to_owned(),
            count => format!("all {count} clusters that the program can choose exist"),
        };
        report.add(State::Ok, Check::Clusters, message);
    }
}

/// Reports on updates that were refused: those that still are, from the dump, and how many there were, from counters.
fn updates(gateway: &Gateway<'_>, report: &mut Report) {
    let refused = dump::refused(gateway.config_dump);
    for (name, details) in &refused {
        report.add(
            State::Wrong,
            Check::Updates,
            format!("the last update of `{name}` was refused, the one before it serves: {details}"),
        );
    }
    let counters: Vec<(&str, u64)> = gateway
        .stats
        .into_iter()
        .flat_map(str::lines)
        .filter_map(counter)
        .collect();
    // A resource that has been refused once and accepted later has no error state any more.
    let ecds_refused = |name: &str| name.starts_with("extension_config_discovery.");
    for (name, count) in &counters {
        if *count == 0 {
            continue;
        }
        let explained = !refused.is_empty();
        let state = if ecds_refused(name) && !explained {
            State::Unknown
        } else {
            State::Ok
        };
        let note = match state {
            State::Unknown => {
                ": the dump does not say whether the last one was among them, Envoy's log does"
            }
            _ => "",
        };
        report.add(
            state,
            Check::Updates,
            format!("`{name}` counts {count} since Envoy started{note}"),
        );
    }
    match (refused.is_empty(), counters.is_empty()) {
        (true, true) if gateway.stats.is_some() => report.add(
            State::Unknown,
            Check::Updates,
            "Envoy does not count refused updates: add `extension_config_discovery` and `listener_manager` to its stats matcher",
        ),
        (true, _) if counters.iter().all(|(_, count)| *count == 0) => {
            report.add(State::Ok, Check::Updates, "no update was refused");
        }
        _ => {}
    }
}

/// A counter of refused updates and its value.
fn counter(line: &str) -> Option<(&str, u64)> {
    let (name, value) = line.split_once(": ")?;
    let wanted = (name.starts_with("extension_config_discovery.")
        || name.starts_with("listener_manager.lds.")
        || name.starts_with("cluster_manager.cds."))
        && name.ends_with(".update_rejected");
    wanted.then_some(())?;
    Some((name, value.trim().parse().ok()?))
}
