//! An Envoy that looks at what is about to be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use meshgate_compiler::manifest::istio::{Manifest, validation};

use crate::output::{self, Failure};
use crate::run::envoy;

/// What Envoy writes before the reason.
const REFUSAL: &str = "error initializing configuration";

/// How many lines of Envoy's messages are shown, if there is no such line.
const SHOWN_LINES: usize = 5;

/// An Envoy that validates.
pub(crate) struct Validator {
    binary: PathBuf,
}

impl Validator {
    /// The Envoy that is asked for, else `$ENVOY`; none if there is no word of one.
    pub(crate) fn of(asked: Option<&Path>) -> Result<Option<Self>, Failure> {
        let binary = envoy::named(asked).map_err(Failure::usage)?;
        Ok(binary.map(|binary| Self { binary }))
    }

    /// Tells for each object that Envoy does not take why that is.
    pub(crate) fn objects(&self, manifests: &[Manifest]) -> Result<(), Failure> {
        let mut are_good = true;
        for manifest in manifests {
            let reason = match validation::bootstrap(manifest) {
                Ok(None) => None,
                Ok(Some(bootstrap)) => self.refusal(&bootstrap.to_string())?,
                Err(patch) => Some(format!("nobody knows how to validate {patch}")),
            };
            if let Some(reason) = reason {
                let place = match &manifest.cluster {
                    Some(cluster) => format!(" of cluster `{cluster}`"),
                    None => String::new(),
                };
                output::error(&format!(
                    "Envoy does not take {} `{}/{}`{place}: {reason}",
                    manifest.kind, manifest.namespace, manifest.name
                ));
                are_good = false;
            }
        }
        match are_good {
            true => Ok(()),
            false => Err(Failure::findings()),
        }
    }

    /// The same for a whole bootstrap.
    pub(crate) fn whole(&self, bootstrap: &str) -> Result<(), Failure> {
        match self.refusal(bootstrap)? {
            None => Ok(()),
            Some(reason) => Err(Failure::failed(format!(
                "Envoy does not take the bootstrap: {reason}"
            ))),
        }
    }

    /// Why Envoy does not take a bootstrap.
    fn refusal(&self, bootstrap: &str) -> Result<Option<String>, Failure> {
        let cannot = |error: std::io::Error| {
            Failure::failed(format!("cannot write a temporary file: {error}"))
        };
        let folder = tempfile::tempdir().map_err(cannot)?;
        let path = folder.path().join("envoy.json");
        fs::write(&path, bootstrap).map_err(cannot)?;
        let binary = self.binary.display();
        let output = Command::new(&self.binary)
            .args([
                "--mode",
                "validate",
                "--log-level",
                "error",
                "--config-path",
            ])
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::failed(format!("cannot start `{binary}`: {error}")))?;
        if output.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text.lines().collect();
        let refusal = lines.iter().position(|line| line.contains(REFUSAL));
        let first = refusal.unwrap_or(lines.len().saturating_sub(SHOWN_LINES));
        let reason = lines.get(first..).unwrap_or_default().join(" ");
        let reason = match reason
            .split_once(REFUSAL)
            .and_then(|(_, it)| it.split_once("': "))
        {
            Some((_, reason)) => reason.to_owned(),
            None => format!("{} {reason}", output.status),
        };
        Ok(Some(reason.trim().to_owned()))
    }
}
