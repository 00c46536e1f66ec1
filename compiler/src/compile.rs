//! The whole way from sources to a program.

use crate::diagnostic::Diagnostics;
use crate::resolve::{self, ResolveOptions};
use crate::resource::Resources;
use crate::source::SourceMap;
use crate::tree::Tree;
use crate::{lint, load, lower};

/// What compilation depends on besides the sources.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// Name of this version of the configuration. Absent: derived from the contents.
    pub generation: Option<String>,
    /// Cluster in which the gateways run.
    pub cluster: Option<String>,
    /// Very long lists of matchers that have to be tried one after the other are warned about, not refused.
    pub allow_long_lists: bool,
    /// Port of the first gateway; the others follow in the order of the tree.
    pub first_port: u16,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            generation: None,
            cluster: None,
            allow_long_lists: false,
            first_port: 8080,
        }
    }
}

/// What came of the sources. Whatever had errors is left out of the tree and of the program.
#[derive(Debug)]
pub struct Compiled {
    /// What the sources say.
    pub resources: Resources,
    /// What it means.
    pub tree: Tree,
    /// Port of each gateway of the tree; fewer than gateways if the numbers run out.
    pub ports: Vec<u16>,
    /// The program; `None` if there is no gateway, or if it is too large.
    pub program: Option<Vec<u8>>,
}

/// Compiles everything that was read. The findings end up in the order of their places.
pub fn compile(
    sources: &SourceMap,
    options: &CompileOptions,
    diagnostics: &mut Diagnostics,
) -> Compiled {
    let resources = load::parse(sources, diagnostics);
    let resolve_options = ResolveOptions {
        cluster: options.cluster.clone(),
        ..ResolveOptions::default()
    };
    let tree = resolve::resolve(&resources, &resolve_options, diagnostics);
    lint::lint(&tree, diagnostics);
    let ports: Vec<u16> = (options.first_port..=u16::MAX)
        .take(tree.gateways.len())
        .collect();
    let lower_options = lower::Options {
        generation: options.generation.clone(),
        allow_long_lists: options.allow_long_lists,
        ports: ports.clone(),
    };
    let program = lower::lower(&tree, &lower_options, diagnostics);
    diagnostics.sort();
    Compiled {
        resources,
        tree,
        ports,
        program,
    }
}
