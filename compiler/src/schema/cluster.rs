//! What runs in a cluster: manifests as kubectl prints them. Only what is used is described.

use super::objects;

objects! {
    POD { containers: [CONTAINER] }.open().separable();
    CONTAINER { ports: [CONTAINER_PORT] }.open();
    CONTAINER_PORT { containerPort: uint32, name: string }.open();
    DEPLOYMENT { template: POD_TEMPLATE }.open().separable();
    POD_TEMPLATE { metadata: TEMPLATE_METADATA, spec: POD }.open();
    TEMPLATE_METADATA { labels: {string} }.open();
    NODE {}.open().separable();
    DESTINATION_RULE { host: string }.open().separable();
    SERVICE_ENTRY { hosts: [string], exportTo: [string], ports: [ENTRY_PORT] }.open().separable();
    ENTRY_PORT { number: uint32, name: string, protocol: string }.open();
}
