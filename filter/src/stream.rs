//! One request and its response.

use std::rc::Rc;

use meshgate_engine::{ActionKind, Decision, Forwarding, Match, Program, Request};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::headers::HeaderPairs;
use crate::root::Router;
use crate::stats::Outcome;
use crate::{effects, host};

/// A stream: what is left to do when the response comes.
#[derive(Debug)]
pub(crate) struct Stream {
    router: Rc<Router>,
    /// Header operations of the route, then of the destination, by their index in the program.
    operations: [Option<u32>; 2],
}

impl Stream {
    pub(crate) fn new(router: Rc<Router>) -> Stream {
        Stream {
            router,
            operations: [None; 2],
        }
    }

    /// Carries out what the program decides about the request.
    fn route(&mut self, program: &Program, request: &Request<'_, HeaderPairs>) -> Outcome {
        effects::set_generation(program.generation());
        let found = gateway(program).map(|gateway| program.decide(gateway, request));
        let Some(Decision::Route(found)) = found else {
            return not_found();
        };
        effects::set_route(&name(&found));
        self.operations = [found.action().headers, None];
        match &found.action().kind {
            ActionKind::Forward(_) => match found.forward(request, self.router.random.fraction()) {
                Some(forwarding) => self.forward(forwarding, request),
                None => not_found(),
            },
            ActionKind::Redirect(redirect) => {
                effects::redirect(redirect.status, &found.location(redirect, request));
                Outcome::Redirected
            }
            ActionKind::DirectResponse(response) => {
                effects::respond(
                    response.status,
                    b"meshgate_direct_response",
                    response.body.as_bytes(),
                );
                Outcome::DirectResponse
            }
        }
    }

    fn forward(
        &mut self,
        mut forwarding: Forwarding<'_>,
        request: &Request<'_, HeaderPairs>,
    ) -> Outcome {
        if request.path.is_empty() {
            // CONNECT has no path, and must not get one.
            forwarding.path = None;
        }
        let [_, destination] = &mut self.operations;
        *destination = forwarding.share.headers;
        effects::forward(&forwarding);
        Outcome::Forwarded
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let pairs = HeaderPairs::new(host::request_headers());
        let (request, control) = pairs.request();
        effects::remove_control_headers(control);
        let router = Rc::clone(&self.router);
        let outcome = match &router.program {
            Some(program) => self.route(program, &request),
            None => {
                effects::respond(
                    503,
                    b"meshgate_no_program",
                    b"the gateway has no routing program yet\n",
                );
                Outcome::NoProgram
            }
        };
        router.stats.count(outcome);
        match outcome {
            Outcome::Forwarded => Action::Continue,
            _ => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let Some(program) = &self.router.program {
            let table = &program.head().header_operations;
            for index in self.operations.into_iter().flatten() {
                if let Some(operations) = table.get(index as usize) {
                    effects::change_response(operations);
                }
            }
        }
        Action::Continue
    }
}

fn not_found() -> Outcome {
    effects::respond(404, b"meshgate_route_not_found", b"");
    Outcome::NotFound
}

fn name(found: &Match<'_>) -> Vec<u8> {
    let mut name = Vec::with_capacity(128);
    found.append_name(&mut name);
    name
}

/// The gateway that a request came in at. Only a program with several has to ask where that was.
fn gateway(program: &Program) -> Option<usize> {
    let gateways = program.gateways();
    if gateways.len() <= 1 {
        return Some(0);
    }
    let port = host::property(b"destination\0port")?;
    let port = u64::from_le_bytes(port.try_into().ok()?);
    gateways
        .iter()
        .position(|gateway| u64::from(gateway.port) == port)
}
