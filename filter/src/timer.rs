//! When a root context is called for requests that have waited long enough. While none waits, it is not.

use crate::{contexts, host};

/// Sets the timer of a root context, or of the one that the stream at hand belongs to, to its next request.
pub(crate) fn set(root: u32, now: u64) {
    let milliseconds = contexts::next_time(root).map_or(0, |until| {
        // Never too early, and never zero, which would stop it.
        let left = until.saturating_sub(now).div_ceil(1_000_000);
        u32::try_from(left).unwrap_or(u32::MAX).max(1)
    });
    host::set_timer(milliseconds);
}
