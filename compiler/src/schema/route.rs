//! VirtualHost and RouteTable: routes, matchers, actions, destinations, selectors.

use super::gateway::NORMALIZATION;
use super::objects;
use super::policy::POLICY;

objects! {
    OBJECT_SELECTOR { expressions: [LABEL_EXPRESSION], labels: {string}, namespaces: [string] };
    LABEL_EXPRESSION {
        key: string,
        operator: (Equals | DoubleEquals | NotEquals | In | NotIn | Exists | DoesNotExist | GreaterThan | LessThan),
        values: [string],
    };
    OBJECT_REF { name: string, namespace: string };
    STRING_MATCH {
        exact: string,
        ignoreCase: boolean,
        prefix: string,
        regex: string,
        suffix: string,
    }
    .one_of(&[&["exact", "prefix", "regex", "suffix"]]);
    PATH_MATCH {
        exact: string,
        ignoreCase: boolean,
        pathSeparatedPrefix: string,
        pathTemplate: string,
        prefix: string,
        regex: string,
        suffix: string,
    }
    .one_of(&[&["exact", "pathSeparatedPrefix", "pathTemplate", "prefix", "regex", "suffix"]]);
    REGEX_REWRITE { pattern: REGEX_PATTERN, substitution: string };
    REGEX_PATTERN { regex: string };
    WEIGHTED_DESTINATION {
        clusterHeader: string,
        kubeService: KUBE_SERVICE,
        options: DESTINATION_OPTIONS,
        staticDestination: OBJECT_REF,
        virtualDestination: VIRTUAL_DESTINATION_REF,
        weight: uint32,
    }
    .one_of(&[&["clusterHeader", "kubeService", "staticDestination", "virtualDestination"]]);
    KUBE_SERVICE {
        clusterName: string,
        name: string,
        namespace: string,
        port: uint32,
        subset: {string},
    };
    DESTINATION_OPTIONS { headerManipulation: HEADER_MANIPULATION };
    HEADER_MANIPULATION {
        appendRequestHeaders: {string},
        appendResponseHeaders: {string},
        removeRequestHeaders: [string],
        removeResponseHeaders: [string],
        setRequestHeaders: {string},
        setResponseHeaders: {string},
    }
    .renamed(&[
        ("addRequestHeaders", "appendRequestHeaders"),
        ("addResponseHeaders", "appendResponseHeaders"),
    ]);
    VIRTUAL_DESTINATION_REF { name: string, namespace: string, subset: {string} };
    VIRTUAL_HOST {
        domains: [string],
        ignorePathParameters: boolean,
        options: HOST_OPTIONS,
        requireTls: (boolean or NONE | EXTERNAL_ONLY | ALL),
        routes: [ROUTE],
    }
    .misplaced(&NORMALIZATION)
    .renamed(&[("hosts", "domains"), ("hostnames", "domains")])
    .separable();
    HOST_OPTIONS { trafficPolicy: POLICY }.misplaced(&NORMALIZATION);
    ROUTE {
        delegateAction: DELEGATE_ACTION,
        directResponseAction: DIRECT_RESPONSE_ACTION,
        labels: {string},
        matchers: [HTTP_MATCHER],
        name: string,
        options: POLICY,
        redirectAction: REDIRECT_ACTION,
        routeAction: ROUTE_ACTION,
    }
    .one_of(&[&["delegateAction", "directResponseAction", "redirectAction", "routeAction"]])
    .renamed(&[
        ("match", "matchers"),
        ("matches", "matchers"),
        ("delegate", "delegateAction"),
        ("redirect", "redirectAction"),
        ("route", "routeAction"),
        ("forwardTo", "routeAction"),
        ("directResponse", "directResponseAction"),
    ])
    .separable();
    DELEGATE_ACTION {
        refs: [OBJECT_REF],
        selector: OBJECT_SELECTOR,
        sortMethod: (TABLE_WEIGHT | ROUTE_SPECIFICITY),
    };
    DIRECT_RESPONSE_ACTION { body: string, status: uint32 };
    HTTP_MATCHER {
        grpc: boolean,
        headers: [HEADER_MATCHER],
        method: string,
        name: string,
        queryParameters: [QUERY_MATCHER],
        uri: PATH_MATCH,
    }
    .misplaced(&[
        // They stand under `headers` too, but there was a time when they stood here.
        ("regex", "it belongs under `matchers.uri`"),
        ("ignoreCase", "it belongs under `matchers.uri`"),
    ])
    .renamed(&[
        ("path", "uri"),
        ("params", "queryParameters"),
        ("queryParams", "queryParameters"),
        ("withoutHeaders", "headers"),
    ]);
    HEADER_MATCHER {
        containsMatch: string,
        ignoreCase: boolean,
        invertMatch: boolean,
        name: string,
        prefixMatch: string,
        presentMatch: boolean,
        rangeMatch: INTEGER_RANGE,
        regex: boolean,
        suffixMatch: string,
        treatMissingAsEmpty: boolean,
        value: string,
    }
    .one_of(&[&["value", "prefixMatch", "suffixMatch", "containsMatch", "presentMatch", "rangeMatch"]])
    .renamed(&[("exact", "value"), ("exactMatch", "value")]);
    INTEGER_RANGE { end: int64, start: int64 };
    QUERY_MATCHER {
        containsMatch: string,
        ignoreCase: boolean,
        name: string,
        prefixMatch: string,
        regex: boolean,
        suffixMatch: string,
        value: string,
    }
    .one_of(&[&["value", "prefixMatch", "suffixMatch", "containsMatch"]]);
    REDIRECT_ACTION {
        hostRedirect: string,
        httpsRedirect: boolean,
        pathRedirect: string,
        portRedirect: uint32,
        prefixRewrite: string,
        regexRewrite: REGEX_REWRITE,
        schemeRedirect: string,
        responseCode: (MOVED_PERMANENTLY | FOUND | SEE_OTHER | TEMPORARY_REDIRECT | PERMANENT_REDIRECT),
        stripQuery: boolean,
    }
    .one_of(&[&["pathRedirect", "prefixRewrite", "regexRewrite"], &["httpsRedirect", "schemeRedirect"]]);
    ROUTE_ACTION {
        destinations: [WEIGHTED_DESTINATION],
        hostRewrite: string,
        hostRewriteHeader: string,
        hostRewritePathRegex: REGEX_REWRITE,
        pathRewrite: string,
        pathTemplateRewrite: string,
        regexRewrite: REGEX_REWRITE,
    }
        .one_of(&[
            &["pathRewrite", "pathTemplateRewrite", "regexRewrite"],
            &["hostRewrite", "hostRewriteHeader", "hostRewritePathRegex"],
        ])
        .renamed(&[("prefixRewrite", "pathRewrite")]);
    ROUTE_TABLE { options: HOST_OPTIONS, routes: [ROUTE], weight: int32 }.separable();
}
