//! What a forwarded request becomes.

use std::net::IpAddr;

use crate::decision::Match;
use crate::replace::Replacement;
use crate::request::{Headers, Request};
use crate::tables::{
    ActionKind, Destination, Forward, HeaderOperations, HostRewrite, PathRewrite, Share,
};

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
    /// The new host; `None` = unchanged.
    pub host: Option<Vec<u8>>,
    /// Cookies that the client is given with the response: values of `set-cookie`.
    pub cookies: Vec<Vec<u8>>,
    /// The action, for timeouts and retries.
    pub forward: &'p Forward,
}

impl<'p> Match<'p> {
    /// Chooses a destination and computes the new path and host; `None` for other actions, and for a path or host that a
    /// pattern cannot rewrite in reasonable time. Between weighted destinations decides what the request has, if clients
    /// stay with them, or `random` (0 ≤ r < 1): the first whose cumulative share of the weights exceeds it.
    /// `source` tells the address of who connects. Both are asked only if that matters, and `random` gives the same number
    /// every time.
    pub fn forward<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        random: impl Fn() -> f64,
        source: impl Fn() -> Option<IpAddr>,
    ) -> Option<Forwarding<'p>> {
        let ActionKind::Forward(forward) = &self.action().kind else {
            return None;
        };
        let stickiness = forward.stickiness.as_ref();
        let key = stickiness.map(|stickiness| stickiness.key(request, &random, &source));
        let key = key.unwrap_or_default();
        let sticky = stickiness.zip(key.value);
        let sticky = sticky.and_then(|(stickiness, key)| stickiness.choose(&forward.shares, key));
        let share = sticky.or_else(|| by_chance(forward, random))?;
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
            path: match &forward.rewrite {
                Some(rewrite) => Some(self.rewrite(rewrite, request)?),
                None => None,
            },
            host: match &forward.host {
                Some(rewrite) => self.host(rewrite, request)?,
                None => None,
            },
            cookies: key.cookies,
            forward,
        })
    }
}

/// The share that a random number stands for. There is no chance where there is one.
fn by_chance(forward: &Forward, random: impl Fn() -> f64) -> Option<&Share> {
    if let [only] = &forward.shares[..]
        && only.weight > 0
    {
        return Some(only);
    }
    let point = (random() * f64::from(forward.total_weight)) as u32;
    let mut sum = 0_u32;
    let share = forward.shares.iter().find(|share| {
        sum = sum.saturating_add(share.weight);
        point < sum
    });
    // A random number out of its range still finds a destination that takes requests.
    share.or_else(|| forward.shares.iter().rfind(|share| share.weight > 0))
}

impl Match<'_> {
    /// The rewritten path; the query stays. Prefixes are counted after what calls have put aside, which is replaced with
    /// them. `None` when a pattern does not match or would take too long.
    pub(crate) fn rewrite<H: ?Sized>(
        &self,
        rewrite: &PathRewrite,
        request: &Request<'_, H>,
    ) -> Option<Vec<u8>> {
        let whole = request.path_only().len();
        let after = |len: u32| self.base().saturating_add(len as usize);
        let replaced;
        let (to, kept) = match rewrite {
            PathRewrite::Prefix { len, to } => {
                let kept = self.sent_len(request.path_only(), after(*len));
                (to.as_bytes(), kept)
            }
            PathRewrite::Whole { to } => (to.as_bytes(), whole),
            PathRewrite::Matches { replacement } => {
                let replacement = self.replacement(*replacement)?;
                let path = replacement.replace_all(request.path_only())?;
                // Paths start with a slash, however they came about.
                replaced = match path.first() {
                    Some(b'/') => path,
                    _ => [b"/".as_slice(), &path].concat(),
                };
                (replaced.as_slice(), whole)
            }
            PathRewrite::Rest { len, replacement } => {
                let matched = self.matched(request.path_only());
                let rest = matched.get(after(*len)..)?;
                replaced = self.replacement(*replacement)?.replace_whole(rest)?;
                (replaced.as_slice(), whole)
            }
        };
        let rest = request.path.get(kept..).unwrap_or_default();
        let mut path = Vec::with_capacity(to.len() + rest.len());
        path.extend_from_slice(to);
        path.extend_from_slice(rest);
        Some(path)
    }

    /// The new host, if it changes.
    #[expect(clippy::option_option, reason = "it cannot be rewritten, or it stays")]
    fn host<H: Headers + ?Sized>(
        &self,
        rewrite: &HostRewrite,
        request: &Request<'_, H>,
    ) -> Option<Option<Vec<u8>>> {
        Some(match rewrite {
            HostRewrite::Text(host) => Some(host.clone().into_bytes()),
            HostRewrite::Header(name) => request
                .header(name.as_bytes())
                .filter(|host| !host.is_empty())
                .map(|host| host.into_owned()),
            HostRewrite::Path(replacement) => {
                let replacement = self.replacement(*replacement)?;
                // A request needs a host: where nothing is left of the path, it stays.
                Some(replacement.replace_all(request.path_only())?).filter(|host| !host.is_empty())
            }
        })
    }

    fn replacement(&self, id: u32) -> Option<&Replacement> {
        self.program().head().replacements.get(id as usize)
    }
}
