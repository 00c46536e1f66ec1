//! The whole way from sources to a program.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostics;
use crate::manifest::istio::reach;
use crate::resolve::{self, ResolveOptions};
use crate::resource::{ObjectName, Resources};
use crate::source::{SourceMap, Span};
use crate::tree::{Gateway, GatewayWorkload, Tree};
use crate::{lint, load, lower};

/// What compilation depends on besides the sources.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// Name of this version of the configuration. Absent: derived from the contents.
    pub generation: Option<String>,
    /// Cluster in which the gateways run; gateways of other clusters are left out. Absent: the only cluster that has
    /// gateways according to the inventory.
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
    /// Clusters in which gateways run, according to the inventory.
    pub clusters: BTreeSet<String>,
    /// Cluster that the tree is for. Absent: the input does not say, or gateways run in several; then services of all
    /// clusters have their local names in it.
    pub cluster: Option<String>,
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
    let clusters = resolve::gateway_clusters(&resources);
    let cluster = match (&options.cluster, clusters.len()) {
        (None, 1) => clusters.first().cloned(),
        (chosen, _) => chosen.clone(),
    };
    if cluster.is_none() {
        // What is wrong in one of the clusters only.
        for cluster in &clusters {
            let tree = resolve_in(Some(cluster), &resources, diagnostics);
            lint::lint(&tree, diagnostics);
        }
    }
    let mut tree = resolve_in(cluster.as_ref(), &resources, diagnostics);
    if let Some(cluster) = &options.cluster {
        tree.gateways.retain(|gateway| gateway.may_run_in(cluster));
    }
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
        clusters,
        cluster,
        ports,
        program,
    }
}

fn resolve_in(
    cluster: Option<&String>,
    resources: &Resources,
    diagnostics: &mut Diagnostics,
) -> Tree {
    let options = ResolveOptions {
        cluster: cluster.cloned(),
        ..ResolveOptions::default()
    };
    let tree = resolve::resolve(resources, &options, diagnostics);
    reach::check(&tree, resources, cluster.map(String::as_str), diagnostics);
    tree
}

/// The program of one gateway that runs.
#[derive(Debug)]
pub struct WorkloadProgram {
    /// Its cluster, if known.
    pub cluster: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// Its Service, the first one if several lead to its pods; absent if it is not known.
    pub service: Option<String>,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// The virtual gateways it serves, with the port of its pods each of them has.
    pub gateways: Vec<(ObjectName, u16)>,
    /// Where it serves each of them, in the same order.
    pub workloads: Vec<GatewayWorkload>,
    /// What the virtual gateways mean in its cluster.
    pub tree: Tree,
    /// The program.
    pub program: Vec<u8>,
}

impl WorkloadProgram {
    /// What files and arguments call it: `CLUSTER/NAMESPACE.SERVICE`.
    pub fn place(&self) -> String {
        let (cluster, file) = self.file();
        format!("{cluster}/{file}")
    }

    /// The name of the first virtual gateway that it serves.
    pub(crate) fn span(&self) -> Option<Span> {
        self.tree.gateways.first().map(|gateway| gateway.span)
    }

    /// The same in two parts: folder and file.
    pub fn file(&self) -> (&str, String) {
        let service = self.service.as_deref().unwrap_or("gateway");
        let cluster = self.cluster.as_deref().unwrap_or("cluster");
        (cluster, format!("{}.{service}", self.namespace))
    }
}

/// Writes a program for every gateway that runs, in every cluster, with nothing in it but what this gateway serves.
/// Findings end up in the order of their places.
pub fn workload_programs(
    sources: &SourceMap,
    options: &CompileOptions,
    diagnostics: &mut Diagnostics,
) -> (Resources, Vec<WorkloadProgram>) {
    let resources = load::parse(sources, diagnostics);
    let clusters: Vec<Option<String>> = match &options.cluster {
        Some(cluster) => vec![Some(cluster.clone())],
        None => match resolve::gateway_clusters(&resources) {
            none if none.is_empty() => vec![None],
            clusters => clusters.into_iter().map(Some).collect(),
        },
    };
    let mut programs = Vec::new();
    for cluster in clusters {
        let tree = resolve_in(cluster.as_ref(), &resources, diagnostics);
        lint::lint(&tree, diagnostics);
        let mut served: BTreeMap<_, Vec<(&Gateway, &GatewayWorkload, u16)>> = BTreeMap::new();
        for gateway in &tree.gateways {
            for workload in &gateway.workloads {
                if cluster
                    .as_ref()
                    .is_none_or(|cluster| workload.in_cluster(cluster))
                {
                    let pods = (&workload.namespace, &workload.labels);
                    let port = workload.target_port.unwrap_or(workload.port);
                    served
                        .entry(pods)
                        .or_default()
                        .push((gateway, workload, port));
                }
            }
        }
        for ((namespace, labels), gateways) in served {
            let own = Tree {
                cluster: cluster.clone(),
                gateways: gateways
                    .iter()
                    .map(|(gateway, ..)| (*gateway).clone())
                    .collect(),
                auth_configs: tree.auth_configs.clone(),
                virtual_meshes: tree.virtual_meshes.clone(),
                virtual_destinations: tree.virtual_destinations.clone(),
            };
            let lower_options = lower::Options {
                generation: options.generation.clone(),
                allow_long_lists: options.allow_long_lists,
                ports: gateways.iter().map(|(.., port)| *port).collect(),
            };
            if let Some(program) = lower::lower(&own, &lower_options, diagnostics) {
                programs.push(WorkloadProgram {
                    cluster: cluster.clone(),
                    namespace: namespace.clone(),
                    service: gateways
                        .iter()
                        .find_map(|(_, workload, _)| workload.service.clone()),
                    labels: labels.clone(),
                    gateways: gateways
                        .iter()
                        .map(|(gateway, _, port)| (gateway.name.clone(), *port))
                        .collect(),
                    workloads: gateways
                        .iter()
                        .map(|(_, workload, _)| (*workload).clone())
                        .collect(),
                    tree: own,
                    program,
                });
            }
        }
    }
    diagnostics.sort();
    (resources, programs)
}
