//! WasmPlugin: the filter and the program.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::size::{self, HARD_LIMIT};
use super::{IstioOptions, Wave, Workload, bodies, name};
use crate::code::Code;
use crate::manifest::configuration;

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
    if program
        .tree
        .gateways
        .iter()
        .all(|gateway| gateway.tcp.is_some())
    {
        return;
    }
    let digest: String = Sha256::digest(&program.program)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let packaged = options.packaged.get(&program.place());
    let module = packaged.unwrap_or(&options.module);
    let ports = ports(workload);
    let configuration = match packaged {
        None => configuration::encode(&program.program),
        Some(_) => json!({}),
    };
    let settings = options.attach.settings(&options.settings, &program.tree);
    if let Some(message) = settings.too_many_series(&program.tree) {
        let found = workload.finding(Code::ManySeries, message);
        workload.report(found);
    }
    let is_packaged = packaged.is_some();
    if program.tree.needs_bodies() {
        let configuration = settings.add_to(configuration);
        let written = bodies::write(workload, options, module, &configuration, &ports, digest);
        if let Some(spec) = written {
            check_size(workload, "EnvoyFilter", &spec, is_packaged);
        }
        return;
    }
    let mut matched = json!({ "mode": "CLIENT" });
    if !ports.is_empty() {
        matched["ports"] = ports.iter().map(|port| json!({ "number": port })).collect();
    }
    let mut spec = json!({
        "selector": { "matchLabels": program.labels },
        "url": module.url,
        "pluginName": "meshgate",
        "phase": "UNSPECIFIED_PHASE",
        "failStrategy": match options.fail_strategy {
            FailStrategy::Reload => "FAIL_RELOAD",
            FailStrategy::Close => "FAIL_CLOSE",
        },
        "match": [matched],
    });
    if !is_packaged || !settings.is_empty() {
        spec["pluginConfig"] = settings.add_to(configuration);
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
    check_size(workload, "WasmPlugin", &spec, is_packaged);
    let name = name::join(&["meshgate", &workload.id]);
    workload.add(
        Wave::Program,
        ("extensions.istio.io/v1alpha1", "WasmPlugin"),
        name,
        &[("meshgate.io/program-sha256", digest)],
        spec,
    );
}

/// The ports of the pods on which the filter runs, none if they are not known. Other listeners of the gateway are none of its
/// business.
fn ports(workload: &mut Workload<'_>) -> Vec<u16> {
    if let Some(ports) = workload.request_ports() {
        return ports.into_iter().collect();
    }
    let count = workload.of_requests().count();
    let found = match count {
        0 | 1 => workload.finding(
            Code::EveryPort,
            "the ports of its pods are not known, so the filter answers on all of them",
        ),
        _ => workload.finding(
            Code::UnknownPodPort,
            format!("it serves {count} virtual gateways, and the ports of its pods, which tell them apart, are not known"),
        ),
    };
    workload.report(found.help(super::PASS_SERVICE));
    Vec::new()
}

fn check_size(workload: &mut Workload<'_>, kind: &str, spec: &Value, is_packaged: bool) {
    let size = spec.to_string().len();
    let place = workload.place();
    let program = workload.program.program.len();
    if is_packaged {
        let size = format!("{place}: the program has {program} bytes and is part of the module");
        workload.out.sizes.push(size);
        return;
    }
    workload.out.sizes.push(format!(
        "{place}: the program has {program} bytes, the {kind} with it {size} of {HARD_LIMIT}"
    ));
    let smaller = "put the program into the module's image with `meshgate package`, or spread the virtual gateways \
                   over several gateways";
    let object = format!("with its program the {kind}");
    if let Some((code, message, help)) = size::finding(&object, size, smaller) {
        let found = workload.finding(code, message);
        workload.report(found.help(help));
    }
}
