//! Faults on purpose, to see what depends on a service.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Percentage, Reply};
use crate::surroundings::Surroundings;

/// Delays or refuses a share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fault {
    /// What happens to them.
    pub kind: FaultKind,
    /// How many of them.
    pub percentage: Percentage,
}

/// What a fault does to a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultKind {
    /// It waits for so many milliseconds, and then goes its way.
    Delay(u64),
    /// It is answered with this status, 200 to 599.
    Abort(u16),
}

impl Fault {
    /// What happens to the next request, if anything.
    pub(super) fn next(&self, surroundings: &impl Surroundings) -> Option<&FaultKind> {
        self.percentage.takes(surroundings).then_some(&self.kind)
    }
}

/// The answer of an abort.
pub(super) fn abort(status: u16) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: Cow::Borrowed("fault filter abort"),
        is_refusal: true,
        details: "meshgate_refused_fault".into(),
    }
}
