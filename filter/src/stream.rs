//! One request and its response.

use std::rc::Rc;

use meshgate_engine::policy::Verdict;
use meshgate_engine::{ActionKind, Decision, HeaderOperations, Match, Program, Request};
use proxy_wasm::types::Action;

use crate::contexts::{self, ResponseChanges, Stream};
use crate::headers::HeaderPairs;
use crate::root::Router;
use crate::stats::Outcome;
use crate::{effects, host};

/// A request in the making of its decision.
struct Exchange<'a> {
    stream: u32,
    router: &'a Rc<Router>,
    program: &'a Program,
    request: &'a Request<'a, HeaderPairs>,
}

/// Decides a request, and carries out what has been decided.
pub(crate) fn on_request_headers(stream: u32) -> Action {
    let router = contexts::router(stream).unwrap_or_default();
    let pairs = HeaderPairs::new(host::request_headers());
    let (request, control) = pairs.request();
    effects::remove_control_headers(control);
    let outcome = match &router.program {
        Some(program) => Exchange {
            stream,
            router: &router,
            program,
            request: &request,
        }
        .route(),
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

/// Changes the response as route and destination of its request want it.
pub(crate) fn on_response_headers(stream: u32) -> Action {
    if let Some(stream) = contexts::kept(stream)
        && let Some(program) = &stream.router.program
    {
        for index in stream.response.operations.into_iter().flatten() {
            if let Some(operations) = header_operations(program, index) {
                effects::change_response(operations);
            }
        }
        effects::set_response_headers(&stream.response.headers);
    }
    Action::Continue
}

impl Exchange<'_> {
    /// Carries out what the program decides about the request.
    fn route(&self) -> Outcome {
        effects::set_generation(self.program.generation());
        let gateway = gateway(self.program);
        let decision = gateway.map(|gateway| self.program.decide(gateway, self.request));
        let Some(Decision::Route(found)) = decision else {
            return not_found();
        };
        effects::set_route(&found);
        if found.action().policies.is_some()
            && let Verdict::Answer(reply) = found.check(self.request)
        {
            self.keep(&found, None);
            effects::reply(&reply);
            return match reply.is_refusal {
                true => Outcome::Rejected,
                false => Outcome::DirectResponse,
            };
        }
        match &found.action().kind {
            ActionKind::Forward(_) => self.forward(&found),
            ActionKind::Redirect(redirect) => {
                self.keep(&found, None);
                effects::redirect(redirect.status, &found.location(redirect, self.request));
                Outcome::Redirected
            }
            ActionKind::DirectResponse(response) => {
                self.keep(&found, None);
                effects::respond(
                    response.status,
                    b"meshgate_direct_response",
                    response.body.as_bytes(),
                );
                Outcome::DirectResponse
            }
        }
    }

    fn forward(&self, found: &Match<'_>) -> Outcome {
        let random = self.router.random.fraction();
        let Some(mut forwarding) = found.forward(self.request, random) else {
            return not_found();
        };
        if self.request.path.is_empty() {
            // CONNECT has no path, and must not get one.
            forwarding.path = None;
        }
        self.keep(found, forwarding.share.headers);
        effects::forward(&forwarding);
        Outcome::Forwarded
    }

    /// Keeps the stream if its response is to be changed: by route and policies, and by header operations of the
    /// destination.
    fn keep(&self, found: &Match<'_>, destination: Option<u32>) {
        let operations = [found.action().headers, destination];
        let headers = match found.action().policies {
            Some(_) => found.response_headers(self.request),
            None => Vec::new(),
        };
        let changes_response = |index: Option<u32>| {
            index
                .and_then(|index| header_operations(self.program, index))
                .is_some_and(effects::changes_response)
        };
        if !headers.is_empty() || operations.into_iter().any(changes_response) {
            let stream = Stream {
                router: Rc::clone(self.router),
                response: ResponseChanges {
                    operations,
                    headers: headers.into(),
                },
            };
            contexts::keep(self.stream, stream);
        }
    }
}

fn header_operations(program: &Program, index: u32) -> Option<&HeaderOperations> {
    program.head().header_operations.get(index as usize)
}

fn not_found() -> Outcome {
    effects::respond(404, b"meshgate_route_not_found", b"");
    Outcome::NotFound
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
