//! Rewrites and redirects that probably do something else than meant.

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::rewrite::PathRewrite;
use crate::tree::{
    Action, DomainKind, Gateway, Host, Matcher, PathMatch, PathTail, Redirect, RedirectPath, Route,
};

use super::context::Context;
use super::coverage::Clause;

/// A prefix rewrite on matchers of which some are prefixes, whose rest stays, and some are not, of which nothing stays.
pub(super) fn check_kinds(route: &Route) -> Option<Diagnostic> {
    replacement(route)?;
    let prefixes = route
        .matchers
        .iter()
        .filter(|matcher| matcher.path.rewrite_len().is_some())
        .count();
    (prefixes > 0 && prefixes < route.matchers.len()).then(|| {
        Diagnostic::at(
            Code::RewriteOfMixedMatchers,
            route.span,
            format!("the rewrite of `{}` replaces a prefix for some matchers and the whole path for others", route.name),
        )
        .help("use one route for the prefixes and one for the rest")
    })
}

/// A prefix and its replacement of which only one ends in a slash: `/api` to `/` makes `//x` of `/api/x`, and `/api/`
/// to `/v2` makes `/v2x`. `earlier` are the clauses before this one, which may take the paths that would suffer.
pub(super) fn check_slashes<'t>(
    route: &Route,
    matcher: &Matcher,
    clause: &Clause<'t>,
    earlier: &Context<'_, 't>,
) -> Option<Diagnostic> {
    let replacement = replacement(route).filter(|text| !text.is_empty())?;
    let prefix = prefix(&matcher.path)?;
    let example = if prefix.ends_with('/') {
        format!("{prefix}x")
    } else {
        format!("{prefix}/x")
    };
    let rest = example.strip_prefix(&prefix)?;
    let mismatch = prefix.ends_with('/') != replacement.ends_with('/');
    if !mismatch || earlier.covers(&clause.with_path(example.strip_suffix('x')?, false)) {
        return None;
    }
    let help = if replacement.ends_with('/') {
        format!(
            "match `{prefix}/` as well, before this, or drop the slash at the end of the replacement"
        )
    } else {
        format!("write the replacement as `{replacement}/`")
    };
    Some(
        Diagnostic::at(
            Code::RewriteSlashes,
            route.span,
            format!("the rewrite of `{prefix}` to `{replacement}` turns `{example}` into `{replacement}{rest}`"),
        )
        .help(help),
    )
}

/// A redirect to a place that leads to the same route again.
pub(super) fn check_loop<'t>(
    gateway: &Gateway,
    host: &Host,
    route: &Route,
    matcher: &Matcher,
    clause: &Clause<'t>,
    earlier: &Context<'_, 't>,
) -> Option<Diagnostic> {
    let Action::Redirect(redirect) = &route.action else {
        return None;
    };
    // A query condition need not hold again.
    if !stays(redirect, gateway, host) || !matcher.query.is_empty() {
        return None;
    }
    let again = match &redirect.path {
        // Nothing but a place to stay: reported where it is read, unless there is something else in the redirect.
        RedirectPath::Keep => {
            redirect.host.is_some()
                || redirect.scheme.is_some()
                || redirect.port.is_some()
                || redirect.strip_query
        }
        // What the pattern makes of a path is not looked into.
        RedirectPath::Matches(_) => false,
        RedirectPath::Full(target) => {
            let path = target.split(['?', '#']).next().unwrap_or_default();
            takes(&matcher.path, path) && !earlier.covers(&clause.with_path(path, true))
        }
        RedirectPath::Prefix(target) => {
            takes_prefix(&matcher.path, target) && !earlier.covers(&clause.with_path(target, false))
        }
    };
    again.then(|| {
        Diagnostic::at(
            Code::RedirectToItself,
            route.span,
            format!(
                "the redirect of `{}` leads to the same route again, so clients will loop",
                route.name
            ),
        )
        .help("redirect to another host or path, or put a route for the new path before this one")
    })
}

/// Whether a redirect leads to a gateway and host again. On a gateway without TLS one to https arrives elsewhere.
pub(super) fn stays(redirect: &Redirect, gateway: &Gateway, host: &Host) -> bool {
    let own_scheme = if gateway.tls { "https" } else { "http" };
    let same_scheme = redirect
        .scheme
        .as_deref()
        .is_none_or(|scheme| scheme == own_scheme);
    same_scheme
        && redirect.port.is_none()
        && redirect.host.as_ref().is_none_or(|target| {
            host.domains.iter().any(|domain| {
                domain.kind == DomainKind::Exact && domain.port.is_none() && domain.text == *target
            })
        })
}

/// Whether a condition takes a path, for the kinds where a look suffices.
fn takes(condition: &PathMatch, path: &str) -> bool {
    match condition.tail {
        PathTail::End => path == condition.literal_text(),
        PathTail::Any => takes_prefix(condition, path),
        PathTail::Suffix(_) | PathTail::Regex(_) => false,
    }
}

/// Whether a condition is a prefix that takes a path.
fn takes_prefix(condition: &PathMatch, path: &str) -> bool {
    prefix(condition)
        .and_then(|prefix| path.strip_prefix(&prefix))
        .is_some_and(|rest| !condition.whole_segments || rest.is_empty() || rest.starts_with('/'))
}

/// What replaces the matched prefix.
fn replacement(route: &Route) -> Option<&str> {
    match &route.action {
        Action::Forward(forward) => match &forward.path_rewrite {
            Some(PathRewrite::Prefix(prefix)) => Some(prefix),
            _ => None,
        },
        Action::Redirect(Redirect {
            path: RedirectPath::Prefix(prefix),
            ..
        }) => Some(prefix),
        Action::Redirect(_) | Action::DirectResponse(_) => None,
    }
}

fn prefix(path: &PathMatch) -> Option<String> {
    path.rewrite_len()?;
    Some(path.literal_text())
}
