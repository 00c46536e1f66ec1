//! What Istio's own command-line tool says of objects before they are applied.

use std::fs;
use std::path::Path;
use std::process::Command;

use meshgate_compiler::manifest::istio::Manifest;

/// What `istioctl validate` says of every EnvoyFilter.
const OF_EVERY_ENVOY_FILTER: &str = "EnvoyFilter exposes internal implementation details";

/// Has `istioctl validate` look at objects, as users do before they apply them.
///
/// # Errors
/// What it has against them, also if it only warns; of EnvoyFilters it warns in any case.
pub fn validate(istioctl: &Path, manifests: &[Manifest]) -> Result<(), String> {
    if manifests.is_empty() {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("`istioctl validate`: {error}");
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join("objects.yaml");
    let objects: Vec<String> = manifests.iter().map(|one| one.object.to_string()).collect();
    fs::write(&file, objects.join("\n---\n")).map_err(failed)?;
    let mut command = Command::new(istioctl);
    command.arg("validate").arg("-f").arg(&file);
    let output = command.output().map_err(failed)?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut findings = said.lines().filter(|line| line.trim().starts_with('*'));
    let is_clean = findings.all(|line| line.contains(OF_EVERY_ENVOY_FILTER));
    match output.status.success() && is_clean {
        true => Ok(()),
        false => Err(format!("`istioctl validate` finds:\n{said}")),
    }
}
