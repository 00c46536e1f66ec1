//! Policies that somebody else decides: services that are asked by gRPC or HTTP, and token buckets that all workers share.
//!
//! A request that waits for an answer is paused, and goes on at the stage after it. Nothing is sent twice, and no answer,
//! whatever it says, lets a request pass unless its policy says so.

mod auth;
mod bucket;
mod changes;
mod limit;
mod proto;

use meshgate_engine::policy::{
    Auth, AuthProtocol, AuthService, DescriptorEntry, RateLimit, RateLimits, Services, Stage,
};
use meshgate_engine::{Match, Request};
use prost::Message;
use proxy_wasm::types::MapType;

use self::auth::{Connection, Decision};
use self::bucket::Failure;
pub(crate) use self::bucket::create as create_buckets;
pub(crate) use self::changes::{Change, apply};
use self::proto::{EnvoyGrpc, GrpcService};
use crate::body::{self, Taken};
use crate::headers::HeaderPairs;
use crate::stats::Outcome;
use crate::stream::{Exchange, Step};
use crate::{effects, host};

/// A question that a service has not answered yet.
#[derive(Debug)]
pub(crate) struct Question {
    /// What the host calls it by.
    pub(crate) token: Token,
    /// Who was asked.
    asked: Asked,
    /// Where the request goes on.
    pub(crate) next: Stage,
    /// What services before it said.
    pub(crate) carried: Carried,
}

/// What the host calls a question by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Token {
    Grpc(u32),
    Http(u32),
    /// The host is no service, but gives the body of this stream.
    Body(u32),
}

/// What a request has got on its way through services.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// Number that chooses the destination, once it is known.
    pub(crate) random: Option<f64>,
    /// Changes of its response.
    pub(crate) response: Vec<Change>,
    /// Whether a body follows the headers, which are all that has been seen of the request.
    pub(crate) body_follows: bool,
    /// Whether the request is not as it came any more.
    pub(crate) has_changed: bool,
}

