//! Verification of policies: statuses, numbers, and text that becomes header values.

use super::{check, external, is_text};
use crate::error::FormatError;
use crate::policy::{
    Cors, Csrf, Fault, FaultKind, Mirror, Percentage, Policies, TextKind, TextMatch,
};

/// `automata` and `destinations`: how many there are.
pub(super) fn verify(
    policies: &Policies,
    automata: usize,
    destinations: usize,
) -> Result<(), FormatError> {
    check(
        policies.fault.as_ref().is_none_or(is_fault),
        "fault is malformed",
    )?;
    check(
        policies
            .cors
            .as_ref()
            .is_none_or(|cors| is_cors(cors, automata)),
        "cross-origin policy is malformed",
    )?;
    check(
        policies
            .csrf
            .as_ref()
            .is_none_or(|csrf| is_csrf(csrf, automata)),
        "request forgery policy is malformed",
    )?;
    let is_mirror = |mirror: &Mirror| {
        (mirror.destination as usize) < destinations && mirror.percentage.0 <= Percentage::ALL.0
    };
    check(
        policies.mirrors.iter().all(is_mirror),
        "mirror is malformed",
    )?;
    policies.rate_limit.as_ref().map_or(Ok(()), |limit| {
        external::rate_limit(limit, |text| is_text_match(text, automata))
    })
}

fn is_fault(fault: &Fault) -> bool {
    let status_is_sound = match fault.kind {
        FaultKind::Delay(_) => true,
        FaultKind::Abort(status) => (200..=599).contains(&status),
    };
    status_is_sound && fault.percentage.0 <= Percentage::ALL.0
}

fn is_cors(cors: &Cors, automata: usize) -> bool {
    let mut origins = cors.origins.iter();
    origins.all(|origin| is_text_match(origin, automata))
        && [&cors.methods, &cors.headers, &cors.expose]
            .into_iter()
            .all(|list| is_text(list))
}

fn is_csrf(csrf: &Csrf, automata: usize) -> bool {
    let mut origins = csrf.origins.iter();
    origins.all(|origin| is_text_match(origin, automata)) && csrf.percentage.0 <= Percentage::ALL.0
}

pub(super) fn is_text_match(condition: &TextMatch, automata: usize) -> bool {
    match condition.kind {
        TextKind::Automaton(id) => (id as usize) < automata,
        TextKind::Exact(_) | TextKind::Prefix(_) | TextKind::Suffix(_) => true,
    }
}
