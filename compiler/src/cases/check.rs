//! Comparing an answer with what a case expects of it.

use std::collections::BTreeMap;

use meshgate_engine::Program;
use serde_json::{Value, json};

use super::{Case, UpstreamResponse};
use crate::answer::{Answer, Outcome, Response, WeightedDestination};
use crate::route;
use crate::tree::Tree;

/// What an executor saw of an answer.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The answer. Parts that the executor cannot see are absent.
    pub answer: Answer,
    /// What the client receives in the end, be it from the gateway or through it.
    pub response: Option<Response>,
    /// Parts that are absent because the executor cannot see them.
    pub unseen: &'static [Unseen],
}

/// A part of an answer that an executor cannot see, or not determine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The weights of all destinations.
    Weights,
    /// Which destination a random number stands for: the executor draws its own.
    RandomChoice,
    /// Time limits and retries.
    Options,
    /// What services are asked.
    Asks,
}

impl Observed {
    /// The engine's answer to a request that a gateway (an index into the tree and the program) received.
    pub fn by_engine(
        program: &Program,
        tree: &Tree,
        gateway: usize,
        request: &route::Request,
        upstream: &UpstreamResponse,
    ) -> Observed {
        let answer = route::evaluate(program, tree, gateway, request);
        let forwarded = || {
            let headers = route::response_headers(program, gateway, request, &upstream.headers)?;
            Some(Response {
                status: 200,
                headers,
                body: String::new(),
            })
        };
        Observed {
            response: answer.response.clone().or_else(forwarded),
            answer,
            unseen: &[],
        }
    }

    /// Whether the executor cannot see a part of its answers.
    pub fn cannot_see(&self, part: Unseen) -> bool {
        self.unseen.contains(&part)
    }
}

/// What came of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is not as expected.
    pub failures: Vec<String>,
    /// Expectations that the executor cannot see.
    pub unseen: Vec<String>,
}

/// What can be expected of an answer.
pub(super) const KEYS: [&str; 22] = [
    "outcome",
    "outcome_any",
    "route",
    "cluster",
    "clusters",
    "destination",
    "destinations",
    "path",
    "host",
    "request_headers",
    "per_cluster_request_headers",
    "status",
    "status_any",
    "body",
    "response_headers",
    "location",
    "location_parts",
    "timeout",
    "retries",
    "ignore_whitespace",
    "mirror",
    "asks",
];

/// Compares an answer with everything that the case expects of it.
pub fn compare(case: &Case, observed: &Observed) -> Verdict {
    let mut verdict = Verdict::default();
    let check = Check { case, observed };
    for (key, expected) in &case.expect {
        match check.actual(key, expected) {
            Ok(actual) if holds(key, expected, &actual) => {}
            Ok(actual) => {
                let failure = format!("{key}: expected {expected}, got {actual}");
                verdict.failures.push(failure);
            }
            Err(Absent::Unseen) => verdict.unseen.push(key.clone()),
            Err(Absent::Missing(reason)) => {
                let failure = format!("{key}: expected {expected}, but {reason}");
                verdict.failures.push(failure);
            }
        }
    }
    verdict
}

/// Why there is nothing to compare.
enum Absent {
    /// The executor cannot see it.
    Unseen,
    /// It should be there.
    Missing(&'static str),
}

fn holds(key: &str, expected: &Value, actual: &Value) -> bool {
    match key {
        "outcome_any" | "status_any" => {
            let choices = expected.as_array();
            choices.is_some_and(|choices| choices.contains(actual))
        }
        _ => expected == actual,
    }
}

struct Check<'a> {
    case: &'a Case,
    observed: &'a Observed,
}

