//! The executor that runs the filter in wasmtime.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use meshgate_compiler::answer::{self, Asks, Response, duration};
use meshgate_compiler::cases::{Observed, Request, Unseen, UpstreamResponse};

use super::configuration::Configuration;
use super::executor::{Executor, Session, needs_no_client};
use super::format::Group;
use super::observe::Seen;
use crate::services;
use crate::wasm::{self, Call, Forwarded, Headers, Module, Outcome, Question, Vm};

/// Port of the first gateway, as the filter is told. Nothing listens there.
const FIRST_PORT: u16 = 8080;

/// The filter in wasmtime.
#[derive(Clone, Debug)]
pub struct Wasmtime {
    module: Module,
}

impl Wasmtime {
    /// Compiles the filter.
    ///
    /// # Errors
    /// When there is no such file or it is not a filter.
    pub fn new(filter: &Path) -> Result<Wasmtime, String> {
        let error = |reason: String| format!("`{}`: {reason}", filter.display());
        let wasm = fs::read(filter).map_err(|reason| error(reason.to_string()))?;
        let module = Module::load(&wasm).map_err(|reason| error(reason.to_string()))?;
        Ok(Wasmtime { module })
    }
}

impl Executor for Wasmtime {
    fn name(&self) -> &'static str {
        "wasmtime"
    }

    fn load(&self, group: &Group) -> Result<Box<dyn Session + '_>, String> {
        let configuration = Configuration::of(group, FIRST_PORT);
        let mut vm =
            Vm::start(&self.module, configuration.program()?).map_err(|error| error.to_string())?;
        for (service, _) in configuration.compiled.tree.services() {
            vm.add_cluster(&service.cluster);
        }
        Ok(Box::new(WasmSession { configuration, vm }))
    }
}

struct WasmSession {
    configuration: Configuration,
    vm: Vm,
}

impl Session for WasmSession {
    fn answer(
        &mut self,
        request: &Request,
        upstream: &UpstreamResponse,
    ) -> Result<Observed, String> {
        needs_no_client(request)?;
        let gateway = self.configuration.gateway(request.gateway.as_deref())?;
        let port = self.configuration.compiled.ports.get(gateway).copied();
        let mut sent = wasm::Request::new(&request.method, &request.authority, &request.path)
            .listener_port(port.unwrap_or(FIRST_PORT))
            .property("source.address", "127.0.0.1:40000");
        sent.headers.replace(":scheme", &request.scheme);
        for (name, value) in &request.received_headers() {
            sent.headers.add(name, value);
        }
        let mut outcome = self.vm.request(sent);
        if let Outcome::Paused(stream) = outcome {
            self.vm
                .advance(LONGEST_WAIT)
                .map_err(|trap| trap.to_string())?;
            outcome = self.vm.outcome(stream);
        }
        let mut asks = Asks::default();
        while let Outcome::Paused(stream) = outcome {
            let call = self.vm.take_call();
            self.allow(&mut asks, &call.ok_or("the request waits for nothing")?)?;
            outcome = self.vm.outcome(stream);
        }
        match outcome {
            Outcome::Forwarded(forwarded) => self.forwarded(gateway, asks, forwarded, upstream),
            Outcome::LocalReply(reply) => {
                let seen = Seen {
                    gateway,
                    route: route(&reply.properties),
                    details: reply.details,
                    cluster: None,
                    request: None,
                    response: Response {
                        status: reply.status,
                        headers: pairs(&reply.headers),
                        body: text(&reply.body),
                    },
                    asks,
                };
                seen.observe(&self.configuration, &UNSEEN)
            }
            other => Err(format!("the filter did not decide: {other:?}")),
        }
    }
}

/// No request is delayed for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The filter draws its own random numbers, and tells the router nothing about the destinations it did not choose.
const UNSEEN: [Unseen; 2] = [Unseen::Weights, Unseen::RandomChoice];

