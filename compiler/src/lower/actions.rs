//! The cold tables: actions, destinations and header operations, each stored once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use meshgate_engine as engine;
use meshgate_engine::{ActionKind, Head, HeaderOperations, HostRewrite, PathRewrite, RedirectPath};

use crate::policy::stickiness::{self, Property, PropertyKind, Stickiness};
use crate::regex::RegexError;
use crate::resource::{HeaderManipulation, Retries};
use crate::rewrite::{self, Replacement, TemplatePart};
use crate::tree::{self, Action, DestinationTarget, PathMatch, PathTail, Route};

/// Numbers values in the order they first appear.
pub(super) struct Interner<T> {
    ids: HashMap<T, u32, RandomState>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            ids: HashMap::default(),
        }
    }
}

impl<T: Eq + Hash> Interner<T> {
    pub(super) fn intern(&mut self, value: T) -> u32 {
        let next = self.ids.len() as u32;
        *self.ids.entry(value).or_insert(next)
    }

    pub(super) fn into_list(self) -> Vec<T> {
        let mut list: Vec<(T, u32)> = self.ids.into_iter().collect();
        list.sort_unstable_by_key(|(_, id)| *id);
        list.into_iter().map(|(value, _)| value).collect()
    }
}

/// The tables in the making.
#[derive(Default)]
pub(super) struct Actions {
    actions: Interner<engine::Action>,
    destinations: Interner<engine::Destination>,
    headers: Interner<HeaderOperations>,
    replacements: Interner<engine::replace::Replacement>,
    /// Destinations of the tree that are known already: many routes share one.
    known: HashMap<*const tree::Destination, u32, RandomState>,
}

impl Actions {
    /// The action of a route for one of its matchers.
    ///
    /// # Errors
    /// When a pattern of a rewrite is too large.
    pub(super) fn intern(
        &mut self,
        route: &Route,
        path: &PathMatch,
        policies: Option<u32>,
    ) -> Result<u32, RegexError> {
        let rewrite = |to: &String| match path.rewrite_len() {
            Some(len) => PathRewrite::Prefix {
                len: len as u32,
                to: to.clone(),
            },
            None => PathRewrite::Whole { to: to.clone() },
        };
        let kind = match &route.action {
            Action::Forward(forward) => ActionKind::Forward(engine::Forward {
                total_weight: forward
                    .destinations
                    .iter()
                    .map(|destination| destination.weight)
                    .sum(),
                shares: forward
                    .destinations
                    .iter()
                    .map(|destination| self.share(destination))
                    .collect(),
                rewrite: match &forward.path_rewrite {
                    None => None,
                    Some(rewrite::PathRewrite::Prefix(to)) => Some(rewrite(to)),
                    Some(rewrite::PathRewrite::Matches(replacement)) => {
                        let replacement = self.replacement(replacement)?;
                        Some(PathRewrite::Matches { replacement })
                    }
                    Some(rewrite::PathRewrite::Template(parts)) => {
                        Some(self.by_template(path, parts)?)
                    }
                },
                host: match &forward.host_rewrite {
                    None => None,
                    Some(rewrite::HostRewrite::Text(host)) => Some(HostRewrite::Text(host.clone())),
                    Some(rewrite::HostRewrite::Header(name)) => {
                        Some(HostRewrite::Header(name.clone()))
                    }
                    Some(rewrite::HostRewrite::Path(replacement)) => {
                        Some(HostRewrite::Path(self.replacement(replacement)?))
                    }
                },
                timeout_ms: route
                    .options
                    .request_timeout
                    .as_ref()
                    .map(|timeout| milliseconds(timeout.value)),
                stickiness: (route.options.stickiness.as_ref())
                    .and_then(|written| stickiness(written, &forward.destinations)),
                retries: (route.options.retries.as_ref()).map(|retries| self::retries(retries)),
            }),
            Action::Redirect(redirect) => ActionKind::Redirect(engine::Redirect {
                status: redirect.status,
                host: redirect.host.clone(),
                path: match &redirect.path {
                    tree::RedirectPath::Keep => RedirectPath::Keep,
                    tree::RedirectPath::Full(path) => RedirectPath::Full(path.clone()),
                    tree::RedirectPath::Prefix(to) => RedirectPath::Rewrite(rewrite(to)),
                    tree::RedirectPath::Matches(replacement) => {
                        let replacement = self.replacement(replacement)?;
                        RedirectPath::Rewrite(PathRewrite::Matches { replacement })
                    }
                },
                scheme: redirect.scheme.as_deref().map(str::to_owned),
                port: redirect.port,
                strip_query: redirect.strip_query,
            }),
            Action::DirectResponse(response) => {
                ActionKind::DirectResponse(engine::DirectResponse {
                    status: response.status,
                    body: response.body.clone(),
                })
            }
        };
        let headers = route
            .options
            .header_manipulation
            .as_ref()
            .and_then(|headers| self.headers(headers));
        Ok(self.actions.intern(engine::Action {
            kind,
            headers,
            policies,
        }))
    }

