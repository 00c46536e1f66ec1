//! Verification of the head: indices, statuses, and text that becomes header names, header values or paths.

use crate::error::{FormatError, FormatErrorKind};
use crate::replace::{Part, Replacement};
use crate::signature::Key;
use crate::stickiness::{PropertyKind, Stickiness};
use crate::tables::{
    ActionKind, Forward, Head, HeaderOperations, HostRewrite, PathRewrite, Redirect, RedirectPath,
    Retries,
};

mod access;
mod external;
mod policies;

pub(super) use access::Records;

/// The head has no offsets of its own: the name of what is wrong says where it is.
fn check(holds: bool, what: &str) -> Result<(), FormatError> {
    if holds {
        Ok(())
    } else {
        Err(FormatError::new(FormatErrorKind::Head(what.to_owned()), 0))
    }
}

pub(super) fn verify(head: &Head, records: Records) -> Result<(), FormatError> {
    check(
        is_text(&head.generation),
        "generation has control characters",
    )?;
    check(!head.gateways.is_empty(), "no gateway")?;
    check(
        head.without_parameters.is_sorted_by(|a, b| a < b),
        "virtual hosts without parameters are not in order",
    )?;
    let has_operations =
        |id: Option<u32>| id.is_none_or(|id| (id as usize) < head.header_operations.len());
    for action in &head.actions {
        check(
            has_operations(action.headers),
            "action refers to no header operations",
        )?;
        check(
            action
                .policies
                .is_none_or(|id| (id as usize) < head.policies.len()),
            "action refers to no policies",
        )?;
        match &action.kind {
            ActionKind::Forward(forward) => {
                let is_destination = |id: u32| (id as usize) < head.destinations.len();
                for share in &forward.shares {
                    check(
                        is_destination(share.destination),
                        "action refers to no destination",
                    )?;
                    check(
                        has_operations(share.headers),
                        "destination refers to no header operations",
                    )?;
                }
                check(has_weight(forward), "weights do not add up")?;
                check(
                    forward
                        .stickiness
                        .as_ref()
                        .is_none_or(|stickiness| is_stickiness(stickiness, forward)),
                    "stickiness is malformed",
                )?;
                check(
                    forward.retries.as_ref().is_none_or(is_retries),
                    "retries are malformed",
                )?;
                check(
                    forward
                        .rewrite
                        .as_ref()
                        .is_none_or(|rewrite| is_rewrite(rewrite, head)),
                    "path rewrite is not a path",
                )?;
                check(
                    forward
                        .host
                        .as_ref()
                        .is_none_or(|rewrite| is_host_rewrite(rewrite, head)),
                    "host rewrite is not a host",
                )?;
            }
            ActionKind::Redirect(redirect) => {
                check(is_redirect(redirect, head), "redirect is malformed")?
            }
            ActionKind::DirectResponse(response) => {
                check(
                    (200..=599).contains(&response.status),
                    "status of a direct response is out of range",
                )?;
            }
        }
    }
    for destination in &head.destinations {
        check(
            !destination.cluster.is_empty() && is_text(&destination.cluster),
            "name of a cluster is malformed",
        )?;
    }
    for replacement in &head.replacements {
        check(is_replacement(replacement), "replacement is malformed")?;
    }
    for operations in &head.header_operations {
        check(is_operations(operations), "header is malformed")?;
    }
    head.services.iter().try_for_each(external::services)?;
    check(head.keys.iter().all(Key::is_sound), "key is malformed")?;
    head.policies.iter().try_for_each(|policies| {
        policies::verify(policies, records.automata, head.destinations.len())?;
        access::verify(policies, records, head.keys.len())
    })
}

fn has_weight(forward: &Forward) -> bool {
    let sum = forward
        .shares
        .iter()
        .try_fold(0_u32, |sum, share| sum.checked_add(share.weight));
    forward.total_weight > 0 && sum == Some(forward.total_weight)
}

fn is_stickiness(stickiness: &Stickiness, forward: &Forward) -> bool {
    stickiness.names.len() == forward.shares.len()
        && (stickiness.properties.iter()).all(|property| match &property.kind {
            PropertyKind::Header(name) => is_header_name(name),
            PropertyKind::Cookie { name, attributes } => {
                is_header_name(&name.to_ascii_lowercase())
                    && attributes.as_deref().is_none_or(is_text)
            }
            PropertyKind::SourceAddress => true,
        })
}

fn is_retries(retries: &Retries) -> bool {
    is_text(&retries.on) && is_text(&retries.grpc_on) && is_text(&retries.status_codes)
}

fn is_rewrite(rewrite: &PathRewrite, head: &Head) -> bool {
    match rewrite {
        PathRewrite::Prefix { to, .. } | PathRewrite::Whole { to } => is_text(to),
        PathRewrite::Matches { replacement } | PathRewrite::Rest { replacement, .. } => {
            (*replacement as usize) < head.replacements.len()
        }
    }
}

fn is_host_rewrite(rewrite: &HostRewrite, head: &Head) -> bool {
    match rewrite {
        HostRewrite::Text(host) => !host.is_empty() && is_text(host),
        HostRewrite::Header(name) => is_header_name(name),
        HostRewrite::Path(replacement) => (*replacement as usize) < head.replacements.len(),
    }
}

fn is_replacement(replacement: &Replacement) -> bool {
    replacement.is_valid()
        && replacement.parts.iter().all(|part| match part {
            Part::Text(text) => is_text(text),
            Part::Group(_) => true,
        })
}

fn is_redirect(redirect: &Redirect, head: &Head) -> bool {
    (300..=399).contains(&redirect.status)
        && redirect.host.as_deref().is_none_or(is_text)
        && redirect.scheme.as_deref().is_none_or(is_text)
        && match &redirect.path {
            RedirectPath::Keep => true,
            RedirectPath::Full(path) => is_text(path),
            RedirectPath::Rewrite(rewrite) => is_rewrite(rewrite, head),
        }
}

fn is_operations(operations: &HeaderOperations) -> bool {
    let appended = || {
        operations
            .append_request
            .iter()
            .chain(&operations.append_response)
            .chain(&operations.set_request)
            .chain(&operations.set_response)
    };
    let removed = || {
        operations
            .remove_request
            .iter()
            .chain(&operations.remove_response)
    };
    removed()
        .chain(appended().map(|(name, _)| name))
        .all(|name| is_header_name(name))
        && appended().all(|(_, value)| is_text(value))
}

/// Nothing that could end a header line.
fn is_text(text: &str) -> bool {
    !text
        .bytes()
        .any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f)
}

/// RFC 9110 token in lower case; never a pseudo header.
fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    !name.is_empty() && name.bytes().all(is_token)
}
