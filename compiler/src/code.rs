//! Codes of diagnostics. A code never changes its meaning; retired codes are not reused.

use crate::diagnostic::Severity;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $slug:literal;)*) => {
        /// Stable code of a diagnostic: `E…` errors, `W…` warnings, `N…` notes. E/W/N00xx reading files,
        /// 01xx references and delegation, 02xx matchers, 03xx actions and destinations, 04xx options,
        /// 05xx gateways and domains, 06xx limits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $name,)*
        }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as printed, for example `E0107`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// Its short name, for example `delegation-cycle`.
            pub fn slug(self) -> &'static str {
                match self { $(Code::$name => $slug,)* }
            }
        }
    };
}

codes! {
    /// A selector has both labels and expressions, which selects nothing.
    SelectorConflict = "E0101", "selector-conflict";
    /// A selector expression has the wrong number or kind of values for its operator.
    SelectorExpression = "E0102", "selector-expression";
    /// A selector selects nothing.
    EmptySelection = "W0103", "empty-selection";
    /// A delegating route names a route table that does not exist.
    MissingRouteTable = "W0104", "missing-route-table";
    /// A delegating route names a virtual host.
    DelegateToVirtualHost = "E0105", "delegate-to-virtual-host";
    /// A delegating route has neither references nor a selector.
    DelegateToNothing = "W0106", "delegate-to-nothing";
    /// A delegating route leads back to a route table that it came through.
    DelegationCycle = "E0107", "delegation-cycle";
    /// A route table that is delegated to has no routes.
    EmptyRouteTable = "W0108", "empty-route-table";
    /// Route tables delegate to one another too many times in a row.
    DelegationTooDeep = "E0109", "delegation-too-deep";
    /// A path below a delegating route repeats the prefix that it is appended to.
    RepeatedPrefix = "W0110", "repeated-prefix";
    /// Two routes of one list have one name.
    DuplicateRouteName = "W0111", "duplicate-route-name";
    /// No route delegates to a route table.
    UnusedRouteTable = "N0112", "unused-route-table";
    /// No virtual gateway selects a virtual host.
    UnusedVirtualHost = "N0113", "unused-virtual-host";

    /// A delegating route matches by something else than a path prefix.
    DelegateNotPrefix = "E0250", "delegate-not-prefix";
    /// A matcher asks for another method than the route that delegates to it.
    ContradictoryMethod = "W0251", "contradictory-method";
    /// None of a route's matchers agrees with the routes that delegate to it.
    NothingLeftToMatch = "W0252", "nothing-left-to-match";
    /// An earlier route takes everything that a route matches.
    UnreachableRoute = "W0253", "unreachable-route";
    /// An earlier route or matcher takes everything that one of a route's matchers matches.
    UnreachableMatcher = "W0254", "unreachable-matcher";
    /// Header conditions that never hold together.
    ContradictoryHeaders = "W0255", "contradictory-headers";
    /// A regular expression that matches no path, because paths start with `/`.
    RegexWithoutSlash = "W0256", "regex-without-slash";
    /// A regular expression that is not RE2.
    InvalidRegex = "E0257", "invalid-regex";
    /// A matcher without a path stands beside one that has a path.
    MatcherWithoutPath = "W0258", "matcher-without-path";
    /// A path prefix takes paths of a neighbouring route that continues its last segment.
    PrefixWithoutBoundary = "W0259", "prefix-without-boundary";

    /// A route points at a destination that does not exist.
    UnknownDestination = "E0350", "unknown-destination";
    /// A service does not have the port that a route names.
    UnknownPort = "E0351", "unknown-port";
    /// A service has several ports and a route names none.
    AmbiguousPort = "E0352", "ambiguous-port";
    /// Neither the route nor the input says which port a service has.
    AssumedPort = "W0353", "assumed-port";
    /// Services that are not among the input are taken on trust.
    TrustedServices = "N0354", "trusted-services";
    /// All weights are zero.
    ZeroWeights = "W0355", "zero-weights";
    /// Weights do not add up to 100.
    NormalisedWeights = "W0356", "normalised-weights";
    /// A route has more destinations than weights can tell apart.
    TooManyDestinations = "E0357", "too-many-destinations";
    /// A redirect that leads to the request's own place.
    RedirectToItself = "W0358", "redirect-to-itself";
    /// A prefix rewrite on a route whose matchers are of several kinds.
    RewriteOfMixedMatchers = "W0359", "rewrite-of-mixed-matchers";
    /// A prefix rewrite that doubles or loses a slash.
    RewriteSlashes = "W0360", "rewrite-slashes";

    /// An option of the API that is not supported yet.
    UnsupportedOption = "E0450", "unsupported-option";
    /// An option that means nothing for the action of its route.
    OptionWithoutEffect = "W0451", "option-without-effect";

    /// A domain that no Host header can have.
    InvalidDomain = "E0550", "invalid-domain";
    /// Two virtual hosts of one gateway claim one domain.
    SharedDomain = "W0551", "shared-domain";
    /// A domain that another one of the same virtual host already covers.
    RedundantDomain = "W0552", "redundant-domain";
    /// A virtual host without routes is ignored.
    EmptyVirtualHost = "W0553", "empty-virtual-host";
    /// A virtual host has no domain that could be used.
    NoDomains = "E0554", "no-domains";
    /// A gateway for TCP connections.
    TcpGateway = "E0555", "tcp-gateway";

    /// Delegation multiplies routes beyond the limit.
    TooManyRoutes = "E0650", "too-many-routes";
}

impl Code {
    /// The severity its first letter stands for.
    pub fn severity(self) -> Severity {
        match self.as_str().as_bytes().first() {
            Some(b'E') => Severity::Error,
            Some(b'W') => Severity::Warning,
            _ => Severity::Note,
        }
    }
}
