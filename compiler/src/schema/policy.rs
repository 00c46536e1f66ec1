//! Route options, and the policy kinds built around them.

use super::access::{AUTHORIZATION, JWT};
use super::gateway::{DESTINATION_SELECTOR, KUBE_SERVICE_MATCHER, POLICY_DESTINATION_SELECTOR};
use super::objects;
use super::route::{
    HEADER_MANIPULATION, HEADER_MATCHER, OBJECT_REF, OBJECT_SELECTOR, QUERY_MATCHER, STRING_MATCH,
    WEIGHTED_DESTINATION,
};

objects! {
    POLICY {
        authorization: AUTHORIZATION,
        corsPolicy: CORS_POLICY,
        csrf: CSRF,
        extauth: ROUTE_EXTAUTH,
        faultInjection: FAULT_INJECTION,
        headerManipulation: HEADER_MANIPULATION,
        jwt: JWT,
        mirror: MIRROR,
        mirrors: [MIRROR],
        mtls: MTLS,
        outlierDetection: OUTLIER_DETECTION,
        rateLimit: ROUTE_RATE_LIMIT,
        requestTimeout: string,
        retries: RETRIES,
        stickiness: STICKINESS,
        trafficShift: TRAFFIC_SHIFT,
    }
    .one_of(&[&["mirror", "mirrors"]])
    .misplaced(&[("trafficPolicy", "on a route the options stand directly under `options`")])
    .renamed(&[("timeout", "requestTimeout"), ("cors", "corsPolicy"), ("headers", "headerManipulation"), ("sessionAffinity", "stickiness"), ("lbHash", "stickiness"), ("hashPolicies", "stickiness")]);
    CORS_POLICY {
        allowCredentials: nullable_boolean,
        allowHeaders: [string],
        allowMethods: [string],
        allowOrigins: [STRING_MATCH],
        exposeHeaders: [string],
        maxAge: string,
    };
    CSRF {
        additionalOrigins: [STRING_MATCH],
        filterEnabled: boolean,
        percentage: number,
        shadowEnabled: boolean,
    };
    ROUTE_EXTAUTH {
        configRef: OBJECT_REF,
        customAuth: CUSTOM_AUTH,
        disable: boolean,
    }
    .one_of(&[&["configRef", "customAuth", "disable"]]);
    CUSTOM_AUTH { contextExtensions: {string} };
    FAULT_INJECTION {
        abort: ABORT,
        fixedDelay: string,
        percentage: number,
    }
    .one_of(&[&["abort", "fixedDelay"]]);
    ABORT { httpStatus: int32 };
    MIRROR { kubeService: CLUSTER_OBJECT_REF, percentage: number, port: uint32 };
    CLUSTER_OBJECT_REF { clusterName: string, name: string, namespace: string };
    MTLS { istio: ISTIO_MTLS };
    ISTIO_MTLS { tlsMode: (DISABLE | SIMPLE | ISTIO_MUTUAL) };
    OUTLIER_DETECTION {
        baseEjectionTime: string,
        consecutiveErrors: uint32,
        interval: string,
        maxEjectionPercent: uint32,
    };
    ROUTE_RATE_LIMIT {
        local: TOKEN_BUCKET,
        ratelimitClientConfigRef: OBJECT_REF,
        ratelimitServerConfigSelector: OBJECT_SELECTOR,
        raw: RAW_RATE_LIMITS,
    }
    .one_of(&[&["ratelimitClientConfigRef", "raw"]]);
    TOKEN_BUCKET { fillInterval: string, maxTokens: uint32, tokensPerFill: uint32 };
    RAW_RATE_LIMITS { rateLimits: [RATE_LIMIT] };
    RATE_LIMIT { actions: [RATE_LIMIT_ACTION], setActions: [RATE_LIMIT_ACTION] };
    RATE_LIMIT_ACTION {
        destinationCluster: EMPTY,
        genericKey: GENERIC_KEY,
        headerValueMatch: HEADER_VALUE_MATCH,
        metadata: RATE_LIMIT_METADATA,
        remoteAddress: EMPTY,
        requestHeaders: REQUEST_HEADERS_ACTION,
        sourceCluster: EMPTY,
    }
    .one_of(&[&["destinationCluster", "genericKey", "headerValueMatch", "metadata", "remoteAddress", "requestHeaders", "sourceCluster"]]);
    EMPTY {};
    GENERIC_KEY { descriptorValue: string };
    HEADER_VALUE_MATCH {
        descriptorValue: string,
        expectMatch: nullable_boolean,
        headers: [RATE_LIMIT_HEADER],
    };
    RATE_LIMIT_HEADER {
        exactMatch: string,
        invertMatch: boolean,
        name: string,
        prefixMatch: string,
        presentMatch: boolean,
        rangeMatch: RANGE_MATCH,
        regexMatch: string,
        suffixMatch: string,
    }
    .one_of(&[&["exactMatch", "prefixMatch", "presentMatch", "rangeMatch", "regexMatch", "suffixMatch"]]);
    RANGE_MATCH { end: int64, start: int64 };
    RATE_LIMIT_METADATA {
        defaultValue: string,
        descriptorKey: string,
        metadataKey: METADATA_KEY,
        source: (DYNAMIC | ROUTE_ENTRY),
    };
    METADATA_KEY { key: string, path: [METADATA_PATH] };
    METADATA_PATH { key: string };
    REQUEST_HEADERS_ACTION { descriptorKey: string, headerName: string };
    RETRIES {
        attempts: int32,
        perTryTimeout: string,
        retriableStatusCodes: [uint32],
        // A list of names, or one text with commas.
        retryOn: any,
    }
    .renamed(&[("numRetries", "attempts"), ("retriableCodes", "retriableStatusCodes")]);
    STICKINESS { hashPolicies: [HASH_POLICY] }
    .renamed(&[("hashPolicy", "hashPolicies")]);
    HASH_POLICY { cookie: HASH_COOKIE, header: string, sourceIp: boolean, terminal: boolean }
    .one_of(&[&["cookie", "header", "sourceIp"]])
    .renamed(&[("httpHeaderName", "header"), ("httpCookie", "cookie"), ("useSourceIp", "sourceIp")]);
    HASH_COOKIE { name: string, path: string, ttl: string };
    TRAFFIC_SHIFT { destinations: [WEIGHTED_DESTINATION] };
    TRAFFIC_POLICY {
        destinationSelector: [POLICY_DESTINATION_SELECTOR],
        httpRequestMatchers: [POLICY_MATCHER],
        policy: POLICY,
        routeSelector: [ROUTE_SELECTOR],
        sourceSelector: [WORKLOAD_SELECTOR],
    }
    .separable();
    POLICY_MATCHER {
        exact: string,
        headers: [HEADER_MATCHER],
        method: string,
        name: string,
        prefix: string,
        queryParameters: [QUERY_MATCHER],
        regex: string,
        uri: STRING_MATCH,
    }
    .one_of(&[&["exact", "prefix", "regex"]]);
    ROUTE_SELECTOR {
        routeLabelMatcher: {string},
        routeTableRefs: [OBJECT_REF],
        routeTableSelector: OBJECT_SELECTOR,
        virtualHostRefs: [OBJECT_REF],
        virtualHostSelector: OBJECT_SELECTOR,
    };
    WORKLOAD_SELECTOR { kubeWorkloadMatcher: KUBE_SERVICE_MATCHER };
    ACCESS_POLICY {
        allowedMethods: [string],
        allowedPaths: [string],
        allowedPorts: [uint32],
        destinationSelector: [DESTINATION_SELECTOR],
        sourceSelector: [IDENTITY_SELECTOR],
    };
    IDENTITY_SELECTOR {
        kubeIdentityMatcher: KUBE_IDENTITY_MATCHER,
        kubeServiceAccountRefs: KUBE_SERVICE_ACCOUNT_REF,
        requestIdentityMatcher: REQUEST_IDENTITY_MATCHER,
    };
    KUBE_IDENTITY_MATCHER { clusters: [string], namespaces: [string] };
    KUBE_SERVICE_ACCOUNT_REF { serviceAccounts: [CLUSTER_OBJECT_REF] };
    REQUEST_IDENTITY_MATCHER { notRequestPrincipals: [string], requestPrincipals: [string] };
    RATE_LIMIT_CLIENT_CONFIG { rateLimits: CLIENT_RATE_LIMITS };
    CLIENT_RATE_LIMITS { raw: RAW_RATE_LIMITS };
    RATE_LIMIT_SERVER_CONFIG { raw: RAW_SERVER_LIMITS };
    RAW_SERVER_LIMITS { descriptors: [SERVER_DESCRIPTOR], setDescriptors: [any] };
    SERVER_DESCRIPTOR {
        alwaysApply: boolean,
        descriptors: [SERVER_DESCRIPTOR],
        key: string,
        rateLimit: SERVER_LIMIT,
        value: string,
        weight: int32,
    };
    SERVER_LIMIT { requestsPerUnit: uint32, unit: (UNKNOWN | SECOND | MINUTE | HOUR | DAY) };
}
