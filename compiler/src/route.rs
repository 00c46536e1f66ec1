//! Answers requests from a compiled program, with the same engine that the gateway runs.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use meshgate_engine::policy::{AuthProtocol, Reply, RequestChanges, Stage, Verdict};
use meshgate_engine::{
    Action, ActionKind, Decision, Destination, DestinationKind, Forward, HeaderOperations, Headers,
    Match, Program, Surroundings,
};

use crate::answer::{self, Answer, Outcome, Response, duration};
use crate::oracle;
use crate::resource::ObjectName;
use crate::suggest::closest;
use crate::tree::{Entry, Gateway, Route, Tree};

pub use crate::oracle::{Connection, Request};

/// The gateway that a request is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayChoice {
    /// Its index in the tree and in the program.
    pub index: usize,
    /// Number of other gateways that could as well have received the request.
    pub others: usize,
}

/// Finds a gateway by its `namespace/name`, or by its name alone if that is enough.
///
/// # Errors
/// Says that there is no such gateway, or that there are several, and what to do.
pub fn find_gateway(tree: &Tree, wanted: &str) -> Result<usize, String> {
    let matches = |name: &ObjectName| match wanted.split_once('/') {
        Some((namespace, object)) => name.namespace == namespace && name.name == object,
        None => name.name == wanted,
    };
    let mut found = tree
        .gateways
        .iter()
        .enumerate()
        .filter(|(_, gateway)| matches(&gateway.name));
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => Err(format!(
            "several gateways are named `{wanted}`: add the namespace, as in `namespace/{wanted}`"
        )),
        (None, _) => {
            let names: Vec<String> = tree
                .gateways
                .iter()
                .map(|gateway| gateway.name.to_string())
                .collect();
            let similar = closest(wanted, names.iter().map(String::as_str));
            Err(match similar {
                Some(similar) => {
                    format!("there is no gateway `{wanted}`: did you mean `{similar}`?")
                }
                None => format!(
                    "there is no gateway `{wanted}`; there is {}",
                    quoted(&names)
                ),
            })
        }
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Chooses a gateway for a request that names none: the first with a domain for the request's host. Gateways for TLS
/// come first for `https`, and last otherwise. A host that no gateway has goes to the first one.
pub fn choose_gateway(tree: &Tree, request: &Request) -> GatewayChoice {
    if tree.gateways.len() == 1 {
        return GatewayChoice {
            index: 0,
            others: 0,
        };
    }
    let takes = |gateway: &Gateway| {
        gateway.https_redirect || oracle::virtual_host(gateway, &request.authority).is_some()
    };
    let (fitting, others): (Vec<_>, Vec<_>) = (0..)
        .zip(&tree.gateways)
        .filter(|(_, gateway)| takes(gateway))
        .partition(|(_, gateway)| gateway.tls == (request.scheme == "https"));
    let candidates = if fitting.is_empty() { others } else { fitting };
    GatewayChoice {
        index: candidates.first().map_or(0, |&(index, _)| index),
        others: candidates.len().saturating_sub(1),
    }
}

/// Answers a request that a gateway (an index into the tree and the program) received. The tree is what the program was
/// made from; it names the virtual host of a request that comes to no route, which the program does not know.
pub fn evaluate(program: &Program, tree: &Tree, gateway: usize, request: &Request) -> Answer {
    let answer = Answer {
        gateway: program
            .gateways()
            .get(gateway)
            .map(|gateway| format!("{}/{}", gateway.namespace, gateway.name)),
        ..Answer::not_found()
    };
    let normal = program.normal_path(gateway, request.path.as_bytes());
    let normal = normal.map(|path| Request {
        path: String::from_utf8_lossy(&path).into_owned(),
        ..request.clone()
    });
    let request = normal.as_ref().unwrap_or(request);
    let headers = Fields::new(request);
    let received = received(request, &headers);
    let without_route = || {
        let gateway = tree.gateways.get(gateway);
        let virtual_host =
            gateway.and_then(|gateway| oracle::virtual_host(gateway, &request.authority));
        Answer {
            virtual_host: virtual_host.map(|host| host.name.to_string()),
            ..answer.clone()
        }
    };
    let Decision::Route(found) = program.decide(gateway, &received) else {
        return without_route();
    };
    let answer = match found.virtual_host() {
        Some(virtual_host) => Answer {
            route: Some(full_name(&found)),
            virtual_host: Some(virtual_host.replacen('.', "/", 1)),
            route_name: found.route_name(),
            ..answer
        },
        // What belongs to no virtual host is no route of anybody's: a redirect to https.
        None => without_route(),
    };
    let mut changes = RequestChanges::new();
    let (refused, delay) = check(&found, &received, request, &mut changes);
    if let Some(reply) = refused {
        let outcome = match reply.is_refusal {
            true => Outcome::Rejected,
            false => Outcome::DirectResponse,
        };
        let headers = reply.headers.into_iter().map(text_header).collect();
        let response = (reply.status, headers, reply.body.as_ref());
        return self::reply(answer, outcome, response, &found, &received);
    }
    let answer = Answer {
        asks: asks(program, gateway, &found, &received, request, &changes),
        ..answer
    };
    let Action { kind, .. } = found.action();
    match kind {
        ActionKind::Forward(_) => {
            let mut answer = forward(answer, program, &found, &received, request, &changes);
            if let Some(options) = &mut answer.options {
                options.delay = delay.map(|delay| duration(Duration::from_millis(delay)));
                options.mirrors = found
                    .mirrors(request)
                    .into_iter()
                    .map(destination)
                    .collect();
            }
            answer
        }
        ActionKind::Redirect(redirect) => {
            let location =
                String::from_utf8_lossy(&found.location(redirect, &received)).into_owned();
            let headers = vec![("location".to_owned(), location)];
            let response = (redirect.status, headers, "");
            reply(answer, Outcome::Redirect, response, &found, &received)
        }
        ActionKind::DirectResponse(response) => {
            let response = (response.status, Vec::new(), response.body.as_str());
            reply(answer, Outcome::DirectResponse, response, &found, &received)
        }
    }
}

/// The headers that the client receives when the destination of a forwarded request answers with `headers`. `None` if the
/// request is not forwarded.
pub fn response_headers(
    program: &Program,
    gateway: usize,
    request: &Request,
    headers: &[(String, String)],
) -> Option<Vec<(String, String)>> {
    let fields = Fields::new(request);
    let received = received(request, &fields);
    let Decision::Route(found) = program.decide(gateway, &received) else {
        return None;
    };
    if check(&found, &received, request, &mut RequestChanges::new())
        .0
        .is_some()
    {
        return None;
    }
    let forwarding = found.forward(&received, || request.random, || request.source())?;
    let mut headers = lower_case(headers);
    for operations in forwarding.headers.into_iter().flatten() {
        change_response(&mut headers, operations);
    }
    set_response(&mut headers, &found, &received);
    Some(headers)
}

fn received<'r>(request: &'r Request, headers: &'r Fields) -> meshgate_engine::Request<'r, Fields> {
    meshgate_engine::Request {
        method: request.method.as_bytes(),
        scheme: request.scheme.as_bytes(),
        authority: request.authority.as_bytes(),
        path: request.path.as_bytes(),
        headers,
    }
}

/// The answer of the route's policies, if they give one, and for how many milliseconds they keep the request waiting.
fn check<'p>(
    found: &Match<'p>,
    received: &meshgate_engine::Request<'_, Fields>,
    request: &Request,
    changes: &mut RequestChanges<'p>,
) -> (Option<Reply>, Option<u64>) {
    let mut stage = Stage::default();
    let mut delay = None;
    loop {
        match found.check(received, stage, request, changes) {
            Verdict::Pass => return (None, delay),
            Verdict::Answer(reply) => return (Some(reply), delay),
            Verdict::Delay(milliseconds, next) => {
                delay = Some(milliseconds);
                stage = next;
            }
        }
    }
}

