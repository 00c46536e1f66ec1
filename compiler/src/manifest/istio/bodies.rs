//! The filter as an EnvoyFilter, for programs that need bodies of requests.
//!
//! Bodies come to the filter while it holds the headers only if its configuration says so
//! (`allow_on_headers_stop_iteration`), and a WasmPlugin has no place for that. So the filter is put where Istio puts that
//! of a WasmPlugin, and gets its configuration in the same way: by discovery, apart from the listener. An update of the
//! program leaves the listener alone, and a broken program is refused while the running one stays.

use serde_json::{Value, json};

use super::plugin::{FailStrategy, Module};
use super::{Attach, IstioOptions, Wave, Workload, name};
use crate::code::Code;

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// The filter before which Istio puts those of WasmPlugins. It is on every listener for requests.
const NEXT_FILTER: &str = "envoy.filters.http.grpc_stats";

/// Writes the filter with its configuration, for the ports of the gateway's pods; all of them if there are none.
pub(super) fn write(
    workload: &mut Workload<'_>,
    options: &IstioOptions,
    module: &Module,
    configuration: &Value,
    ports: &[u16],
    digest: String,
) -> Option<Value> {
    if let Some(fault) = fault(options, module) {
        let found = workload.finding(
            Code::BodiesNeedFile,
            "`extauth.requestBody` needs a setting of Envoy that a WasmPlugin does not have \
             (`allow_on_headers_stop_iteration`), so that the filter is an EnvoyFilter",
        );
        workload.report(found.help(format!(
            "{fault}, or remove `requestBody`, and the service is asked by the headers of requests"
        )));
        return None;
    }
    let plugin = name::join(&["meshgate", &workload.id]);
    let namespace = &workload.program.namespace;
    let filter = format!("meshgate/{namespace}/{plugin}");
    // What Istio calls the filter of a WasmPlugin, up to 1.29 and since. One that stands here from before would serve too.
    let former = [
        format!("extensions.istio.io/wasmplugin/{namespace}.{plugin}"),
        format!(
            "extensions.istio.io/trafficextension/{namespace}.{plugin}~istio-translated-wasmplugin"
        ),
    ];
    let listeners = match ports {
        [] => vec![json!({})],
        ports => ports
            .iter()
            .map(|port| json!({ "portNumber": port }))
            .collect(),
    };
    let mut patches = Vec::new();
    for listener in listeners {
        let patch = |at: &str, patch: Value| {
            let mut listener = listener.clone();
            listener["filterChain"] = json!({ "filter": {
                "name": "envoy.filters.network.http_connection_manager",
                "subFilter": { "name": at },
            } });
            json!({
                "applyTo": "HTTP_FILTER",
                "match": { "context": "GATEWAY", "listener": listener },
                "patch": patch,
            })
        };
        for name in &former {
            patches.push(patch(name, json!({ "operation": "REMOVE" })));
        }
        let value = json!({
            "name": filter,
            "config_discovery": {
                "config_source": { "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" },
                "type_urls": [WASM],
            },
        });
        patches.push(patch(
            NEXT_FILTER,
            json!({ "operation": "INSERT_BEFORE", "value": value }),
        ));
    }
    let path = module.url.strip_prefix("file://").unwrap_or(&module.url);
    let config = json!({
        "@type": WASM,
        "config": {
            "name": format!("{namespace}.{plugin}"),
            "root_id": "meshgate",
            "failure_policy": match options.fail_strategy {
                FailStrategy::Reload => "FAIL_RELOAD",
                FailStrategy::Close => "FAIL_CLOSED",
            },
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": path } },
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": configuration.to_string(),
            },
            "allow_on_headers_stop_iteration": true,
        },
    });
    patches.push(json!({
        "applyTo": "EXTENSION_CONFIG",
        "match": { "context": "GATEWAY" },
        "patch": { "operation": "ADD", "value": { "name": filter, "typed_config": config } },
    }));
    let spec = json!({
        "workloadSelector": { "labels": workload.program.labels },
        "configPatches": patches,
    });
    let name = name::join(&["meshgate", &workload.id, "program"]);
    workload.add(
        Wave::Program,
        ("networking.istio.io/v1alpha3", "EnvoyFilter"),
        name,
        &[("meshgate.io/program-sha256", digest)],
        spec.clone(),
    );
    Some(spec)
}

/// What stands in the way, and the way out.
fn fault(options: &IstioOptions, module: &Module) -> Option<&'static str> {
    if options.attach == Attach::Stable {
        return Some("leave out `--attach stable`");
    }
    // Only the configuration of WasmPlugins passes through what fetches modules.
    (!module.url.starts_with("file://")).then_some(
        "that can only load a module from a file in the gateway's pods: mount it, and write `--module file:///PATH`",
    )
}
