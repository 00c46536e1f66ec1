//! Policies of routes as written and as applied: what is decided about a request beyond where it goes.

pub mod access;
pub mod external;
pub mod stickiness;

use std::sync::Arc;
use std::time::Duration;

use crate::resource::PathKind;
use crate::tree::Destination;

/// `faultInjection`: faults on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// To how many requests.
    pub percentage: Percentage,
}

/// What a [`Fault`] does to a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// `fixedDelay`: it waits, and then goes its way.
    Delay(Duration),
    /// `abort`: it is answered with this status, 200 to 599.
    Abort(u16),
}

/// A share of all requests, in millionths: 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentage(pub u32);

impl Percentage {
    /// All requests; what an absent percentage means.
    pub const ALL: Self = Self(1_000_000);
}

/// `corsPolicy`: which pages of other origins may see the answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cors {
    /// Origins that may; one that matches `*` means all.
    pub origins: Vec<TextMatch>,
    /// Methods that a preflight allows.
    pub methods: Vec<String>,
    /// Request headers that a preflight allows.
    pub headers: Vec<String>,
    /// Response headers that pages see.
    pub expose: Vec<String>,
    /// How long a preflight holds, in whole seconds.
    pub max_age: Option<Duration>,
    /// Whether cookies and the like may be sent along.
    pub credentials: bool,
}

/// One of `mirrors`: a destination that gets copies of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mirror {
    /// Where they go.
    pub destination: Arc<Destination>,
    /// How many requests it gets.
    pub percentage: Percentage,
}

/// `csrf`: which pages may send requests that change something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Csrf {
    /// What happens to those of others.
    pub mode: CsrfMode,
    /// How many requests are looked at.
    pub percentage: Percentage,
    /// Hosts whose pages may too.
    pub origins: Vec<TextMatch>,
}

/// What [`Csrf`] does with requests from pages of foreign origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CsrfMode {
    /// Nothing; this ends an inherited policy.
    Off,
    /// `shadowEnabled`: counts them.
    Shadow,
    /// `filterEnabled`: refuses them.
    Enforce,
}

/// A condition on a text, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextMatch {
    /// How it is compared.
    pub kind: PathKind,
    /// Text or pattern. Patterns are valid.
    pub value: String,
    /// Compare ASCII letters without case; has no effect on a regex.
    pub ignore_case: bool,
}