impl Surroundings for Request {
    fn random(&self) -> f64 {
        self.random
    }

    fn source(&self) -> Option<IpAddr> {
        self.connection.source
    }

    fn server_name(&self) -> Option<Vec<u8>> {
        let name = self.connection.server_name.clone()?;
        Some(name.into_bytes())
    }

    fn identities(&self) -> Vec<Vec<u8>> {
        let identities = self.connection.identities.iter();
        identities.map(|name| name.clone().into_bytes()).collect()
    }

    fn time(&self) -> u64 {
        self.connection.time
    }
}

/// The route of the tree that an answer names: the first one, should several have one name. Its options are from the places
/// that they have where the answer found it; its path and its own name are below those of the routes that delegate to it.
pub fn find_route(tree: &Tree, gateway: usize, answer: &Answer) -> Option<Arc<Route>> {
    let wanted = answer.route.as_deref()?;
    let hosts = &tree.gateways.get(gateway)?.hosts;
    let mut virtual_hosts = hosts.iter().flat_map(|host| &host.virtual_hosts);
    virtual_hosts.find_map(|host| find_named(&host.routes, wanted))
}

fn find_named(entries: &[Entry], wanted: &str) -> Option<Arc<Route>> {
    entries.iter().find_map(|entry| match entry {
        Entry::Route(route) => {
            let rest = without_names(wanted, route.name.segments())?;
            let mut names = route.matchers.iter().filter_map(|m| m.name.as_deref());
            (rest.is_empty() || names.any(|name| name == rest)).then(|| route.clone())
        }
        Entry::Delegation(delegation) => {
            let rest = without_names(wanted, delegation.names.iter().map(String::as_str))?;
            let route = find_named(&delegation.shared.entries, rest)?;
            Some(delegation.with_options(route))
        }
    })
}

