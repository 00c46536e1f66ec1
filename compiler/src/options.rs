//! The options of a route, each with the place it comes from: what a level says for itself, and what it has with all
//! that it inherits.
//!
//! One list says which options there are. Whatever treats all of them alike (inheritance, comparison, sharing) is
//! written once, for that list.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::policy::access::{Authorization, Jwt};
use crate::policy::external::{Extauth, RateLimit};
use crate::policy::stickiness::Stickiness;
use crate::policy::{Cors, Csrf, Fault, Mirror};
use crate::rare::Empty;
use crate::resource::{HeaderManipulation, Retries};
use crate::source::{Span, Spanned};

macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty,)*) => {
        /// Options; every one is inherited on its own.
        #[derive(Clone, Debug, Default)]
        pub struct Options {
            $($(#[doc = $doc])+ pub $name: Option<Spanned<$type>>,)*
        }

        impl Options {
            pub(crate) const NONE: Self = Self { $($name: None,)* };

            /// These options, with what they leave open taken from `outer`.
            #[must_use]
            pub(crate) fn inherit(&self, outer: &Self) -> Self {
                Self {
                    $($name: self.$name.as_ref().or(outer.$name.as_ref()).cloned(),)*
                }
            }

            /// The options that there are, by their names in the API, each with the place where it is written.
            pub fn places(&self) -> Vec<(&'static str, Span)> {
                [$((written_name(concat!($($doc),+)), self.$name.as_ref().map(|option| option.span)),)*]
                    .into_iter()
                    .filter_map(|(name, span)| Some((name, span?)))
                    .collect()
            }

            /// Names in the API of the options that do not say the same as those of `other`.
            pub(crate) fn differing(&self, other: &Self) -> Vec<&'static str> {
                [$((written_name(concat!($($doc),+)), value(&self.$name) == value(&other.$name)),)*]
                    .into_iter()
                    .filter_map(|(name, same)| (!same).then_some(name))
                    .collect()
            }

            /// Makes options that were inherited as `from` be inherited as `to`. Whether that changes anything.
            pub(crate) fn inherit_instead(&mut self, from: &Self, to: &Self) -> bool {
                let mut changed = false;
                $(changed |= instead(&mut self.$name, &from.$name, &to.$name);)*
                changed
            }
        }

        impl Empty for Options {
            const EMPTY: &'static Self = &Self::NONE;

            fn is_empty(&self) -> bool {
                true $(&& self.$name.is_none())*
            }
        }

        impl PartialEq for SameOptions {
            fn eq(&self, other: &Self) -> bool {
                true $(&& value(&self.0.$name) == value(&other.0.$name))*
            }
        }

        impl Hash for SameOptions {
            fn hash<H: Hasher>(&self, state: &mut H) {
                $(value(&self.0.$name).hash(state);)*
            }
        }
    };
}

// The documentation of each begins with its name in the API.
options! {
    /// `requestTimeout`: of the whole request; zero = none.
    request_timeout: Duration,
    /// `retries`.
    retries: Retries,
    /// `stickiness`.
    stickiness: Arc<Stickiness>,
    /// `headerManipulation`.
    header_manipulation: Arc<HeaderManipulation>,
    /// `faultInjection`.
    fault: Fault,
    /// `corsPolicy`.
    cors: Arc<Cors>,
    /// `csrf`.
    csrf: Arc<Csrf>,
    /// `jwt`.
    jwt: Arc<Jwt>,
    /// `extauth`.
    extauth: Arc<Extauth>,
    /// `authorization`.
    authorization: Arc<Authorization>,
    /// `rateLimit`.
    rate_limit: Arc<RateLimit>,
    /// `mirror` or `mirrors`.
    mirrors: Arc<Vec<Mirror>>,
    /// `trafficShift`: a policy has changed the destinations of the route. Nothing inherits it.
    shifted: (),
}

/// Options that compare equal when they say the same, wherever that was written.
#[derive(Clone, Debug)]
pub(crate) struct SameOptions(pub(crate) Options);

impl Eq for SameOptions {}

/// The name in the API that the documentation of an option begins with.
fn written_name(documentation: &'static str) -> &'static str {
    documentation.split('`').nth(1).unwrap_or(documentation)
}

fn value<T>(option: &Option<Spanned<T>>) -> Option<&T> {
    option.as_ref().map(|option| &option.value)
}

fn instead<T: Clone>(
    own: &mut Option<Spanned<T>>,
    from: &Option<Spanned<T>>,
    to: &Option<Spanned<T>>,
) -> bool {
    match (own, from, to) {
        (Some(own), Some(from), Some(to)) if own.span == from.span && from.span != to.span => {
            own.clone_from(to);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_by_their_names_in_the_api() {
        let options = Options {
            request_timeout: Some(Spanned::new(Duration::ZERO, Span::default())),
            cors: Some(Spanned::new(Arc::default(), Span::default())),
            ..Options::default()
        };
        let names: Vec<&str> = options.places().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["requestTimeout", "corsPolicy"]);
    }
}
