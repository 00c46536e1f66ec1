//! `faultInjection`, and percentages.

use std::time::Duration;

use super::super::value::{duration, integer_in, missing};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::policy::{Fault, FaultKind, Percentage};

/// The longest delay. What waits takes memory, so that a typing error must not keep requests for days.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

pub(super) fn fault_injection(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Fault> {
    let percentage = percentage(node, diagnostics);
    let kind = if let Some(delay) = node.get("fixedDelay") {
        fixed_delay(delay, diagnostics).map(FaultKind::Delay)
    } else if let Some(abort) = node.get("abort") {
        abort_status(abort, diagnostics).map(FaultKind::Abort)
    } else {
        if !node.faulty {
            diagnostics.push(missing(
                node.span,
                "fixedDelay` or `abort",
                "`faultInjection`",
            ));
        }
        None
    };
    Some(Fault {
        percentage: percentage?,
        kind: kind?,
    })
}

fn fixed_delay(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Duration> {
    let delay = duration(node, "`fixedDelay`", Duration::from_millis(1), diagnostics)?;
    if delay.value <= LONGEST_DELAY {
        return Some(delay.value);
    }
    diagnostics.push(Diagnostic::at(
        Code::InvalidDuration,
        delay.span,
        format!("`fixedDelay` must be at most {LONGEST_DELAY:?}"),
    ));
    None
}

fn abort_status(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<u16> {
    let Some(status) = node.get("httpStatus") else {
        if !node.faulty {
            diagnostics.push(missing(node.span, "httpStatus", "`abort`"));
        }
        return None;
    };
    let status = integer_in(status, "the status of a fault", 200..=599, diagnostics)?;
    u16::try_from(status.value).ok()
}

/// `percentage`: 0 to 100; all if absent. Finer than a ten-thousandth of a percent is rounded.
pub(super) fn percentage(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Percentage> {
    let Some(percentage) = node.get("percentage") else {
        return Some(Percentage::ALL);
    };
    let value = percentage.number()?;
    if (0.0..=100.0).contains(&value) {
        return Some(Percentage((value * 1e4).round() as u32));
    }
    diagnostics.push(Diagnostic::at(
        Code::NumberOutOfRange,
        percentage.span,
        format!("a percentage must be between 0 and 100, but is {value}"),
    ));
    None
}
