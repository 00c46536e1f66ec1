//! Headers by which a request steers the proxy's router.
//!
//! The filter speaks to the router through them, so none of them may come from a client. Envoy strips most of them from
//! requests that it takes for external, but what it takes for external is a matter of its configuration.

/// Names the cluster to forward to. The catch-all route reads it, and removes it before the upstream sees it.
pub(crate) const CLUSTER: &[u8] = b"x-meshgate-cluster";
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

/// All of them: what Envoy's router reads from a request, and the header of our own. Headers in which Envoy tells the
/// upstream something (`x-envoy-external-address`) are not among them.
const NAMES: [&[u8]; 14] = [
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

/// The control headers that a request carries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ControlHeaders {
    /// Bit `n` stands for name `n`.
    present: u32,
}

impl ControlHeaders {
    /// Takes note of a header of the request, if it is one of them.
    pub(crate) fn note(&mut self, name: &[u8]) {
        if !name.starts_with(b"x-envoy-") && name != CLUSTER {
            return;
        }
        if let Some(index) = NAMES.iter().position(|&control| control == name) {
            self.present |= 1 << index;
        }
    }

    /// Their names.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static [u8]> {
        NAMES
            .into_iter()
            .enumerate()
            .filter(move |(index, _)| self.present & (1 << index) != 0)
            .map(|(_, name)| name)
    }
}
