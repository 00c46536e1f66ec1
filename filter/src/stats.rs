//! Counters of what the filter did.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Forwarded,
    Redirected,
    DirectResponse,
    Rejected,
    NotFound,
    NoProgram,
}

/// One counter for each outcome.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Ids that the host gave, in the order of [`Outcome`]. Id 0 counts nothing.
    counters: [u32; 6],
    would_refuse: u32,
}

impl Stats {
    /// Defines the counters. Counters with the same name are the same, whoever defines them.
    pub(crate) fn define() -> Stats {
        let names = [
            "meshgate.forwarded",
            "meshgate.redirected",
            "meshgate.direct_response",
            "meshgate.rejected",
            "meshgate.not_found",
            "meshgate.no_program",
        ];
        let counters =
            names.map(|name| hostcalls::define_metric(MetricType::Counter, name).unwrap_or(0));
        let would_refuse =
            hostcalls::define_metric(MetricType::Counter, "meshgate.would_refuse").unwrap_or(0);
        Stats {
            counters,
            would_refuse,
        }
    }

    /// Counts a request that a policy would have refused if it were enforced.
    #[cold]
    pub(crate) fn count_would_refuse(&self) {
        let _ = hostcalls::increment_metric(self.would_refuse, 1);
    }

    /// Counts one request.
    pub(crate) fn count(&self, outcome: Outcome) {
        if let Some(&counter) = self.counters.get(outcome as usize) {
            // A counter that the host could not define stays at zero.
            let _ = hostcalls::increment_metric(counter, 1);
        }
    }
}
