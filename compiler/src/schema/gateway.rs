//! VirtualGateway.

use super::objects;
use super::policy::{CLUSTER_OBJECT_REF, CSRF, EMPTY};
use super::route::{OBJECT_REF, OBJECT_SELECTOR, VIRTUAL_HOST};

/// Where the form of paths is set, for those who look for it elsewhere.
pub(super) const NORMALIZATION: [(&str, &str); 3] = [
    ("mergeSlashes", IN_GATEWAY_OPTIONS),
    ("normalizePath", IN_GATEWAY_OPTIONS),
    ("pathWithEscapedSlashesAction", IN_GATEWAY_OPTIONS),
];
const IN_GATEWAY_OPTIONS: &str = "it belongs under `spec.options` of the VirtualGateway: the form of a path is the same for all of its routes";

objects! {
    VIRTUAL_GATEWAY {
        connectionHandlers: [CONNECTION_HANDLER],
        ingressGatewaySelectors: [INGRESS_GATEWAY_SELECTOR],
        options: GATEWAY_OPTIONS,
    }
    .old(&[
        ("deployToIngressGateways", "select the gateway with `ingressGatewaySelectors`, and its port with `portName`"),
        ("deployToSidecars", "remove it; it never had an effect"),
    ])
    .separable();
    CONNECTION_HANDLER {
        connectionMatch: CONNECTION_MATCH,
        connectionOptions: CONNECTION_OPTIONS,
        http: HTTP_ROUTES,
        tcp: TCP_ROUTES,
    }
    .one_of(&[&["http", "tcp"]])
    .old(&[("tlsContext", "write `connectionOptions.sslConfig`")]);
    CONNECTION_MATCH { serverNames: [string], transportProtocol: string };
    CONNECTION_OPTIONS {
        enableProxyProtocol: boolean,
        httpsRedirect: boolean,
        sslConfig: SSL_CONFIG,
        strictFilterManagement: boolean,
    }
    .one_of(&[&["httpsRedirect", "sslConfig"]])
    .misplaced(&NORMALIZATION);
    SSL_CONFIG {
        parameters: SSL_PARAMETERS,
        secretName: string,
        sslFiles: SSL_FILES,
        tlsMode: (PASSTHROUGH | SIMPLE | MUTUAL | AUTO_PASSTHROUGH | ISTIO_MUTUAL),
        verifySubjectAltName: [string],
    }
    .one_of(&[&["secretName", "sslFiles"]])
    .old(&[
        ("secretRef", "write `secretName`; the secret is looked up in the namespace of the gateway's pods"),
        ("sds", "write `secretName`"),
        ("sniDomains", "write `connectionMatch.serverNames`"),
    ]);
    SSL_PARAMETERS {
        cipherSuites: [string],
        maximumProtocolVersion: (TLS_AUTO | TLSv1_0 | TLSv1_1 | TLSv1_2 | TLSv1_3),
        minimumProtocolVersion: (TLS_AUTO | TLSv1_0 | TLSv1_1 | TLSv1_2 | TLSv1_3),
    };
    SSL_FILES { rootCa: string, tlsCert: string, tlsKey: string };
    HTTP_ROUTES { routeConfig: [ROUTE_CONFIG], routeOptions: ROUTE_OPTIONS }
        .misplaced(&NORMALIZATION);
    ROUTE_CONFIG {
        virtualHost: VIRTUAL_HOST,
        virtualHostSelector: OBJECT_SELECTOR,
    }
    .one_of(&[&["virtualHost", "virtualHostSelector"]]);
    ROUTE_OPTIONS { csrf: CSRF, extauth: GATEWAY_EXTAUTH, rateLimit: GATEWAY_RATE_LIMIT }
        .misplaced(&NORMALIZATION);
    GATEWAY_EXTAUTH {
        clearRouteCache: boolean,
        extauthzRef: OBJECT_REF,
        failureModeAllow: boolean,
        httpService: EXTAUTH_HTTP_SERVICE,
        requestBody: EXTAUTH_BODY,
        requestTimeout: string,
        statPrefix: string,
        statusOnError: uint32,
        transportApiVersion: (GLOO_MESH_AUTO | ENVOY_AUTO | V3),
    };
    EXTAUTH_HTTP_SERVICE {
        pathPrefix: string,
        request: EXTAUTH_REQUEST,
        response: EXTAUTH_RESPONSE,
    };
    EXTAUTH_REQUEST { allowedHeaders: [string], headersToAdd: {string} };
    EXTAUTH_RESPONSE { allowedClientHeaders: [string], allowedUpstreamHeaders: [string] };
    EXTAUTH_BODY { allowPartialMessage: boolean, maxRequestBytes: uint32, packAsBytes: boolean };
    GATEWAY_RATE_LIMIT {
        denyOnFail: boolean,
        rateLimitBeforeAuth: boolean,
        ratelimitServerRef: OBJECT_REF,
        requestTimeout: string,
    };
    TCP_ROUTES { options: TCP_OPTIONS, tcpHosts: [TCP_HOST] };
    TCP_OPTIONS { tcpProxySettings: TCP_PROXY_SETTINGS };
    TCP_PROXY_SETTINGS {
        idleTimeout: string,
        maxConnectAttempts: nullable_uint32,
        tunnelingConfig: TUNNELING_CONFIG,
    };
    TUNNELING_CONFIG { hostname: string };
    TCP_HOST { destination: TCP_DESTINATION, name: string }
        .old(&[("sslConfig", "write `connectionOptions.sslConfig` of the connection handler")]);
    TCP_DESTINATION {
        forwardSniClusterName: EMPTY,
        kube: CLUSTER_OBJECT_REF,
        static: OBJECT_REF,
        virtual: OBJECT_REF,
        weight: uint32,
    }
    .one_of(&[&["forwardSniClusterName", "kube", "static", "virtual"]]);
    INGRESS_GATEWAY_SELECTOR { destinationSelectors: [DESTINATION_SELECTOR], portName: string };
    DESTINATION_SELECTOR {
        kubeServiceMatcher: KUBE_SERVICE_MATCHER,
        kubeServiceRefs: KUBE_SERVICE_REFS,
    };
    // Of a TrafficPolicy, which can be about services outside the mesh as well.
    POLICY_DESTINATION_SELECTOR {
        externalServiceRefs: EXTERNAL_SERVICE_REFS,
        kubeServiceMatcher: KUBE_SERVICE_MATCHER,
        kubeServiceRefs: KUBE_SERVICE_REFS,
    };
    EXTERNAL_SERVICE_REFS { externalServices: [OBJECT_REF] };
    KUBE_SERVICE_MATCHER { clusters: [string], labels: {string}, namespaces: [string] };
    KUBE_SERVICE_REFS { services: [CLUSTER_OBJECT_REF] };
    GATEWAY_OPTIONS {
        bindAddress: string,
        mergeSlashes: boolean,
        normalizePath: boolean,
        pathWithEscapedSlashesAction: (KEEP_UNCHANGED | UNESCAPE_AND_FORWARD),
        perConnectionBufferLimitBytes: nullable_uint32,
    };
}
