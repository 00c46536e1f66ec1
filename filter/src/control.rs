//! Headers by which a request steers the proxy's router.
//!
//! The filter speaks to the router through them, so none of them may come from a client. Envoy strips most of them from
//! requests that it takes for external, but what it takes for external is a matter of its configuration.

use std::iter;

use super::words::{equal, starts_with};

/// Names the cluster to forward to. The catch-all route reads it, and removes it before the upstream sees it.
pub(crate) const CLUSTER: &[u8] = b"x-meshgate-cluster";
/// Asks for an explanation of what is decided about the request, with a token as its value.
pub(crate) const EXPLAIN: &[u8] = b"x-meshgate-explain";
/// Time limit of the whole request in milliseconds; 0 = none.
pub(crate) const TIMEOUT: &[u8] = b"x-envoy-upstream-rq-timeout-ms";
/// Time limit of each try in milliseconds.
pub(crate) const PER_TRY_TIMEOUT: &[u8] = b"x-envoy-upstream-rq-per-try-timeout-ms";
/// Number of retries.
pub(crate) const MAX_RETRIES: &[u8] = b"x-envoy-max-retries";
/// Conditions for a retry.
pub(crate) const RETRY_ON: &[u8] = b"x-envoy-retry-on";
/// Conditions for a retry, from the gRPC status.
pub(crate) const RETRY_GRPC_ON: &[u8] = b"x-envoy-retry-grpc-on";
/// Response statuses that are a condition for a retry.
pub(crate) const RETRIABLE_STATUS_CODES: &[u8] = b"x-envoy-retriable-status-codes";

/// All of them: what Envoy's router reads from a request, and the headers of our own. Headers in which Envoy tells the
/// upstream something (`x-envoy-external-address`) are not among them.
const NAMES: [&[u8]; 15] = [
    EXPLAIN,
    CLUSTER,
    TIMEOUT,
    PER_TRY_TIMEOUT,
    MAX_RETRIES,
    RETRY_ON,
    RETRY_GRPC_ON,
    RETRIABLE_STATUS_CODES,
    b"x-envoy-retriable-header-names",
    b"x-envoy-hedge-on-per-try-timeout",
    b"x-envoy-upstream-rq-timeout-alt-response",
    b"x-envoy-upstream-alt-stat-name",
    b"x-envoy-upstream-stream-duration-ms",
    b"x-envoy-expected-rq-timeout-ms",
    b"x-envoy-decorator-operation",
];

/// Bit `n` is set when one of them has `n` bytes (modulo 64).
const LENGTHS: u64 = {
    let mut lengths = 0;
    let mut index = 0;
    while index < NAMES.len() {
        lengths |= 1 << (NAMES[index].len() % 64);
        index += 1;
    }
    lengths
};

/// Whether a name, in lower case, is that of a control header.
pub(crate) fn is_control(name: &[u8]) -> bool {
    position(name).is_some()
}

#[inline]
fn position(name: &[u8]) -> Option<usize> {
    let is_control = |control: &[u8]| equal(name, control);
    if LENGTHS >> (name.len() % 64) & 1 == 0
        || !(starts_with(name, *b"x-envoy-") || is_control(CLUSTER) || is_control(EXPLAIN))
    {
        return None;
    }
    NAMES.iter().position(|control| is_control(control))
}

/// The control headers that a request carries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ControlHeaders {
    /// Bit `n` stands for name `n`.
    present: u32,
}

impl ControlHeaders {
    /// Takes note of a header of the request, if it is one of them.
    pub(crate) fn note(&mut self, name: &[u8]) {
        if let Some(index) = position(name) {
            self.present |= 1 << index;
        }
    }

    /// Whether the request asks for an explanation.
    pub(crate) fn asks_to_explain(self) -> bool {
        // The first of the names.
        self.present & 1 != 0
    }

    /// Their names.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static [u8]> {
        let mut present = self.present;
        iter::from_fn(move || {
            let name = NAMES.get(present.trailing_zeros() as usize)?;
            present &= present - 1;
            Some(*name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_headers_are_noted_and_others_are_not() {
        let mut control = ControlHeaders::default();
        for name in [
            "",
            "x",
            "x-envoy-",
            "x-envoy-retry-of",
            "x-meshgate-clustes",
            "accept",
        ] {
            control.note(name.as_bytes());
        }
        assert_eq!(control.names().count(), 0);
        assert!(!control.asks_to_explain());
        control.note(EXPLAIN);
        assert!(control.asks_to_explain());
        for name in NAMES.into_iter().rev() {
            control.note(name);
        }
        assert!(control.names().eq(NAMES));
    }
}