impl Carried {
    /// Of a request that begins. `body_follows`: not all of it is there.
    pub(crate) fn new(body_follows: bool) -> Carried {
        Carried {
            body_follows,
            ..Carried::default()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The host, for the body that the authorization service gets.
    Body,
    Auth,
    RateLimit,
}

/// What has come back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A message by gRPC.
    Grpc(Vec<u8>),
    /// A response by HTTP: headers and body.
    Http(HeaderPairs, Vec<u8>),
    /// Nothing: the call failed, or took too long; or the body is there.
    None,
}

/// An answer that keeps a request from passing.
#[derive(Debug)]
struct Refusal {
    status: u16,
    headers: Vec<Change>,
    body: Vec<u8>,
}

impl Refusal {
    fn with_status(status: u16) -> Refusal {
        Refusal {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// Text of bytes from a request. What is no UTF-8 is replaced: the protocols have no place for it.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A body follows the headers of a request. If the authorization service of its route gets bodies, the request is held for
/// it from now on.
pub(crate) fn expect_body(exchange: &Exchange<'_>, gateway: usize, found: &Match<'_>) {
    let is_asked = (found.policies()).is_some_and(|policies| policies.auth.is_some());
    let services = exchange.program.services(gateway);
    if let Some(auth) = services.and_then(|services| services.auth.as_ref())
        && let Some(wanted) = auth.body
        && is_asked
        && !auth::is_tunnel(exchange.request)
    {
        body::expect(exchange.stream, wanted);
    }
}

/// Goes through the services of a request from a stage on. `None`: there is nothing more to ask, and it passes.
pub(crate) fn ask(
    exchange: &Exchange<'_>,
    gateway: usize,
    found: &Match<'_>,
    stage: Stage,
) -> Option<Step> {
    let policies = found.policies()?;
    let none = Services::default();
    let services = exchange.program.services(gateway).unwrap_or(&none);
    let first = match stage {
        Stage::Service(number) => number,
        _ => 0,
    };
    let order = match services.rate_limits.before_auth {
        true => [Asked::RateLimit, Asked::Auth],
        false => [Asked::Auth, Asked::RateLimit],
    };
    for (number, asked) in (0..).zip(order).skip(usize::from(first)) {
        let (here, next) = (Stage::Service(number), Stage::Service(number + 1));
        let step = match (asked, &policies.auth, &policies.rate_limit) {
            (Asked::Auth, Some(auth), _) => {
                ask_auth(exchange, auth, services.auth.as_ref(), found, here, next)
            }
            (Asked::RateLimit, _, Some(limit)) => {
                ask_rate_limit(exchange, limit, &services.rate_limits, found, next)
            }
            _ => None,
        };
        if step.is_some() {
            return step;
        }
    }
    None
}

fn ask_auth(
    exchange: &Exchange<'_>,
    auth: &Auth,
    service: Option<&AuthService>,
    found: &Match<'_>,
    here: Stage,
    next: Stage,
) -> Option<Step> {
    let Some(service) = service else {
        // Nobody can say that it may pass.
        return Some(refuse(
            exchange,
            found,
            Asked::Auth,
            Refusal::with_status(403),
        ));
    };
    let stream = exchange.stream;
    let part = match service.body.map_or(Taken::Nothing, |_| body::take(stream)) {
        Taken::Nothing => None,
        Taken::Part(part) => Some(part),
        Taken::Coming => return Some(wait(exchange, Token::Body(stream), Asked::Body, here)),
        Taken::TooLong => {
            let mut refusal = Refusal::with_status(413);
            refusal.body = b"Payload Too Large".to_vec();
            return Some(refuse(exchange, found, Asked::Body, refusal));
        }
    };
    let token = match &service.protocol {
        AuthProtocol::Grpc => {
            let connection = Connection {
                property: host::property,
                now: host::now(),
            };
            let as_bytes = service.body.is_some_and(|body| body.as_bytes);
            let body = part.map(|part| (part, as_bytes));
            let question = as_it_is(exchange, |request| {
                auth::question(auth, request, body, &connection)
            });
            host::grpc_call(
                &grpc_service(&service.cluster),
                b"envoy.service.auth.v3.Authorization",
                b"Check",
                &question,
                service.timeout_ms,
            )
        }
        AuthProtocol::Http(http) => {
            let question = as_it_is(exchange, |request| {
                auth::http_question(http, request, part.as_ref())
            });
            let pairs: Vec<(&[u8], &[u8])> = question
                .iter()
                .map(|(name, value)| (name.as_slice(), value.as_slice()))
                .collect();
            let body = part.as_ref().map_or(&[][..], |part| &part.bytes);
            host::http_call(service.cluster.as_bytes(), &pairs, body, service.timeout_ms)
        }
    };
    match token {
        Some(token) => Some(wait(exchange, token, Asked::Auth, next)),
        None => auth_failed(exchange, service, found),
    }
}

fn ask_rate_limit(
    exchange: &Exchange<'_>,
    limit: &RateLimit,
    limits: &RateLimits,
    found: &Match<'_>,
    next: Stage,
) -> Option<Step> {
    if let Some(bucket) = &limit.local {
        match bucket::take(bucket) {
            Ok(()) => {}
            Err(Failure::Empty(nanoseconds)) => {
                let refusal = beyond_bucket(bucket.max_tokens, nanoseconds);
                return Some(refuse(exchange, found, Asked::RateLimit, refusal));
            }
            Err(Failure::Unavailable) if limits.deny_on_fail => {
                let refusal = Refusal::with_status(500);
                return Some(refuse(exchange, found, Asked::RateLimit, refusal));
            }
            Err(Failure::Unavailable) => {}
        }
    }
    let service = match &limits.service {
        Some(service) if !limit.descriptors.is_empty() => service,
        None if !limit.descriptors.is_empty() => return limit_failed(exchange, limits, found),
        _ => return None,
    };
    let descriptors = descriptors(exchange, limit, found);
    if descriptors.is_empty() {
        return None;
    }
    let token = host::grpc_call(
        &grpc_service(&service.cluster),
        b"envoy.service.ratelimit.v3.RateLimitService",
        b"ShouldRateLimit",
        &limit::question(&descriptors),
        service.timeout_ms,
    );
    match token {
        Some(token) => Some(wait(exchange, token, Asked::RateLimit, next)),
        None => limit_failed(exchange, limits, found),
    }
}

/// Where calls to the service behind a cluster go. Names of clusters (`outbound|9191||authorizer.auth.svc.cluster.local`) are no
/// names of hosts, which the proxy would take them for, and servers refuse them.
fn grpc_service(cluster: &str) -> Vec<u8> {
    let authority = cluster.rsplit('|').next().unwrap_or(cluster);
    let service = GrpcService {
        envoy_grpc: Some(EnvoyGrpc {
            cluster_name: cluster.to_owned(),
            authority: authority.to_owned(),
        }),
    };
    service.encode_to_vec()
}

/// Looks at a request as it is after the policies and services before: what a client says in a header that they set or remove
/// must not reach a service.
fn as_it_is<R>(exchange: &Exchange<'_>, look: impl FnOnce(&Request<'_, HeaderPairs>) -> R) -> R {
    if !exchange.carried.borrow().has_changed {
        return look(exchange.request);
    }
    let pairs = HeaderPairs::new(host::request_headers());
    let (request, _) = pairs.request();
    look(&request)
}

/// Descriptors of a request.
fn descriptors<'p>(
    exchange: &Exchange<'_>,
    limit: &'p RateLimit,
    found: &Match<'p>,
) -> Vec<meshgate_engine::policy::Descriptor<'p>> {
    let wants_destination = (limit.descriptors.iter().flatten())
        .any(|entry| matches!(entry, DescriptorEntry::DestinationCluster));
    let destination = wants_destination
        .then(|| exchange.forwarding(found))
        .flatten();
    let destination = destination.map(|forwarding| forwarding.destination.cluster.as_str());
    as_it_is(exchange, |request| {
        found.descriptors(limit, request, destination, host::property)
    })
}

/// The answer to a request for which a bucket has no token.
fn beyond_bucket(max_tokens: u32, nanoseconds: u64) -> Refusal {
    let seconds = nanoseconds.div_ceil(1_000_000_000).to_string();
    let max_tokens = max_tokens.to_string();
    let headers = [
        (&b"retry-after"[..], seconds.as_bytes()),
        (b"x-ratelimit-limit", max_tokens.as_bytes()),
        (b"x-ratelimit-remaining", b"0"),
        (b"x-ratelimit-reset", seconds.as_bytes()),
    ];
    let headers = headers
        .into_iter()
        .filter_map(|(name, value)| Change::new(changes::Operation::Add, name, value));
    let mut refusal = limit::over_limit();
    refusal.headers.extend(headers);
    refusal.body = b"local_rate_limited".to_vec();
    refusal
}

fn wait(exchange: &Exchange<'_>, token: Token, asked: Asked, next: Stage) -> Step {
    Step::Ask(Question {
        token,
        asked,
        next,
        carried: exchange.carried.take(),
    })
}

/// What an answer means for a request. `None`: it passes, as far as this service is concerned.
pub(crate) fn answered(
    exchange: &Exchange<'_>,
    gateway: usize,
    found: &Match<'_>,
    question: &Question,
    answer: Answer,
) -> Option<Step> {
    let services = exchange.program.services(gateway)?;
    let decision = match (question.asked, answer) {
        (Asked::Body, _) => return None,
        (Asked::Auth, answer) => {
            let service = services.auth.as_ref()?;
            let decision = match (&service.protocol, answer) {
                (AuthProtocol::Grpc, Answer::Grpc(message)) => auth::decision(&message),
                (AuthProtocol::Http(http), Answer::Http(headers, body)) => {
                    auth::http_decision(http, &headers, body)
                }
                _ => None,
            };
            match decision {
                Some(decision) => decision,
                None => return auth_failed(exchange, service, found),
            }
        }
        (Asked::RateLimit, Answer::Grpc(message)) => match limit::decision(&message) {
            Some(decision) => decision,
            None => return limit_failed(exchange, &services.rate_limits, found),
        },
        (Asked::RateLimit, _) => return limit_failed(exchange, &services.rate_limits, found),
    };
    match decision {
        Decision::Pass { request, response } => {
            apply(MapType::HttpRequestHeaders, &request);
            let mut carried = exchange.carried.borrow_mut();
            carried.has_changed |= !request.is_empty();
            carried.response.extend(response);
            None
        }
        Decision::Refuse(refusal) => Some(refuse(exchange, found, question.asked, refusal)),
    }
}

fn auth_failed(exchange: &Exchange<'_>, service: &AuthService, found: &Match<'_>) -> Option<Step> {
    let refusal = Refusal::with_status(service.status_on_error);
    (!service.failure_mode_allow).then(|| refuse(exchange, found, Asked::Auth, refusal))
}

fn limit_failed(exchange: &Exchange<'_>, limits: &RateLimits, found: &Match<'_>) -> Option<Step> {
    let refusal = Refusal::with_status(500);
    (limits.deny_on_fail).then(|| refuse(exchange, found, Asked::RateLimit, refusal))
}

fn refuse(exchange: &Exchange<'_>, found: &Match<'_>, asked: Asked, refusal: Refusal) -> Step {
    let details = match asked {
        Asked::Body => "meshgate_refused_body_too_long",
        Asked::Auth => "meshgate_refused_extauth",
        Asked::RateLimit => "meshgate_refused_rate_limit",
    };
    exchange.keep_own(found);
    let headers: Vec<(&[u8], &[u8])> = refusal.headers.iter().map(Change::pair).collect();
    effects::refuse(refusal.status, details.as_bytes(), &headers, &refusal.body);
    exchange.done(Some(found), Outcome::Rejected, details)
}
