//! One request and its response.

use std::cell::{Cell, RefCell};
use std::mem;
use std::net::IpAddr;
use std::rc::Rc;

use meshgate_engine::policy::{RequestChanges, Stage, Verdict};
use meshgate_engine::{
    ActionKind, Decision, Destination, Forwarding, Gateway, HeaderOperations, Match, Program,
    Request, Surroundings,
};
use proxy_wasm::types::{Action, MapType};

use crate::body::{self, Piece, Receipt};
use crate::contexts::{self, Origin, ResponseChanges, Waiting, Watch};
use crate::external::{Answer, Carried, Question, Token};
use crate::headers::HeaderPairs;
use crate::root::Router;
use crate::stats::{Extra, Outcome, Stats, Subject};
use crate::{connection, control, effects, explain, external, host, timer};

/// A request in the making of its decision.
pub(crate) struct Exchange<'a> {
    pub(crate) stream: u32,
    origin: &'a Origin,
    pub(crate) program: &'a Program,
    pub(crate) request: &'a Request<'a, HeaderPairs>,
    /// What it has got from services so far.
    pub(crate) carried: RefCell<Carried>,
    /// Number of the virtual host's name in the program, once it is known.
    host: Cell<Option<u32>>,
}

/// What becomes of a request for now.
pub(crate) enum Step {
    /// It is decided.
    Done(Outcome),
    /// It waits for so many milliseconds, and goes on at the stage.
    Wait(u64, Stage),
    /// It waits for the answer of a service.
    Ask(Question),
}

/// What becomes of a piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyAction {
    /// It goes on.
    Continue,
    /// It is kept, and comes again with the next one.
    Gather,
    /// It is kept as long as the request is held.
    Hold,
}

/// Decides a request, and carries out what has been decided.
pub(crate) fn on_request_headers(stream: u32, has_ended: bool) -> Action {
    let mut origin = contexts::origin(stream).unwrap_or_default();
    let pairs = HeaderPairs::new(host::request_headers());
    let (request, control) = pairs.request();
    effects::remove_control_headers(control);
    if control.asks_to_explain() || origin.router.stats.wants(Extra::Duration) {
        origin.watch = watch(&origin.router, &request);
    }
    if let Some(program) = &origin.router.program
        && let Some(path) = normal_path(program, request.path)
    {
        effects::set_path(&path);
        let came_as = request.path;
        // Everything after this sees the request as if it had come like this.
        let pairs = HeaderPairs::new(host::request_headers());
        let (request, _) = pairs.request();
        let step = begin(stream, has_ended, &origin, &request);
        if let Step::Done(Outcome::Unclaimed) = step {
            effects::set_path(came_as);
        }
        return carry_on(stream, origin, pairs, step);
    }
    let step = begin(stream, has_ended, &origin, &request);
    carry_on(stream, origin, pairs, step)
}

/// Decides a request that has come.
fn begin(
    stream: u32,
    has_ended: bool,
    origin: &Origin,
    request: &Request<'_, HeaderPairs>,
) -> Step {
    match &origin.router.program {
        Some(program) => {
            effects::set_generation(program.generation());
            let carried = Carried::new(!has_ended);
            Exchange::new(stream, origin, program, request, carried).route(Stage::Start)
        }
        None => {
            let stats = &origin.router.stats;
            stats.count(&Subject::default(), Outcome::NoProgram);
            if origin.router.pass_on {
                return Step::Done(Outcome::Unclaimed);
            }
            effects::respond(
                503,
                b"meshgate_no_program",
                b"the gateway has no routing program yet\n",
            );
            Step::Done(Outcome::NoProgram)
        }
    }
}

/// A piece of the body of a request is there.
pub(crate) fn on_request_body(stream: u32, piece: Piece) -> BodyAction {
    match body::receive(stream, piece) {
        Receipt::NotExpected => BodyAction::Continue,
        Receipt::More => BodyAction::Gather,
        Receipt::Held => BodyAction::Hold,
        Receipt::Enough => match take_up(Token::Body(stream), Answer::None) {
            Action::Continue => BodyAction::Continue,
            _ => BodyAction::Hold,
        },
    }
}

/// Goes on with every request of a root context that has waited long enough.
pub(crate) fn on_tick(root: u32) {
    let now = host::now();
    while let Some((stream, origin, Waiting { pairs, stage, .. })) =
        contexts::take_waiting(root, now)
    {
        let carried = Carried::default();
        let action = resume(stream, origin, pairs, carried, |exchange| {
            exchange.route(stage)
        });
        if action == Action::Continue {
            host::continue_request();
        }
    }
    // The last request was acted for; the timer is that of the root context.
    host::act_for(root);
    timer::set(root, now);
}

