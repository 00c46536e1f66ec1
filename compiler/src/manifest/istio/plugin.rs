//! WasmPlugin: the filter and the program.

use base64::prelude::{BASE64_STANDARD, Engine};
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{IstioOptions, Wave, Workload, name};

/// Above this size of the object, in bytes, it is time to think of another way: plain `kubectl apply` fails, since it
/// keeps a copy in an annotation of at most this size.
const SOFT_LIMIT: usize = 256 * 1024;

/// Above this size the object does not fit into etcd, which takes 1.5 MiB; the rest is for what Kubernetes adds.
const HARD_LIMIT: usize = 1_400_000;

/// Level of compression: the best that does not take much longer for a few per cent.
const LEVEL: u8 = 8;

/// Where a gateway finds the filter.
#[derive(Clone, Debug)]
pub struct Module {
    /// `file://`, `oci://`, `http://` or `https://`.
    pub url: String,
    /// SHA-256 of the module (of the manifest, for an image), in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Secret with the credentials for the registry.
    pub pull_secret: Option<String>,
}

impl Module {
    /// What is wrong with it.
    pub fn fault(&self) -> Option<String> {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return Some(format!(
                "the module `{}` is no URL: write `file://`, `oci://`, `https://` or `http://` before it",
                self.url
            ));
        };
        if !["file", "oci", "https", "http"].contains(&scheme) || rest.is_empty() {
            return Some(format!(
                "Istio cannot load the module `{}`: write a URL with `file://`, `oci://`, `https://` or `http://`",
                self.url
            ));
        }
        match &self.sha256 {
            Some(digest)
                if digest.len() != 64
                    || !digest
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) =>
            {
                Some(format!(
                    "`{digest}` is no SHA-256 digest: it has 64 digits from 0 to f, in lower case"
                ))
            }
            None if scheme != "file" => Some(format!(
                "the module `{}` comes over the network, where what it is can change: add its digest with `--module-sha256`",
                self.url
            )),
            _ if self.pull_secret.is_some() && scheme != "oci" => {
                Some("a pull secret is for images only: write an `oci://` URL".to_owned())
            }
            _ => None,
        }
    }
}

/// What happens to requests after the filter crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailStrategy {
    /// Requests are refused until the filter has been started again.
    Reload,
    /// Requests are refused until the next update; for Istio before 1.27.
    Close,
}

/// Writes the plugin of a workload.
pub(super) fn write(workload: &mut Workload<'_>, options: &IstioOptions) {
    let program = workload.program;
    let digest: String = Sha256::digest(&program.program)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let module = &options.module;
    let mut spec = json!({
        "selector": { "matchLabels": program.labels },
        "url": module.url,
        "pluginName": "meshgate",
        "phase": "UNSPECIFIED_PHASE",
        "failStrategy": match options.fail_strategy {
            FailStrategy::Reload => "FAIL_RELOAD",
            FailStrategy::Close => "FAIL_CLOSE",
        },
        "match": [matched(workload)],
        "pluginConfig": options.settings.configuration(encoded(&program.program)),
    });
    if let Some(message) = options.settings.too_many_series(&program.tree) {
        let place = workload.place();
        workload.warn(format!("{place}: {message}"));
    }
    if let Some(digest) = &module.sha256 {
        spec["sha256"] = json!(digest);
    }
    if module.url.starts_with("oci://") {
        spec["imagePullPolicy"] = json!("IfNotPresent");
    }
    if let Some(secret) = &module.pull_secret {
        spec["imagePullSecret"] = json!(secret);
    }
    check_size(workload, &spec);
    let name = name::join(&["meshgate", &workload.id]);
    workload.add(
        Wave::Program,
        ("extensions.istio.io/v1alpha1", "WasmPlugin"),
        name,
        &[("meshgate.io/program-sha256", digest)],
        spec,
    );
}

/// The program as text: compressed if that makes it smaller by a tenth or more.
fn encoded(program: &[u8]) -> Value {
    let compressed = compress_to_vec_zlib(program, LEVEL);
    let (encoding, bytes) = match compressed.len() * 10 <= program.len() * 9 {
        true => ("zlib+base64", compressed.as_slice()),
        false => ("base64", program),
    };
    json!({ "encoding": encoding, "data": BASE64_STANDARD.encode(bytes) })
}

/// The ports of the pods on which the filter runs. Other listeners of the gateway are none of its business.
fn matched(workload: &mut Workload<'_>) -> Value {
    let ports: Option<Vec<u16>> = workload
        .program
        .workloads
        .iter()
        .map(|one| one.target_port)
        .collect();
    if let Some(mut ports) = ports {
        ports.sort_unstable();
        ports.dedup();
        let ports: Vec<Value> = ports
            .into_iter()
            .map(|port| json!({ "number": port }))
            .collect();
        return json!({ "mode": "CLIENT", "ports": ports });
    }
    let place = workload.place();
    if workload.program.gateways.len() > 1 {
        workload.error(format!(
            "{place} serves {} virtual gateways, and the ports of its pods, which tell them apart, are not known: \
             pass its Service with `--inventory`",
            workload.program.gateways.len()
        ));
    }
    workload.warn(format!(
        "{place}: the ports of its pods are not known, so the filter answers on all of them; pass its Service with `--inventory`"
    ));
    json!({ "mode": "CLIENT" })
}

fn check_size(workload: &mut Workload<'_>, spec: &Value) {
    let size = spec.to_string().len();
    let place = workload.place();
    if size > HARD_LIMIT {
        workload.error(format!(
            "{place}: with its program the WasmPlugin has {size} bytes, and Kubernetes takes {HARD_LIMIT}: \
             spread the virtual gateways over several gateways, or put the program into the module's image"
        ));
    } else if size > SOFT_LIMIT {
        workload.warn(format!(
            "{place}: with its program the WasmPlugin has {size} bytes; apply it with `kubectl apply --server-side`, \
             since plain `kubectl apply` takes {SOFT_LIMIT}"
        ));
    }
}