/// What follows names in a longer name.
fn without_names<'n, 'a>(
    name: &'n str,
    mut names: impl Iterator<Item = &'a str>,
) -> Option<&'n str> {
    names.try_fold(name, |rest, name| {
        let rest = rest.strip_prefix(name)?;
        rest.strip_prefix('/')
            .or_else(|| rest.is_empty().then_some(rest))
    })
}

fn full_name(found: &Match<'_>) -> String {
    let mut name = Vec::new();
    found.append_name(&mut name);
    String::from_utf8_lossy(&name).into_owned()
}

/// The headers of a request after the changes of the policies of its route.
fn changed_headers(request: &Request, changes: &RequestChanges<'_>) -> Vec<(String, String)> {
    let mut headers = lower_case(&request.headers);
    for (name, value) in changes {
        headers.retain(|(other, _)| other != name);
        headers.extend(value.clone().map(|value| text_header((name, value))));
    }
    headers
}

/// What the services of the gateway are asked about a request that the policies of its route let pass.
fn asks(
    program: &Program,
    gateway: usize,
    found: &Match<'_>,
    received: &meshgate_engine::Request<'_, Fields>,
    request: &Request,
    changes: &RequestChanges<'_>,
) -> answer::Asks {
    let mut asks = answer::Asks::default();
    let (Some(policies), Some(services)) = (found.policies(), program.services(gateway)) else {
        return asks;
    };
    if let (Some(auth), Some(service)) = (&policies.auth, &services.auth) {
        asks.extauth = Some(match service.protocol {
            AuthProtocol::Grpc => auth.context.iter().cloned().collect(),
            AuthProtocol::Http(_) => BTreeMap::new(),
        });
    }
    if let (Some(limit), Some(_)) = (&policies.rate_limit, &services.rate_limits.service) {
        let forwarding = found.forward(received, || request.random, || request.source());
        let destination = forwarding.map(|forwarding| forwarding.destination.cluster.as_str());
        // What only a proxy knows is missing here.
        let property = |path: &[u8]| match path {
            b"source\0address" => {
                let address = SocketAddr::new(request.source()?, 0);
                Some(address.to_string().into_bytes())
            }
            _ => None,
        };
        let changed = Request {
            headers: changed_headers(request, changes),
            ..request.clone()
        };
        let fields = Fields::new(&changed);
        let descriptors = found.descriptors(
            limit,
            &self::received(&changed, &fields),
            destination,
            property,
        );
        asks.rate_limit = descriptors
            .into_iter()
            .map(|entries| entries.into_iter().map(entry).collect())
            .collect();
    }
    asks
}

fn entry((key, value): (&str, Vec<u8>)) -> answer::DescriptorEntry {
    let (key, value) = text_header((key, value));
    answer::DescriptorEntry { key, value }
}

fn forward(
    answer: Answer,
    program: &Program,
    found: &Match<'_>,
    received: &meshgate_engine::Request<'_, Fields>,
    request: &Request,
    changes: &RequestChanges<'_>,
) -> Answer {
    let Some(forwarding) = found.forward(received, || request.random, || request.source()) else {
        return answer;
    };
    let mut headers = changed_headers(request, changes);
    for operations in forwarding.headers.into_iter().flatten() {
        change(
            &mut headers,
            &operations.remove_request,
            &operations.set_request,
            &operations.append_request,
        );
    }
    let path = forwarding.path.as_deref().unwrap_or(received.path);
    Answer {
        outcome: Outcome::Forward,
        destination: Some(destination(forwarding.destination)),
        destinations: Some(destinations(program, forwarding.forward)),
        request: Some(answer::Request {
            method: request.method.clone(),
            authority: match &forwarding.host {
                Some(host) => String::from_utf8_lossy(host).into_owned(),
                None => request.authority.clone(),
            },
            path: String::from_utf8_lossy(path).into_owned(),
            headers,
        }),
        response: None,
        options: Some(options(found, forwarding.forward)),
        ..answer
    }
}