    fn replacement(&mut self, replacement: &Replacement) -> Result<u32, RegexError> {
        Ok(self.replacements.intern(rewrite::lowered(replacement)?))
    }

    /// A rewrite by the variables of a matcher's template.
    fn by_template(
        &mut self,
        path: &PathMatch,
        parts: &[TemplatePart],
    ) -> Result<PathRewrite, RegexError> {
        let pattern = match &path.tail {
            PathTail::Regex(pattern) => pattern.value.as_str(),
            PathTail::End | PathTail::Any | PathTail::Suffix(_) => "",
        };
        let replacement =
            rewrite::for_template(pattern, parts).ok_or_else(RegexError::too_complex)?;
        Ok(PathRewrite::Rest {
            len: path.literal_len() as u32,
            replacement: self.replacement(&replacement)?,
        })
    }

    /// Everything is redirected to https.
    pub(super) fn https_redirect(&mut self) -> u32 {
        let redirect = engine::Redirect {
            status: 301,
            host: None,
            path: RedirectPath::Keep,
            scheme: Some("https".to_owned()),
            port: None,
            strip_query: false,
        };
        self.actions.intern(engine::Action {
            kind: ActionKind::Redirect(redirect),
            headers: None,
            policies: None,
        })
    }

    fn share(&mut self, share: &tree::WeightedDestination) -> engine::Share {
        engine::Share {
            weight: share.weight,
            destination: self.destination(&share.destination),
            headers: share
                .headers
                .as_ref()
                .and_then(|headers| self.headers(headers)),
        }
    }

    pub(super) fn destination(&mut self, destination: &Arc<tree::Destination>) -> u32 {
        let place = Arc::as_ptr(destination);
        if let Some(&id) = self.known.get(&place) {
            return id;
        }
        let (kind, name, cluster_name, subset) = match &destination.target {
            DestinationTarget::KubeService {
                name,
                cluster_name,
                subset,
            } => (
                engine::DestinationKind::KubeService,
                name,
                cluster_name.clone(),
                Some(subset),
            ),
            DestinationTarget::VirtualDestination { name, subset } => (
                engine::DestinationKind::VirtualDestination,
                name,
                None,
                Some(subset),
            ),
            DestinationTarget::StaticDestination { name, .. } => {
                (engine::DestinationKind::StaticDestination, name, None, None)
            }
        };
        let id = self.destinations.intern(engine::Destination {
            kind,
            namespace: name.namespace.clone(),
            name: name.name.clone(),
            cluster_name,
            subset: subset
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            port: destination.port,
            cluster: destination.cluster.clone(),
        });
        self.known.insert(place, id);
        id
    }

    fn headers(&mut self, headers: &HeaderManipulation) -> Option<u32> {
        let operations = HeaderOperations {
            remove_request: headers.remove_request.clone(),
            append_request: headers.append_request.clone(),
            remove_response: headers.remove_response.clone(),
            append_response: headers.append_response.clone(),
            set_request: headers.set_request.clone(),
            set_response: headers.set_response.clone(),
        };
        (operations != HeaderOperations::default()).then(|| self.headers.intern(operations))
    }

    /// Puts the tables into the head of a program.
    pub(super) fn finish(self, head: &mut Head) {
        head.actions = self.actions.into_list();
        head.destinations = self.destinations.into_list();
        head.header_operations = self.headers.into_list();
        head.replacements = self.replacements.into_list();
    }
}

/// `None` where there is nothing to choose, or nothing to choose by.
fn stickiness(
    written: &Stickiness,
    destinations: &[tree::WeightedDestination],
) -> Option<engine::Stickiness> {
    let property = |property: &Property| engine::Property {
        kind: match &property.kind {
            PropertyKind::Header(name) => engine::PropertyKind::Header(name.clone()),
            PropertyKind::Cookie(cookie) => engine::PropertyKind::Cookie {
                name: cookie.name.clone(),
                attributes: cookie.attributes(),
            },
            PropertyKind::SourceIp => engine::PropertyKind::SourceAddress,
        },
        is_terminal: property.is_terminal,
    };
    let properties: Vec<_> = written.properties.iter().map(property).collect();
    (destinations.len() > 1 && !properties.is_empty()).then(|| engine::Stickiness {
        properties,
        names: stickiness::names(destinations),
    })
}

fn retries(retries: &Retries) -> engine::Retries {
    let conditions = &retries.conditions;
    let codes = conditions.status_codes.iter();
    let codes: Vec<String> = codes.map(u16::to_string).collect();
    engine::Retries {
        attempts: retries.attempts,
        per_try_timeout_ms: retries.per_try_timeout.map(milliseconds),
        on: conditions.http.join(","),
        grpc_on: conditions.grpc.join(","),
        status_codes: codes.join(","),
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
