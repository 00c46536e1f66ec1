//! Copies of requests.

use serde::{Deserialize, Serialize};

use super::Percentage;
use crate::decision::Match;
use crate::surroundings::Surroundings;
use crate::tables::Destination;

/// A destination that gets copies of the requests. Nobody waits for its answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mirror {
    /// Index of the destination.
    pub destination: u32,
    /// How many requests it gets.
    pub percentage: Percentage,
}

impl<'p> Match<'p> {
    /// The destinations that get a copy of the next request, in order.
    pub fn mirrors(&self, surroundings: &impl Surroundings) -> Vec<&'p Destination> {
        let mirrors = self
            .policies()
            .map_or(&[][..], |policies| &policies.mirrors);
        let chosen = mirrors
            .iter()
            .filter(|mirror| mirror.percentage.takes(surroundings));
        let destinations = &self.program().head().destinations;
        chosen
            .filter_map(|mirror| destinations.get(mirror.destination as usize))
            .collect()
    }
}