impl Check<'_> {
    /// What the answer has in place of `expected`, in the same form.
    fn actual(&self, key: &str, expected: &Value) -> Result<Value, Absent> {
        let answer = &self.observed.answer;
        Ok(match key {
            // Says less than the list of outcomes that will do.
            "outcome" if self.case.expect.contains_key("outcome_any") => expected.clone(),
            "outcome" | "outcome_any" => json!(outcome(answer)),
            "route" => json!(answer.route_name),
            "cluster" => {
                self.need_choice()?;
                json!(
                    answer
                        .destination
                        .as_ref()
                        .map(|destination| &destination.name)
                )
            }
            "clusters" => {
                self.need(Unseen::Weights)?;
                json!(answer.destinations.as_deref().map(weights))
            }
            "destination" => {
                self.need_choice()?;
                same_parts(expected, &json!(answer.destination))
            }
            "destinations" => {
                self.need(Unseen::Weights)?;
                same_parts_of_each(expected, &json!(answer.destinations))
            }
            "path" => json!(answer.request.as_ref().map(|request| &request.path)),
            "host" => json!(answer.request.as_ref().map(|request| &request.authority)),
            "request_headers" => self.request_headers(expected),
            "per_cluster_request_headers" => {
                let destination = answer.destination.as_ref();
                let of_destination =
                    destination.and_then(|destination| expected.get(&destination.name));
                match of_destination {
                    Some(headers) if self.request_headers(headers) == *headers => expected.clone(),
                    Some(headers) => self.request_headers(headers),
                    None => Value::Null,
                }
            }
            "status" | "status_any" => json!(self.response()?.status),
            "body" => json!(self.response()?.body),
            "response_headers" => headers(
                expected,
                &self.response()?.headers,
                self.ignore_whitespace(),
            ),
            "location" => self.location()?,
            "location_parts" => match self.location()? {
                Value::String(location) => same_parts(expected, &location_parts(&location)),
                none => none,
            },
            "timeout" => {
                self.need(Unseen::Options)?;
                json!(
                    answer
                        .options
                        .as_ref()
                        .and_then(|options| options.request_timeout.as_ref())
                )
            }
            "retries" => {
                self.need(Unseen::Options)?;
                let retries = answer
                    .options
                    .as_ref()
                    .and_then(|options| options.retries.as_ref());
                same_parts(expected, &json!(retries))
            }
            // Says how to compare header values.
            "ignore_whitespace" => expected.clone(),
            "mirror" => {
                self.need(Unseen::Options)?;
                let options = answer.options.as_ref();
                same_parts_of_each(expected, &json!(options.map(|options| &options.mirrors)))
            }
            "asks" => {
                self.need(Unseen::Asks)?;
                json!(answer.asks)
            }
            _ => {
                return Err(Absent::Missing("there is no such key"));
            }
        })
    }

    fn need(&self, part: Unseen) -> Result<(), Absent> {
        if self.observed.cannot_see(part) {
            Err(Absent::Unseen)
        } else {
            Ok(())
        }
    }

    /// If the case fixes which destination is chosen, the executor has to obey.
    fn need_choice(&self) -> Result<(), Absent> {
        match self.case.request.random {
            Some(_) => self.need(Unseen::RandomChoice),
            None => Ok(()),
        }
    }

    fn ignore_whitespace(&self) -> bool {
        self.case.expect.get("ignore_whitespace") == Some(&Value::Bool(true))
    }

    fn response(&self) -> Result<&Response, Absent> {
        self.observed
            .response
            .as_ref()
            .ok_or(Absent::Missing("there is no response"))
    }

    fn location(&self) -> Result<Value, Absent> {
        let response = self.response()?;
        Ok(json!(
            response
                .headers
                .iter()
                .find(|(name, _)| name == "location")
                .map(|(_, value)| value)
        ))
    }

    fn request_headers(&self, expected: &Value) -> Value {
        let received = self.observed.answer.request.as_ref();
        received.map_or(Value::Null, |request| {
            headers(expected, &request.headers, self.ignore_whitespace())
        })
    }
}

/// The name that cases use for an outcome.
fn outcome(answer: &Answer) -> &'static str {
    match answer.outcome {
        Outcome::Forward => "route",
        Outcome::Redirect => "redirect",
        Outcome::DirectResponse if is_preflight(answer) => "cors-preflight",
        Outcome::DirectResponse => "direct",
        Outcome::NotFound => "none",
        Outcome::Rejected if is_fault(answer) => "fault-abort",
        Outcome::Rejected => "rejected",
    }
}

fn is_fault(answer: &Answer) -> bool {
    let response = answer.response.as_ref();
    response.is_some_and(|response| response.body == "fault filter abort")
}

/// Only answers to preflights say which methods, headers or times are allowed; one that says neither looks like a direct
/// response.
fn is_preflight(answer: &Answer) -> bool {
    let mut headers = answer
        .response
        .iter()
        .flat_map(|response| &response.headers);
    headers.any(|(name, _)| {
        matches!(
            name.as_str(),
            "access-control-allow-methods"
                | "access-control-allow-headers"
                | "access-control-max-age"
        )
    })
}

/// Weights by name of the destination.
fn weights(destinations: &[WeightedDestination]) -> BTreeMap<&str, u32> {
    let mut weights = BTreeMap::new();
    for weighted in destinations {
        *weights
            .entry(weighted.destination.name.as_str())
            .or_default() += weighted.weight;
    }
    weights
}

/// The parts of `actual` that `expected` names.
fn same_parts(expected: &Value, actual: &Value) -> Value {
    match expected.as_object() {
        Some(parts) if actual.is_object() => parts
            .keys()
            .map(|part| (part.clone(), actual[part.as_str()].clone()))
            .collect(),
        _ => actual.clone(),
    }
}

/// The same for two lists of one length.
fn same_parts_of_each(expected: &Value, actual: &Value) -> Value {
    match (expected.as_array(), actual.as_array()) {
        (Some(expected), Some(all)) if expected.len() == all.len() => {
            let pairs = expected.iter().zip(all);
            pairs
                .map(|(expected, actual)| same_parts(expected, actual))
                .collect()
        }
        _ => actual.clone(),
    }
}

/// The headers that `expected` names, in the same form: values joined with `,`, null for an absent one. Where `expected`
/// allows several values and one of them is there, `expected`'s own list.
fn headers(expected: &Value, actual: &[(String, String)], ignore_whitespace: bool) -> Value {
    let Some(names) = expected.as_object() else {
        return Value::Null;
    };
    let of = |name: &String, expected: &Value| {
        let values: Vec<&str> = actual
            .iter()
            .filter(|(actual_name, _)| actual_name.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        if values.is_empty() {
            return Value::Null;
        }
        let joined = json!(values.join(","));
        let same = |wanted: &Value| {
            *wanted == joined
                || (ignore_whitespace && without_spaces(wanted) == without_spaces(&joined))
        };
        let choices = expected.get("any_of").and_then(Value::as_array);
        let holds = choices.map_or_else(|| same(expected), |choices| choices.iter().any(same));
        if holds { expected.clone() } else { joined }
    };
    names
        .iter()
        .map(|(name, expected)| (name.clone(), of(name, expected)))
        .collect()
}

fn without_spaces(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace(' ', "")
}

fn location_parts(location: &str) -> Value {
    let (scheme, rest) = location.split_once("://").unwrap_or(("", location));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    json!({"scheme": scheme, "host": host, "port": port, "path": path, "query": query})
}
