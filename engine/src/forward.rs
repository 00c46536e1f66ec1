//! What a forwarded request becomes.

use crate::decision::Match;
use crate::request::Request;
use crate::tables::{ActionKind, Destination, Forward, HeaderOperations, PathRewrite, Share};

/// Where a request goes, and what changes on the way.
#[derive(Debug)]
pub struct Forwarding<'p> {
    /// The chosen share of the requests.
    pub share: &'p Share,
    /// Its destination.
    pub destination: &'p Destination,
    /// Header operations of the route, then of the destination.
    pub headers: [Option<&'p HeaderOperations>; 2],
    /// The new path with query; `None` = unchanged.
    pub path: Option<Vec<u8>>,
    /// The action, for timeouts and retries.
    pub forward: &'p Forward,
}

impl<'p> Match<'p> {
    /// Chooses a destination and computes the new path; `None` for other actions. `random` (0 ≤ r < 1) decides
    /// between weighted destinations: the first whose cumulative share of the weights exceeds it.
    pub fn forward<H: ?Sized>(
        &self,
        request: &Request<'_, H>,
        random: f64,
    ) -> Option<Forwarding<'p>> {
        let ActionKind::Forward(forward) = &self.action().kind else {
            return None;
        };
        let point = (random * f64::from(forward.total_weight)) as u32;
        let mut sum = 0_u32;
        let share = forward.shares.iter().find(|share| {
            sum = sum.saturating_add(share.weight);
            point < sum
        });
        // A random number out of its range still finds a destination that takes requests.
        let share = share.or_else(|| forward.shares.iter().rfind(|share| share.weight > 0))?;
        Some(Forwarding {
            share,
            destination: self
                .program()
                .head()
                .destinations
                .get(share.destination as usize)?,
            headers: [
                self.headers(),
                self.program().header_operations(share.headers),
            ],
            path: forward
                .rewrite
                .as_ref()
                .map(|rewrite| rewrite.apply(request, self.base())),
            forward,
        })
    }
}

impl PathRewrite {
    /// The rewritten path; the query stays. Prefixes are counted after `base` bytes, which are replaced with them.
    pub(crate) fn apply<H: ?Sized>(&self, request: &Request<'_, H>, base: usize) -> Vec<u8> {
        let (to, kept) = match self {
            PathRewrite::Prefix { len, to } => (to, base.saturating_add(*len as usize)),
            PathRewrite::Whole { to } => (to, request.path_only().len()),
        };
        let rest = request.path.get(kept..).unwrap_or_default();
        let mut path = Vec::with_capacity(to.len() + rest.len());
        path.extend_from_slice(to.as_bytes());
        path.extend_from_slice(rest);
        path
    }
}
