//! Resources, compiled.

use meshgate_compiler::compile::{CompileOptions, Compiled, compile};
use meshgate_compiler::diagnostic::{Diagnostics, Severity};
use meshgate_compiler::render;
use meshgate_compiler::resource::ObjectName;
use meshgate_compiler::source::SourceMap;

use super::format::{Clusters, Group};

/// What the compiler made of a text.
#[derive(Debug)]
pub struct Configuration {
    /// The text, for places.
    pub sources: SourceMap,
    /// All findings.
    pub diagnostics: Diagnostics,
    /// The tree and the program.
    pub compiled: Compiled,
}

impl Configuration {
    /// Compiles resources for gateways that listen on `first_port` and the ports after it.
    pub fn compile(text: &str, first_port: u16) -> Configuration {
        Configuration::compile_in(text, None, first_port)
    }

    /// Compiles the resources of a group, for the gateways of its cluster.
    pub fn of(group: &Group, first_port: u16) -> Configuration {
        Configuration::compile_in(&group.text, group.clusters.as_ref(), first_port)
    }

    fn compile_in(text: &str, clusters: Option<&Clusters>, first_port: u16) -> Configuration {
        let mut sources = SourceMap::default();
        sources.add("resources.yaml".to_owned(), text.to_owned());
        for (cluster, text) in clusters.iter().flat_map(|clusters| &clusters.inventories) {
            let name = format!("{cluster}/inventory.yaml");
            sources.add_inventory(cluster, name, text.clone());
        }
        let options = CompileOptions {
            first_port,
            generation: Some("test".to_owned()),
            cluster: clusters.map(|clusters| clusters.own.clone()),
            ..CompileOptions::default()
        };
        let mut diagnostics = Diagnostics::default();
        let compiled = compile(&sources, &options, &mut diagnostics);
        Configuration {
            sources,
            diagnostics,
            compiled,
        }
    }

    /// The program, if nothing was left out of it.
    ///
    /// # Errors
    /// The errors that were found, or that there is no gateway.
    pub fn program(&self) -> Result<&[u8], String> {
        if self.diagnostics.has_errors() {
            return Err(self.findings(Severity::Error));
        }
        self.compiled
            .program
            .as_deref()
            .ok_or_else(|| "there is no gateway".to_owned())
    }

    /// Index of the gateway that a request names, 0 if it names none.
    ///
    /// # Errors
    /// When there is no such gateway.
    pub fn gateway(&self, name: Option<&str>) -> Result<usize, String> {
        let is_called = |id: &ObjectName, name: &str| id.name == name || id.to_string() == name;
        let Some(name) = name else { return Ok(0) };
        self.compiled
            .tree
            .gateways
            .iter()
            .position(|gateway| is_called(&gateway.name, name))
            .ok_or_else(|| format!("there is no gateway `{name}`"))
    }

    /// The findings of a severity, one on a line.
    pub fn findings(&self, severity: Severity) -> String {
        let mut chosen = Diagnostics::default();
        for diagnostic in self.diagnostics.list() {
            if diagnostic.severity == severity {
                chosen.push(diagnostic.clone());
            }
        }
        render::lines(&chosen, &self.sources)
    }
}
