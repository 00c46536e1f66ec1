//! From a configuration to the Envoy bootstrap that serves it in front of echo servers.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use meshgate_compiler::compile::Compiled;
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::manifest::envoy::{EnvoyOptions, bootstrap};
use meshgate_compiler::manifest::settings::FilterSettings;
use meshgate_compiler::upstreams::{Endpoint, Upstream, UpstreamName, Upstreams};
use serde_json::{Value, json};

use crate::upstream;

/// Names of the clusters that the routes of a configuration go to, without repetition.
pub fn cluster_names(compiled: &Compiled) -> BTreeSet<String> {
    compiled
        .tree
        .destinations()
        .map(|destination| destination.cluster.clone())
        .collect()
}

/// The bootstrap for a configuration. Every destination is served by the echo server that has the name of its cluster.
pub fn echo_bootstrap(
    compiled: &Compiled,
    program: &[u8],
    filter: &Path,
    servers: &upstream::Upstreams,
) -> Value {
    let mut upstreams = Upstreams::default();
    upstreams.add_all(compiled.tree.destinations().filter_map(|destination| {
        let address = servers.address(&destination.cluster)?;
        Some(Upstream {
            name: UpstreamName::of(destination),
            endpoint: Endpoint {
                host: address.ip().to_string(),
                port: address.port(),
            },
        })
    }));
    let options = EnvoyOptions {
        listen: Ipv4Addr::LOCALHOST.into(),
        ports: &compiled.ports,
        admin: None,
        filter,
        access_log: true,
        settings: &FilterSettings::default(),
    };
    // What the manifest remarks on (TLS that is not there, for one) is as the tests want it.
    let mut remarks = Diagnostics::default();
    bootstrap(
        &compiled.tree,
        &compiled.resources,
        program,
        &upstreams,
        &options,
        &mut remarks,
    )
}

/// Where requests with scheme `https` are taken for a listener on the loopback address: the same port of another loopback
/// address. There is no TLS; Envoy is told the scheme.
pub const HTTPS_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// One bootstrap with the listeners and clusters of several. Clusters of one name are taken for the same; listeners get
/// names of their own, and a twin each at [`HTTPS_ADDRESS`].
pub fn merge(bootstraps: impl IntoIterator<Item = Value>) -> Value {
    let (mut listeners, mut clusters) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for mut bootstrap in bootstraps {
        let resources = &mut bootstrap["static_resources"];
        if let Some(added) = resources["listeners"].as_array_mut() {
            for listener in added.drain(..) {
                listeners.push(https_twin(&listener));
                listeners.push(listener);
            }
        }
        if let Some(added) = resources["clusters"].as_array_mut() {
            let is_new = |cluster: &Value| names.insert(cluster["name"].to_string());
            clusters.extend(added.drain(..).filter(is_new));
        }
    }
    for (index, listener) in listeners.iter_mut().enumerate() {
        listener["name"] = json!(index.to_string());
    }
    json!({
        "node": {"id": "meshgate", "cluster": "meshgate"},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    })
}

fn https_twin(listener: &Value) -> Value {
    let mut twin = listener.clone();
    twin["address"]["socket_address"]["address"] = json!(HTTPS_ADDRESS.to_string());
    let manager = &mut twin["filter_chains"][0]["filters"][0]["typed_config"];
    manager["scheme_header_transformation"] = json!({"scheme_to_overwrite": "https"});
    twin
}
