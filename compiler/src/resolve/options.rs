//! Inheritance of options: field by field, the level nearest to the leaf route wins.

use std::sync::Arc;
use std::time::Duration;

use crate::rare::Empty;
use crate::resource;
use crate::resource::options::HeaderValue;
use crate::source::Spanned;
use crate::tree;

/// Options of one level, or of a level with everything it inherits.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// The options that are enforced.
    pub(super) options: tree::Options,
    /// Names and places of options that are not supported yet. A leaf route that has one is refused.
    pub(super) unsupported: Vec<Spanned<String>>,
}

/// What the enforced options of a level are, wherever they were written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LevelKey {
    timeout: Option<Duration>,
    retries: Option<(u32, Option<Duration>)>,
    headers: Option<HeaderKey>,
}

/// Removed and added headers, of requests and of responses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct HeaderKey {
    removed: [Vec<String>; 2],
    appended: [Vec<(String, String)>; 2],
}

impl Empty for Level {
    const EMPTY: &'static Self = &Self {
        options: tree::Options::NONE,
        unsupported: Vec::new(),
    };

    fn is_empty(&self) -> bool {
        self.options.is_empty() && self.unsupported.is_empty()
    }
}

impl Level {
    /// What decides whether two levels can stand for each other; those with unsupported options never can.
    pub(super) fn key(&self) -> LevelKey {
        let removed = |names: &[Spanned<String>]| names.iter().map(|n| n.value.clone()).collect();
        let appended = |values: &[HeaderValue]| {
            let pair = |header: &HeaderValue| (header.name.clone(), header.value.clone());
            values.iter().map(pair).collect()
        };
        let options = &self.options;
        LevelKey {
            timeout: options
                .request_timeout
                .as_ref()
                .map(|timeout| timeout.value),
            retries: options
                .retries
                .as_ref()
                .map(|retries| (retries.value.attempts, retries.value.per_try_timeout)),
            headers: options
                .header_manipulation
                .as_ref()
                .map(|headers| HeaderKey {
                    removed: [
                        removed(&headers.value.remove_request),
                        removed(&headers.value.remove_response),
                    ],
                    appended: [
                        appended(&headers.value.append_request),
                        appended(&headers.value.append_response),
                    ],
                }),
        }
    }

    /// What one level says for itself.
    pub(super) fn new(written: &resource::Options) -> Self {
        Self {
            options: tree::Options {
                request_timeout: written.request_timeout.clone(),
                retries: written.retries.clone(),
                header_manipulation: written
                    .header_manipulation
                    .as_ref()
                    .map(|headers| Spanned::new(Arc::new(headers.value.clone()), headers.span)),
            },
            unsupported: written.unsupported.clone(),
        }
    }

    /// These options, with what they leave open taken from `outer`.
    #[must_use]
    pub(super) fn inherit(&self, outer: &Level) -> Self {
        let mut unsupported = self.unsupported.clone();
        unsupported.extend(
            outer
                .unsupported
                .iter()
                .filter(|option| self.unsupported.iter().all(|own| own.value != option.value))
                .cloned(),
        );
        let (own, outer) = (&self.options, &outer.options);
        Self {
            options: tree::Options {
                request_timeout: own
                    .request_timeout
                    .as_ref()
                    .or(outer.request_timeout.as_ref())
                    .cloned(),
                retries: own.retries.as_ref().or(outer.retries.as_ref()).cloned(),
                header_manipulation: own
                    .header_manipulation
                    .as_ref()
                    .or(outer.header_manipulation.as_ref())
                    .cloned(),
            },
            unsupported,
        }
    }
}
