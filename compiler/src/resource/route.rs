//! Routes: matchers and actions as written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ObjectRef, ObjectSelector, WeightedDestination, WrittenOptions};
use crate::rare::Rare;
use crate::rewrite::{HostRewrite, PathRewrite, Replacement};
use crate::source::{Span, Spanned};

/// One route of a virtual host or route table. It has exactly one action; a route with none or several was
/// reported and left out.
#[derive(Clone, Debug)]
pub struct Route {
    /// Name, if written.
    pub name: Option<Spanned<String>>,
    /// Position in its list as written, from 0; stands in for a missing name.
    pub index: usize,
    /// Alternatives; empty means everything.
    pub matchers: Vec<Matcher>,
    /// What to do.
    pub action: Spanned<Action>,
    /// Its own options.
    pub options: Rare<WrittenOptions>,
    /// Labels, for TrafficPolicy selection.
    pub labels: BTreeMap<String, String>,
    /// The whole route.
    pub span: Span,
}

/// All parts must hold.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Name, appended to the route name. Few have one.
    pub name: Option<Box<Spanned<String>>>,
    /// Path condition; absent = every path.
    pub uri: Option<Uri>,
    /// Header conditions.
    pub headers: Vec<HeaderMatcher>,
    /// Query parameter conditions.
    pub query: Vec<QueryMatcher>,
    /// Exact method.
    pub method: Option<Spanned<String>>,
    /// Only gRPC requests.
    pub grpc: bool,
    /// The whole matcher.
    pub span: Span,
}

/// Kind of a path condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// The whole path.
    Exact,
    /// A string prefix: `/foo` also matches `/foobar`.
    Prefix,
    /// A string suffix.
    Suffix,
    /// RE2, on the whole path.
    Regex,
}

/// `uri` of a matcher.
#[derive(Clone, Debug)]
pub struct Uri {
    /// Kind.
    pub kind: PathKind,
    /// Text or pattern.
    pub value: Spanned<String>,
    /// A prefix of whole segments: `/foo` does not match `/foobar`. It does not end in a slash.
    pub whole_segments: bool,
    /// Compare ASCII letters without case; has no effect on a regex.
    pub ignore_case: Option<Spanned<bool>>,
    /// The whole condition.
    pub span: Span,
}

/// `headers[]` of a matcher.
#[derive(Clone, Debug)]
pub struct HeaderMatcher {
    /// Name as written.
    pub name: Spanned<String>,
    /// What its value must be.
    pub value: ValueMatcher,
    /// Negate; with a value it also holds when the header is missing.
    pub invert: bool,
    /// A header that is missing counts as an empty one.
    pub missing_as_empty: bool,
    /// The whole condition.
    pub span: Span,
}

/// `queryParameters[]` of a matcher.
#[derive(Clone, Debug)]
pub struct QueryMatcher {
    /// Name, case-sensitive.
    pub name: Spanned<String>,
    /// What its value must be.
    pub value: ValueMatcher,
    /// The whole condition.
    pub span: Span,
}

/// What a header or query parameter must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatcher {
    /// It must be there.
    Present,
    /// RE2, on the whole value.
    Regex(Spanned<String>),
    /// Text in the value.
    Text {
        /// Where in the value.
        place: TextPlace,
        /// The text, not empty.
        text: Spanned<String>,
        /// Compare ASCII letters without case.
        ignore_case: bool,
    },
    /// A decimal number that is not below the first and below the second.
    Range(i64, i64),
}

/// Where text stands in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextPlace {
    /// It is the whole value.
    Whole,
    /// The value begins with it.
    Start,
    /// The value ends with it.
    End,
    /// The value contains it.
    Anywhere,
}

/// What a route does.
#[derive(Clone, Debug)]
pub enum Action {
    /// `routeAction`.
    Forward(ForwardAction),
    /// `redirectAction`.
    Redirect(Box<RedirectAction>),
    /// `directResponseAction`.
    DirectResponse(Box<DirectResponseAction>),
    /// `delegateAction`.
    Delegate(Box<DelegateAction>),
}

/// `routeAction`.
#[derive(Clone, Debug)]
pub struct ForwardAction {
    /// Destinations; ones that could not be read are left out.
    pub destinations: Vec<WeightedDestination>,
    /// What happens to the path.
    pub path_rewrite: Option<Spanned<PathRewrite>>,
    /// What happens to the host.
    pub host_rewrite: Option<HostRewrite>,
}

/// `redirectAction`.
#[derive(Clone, Debug, Default)]
pub struct RedirectAction {
    /// Replaces host and port.
    pub host: Option<Spanned<String>>,
    /// Replaces the path; a query in it wins.
    pub path: Option<Spanned<String>>,
    /// Replaces the matched prefix (the whole path for exact, regex and suffix). Not together with `path`.
    pub prefix_rewrite: Option<Spanned<String>>,
    /// Replaces what a pattern matches in the path. Not together with the others.
    pub regex_rewrite: Option<Arc<Replacement>>,
    /// 301, 302, 303, 307 or 308; 301 when absent.
    pub status: Option<u16>,
    /// The new scheme.
    pub scheme: Option<String>,
    /// The new port.
    pub port: Option<u16>,
    /// Drop the query.
    pub strip_query: bool,
}

/// `directResponseAction`.
#[derive(Clone, Debug)]
pub struct DirectResponseAction {
    /// 200 to 599.
    pub status: Spanned<u16>,
    /// Body, at most 4096 bytes.
    pub body: Option<Spanned<String>>,
}

/// `delegateAction`.
#[derive(Clone, Debug)]
pub struct DelegateAction {
    /// Route tables by name, first.
    pub refs: Vec<ObjectRef>,
    /// Route tables by selector, after the named ones.
    pub selector: Option<ObjectSelector>,
    /// How their routes are ordered.
    pub sort: SortMethod,
}

/// `delegateAction.sortMethod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SortMethod {
    /// Tables by weight, routes as written.
    #[default]
    TableWeight,
    /// Routes by table weight, path kind and path length.
    RouteSpecificity,
}