impl WasmSession {
    /// A service says yes.
    fn allow(&mut self, asks: &mut Asks, call: &Call) -> Result<(), String> {
        let (path, message) = match &call.question {
            Question::Grpc(path, message) => (path.clone(), &message[..]),
            Question::Http(headers, body) => (
                headers.get(":path").map(text).unwrap_or_default(),
                &body[..],
            ),
        };
        services::add(asks, &path, message)?;
        let answer = services::yes(&path).unwrap_or_default();
        self.vm
            .answer_call(call, &answer)
            .map_err(|trap| trap.to_string())
    }

    fn forwarded(
        &mut self,
        gateway: usize,
        asks: Asks,
        forwarded: Forwarded,
        upstream: &UpstreamResponse,
    ) -> Result<Observed, String> {
        let mut response = Headers::new();
        response.add(":status", "200");
        for (name, value) in &upstream.headers {
            response.add(name, value);
        }
        let response = self
            .vm
            .respond(forwarded.stream, response)
            .map_err(|trap| trap.to_string())?;
        let headers = &forwarded.headers;
        let pseudo = |name: &str| headers.get(name).map(text).unwrap_or_default();
        let seen = Seen {
            gateway,
            route: route(&forwarded.properties),
            details: "via_upstream".to_owned(),
            cluster: headers.get("x-meshgate-cluster").map(text),
            request: Some(answer::Request {
                method: pseudo(":method"),
                authority: pseudo(":authority"),
                path: pseudo(":path"),
                headers: pairs(headers),
            }),
            response: Response {
                status: 200,
                headers: pairs(&response),
                body: String::new(),
            },
            asks,
        };
        let mut observed = seen.observe(&self.configuration, &UNSEEN)?;
        observed.answer.options = Some(answer::Options {
            mirrors: self.mirrors(&forwarded.properties),
            ..options(headers)
        });
        Ok(observed)
    }

    /// The destinations whose clusters the filter names.
    fn mirrors(&self, properties: &BTreeMap<String, Vec<u8>>) -> Vec<answer::Destination> {
        let chosen = properties.get("meshgate_mirrors").map(|names| text(names));
        let tree = &self.configuration.compiled.tree;
        let find = |cluster: &str| {
            let mut destinations = tree.destinations();
            destinations.find(|destination| destination.cluster == cluster)
        };
        let names = chosen.iter().flat_map(|names| names.split(','));
        names
            .filter_map(find)
            .map(|destination| destination.as_ref().into())
            .collect()
    }
}

/// What the filter asks of the router.
fn options(headers: &Headers) -> answer::Options {
    let number = |name: &str| headers.get(name).and_then(|value| text(value).parse().ok());
    let time = |name: &str| number(name).map(|millis| duration(Duration::from_millis(millis)));
    let attempts = number("x-envoy-max-retries").and_then(|attempts| u32::try_from(attempts).ok());
    answer::Options {
        request_timeout: time("x-envoy-upstream-rq-timeout-ms"),
        retries: attempts.map(|attempts| {
            let each = time("x-envoy-upstream-rq-per-try-timeout-ms");
            let list = |name: &str| headers.get(name).map(text).unwrap_or_default();
            answer::Retries::new(
                attempts,
                each,
                &list("x-envoy-retry-on"),
                &list("x-envoy-retry-grpc-on"),
                &list("x-envoy-retriable-status-codes"),
            )
        }),
        ..answer::Options::default()
    }
}

fn route(properties: &BTreeMap<String, Vec<u8>>) -> Option<String> {
    properties.get("meshgate_route").map(|name| text(name))
}

/// Headers without those for the router and the protocol.
fn pairs(headers: &Headers) -> Vec<(String, String)> {
    let for_router = |name: &[u8]| {
        name.starts_with(b":") || name.starts_with(b"x-envoy-") || name == b"x-meshgate-cluster"
    };
    headers
        .iter()
        .filter(|(name, _)| !for_router(name))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