fn reply(
    answer: Answer,
    outcome: Outcome,
    (status, mut headers, body): (u16, Vec<(String, String)>, &str),
    found: &Match<'_>,
    received: &meshgate_engine::Request<'_, Fields>,
) -> Answer {
    if let Some(operations) = found.headers() {
        change_response(&mut headers, operations);
    }
    set_response(&mut headers, found, received);
    Answer {
        outcome,
        response: Some(Response {
            status,
            headers,
            body: body.to_owned(),
        }),
        ..answer
    }
}

fn change_response(headers: &mut Vec<(String, String)>, operations: &HeaderOperations) {
    change(
        headers,
        &operations.remove_response,
        &operations.set_response,
        &operations.append_response,
    );
}

/// Adds what policies tell the client.
fn set_response(
    headers: &mut Vec<(String, String)>,
    found: &Match<'_>,
    received: &meshgate_engine::Request<'_, Fields>,
) {
    for header in found.response_headers(received) {
        let (name, value) = text_header(header);
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value));
    }
}

fn text_header((name, value): (&str, Vec<u8>)) -> (String, String) {
    let value = String::from_utf8_lossy(&value).into_owned();
    (name.to_owned(), value)
}

fn change(
    headers: &mut Vec<(String, String)>,
    remove: &[String],
    set: &[(String, String)],
    append: &[(String, String)],
) {
    headers.retain(|(name, _)| !remove.contains(name));
    for header in set {
        headers.retain(|(name, _)| *name != header.0);
        headers.push(header.clone());
    }
    headers.extend_from_slice(append);
}

fn options(found: &Match<'_>, forward: &Forward) -> answer::Options {
    let policies = found.policies();
    let text = |millis: u64| duration(Duration::from_millis(millis));
    answer::Options {
        request_timeout: forward.timeout_ms.map(text),
        retries: forward.retries.as_ref().map(|retries| {
            let each = retries.per_try_timeout_ms.map(text);
            answer::Retries::new(
                retries.attempts,
                each,
                &retries.on,
                &retries.grpc_on,
                &retries.status_codes,
            )
        }),
        delay: None,
        extauth: policies.is_some_and(|policies| policies.auth.is_some()),
        rate_limit: policies.is_some_and(|policies| policies.rate_limit.is_some()),
        mirrors: Vec::new(),
    }
}

fn destinations(program: &Program, forward: &Forward) -> Vec<answer::WeightedDestination> {
    let share = |share: &meshgate_engine::Share| {
        let target = program
            .head()
            .destinations
            .get(share.destination as usize)?;
        Some(answer::WeightedDestination {
            destination: destination(target),
            weight: share.weight,
        })
    };
    forward.shares.iter().filter_map(share).collect()
}

fn destination(destination: &Destination) -> answer::Destination {
    answer::Destination {
        kind: match destination.kind {
            DestinationKind::KubeService => "kubeService",
            DestinationKind::VirtualDestination => "virtualDestination",
            DestinationKind::StaticDestination => "staticDestination",
        },
        name: destination.name.clone(),
        namespace: destination.namespace.clone(),
        cluster_name: destination.cluster_name.clone(),
        port: destination.port,
        cluster: destination.cluster.clone(),
    }
}

fn lower_case(headers: &[(String, String)]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect()
}

/// Header fields as the proxy hands them to the filter: pseudo headers first, names in lower case, and the scheme with
/// which the request came, unless the request says it itself.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn new(request: &Request) -> Self {
        let pseudo = [
            (":authority", &request.authority),
            (":path", &request.path),
            (":method", &request.method),
            (":scheme", &request.scheme),
        ];
        let pseudo = pseudo
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.clone()));
        let mut fields: Vec<_> = pseudo.chain(lower_case(&request.headers)).collect();
        const SCHEME: &str = "x-forwarded-proto";
        if fields.iter().all(|(name, _)| name != SCHEME) {
            fields.push((SCHEME.to_owned(), request.scheme.clone()));
        }
        Self(fields)
    }
}

impl Headers for Fields {
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }
}