/// Goes on with a request about which a service was asked.
pub(crate) fn on_answer(token: Token, answer: Answer) {
    if take_up(token, answer) == Action::Continue {
        host::continue_request();
    }
}

fn take_up(token: Token, answer: Answer) -> Action {
    // The client may be gone.
    let Some((stream, origin, pairs, mut question)) = contexts::take_asked(token) else {
        return Action::Pause;
    };
    let carried = mem::take(&mut question.carried);
    resume(stream, origin, pairs, carried, |exchange| {
        exchange.answered(&question, answer)
    })
}

/// Goes on with a request that has waited. It is as it was, and so is the program.
fn resume(
    stream: u32,
    origin: Origin,
    pairs: HeaderPairs,
    carried: Carried,
    decide: impl FnOnce(&Exchange<'_>) -> Step,
) -> Action {
    // The client may be gone.
    if !host::act_for(stream) {
        return Action::Pause;
    }
    let Some(program) = &origin.router.program else {
        return Action::Pause;
    };
    let (request, _) = pairs.request();
    let step = decide(&Exchange::new(stream, &origin, program, &request, carried));
    let action = carry_on(stream, origin, pairs, step);
    if action == Action::Continue {
        body::forget(stream);
    }
    action
}

fn carry_on(stream: u32, origin: Origin, pairs: HeaderPairs, step: Step) -> Action {
    match step {
        Step::Done(Outcome::Forwarded | Outcome::Unclaimed) => Action::Continue,
        Step::Done(_) => Action::Pause,
        Step::Wait(milliseconds, stage) => {
            wait(stream, origin, pairs, milliseconds, stage);
            Action::Pause
        }
        Step::Ask(question) => {
            contexts::ask(stream, origin, pairs, question);
            Action::Pause
        }
    }
}

#[cold]
fn wait(stream: u32, origin: Origin, pairs: HeaderPairs, milliseconds: u64, stage: Stage) {
    let (root, now) = (origin.root, host::now());
    let waiting = Waiting {
        pairs,
        stage,
        until: now.saturating_add(milliseconds.saturating_mul(1_000_000)),
    };
    contexts::wait(stream, origin, waiting);
    timer::set(root, now);
}

/// What is told of a request besides its outcome: an explanation, if it has the token, and how long it takes.
#[cold]
fn watch(router: &Router, request: &Request<'_, HeaderPairs>) -> Option<Rc<Watch>> {
    let value = request.header(control::EXPLAIN);
    let token = router.explain.as_ref().zip(value);
    let watch = Watch {
        since: router.stats.wants(Extra::Duration).then(host::now),
        explains: token.is_some_and(|(token, value)| token.is(&value)),
    };
    (watch.explains || watch.since.is_some()).then(|| Rc::new(watch))
}

/// Changes the response as policies, route and destination of its request want it.
pub(crate) fn on_response_headers(stream: u32) -> Action {
    if let Some((origin, response)) = contexts::kept(stream)
        && let Some(program) = &origin.router.program
    {
        for index in response.operations.into_iter().flatten() {
            if let Some(operations) = header_operations(program, index) {
                effects::change_response(operations, response.is_own);
            }
        }
        effects::set_response_headers(&response.headers);
        external::apply(MapType::HttpResponseHeaders, &response.changes);
        effects::add_cookies(&response.cookies);
        if let Some(explanation) = &response.explanation {
            effects::explain(explanation);
        }
        let since = origin.watch.and_then(|watch| watch.since);
        if let Some((since, histogram)) = since.zip(response.durations) {
            let nanoseconds = host::now().saturating_sub(since);
            Stats::record(histogram, nanoseconds / 1_000_000);
        }
    }
    Action::Continue
}

impl Surroundings for Router {
    fn random(&self) -> f64 {
        self.random.fraction()
    }

    fn source(&self) -> Option<IpAddr> {
        connection::source()
    }

    fn server_name(&self) -> Option<Vec<u8>> {
        connection::server_name()
    }

    fn identities(&self) -> Vec<Vec<u8>> {
        connection::identities()
    }

    fn time(&self) -> u64 {
        host::now() / 1_000_000_000
    }

    fn would_refuse(&self) {
        self.stats.count_would_refuse();
    }
}

impl<'a> Exchange<'a> {
    fn new(
        stream: u32,
        origin: &'a Origin,
        program: &'a Program,
        request: &'a Request<'a, HeaderPairs>,
        carried: Carried,
    ) -> Exchange<'a> {
        Exchange {
            stream,
            origin,
            program,
            request,
            carried: RefCell::new(carried),
            host: Cell::default(),
        }
    }

    /// A request is decided: counts it, and keeps what its response needs to say of it. `detail` is the cluster that it
    /// goes to, or the response code details of what a policy has answered.
    pub(crate) fn done(&self, found: Option<&Match<'_>>, outcome: Outcome, detail: &str) -> Step {
        let stats = &self.origin.router.stats;
        if self.origin.watch.is_some() || stats.wants(Extra::Route) {
            self.account_in_detail(found, outcome, detail);
        } else {
            stats.count(&self.subject(b""), outcome);
        }
        Step::Done(outcome)
    }

    #[cold]
    fn account_in_detail(&self, found: Option<&Match<'_>>, outcome: Outcome, detail: &str) {
        let stats = &self.origin.router.stats;
        let mut route = Vec::new();
        if let Some(found) = found {
            found.append_name(&mut route);
        }
        let subject = self.subject(&route);
        stats.count(&subject, outcome);
        let Some(watch) = &self.origin.watch else {
            return;
        };
        let durations = watch.since.map(|_| stats.durations(&subject));
        let explanation = watch.explains.then(|| {
            let gateway = gateway(self.program).and_then(|at| self.program.gateways().get(at));
            let account = explain::Account {
                generation: self.program.generation(),
                gateway: gateway.map(|gateway| (&*gateway.namespace, &*gateway.name)),
                host: self.host.get().map(|name| self.program.root_name(name)),
                route: &route,
                policies: found.and_then(Match::policies),
                outcome,
                detail,
            };
            account.text().into()
        });
        contexts::watch(self.stream, self.origin, explanation, durations);
    }

    fn subject<'s>(&self, route: &'s [u8]) -> Subject<'s>
    where
        'a: 's,
    {
        let name = |name| Some((name, self.program));
        Subject {
            host: self.host.get().and_then(name),
            route,
        }
    }

    /// Carries out what the program decides about the request, with the policies from a stage on.
    fn route(&self, stage: Stage) -> Step {
        let Some((gateway, found)) = self.find() else {
            return self.without_route();
        };
        self.host.set(effects::set_route(&found));
        if found.action().policies.is_some()
            && let Some(step) = self.check(gateway, &found, stage)
        {
            return step;
        }
        self.act(&found)
    }

    /// Carries out what a service has decided, and goes on after it.
    fn answered(&self, question: &Question, answer: Answer) -> Step {
        let Some((gateway, found)) = self.find() else {
            return self.not_found();
        };
        self.host.set(found.append_name(&mut Vec::new()));
        external::answered(self, gateway, &found, question, answer)
            .unwrap_or_else(|| self.route(question.next))
    }

    /// The gateway that the request came in at, and its route.
    fn find(&self) -> Option<(usize, Match<'a>)> {
        let gateway = gateway(self.program)?;
        match self.program.decide(gateway, self.request) {
            Decision::Route(found) => Some((gateway, found)),
            Decision::NotFound => None,
        }
    }

    /// Where the request goes, if it is forwarded: the same answer every time.
    pub(crate) fn forwarding<'p>(&self, found: &Match<'p>) -> Option<Forwarding<'p>> {
        let router = &self.origin.router;
        let random = || {
            let random = &mut self.carried.borrow_mut().random;
            *random.get_or_insert_with(|| router.random())
        };
        found.forward(self.request, random, || router.source())
    }

    /// Carries out what the policies of the route decide from a stage on; `None` if its action takes place.
    #[cold]
    fn check(&self, gateway: usize, found: &Match<'_>, stage: Stage) -> Option<Step> {
        if mem::take(&mut self.carried.borrow_mut().body_follows) {
            external::expect_body(self, gateway, found);
        }
        let mut changes = RequestChanges::new();
        let verdict = found.check(self.request, stage, &*self.origin.router, &mut changes);
        effects::set_request_headers(&changes);
        self.carried.borrow_mut().has_changed |= !changes.is_empty();
        match verdict {
            Verdict::Pass => {
                external::ask(self, gateway, found, stage).or_else(|| self.mirror(found))
            }
            Verdict::Delay(milliseconds, next) => Some(Step::Wait(milliseconds, next)),
            Verdict::Answer(reply) => {
                self.keep_own(found);
                effects::reply(&reply);
                let outcome = match reply.is_refusal {
                    true => Outcome::Rejected,
                    false => Outcome::DirectResponse,
                };
                Some(self.done(Some(found), outcome, &reply.details))
            }
        }
    }

    /// Tells the proxy which clusters get a copy of the request; `None` if the action of the route is still to take place.
    fn mirror(&self, found: &Match<'_>) -> Option<Step> {
        let router = &self.origin.router;
        let mirrors = found.mirrors(&**router);
        if mirrors.is_empty() {
            return None;
        }
        if router.mirrors_in_header && matches!(found.action().kind, ActionKind::Forward(_)) {
            return Some(self.forward(found, &mirrors));
        }
        effects::set_mirrors(&mirrors);
        None
    }

    /// Carries out the action of the route.
    fn act(&self, found: &Match<'_>) -> Step {
        match &found.action().kind {
            ActionKind::Forward(_) => self.forward(found, &[]),
            ActionKind::Redirect(redirect) => {
                self.keep_own(found);
                effects::redirect(redirect.status, &found.location(redirect, self.request));
                self.done(Some(found), Outcome::Redirected, "")
            }
            ActionKind::DirectResponse(response) => {
                self.keep_own(found);
                effects::respond(
                    response.status,
                    b"meshgate_direct_response",
                    response.body.as_bytes(),
                );
                self.done(Some(found), Outcome::DirectResponse, "")
            }
        }
    }

    /// Sends the request on. `mirrors` are named in the header that names the cluster.
    fn forward(&self, found: &Match<'_>, mirrors: &[&Destination]) -> Step {
        let Some(mut forwarding) = self.forwarding(found) else {
            return self.not_found();
        };
        if self.request.path.is_empty() {
            // CONNECT has no path, and must not get one.
            forwarding.path = None;
        }
        let cookies = mem::take(&mut forwarding.cookies);
        self.keep(found, forwarding.share.headers, cookies, false);
        effects::forward(&forwarding, mirrors);
        let cluster = &forwarding.destination.cluster;
        self.done(Some(found), Outcome::Forwarded, cluster)
    }

    /// No route is for the request: somebody else's may be.
    #[cold]
    fn without_route(&self) -> Step {
        if !self.origin.router.pass_on {
            return self.not_found();
        }
        self.host.set(self.host_name());
        self.done(None, Outcome::Unclaimed, "")
    }

    fn host_name(&self) -> Option<u32> {
        self.program
            .host_name(gateway(self.program)?, self.request.authority)
    }

    #[cold]
    fn not_found(&self) -> Step {
        self.host.set(self.host_name());
        effects::respond(404, b"meshgate_route_not_found", b"");
        self.done(None, Outcome::NotFound, "")
    }

    /// Keeps the stream of a request that the gateway answers itself, if that answer is to be changed.
    pub(crate) fn keep_own(&self, found: &Match<'_>) {
        self.keep(found, None, Vec::new(), true);
    }

    /// Keeps the stream if its response is to be changed: by route and policies, by header operations of the destination, and
    /// with cookies.
    fn keep(
        &self,
        found: &Match<'_>,
        destination: Option<u32>,
        cookies: Vec<Vec<u8>>,
        is_own: bool,
    ) {
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
        let changes = mem::take(&mut self.carried.borrow_mut().response);
        if !headers.is_empty()
            || !changes.is_empty()
            || !cookies.is_empty()
            || operations.into_iter().any(changes_response)
        {
            let response = ResponseChanges {
                operations,
                headers: headers.into(),
                changes: changes.into(),
                cookies: cookies.into(),
                is_own,
                ..ResponseChanges::default()
            };
            contexts::keep(self.stream, self.origin, response);
        }
    }
}

fn header_operations(program: &Program, index: u32) -> Option<&HeaderOperations> {
    program.head().header_operations.get(index as usize)
}

/// The path in the form that its gateway wants, if it does not have it.
fn normal_path(program: &Program, path: &[u8]) -> Option<Vec<u8>> {
    let keeps_paths = |gateway: &Gateway| gateway.paths.is_none();
    if program.gateways().iter().all(keeps_paths) {
        return None;
    }
    program.normal_path(gateway(program)?, path)
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
