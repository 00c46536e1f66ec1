//! What routes point at and where it runs: destinations, meshes, settings.

use super::gateway::{DESTINATION_SELECTOR, INGRESS_GATEWAY_SELECTOR};
use super::objects;
use super::policy::{CLUSTER_OBJECT_REF, EMPTY, MTLS, OUTLIER_DETECTION};
use super::route::OBJECT_REF;

objects! {
    VIRTUAL_DESTINATION {
        hostname: string,
        localized: LOCALIZED_BACKENDS,
        meshList: MESH_LIST,
        port: VIRTUAL_PORT,
        static: STATIC_BACKENDS,
        virtualMesh: OBJECT_REF,
    }
    .one_of(&[&["localized", "static"], &["meshList", "virtualMesh"]])
    .separable();
    LOCALIZED_BACKENDS {
        destinationSelectors: [DESTINATION_SELECTOR],
        failoverDirectives: [FAILOVER_DIRECTIVE],
        outlierDetection: OUTLIER_DETECTION,
    };
    FAILOVER_DIRECTIVE { from: LOCALITY, to: [LOCALITY] };
    LOCALITY { region: string, subZone: string, zone: string };
    MESH_LIST { meshes: [OBJECT_REF] };
    VIRTUAL_PORT {
        number: uint32,
        protocol: string,
        targetName: string,
        targetNumber: uint32,
    }
    .one_of(&[&["targetName", "targetNumber"]]);
    STATIC_BACKENDS { destinations: [STATIC_BACKEND] };
    STATIC_BACKEND { kubeService: CLUSTER_OBJECT_REF };
    DESTINATION {
        externalService: EXTERNAL_SERVICE,
        kubeService: DISCOVERED_SERVICE,
        mesh: OBJECT_REF,
    }
    .one_of(&[&["externalService", "kubeService"]])
    .separable();
    EXTERNAL_SERVICE {
        addresses: [string],
        endpoints: [EXTERNAL_ENDPOINT],
        hosts: [string],
        name: string,
        ports: [EXTERNAL_PORT],
    };
    EXTERNAL_ENDPOINT { address: string, ports: {uint32} };
    EXTERNAL_PORT { name: string, number: uint32, protocol: string };
    DISCOVERED_SERVICE {
        endpointSubsets: [ENDPOINT_SUBSET],
        externalAddresses: [EXTERNAL_ADDRESS],
        labels: {string},
        ports: [DISCOVERED_PORT],
        ref: CLUSTER_OBJECT_REF,
        region: string,
        serviceType: (CLUSTER_IP | NODE_PORT | LOAD_BALANCER | EXTERNAL_NAME),
        subsets: {SUBSET_VALUES},
        workloadSelectorLabels: {string},
    };
    ENDPOINT_SUBSET { endpoints: [DISCOVERED_ENDPOINT], ports: [ENDPOINT_PORT] };
    DISCOVERED_ENDPOINT { ipAddress: string, labels: {string}, subLocality: SUB_LOCALITY };
    SUB_LOCALITY { subZone: string, zone: string };
    ENDPOINT_PORT {
        appProtocol: string,
        name: string,
        port: uint32,
        protocol: string,
    };
    EXTERNAL_ADDRESS { dnsName: string, ip: string }.one_of(&[&["dnsName", "ip"]]);
    DISCOVERED_PORT {
        appProtocol: string,
        name: string,
        nodePort: uint32,
        port: uint32,
        protocol: string,
        targetPortName: string,
        targetPortNumber: uint32,
    }
    .one_of(&[&["targetPortName", "targetPortNumber"]]);
    SUBSET_VALUES { values: [string] };
    MESH {
        agentInfo: AGENT_INFO,
        awsAppMesh: AWS_APP_MESH,
        consulConnect: INSTALLED_MESH,
        issuedCertificateStatus: ISSUED_CERTIFICATE,
        istio: ISTIO_MESH,
        linkerd: LINKERD_MESH,
        osm: INSTALLED_MESH,
    }
    .one_of(&[&["awsAppMesh", "consulConnect", "istio", "linkerd", "osm"]]);
    AGENT_INFO { agentNamespace: string };
    AWS_APP_MESH {
        arn: string,
        awsAccountId: string,
        awsName: string,
        clusters: [string],
        region: string,
    };
    INSTALLED_MESH { installation: INSTALLATION };
    INSTALLATION {
        cluster: string,
        namespace: string,
        podLabels: {string},
        region: string,
        version: string,
    };
    ISSUED_CERTIFICATE {
        appliedAgentCa: VAULT_AUTHORITY,
        appliedGlooMeshCa: SIGNING_SECRET,
        error: string,
        observedGeneration: int64,
        observedRotationState: (NOT_ROTATING | PREVIOUS_CA | ADDING_NEW_ROOT | PROPAGATING_NEW_INTERMEDIATE | DELETING_OLD_ROOT | VERIFYING | VERIFIED | ROLLING_BACK | FINISHED | FAILED),
        state: (PENDING | REQUESTED | ISSUED | FINISHED | FAILED),
    }
    .one_of(&[&["appliedAgentCa", "appliedGlooMeshCa"]]);
    VAULT_AUTHORITY { vault: VAULT };
    VAULT {
        caBundle: string,
        caPath: string,
        csrPath: string,
        kubernetesAuth: KUBERNETES_AUTH,
        namespace: string,
        server: string,
        tokenSecretRef: OBJECT_REF,
    };
    KUBERNETES_AUTH {
        mountPath: string,
        mountedSaPath: string,
        role: string,
        secretTokenKey: string,
        serviceAccountRef: OBJECT_REF,
    };
    SIGNING_SECRET { signingCertificateSecret: OBJECT_REF };
    ISTIO_MESH {
        ingressGateways: [MESH_INGRESS_GATEWAY],
        installation: INSTALLATION,
        istiodServiceAccount: string,
        smartDnsProxyingEnabled: boolean,
        trustDomain: string,
    };
    MESH_INGRESS_GATEWAY {
        dnsName: string,
        externalAddress: string,
        externalTlsPort: uint32,
        ip: string,
        name: string,
        namespace: string,
        tlsContainerPort: uint32,
        workloadLabels: {string},
    }
    .one_of(&[&["dnsName", "ip"]]);
    LINKERD_MESH { clusterDomain: string, installation: INSTALLATION };
    VIRTUAL_MESH {
        federation: FEDERATION,
        globalAccessPolicy: (MESH_DEFAULT | ENABLED | DISABLED),
        meshes: [OBJECT_REF],
        mtlsConfig: MTLS_CONFIG,
    };
    FEDERATION {
        flatNetwork: boolean,
        hostnameSuffix: string,
        ingressGatewaySelectors: [INGRESS_GATEWAY_SELECTOR],
        permissive: EMPTY,
        selectors: [FEDERATION_SELECTOR],
        tcpKeepalive: TCP_KEEPALIVE,
    }
    .old(&[("eastWestIngressGatewaySelectors", "write `ingressGatewaySelectors`")]);
    FEDERATION_SELECTOR { destinationSelectors: [DESTINATION_SELECTOR], meshes: [OBJECT_REF] };
    TCP_KEEPALIVE { interval: string, probes: uint32, time: string };
    MTLS_CONFIG {
        autoRestartPods: boolean,
        limited: EMPTY,
        rotationStrategy: (MULTI_ROOT | NONE),
        rotationVerificationMethod: ROTATION_VERIFICATION,
        shared: SHARED_TRUST,
    }
    .one_of(&[&["limited", "shared"]]);
    ROTATION_VERIFICATION { manual: EMPTY, none: EMPTY }.one_of(&[&["manual", "none"]]);
    SHARED_TRUST {
        intermediateCertOptions: CERTIFICATE_OPTIONS,
        intermediateCertificateAuthority: VAULT_AUTHORITY,
        rootCertificateAuthority: ROOT_AUTHORITY,
    };
    CERTIFICATE_OPTIONS {
        orgName: string,
        rsaKeySizeBytes: uint32,
        secretRotationGracePeriodRatio: number,
        ttlDays: uint32,
    };
    ROOT_AUTHORITY { generated: CERTIFICATE_OPTIONS, secret: OBJECT_REF };
    SETTINGS {
        discovery: DISCOVERY_SETTINGS,
        mtls: MTLS,
        networkingExtensionServers: [GRPC_SERVER],
        relay: RELAY_SETTINGS,
    };
    DISCOVERY_SETTINGS { istio: ISTIO_DISCOVERY };
    ISTIO_DISCOVERY { ingressGatewayDetectors: {GATEWAY_DETECTOR} };
    GATEWAY_DETECTOR { gatewayTlsPortName: string, gatewayWorkloadLabels: {string} };
    GRPC_SERVER { address: string, insecure: boolean, reconnectOnNetworkFailures: boolean };
    RELAY_SETTINGS { enabled: boolean, server: GRPC_SERVER };
}
