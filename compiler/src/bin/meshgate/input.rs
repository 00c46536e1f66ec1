//! Resources as arguments name them.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use meshgate_compiler::code::Code;
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::load;
use meshgate_compiler::source::SourceMap;

use crate::output::Failure;

/// Where the resources are.
#[derive(Debug, clap::Args)]
pub(crate) struct Input {
    /// Files and folders with resources (*.yaml, *.yml, *.json); `-` is standard input
    #[arg(value_name = "PATH", required_unless_present = "files")]
    paths: Vec<PathBuf>,

    /// The same as an option
    #[arg(short = 'f', long = "file", value_name = "PATH", num_args = 1..)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    inventories: Inventories,
}

/// What runs in the clusters.
#[derive(Debug, clap::Args)]
pub(crate) struct Inventories {
    /// What runs in a cluster: files or folders as `kubectl get -o yaml` prints them
    ///
    /// Services, Deployments, Pods, Nodes, DestinationRules and ServiceEntries are used, whatever else is there is
    /// skipped. May be given several times, also for one cluster. Files that lie among the resources are taken out of
    /// them.
    #[arg(long = "inventory", value_name = "CLUSTER=PATH")]
    inventories: Vec<InventoryPath>,
}

/// `CLUSTER=PATH`.
#[derive(Clone, Debug)]
struct InventoryPath {
    cluster: String,
    path: PathBuf,
}

impl FromStr for InventoryPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((cluster, path)) if !cluster.is_empty() && !path.is_empty() => Ok(Self {
                cluster: cluster.to_owned(),
                path: path.into(),
            }),
            _ => Err("expected CLUSTER=PATH, such as `east=inventory/east.yaml`".to_owned()),
        }
    }
}

impl Input {
    /// Reads everything. Paths that cannot be read are among the findings.
    pub(crate) fn read(&self) -> (SourceMap, Diagnostics) {
        let paths: Vec<PathBuf> = self.paths.iter().chain(&self.files).cloned().collect();
        read(&paths, &self.inventories)
    }
}

/// Reads files, folders and standard input.
pub(crate) fn read(paths: &[PathBuf], inventories: &Inventories) -> (SourceMap, Diagnostics) {
    let (mut sources, mut diagnostics) = load::read(paths, &mut io::stdin().lock());
    for InventoryPath { cluster, path } in &inventories.inventories {
        load::read_inventory(
            cluster,
            std::slice::from_ref(path),
            &mut io::stdin().lock(),
            &mut sources,
            &mut diagnostics,
        );
    }
    (sources, diagnostics)
}

/// Fails if a path could not be read. The findings must have been shown.
pub(crate) fn all_readable(diagnostics: &Diagnostics) -> Result<(), Failure> {
    let unreadable = [
        Code::FileNotFound,
        Code::PermissionDenied,
        Code::FileUnreadable,
    ];
    if diagnostics
        .list()
        .iter()
        .any(|diagnostic| unreadable.contains(&diagnostic.code))
    {
        return Err(Failure::arguments());
    }
    Ok(())
}
