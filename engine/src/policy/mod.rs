//! Policies of routes: what is decided about a request once its route is known, beyond where it goes.
//!
//! They are looked at in the order of the fields of [`Policies`]; the first that answers ends it. Some let a request wait:
//! then the rest of them is looked at later, from another [`Stage`] on.

mod authorization;
mod cors;
mod credentials;
mod csrf;
mod descriptor;
mod external;
mod fault;
mod jwt;
mod mirror;
mod percentage;
mod text;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use self::authorization::{AddressRange, Authorization, ClaimMatch, Rule};
pub use self::cors::Cors;
pub use self::credentials::{CredentialCheck, HASH, User};
pub use self::csrf::Csrf;
pub use self::descriptor::Descriptor;
pub use self::external::{
    Auth, AuthBody, AuthHttp, AuthProtocol, AuthService, DescriptorEntry, HeaderCondition,
    HeaderValue, MOST_OF_BODY, RateLimit, RateLimitService, RateLimits, Services, TokenBucket,
};
pub use self::fault::{Fault, FaultKind};
pub use self::jwt::{Issuer, Jwt, MAX_TOKEN, MAX_TRIES};
pub use self::mirror::Mirror;
pub use self::percentage::Percentage;
pub use self::text::{TextKind, TextMatch};
use crate::decision::Match;
use crate::program::Program;
use crate::request::{Headers, Request};
use crate::surroundings::Surroundings;

/// The policies of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policies {
    /// Faults on purpose.
    pub fault: Option<Fault>,
    /// Which pages of other origins may see the answers.
    pub cors: Option<Cors>,
    /// Which pages may send requests that change something.
    pub csrf: Option<Csrf>,
    /// Tokens that requests must have.
    pub jwt: Option<Jwt>,
    /// What requests must say about their senders: all of it.
    pub credentials: Vec<CredentialCheck>,
    /// Who may send requests.
    pub authorization: Option<Authorization>,
    /// What a service is asked whether the request may pass.
    pub auth: Option<Auth>,
    /// How many requests may pass.
    pub rate_limit: Option<RateLimit>,
    /// Destinations that get copies of forwarded requests.
    pub mirrors: Vec<Mirror>,
}

/// Headers that policies set, or remove, in a request that goes on: before all header operations.
pub type RequestChanges<'p> = Vec<(&'p str, Option<Vec<u8>>)>;

/// What the policies of a route say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The route's action takes place.
    Pass,
    /// The gateway answers instead.
    Answer(Reply),
    /// The request waits for so many milliseconds; then the policies from the stage on are looked at.
    Delay(u64, Stage),
}

/// Where a look at the policies of a route begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// With all of them.
    #[default]
    Start,
    /// With those after the faults.
    Faulted,
    /// With those that services decide, from the one of this number on. [`Match::check`] has none of them.
    Service(u8),
}

/// An answer that the gateway gives by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Names, lower-case, and values.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// Body.
    pub body: Cow<'static, str>,
    /// Whether the request was refused; otherwise it was answered.
    pub is_refusal: bool,
    /// A word for access logs, such as `meshgate_refused_authorization[RULE]`.
    pub details: Cow<'static, str>,
}

impl<'p> Match<'p> {
    /// The policies of the route, if it has any.
    pub fn policies(&self) -> Option<&'p Policies> {
        let id = self.action().policies?;
        self.program().head().policies.get(id as usize)
    }

    /// What the route's policies say about a request, from a stage on. What changes about it if it goes on is added to
    /// `changes`.
    pub fn check<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        stage: Stage,
        surroundings: &impl Surroundings,
        changes: &mut RequestChanges<'p>,
    ) -> Verdict {
        let Some(policies) = self.policies() else {
            return Verdict::Pass;
        };
        if stage >= Stage::Service(0) {
            return Verdict::Pass;
        }
        if stage < Stage::Faulted
            && let Some(fault) = &policies.fault
        {
            match fault.next(surroundings) {
                Some(FaultKind::Delay(milliseconds)) => {
                    return Verdict::Delay(*milliseconds, Stage::Faulted);
                }
                Some(FaultKind::Abort(status)) => return Verdict::Answer(fault::abort(*status)),
                None => {}
            }
        }
        let preflight = policies
            .cors
            .as_ref()
            .and_then(|cors| cors.preflight(request, self.program()));
        let answer = preflight.or_else(|| {
            let csrf = policies.csrf.as_ref()?;
            csrf.check(request, self.program(), surroundings)
        });
        if let Some(reply) = answer {
            return Verdict::Answer(reply);
        }
        // Who may send requests is decided about the path that was matched.
        let path = self.matched(request.path);
        let request = &Request {
            path: &path,
            ..*request
        };
        match policies.access(request, self.program(), surroundings, changes) {
            Ok(()) => Verdict::Pass,
            Err(reply) => Verdict::Answer(reply),
        }
    }

    /// Headers that the response gets, in place of any of that name, after all header operations.
    pub fn response_headers<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
    ) -> Vec<(&'static str, Vec<u8>)> {
        self.policies()
            .and_then(|policies| policies.cors.as_ref())
            .map(|cors| cors.response_headers(request, self.program()))
            .unwrap_or_default()
    }
}

impl Policies {
    /// Refuses requests of those who may not send them.
    fn access<'p, H: Headers + ?Sized>(
        &'p self,
        request: &Request<'_, H>,
        program: &Program,
        surroundings: &impl Surroundings,
        changes: &mut RequestChanges<'p>,
    ) -> Result<(), Reply> {
        let claims = match &self.jwt {
            Some(jwt) => jwt.check(request, program, surroundings.time(), changes)?,
            None => None,
        };
        let mut checks = self.credentials.iter();
        if let Some(refusal) = checks.find_map(|check| check.refusal(request)) {
            return Err(refusal);
        }
        let refusal = self.authorization.as_ref().and_then(|authorization| {
            // As what a client writes into headers of claims does not reach the destination, rules do not see it either.
            let headers = &Changed {
                before: request.headers,
                changes,
            };
            let request = Request {
                method: request.method,
                scheme: request.scheme,
                authority: request.authority,
                path: request.path,
                headers,
            };
            authorization.refusal(&request, program, claims.as_ref(), surroundings)
        });
        refusal.map_or(Ok(()), Err)
    }
}

/// The headers of a request with changes.
struct Changed<'a, H: ?Sized> {
    before: &'a H,
    changes: &'a [(&'a str, Option<Vec<u8>>)],
}

impl<H: Headers + ?Sized> Headers for Changed<'_, H> {
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let stays = |name: &[u8]| {
            let mut changes = self.changes.iter();
            changes.all(|(changed, _)| changed.as_bytes() != name)
        };
        let before = self.before.iter().filter(move |(name, _)| stays(name));
        let values = self.changes.iter();
        before.chain(values.filter_map(|(name, value)| Some((name.as_bytes(), value.as_deref()?))))
    }
}
