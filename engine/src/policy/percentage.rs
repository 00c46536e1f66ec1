//! Shares of all requests.

use serde::{Deserialize, Serialize};

use crate::surroundings::Surroundings;

/// A share of all requests, in millionths: 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Percentage(pub u32);

impl Percentage {
    /// All requests.
    pub const ALL: Self = Self(1_000_000);

    /// Whether the next request is among them.
    pub(super) fn takes(self, surroundings: &impl Surroundings) -> bool {
        self.0 >= Self::ALL.0 || surroundings.random() * 1e6 < f64::from(self.0)
    }
}
