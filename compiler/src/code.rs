//! Codes of diagnostics. A code never changes its meaning; retired codes are not reused.

use crate::diagnostic::Severity;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $slug:literal;)*) => {
        /// Stable code of a diagnostic: `E…` errors, `W…` warnings, `N…` notes. E/W/N00xx reading files,
        /// 01xx references and delegation, 02xx matchers, 03xx actions and destinations, 04xx options,
        /// 05xx gateways and domains, 06xx limits, 07xx what is written for Istio.
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
    /// A path that does not exist.
    FileNotFound = "E0001", "file-not-found";
    /// A file or folder that may not be read.
    PermissionDenied = "E0002", "permission-denied";
    /// A file that cannot be read for another reason.
    FileUnreadable = "E0003", "file-unreadable";
    /// A symbolic link that leads back to a folder that contains it.
    FolderLoop = "E0004", "folder-loop";
    /// A file that is not UTF-8 text.
    NotText = "E0005", "not-text";
    /// A file beyond the size limit.
    FileTooLarge = "E0006", "file-too-large";
    /// A folder without YAML or JSON files, or an input without resources.
    NoResources = "E0007", "no-resources";
    /// Text that is not YAML.
    YamlSyntax = "E0010", "yaml-syntax";
    /// Text that is not JSON.
    JsonSyntax = "E0011", "json-syntax";
    /// A tab where YAML wants spaces.
    TabIndentation = "E0012", "tab-indentation";
    /// A key that appears twice in one map.
    DuplicateKey = "E0013", "duplicate-key";
    /// Lists and maps nested beyond the limit.
    NestingTooDeep = "E0014", "nesting-too-deep";
    /// Aliases that add too much, or that refer to themselves.
    AliasExpansion = "E0015", "alias-expansion";
    /// A document without `apiVersion`, `kind` or `metadata.name`.
    NotAResource = "E0020", "not-a-resource";
    /// A kind that the API group does not have.
    UnknownKind = "E0021", "unknown-kind";
    /// A version of the API that is not supported.
    WrongVersion = "E0022", "wrong-version";
    /// Two objects of one kind, namespace and name.
    DuplicateObject = "E0023", "duplicate-object";
    /// An object of another API group.
    ForeignKind = "N0024", "foreign-kind";
    /// An object of a kind that is checked but not used yet.
    UnusedKind = "N0025", "unused-kind";
    /// An AccessLogRecord, which nobody reads here.
    AccessLogRecord = "W0026", "access-log-record";
    /// A name that no object of Kubernetes can have.
    InvalidName = "E0027", "invalid-name";
    /// A field that the schema does not have.
    UnknownField = "E0030", "unknown-field";
    /// A field that belongs somewhere else.
    MisplacedField = "E0031", "misplaced-field";
    /// A field of an earlier version of the API.
    OldField = "E0032", "old-field";
    /// A field that is not supported yet.
    UnsupportedField = "E0033", "unsupported-field";
    /// A value of the wrong type.
    WrongType = "E0034", "wrong-type";
    /// A value that is none of those allowed.
    UnknownValue = "E0035", "unknown-value";
    /// Fields that exclude one another.
    ExclusiveFields = "E0036", "exclusive-fields";
    /// A field that must be there.
    MissingField = "E0037", "missing-field";
    /// A number outside the range of its field.
    NumberOutOfRange = "E0038", "number-out-of-range";
    /// A case of a file of requests that cannot be read.
    InvalidCase = "E0039", "invalid-case";

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
    /// A TrafficPolicy, or a part of it, that selects nothing.
    PolicySelectsNothing = "W0114", "policy-selects-nothing";
    /// A TrafficPolicy, or a part of it, that is about traffic inside the mesh.
    MeshPolicy = "N0115", "mesh-policy";
    /// Request matchers of a TrafficPolicy, which routes of gateways ignore.
    IgnoredRequestMatchers = "W0116", "ignored-request-matchers";

    /// A path condition that does not start with `/`.
    PathWithoutSlash = "W0201", "path-without-slash";
    /// A path condition that contains a query or fragment.
    QueryInPath = "W0202", "query-in-path";
    /// A method that clients do not send.
    UnlikelyMethod = "W0203", "unlikely-method";
    /// `ignoreCase` beside a regex.
    IgnoreCaseWithRegex = "W0204", "ignore-case-with-regex";
    /// A header or query parameter condition without a name.
    ConditionWithoutName = "E0205", "condition-without-name";
    /// A condition that does not say what to match.
    EmptyStringMatch = "E0206", "empty-string-match";
    /// An empty regex.
    EmptyRegex = "E0207", "empty-regex";
    /// A `pathSeparatedPrefix` that is empty or ends in a slash.
    SeparatedPrefixSlash = "E0208", "separated-prefix-slash";
    /// A condition on text that no request has.
    NeverSent = "W0209", "never-sent";

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
    /// A path condition that no path fulfils in the form that the gateway or the virtual host gives to paths.
    PathNotInForm = "W0259", "path-not-in-form";
    /// A regular expression whose automaton would be too large.
    RegexTooComplex = "E0260", "regex-too-complex";
    /// More than 64 matchers that have to be tried one after the other.
    LongList = "W0261", "long-list";
    /// Very many conditions on one path that can only be tried one after the other.
    TooLongList = "E0262", "too-long-list";
    /// A matcher beyond the limits of the format: a very long path, very many conditions.
    MatcherTooLarge = "E0263", "matcher-too-large";

    /// A route without an action.
    NoAction = "E0301", "no-action";
    /// A `routeAction` without destinations.
    NoDestinations = "E0302", "no-destinations";
    /// A destination that does not say where to go.
    NoDestinationKind = "E0303", "no-destination-kind";
    /// A destination taken from a request header.
    ClusterHeader = "E0304", "cluster-header";
    /// A line break, control character or space in what becomes a header or path.
    ControlCharacter = "E0305", "control-character";
    /// The body of a direct response beyond the limit.
    BodyTooLarge = "E0306", "body-too-large";
    /// A path template, or a rewrite by one, that cannot be read.
    InvalidTemplate = "E0320", "invalid-template";
    /// A substitution with a group that the pattern lacks.
    InvalidSubstitution = "E0321", "invalid-substitution";
    /// A rewrite by template on a route whose matchers lack its variables.
    TemplateVariable = "E0322", "template-variable";
    /// A redirect to something that is no scheme.
    InvalidScheme = "E0323", "invalid-scheme";
    /// A new host that is no host.
    InvalidHost = "E0324", "invalid-host";
    /// A rewrite to nothing, which is none.
    EmptyRewrite = "W0325", "empty-rewrite";
    /// A redirect that changes nothing.
    EmptyRedirect = "W0307", "empty-redirect";

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
    /// An upstream that cannot be read.
    InvalidUpstream = "E0361", "invalid-upstream";
    /// An upstream for a destination that no route goes to.
    UnknownUpstream = "E0362", "unknown-upstream";
    /// A destination without an upstream.
    NoUpstream = "W0363", "no-upstream";
    /// A service of another cluster that gateways cannot reach.
    NotFederated = "E0370", "not-federated";
    /// A cluster that does not exist.
    UnknownCluster = "E0371", "unknown-cluster";
    /// A localized virtual destination selects two services of one cluster.
    SeveralServicesInCluster = "E0372", "several-services-in-cluster";
    /// Subsets with different labels and one name.
    AmbiguousSubset = "E0373", "ambiguous-subset";
    /// A gateway will not have a destination.
    NotAtGateway = "E0375", "not-at-gateway";

    /// A gateway asks a service that is not among the input.
    UnknownService = "E0364", "unknown-service";
    /// A route refers to a RateLimitClientConfig that does not exist.
    MissingRateLimit = "W0365", "missing-rate-limit";
    /// A route asks for external authorization, and its gateway has no service for it.
    NoAuthService = "E0366", "no-auth-service";
    /// A route has a rate limit that a service would have to count, and its gateway has none.
    NoRateLimitService = "W0367", "no-rate-limit-service";
    /// A rate limit that the standard rate limit server cannot count.
    UncountableLimit = "E0368", "uncountable-limit";

    /// A text that is not a duration, or a duration outside its range.
    InvalidDuration = "E0401", "invalid-duration";
    /// A header name that HTTP does not allow.
    InvalidHeaderName = "E0402", "invalid-header-name";
    /// A header that may not be changed.
    ProtectedHeader = "E0403", "protected-header";
    /// A header value that looks like a command to the proxy.
    CommandOperator = "W0404", "command-operator";
    /// A method that HTTP does not have.
    UnknownMethod = "E0405", "unknown-method";
    /// A condition for retries that Envoy does not have.
    UnknownRetryCondition = "E0406", "unknown-retry-condition";
    /// A name or path that no cookie can have.
    InvalidCookie = "E0407", "invalid-cookie";

    /// An option that means nothing for the action of its route.
    OptionWithoutEffect = "W0451", "option-without-effect";
    /// An option that concerns destinations stands among those of routes.
    OptionOfDestinations = "W0452", "option-of-destinations";
    /// A TrafficPolicy with errors selects routes.
    BrokenPolicy = "E0453", "broken-policy";
    /// `outlierDetection` that depends on the source of requests.
    OutlierSources = "E0454", "outlier-sources";

    /// A text that is no range of addresses.
    InvalidAddress = "E0460", "invalid-address";
    /// A text that is no set of public keys for signatures.
    InvalidKeys = "E0461", "invalid-keys";
    /// A key of a set that cannot be used.
    UnusableKey = "W0462", "unusable-key";
    /// A part of an AuthConfig that cannot be checked.
    UnsupportedAuth = "E0463", "unsupported-auth";
    /// A name, password or key that cannot be used.
    InvalidCredential = "E0464", "invalid-credential";
    /// An AuthConfig for API keys that has none.
    NoApiKeys = "W0465", "no-api-keys";
    /// A reference to an AuthConfig that is not there.
    MissingAuthConfig = "E0466", "missing-auth-config";

    /// A gateway without connection handler.
    NoConnectionHandler = "E0501", "no-connection-handler";
    /// A gateway with several connection handlers.
    SeveralConnectionHandlers = "E0502", "several-connection-handlers";
    /// A connection handler that does nothing.
    IdleConnectionHandler = "E0503", "idle-connection-handler";
    /// A TLS mode that does not fit the rest of its connection handler.
    TlsMode = "E0504", "tls-mode";
    /// A minimum TLS version above the maximum.
    TlsVersions = "E0505", "tls-versions";
    /// Names to verify without a certificate authority.
    NoCertificateAuthority = "W0506", "no-certificate-authority";
    /// A server name that is not a DNS name.
    InvalidServerName = "E0507", "invalid-server-name";
    /// A gateway that does not name its port.
    NoPortName = "W0508", "no-port-name";
    /// Two TCP hosts of one name.
    DuplicateTcpHost = "E0509", "duplicate-tcp-host";
    /// Forwarding by server name without TLS.
    ServerNameWithoutTls = "E0510", "server-name-without-tls";
    /// A gateway for TLS that the target serves as plain HTTP.
    PlainText = "N0511", "plain-text";
    /// A setting of a gateway's listener that has no effect yet.
    ListenerSetting = "W0512", "listener-setting";
    /// A destination for TLS that the target sends requests to without.
    PlainUpstream = "N0513", "plain-upstream";
    /// A gateway's Service has no port of the name that is asked for.
    GatewayPortNotFound = "E0520", "gateway-port-not-found";
    /// No Service of the inventory is selected as gateway.
    NoGatewayFound = "W0521", "no-gateway-found";
    /// A Service that is selected as gateway selects no pods.
    GatewayWithoutPods = "E0522", "gateway-without-pods";
    /// A gateway that clients outside its cluster cannot reach.
    GatewayWithoutAddress = "W0523", "gateway-without-address";
    /// Two virtual gateways want one port of one gateway.
    GatewayPortTaken = "E0524", "gateway-port-taken";
    /// A mesh that belongs to two virtual meshes.
    MeshInTwoVirtualMeshes = "E0525", "mesh-in-two-virtual-meshes";
    /// A mesh that other meshes of its virtual mesh cannot reach.
    NoGatewayBetweenClusters = "E0526", "no-gateway-between-clusters";
    /// Federated names that the proxies of a mesh cannot resolve.
    SuffixWithoutDns = "E0527", "suffix-without-dns";
    /// Gateways are taken on trust, because there is no inventory.
    TrustedGateways = "N0528", "trusted-gateways";
    /// A gateway's Service names a port of its pods that nothing explains.
    UnknownTargetPort = "W0529", "unknown-target-port";
    /// A setting of a virtual mesh that meshgate does not apply.
    MeshSetting = "N0530", "mesh-setting";

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
    /// A gateway that does not say where connections go.
    TcpGateway = "E0555", "tcp-gateway";

    /// Delegation multiplies routes beyond the limit.
    TooManyRoutes = "E0650", "too-many-routes";

    /// A program that does not fit into its format.
    ProgramTooLarge = "E0651", "program-too-large";
    /// More virtual hosts or routes than metrics have series for.
    ManySeries = "N0652", "many-series";

    /// Programs for the same pods.
    SharedPods = "E0701", "shared-pods";
    /// A setting needs the port of a gateway's pods, which is not known.
    UnknownPodPort = "E0702", "unknown-pod-port";
    /// What holds on the ports of virtual gateways holds on all ports of the pods, since theirs are not known.
    EveryPort = "W0703", "every-port";
    /// `httpsRedirect` on a port that others have, too.
    RedirectOfOthers = "E0704", "redirect-of-others";
    /// TLS on a port that others have, too.
    SharedServerNames = "W0705", "shared-server-names";
    /// Something that only an EnvoyFilter can say, where none is to be written.
    NeedsEnvoyFilter = "E0706", "needs-envoy-filter";
    /// So many destinations that the routes to them take time.
    ManyChoices = "W0707", "many-choices";
    /// Connections are decrypted and forwarded by server name.
    DecryptedServerName = "E0708", "decrypted-server-name";
    /// A virtual destination with nothing behind it, or with services of which nobody knows which are near.
    UnknownBackends = "E0709", "unknown-backends";
    /// A virtual destination whose services do not take over from one another.
    NoTakeover = "W0710", "no-takeover";
    /// A federated host that something else has to make known in the gateway's mesh.
    FederatedHostNotWritten = "W0711", "federated-host-not-written";
    /// An external service that wants TLS, and gets requests without.
    TlsNotOriginated = "W0712", "tls-not-originated";
    /// A program that needs bodies of requests, with a module that comes from elsewhere than a file.
    BodiesNeedFile = "E0713", "bodies-need-file";
    /// An object that Kubernetes does not take.
    ObjectTooLarge = "E0714", "object-too-large";
    /// An object that plain `kubectl apply` does not take, or soon nothing.
    LargeObject = "W0715", "large-object";
    /// An object that Istio would not accept.
    ObjectNotAccepted = "E0716", "object-not-accepted";
    /// Two objects of one name.
    ObjectNameTaken = "E0717", "object-name-taken";
    /// A setting of a TrafficPolicy that does not hold for a destination that it selects.
    SettingNotApplied = "W0718", "setting-not-applied";
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
