//! Istio objects that make gateways which run already serve a routing program.
//!
//! For every gateway that runs: a WasmPlugin with the filter and the program, a Gateway per virtual gateway, a
//! VirtualService whose only route is a placeholder, and an EnvoyFilter that turns this route into one that takes every
//! request to the cluster the filter names. Without the EnvoyFilter the placeholder answers 503, so that nothing goes to
//! a wrong place. Destinations that Istio does not know by itself get a ServiceEntry, subsets a DestinationRule. There are
//! other ways to [`Attach`].
//!
//! All objects are in the namespace of the gateway's pods and are visible there only.

mod attach;
mod bodies;
mod destination;
mod destination_rule;
mod federated;
mod listener;
mod name;
mod plugin;
pub mod reach;
mod routes;
mod rules;
pub mod schema;
mod service_entry;
mod settings;
mod size;
mod stable;
mod tcp;
pub mod validation;
mod virtual_destination;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::settings::FilterSettings;
use crate::code::Code;
use crate::compile::WorkloadProgram;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::Resources;
use crate::source::Span;
use crate::tree::{Gateway, GatewayWorkload};

pub use attach::Attach;
pub use plugin::{FailStrategy, Module};

/// Label on every object, with the value `meshgate`.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Label on every object, with the name of the configuration it comes from.
pub const OWNER: &str = "meshgate.io/owner";

/// What to write besides the configuration.
#[derive(Clone, Debug)]
pub struct IstioOptions {
    /// The filter.
    pub module: Module,
    /// Filters with the program in them, by [`WorkloadProgram::place`].
    pub packaged: BTreeMap<String, Module>,
    /// What happens to requests after the filter crashed.
    pub fail_strategy: FailStrategy,
    /// Name of the configuration, which its objects are labelled with.
    pub owner: String,
    /// What the filter is told besides the program.
    pub settings: FilterSettings,
    /// How the filter's choice takes effect.
    pub attach: Attach,
}

impl IstioOptions {
    /// What is written if nothing is said but where the filter is: in a file of the gateways' pods.
    pub fn for_file(path: &str) -> Self {
        Self {
            module: Module {
                url: format!("file://{path}"),
                sha256: None,
                pull_secret: None,
            },
            packaged: BTreeMap::new(),
            fail_strategy: FailStrategy::Reload,
            owner: "meshgate".to_owned(),
            settings: FilterSettings::default(),
            attach: Attach::Exclusive,
        }
    }
}

/// The way out where the port of a gateway's pods is not known.
const PASS_SERVICE: &str = "pass the gateway's Service with `--inventory`";

/// When an object is applied: those of a wave need the waves before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wave {
    /// What requests are sent to, and who must not choose it.
    Destinations,
    /// Listeners and the route to the filter's choice.
    Listeners,
    /// Filter and program.
    Program,
}

impl Wave {
    /// All waves, in order.
    pub const ALL: [Wave; 3] = [Wave::Destinations, Wave::Listeners, Wave::Program];

    /// Name of the folder.
    pub fn folder(self) -> &'static str {
        match self {
            Wave::Destinations => "10-destinations",
            Wave::Listeners => "20-listeners",
            Wave::Program => "30-program",
        }
    }
}

/// One object to apply.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Cluster to apply it in; absent if the input does not say.
    pub cluster: Option<String>,
    /// When to apply it.
    pub wave: Wave,
    /// Kind.
    pub kind: &'static str,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The whole object.
    pub object: Value,
}

impl Manifest {
    /// Name of a file for it, without extension.
    pub fn file_stem(&self) -> String {
        let kind = self.kind.to_ascii_lowercase();
        format!("{kind}.{}.{}", self.namespace, self.name)
    }
}

/// The objects, and what the user should know about them.
#[derive(Debug, Default)]
pub struct Manifests {
    /// In the order in which they are applied: by cluster, wave, kind, namespace and name.
    pub list: Vec<Manifest>,
    /// How large each program is, one line each.
    pub sizes: Vec<String>,
    /// Findings. With errors among them the objects are not fit to be applied.
    pub diagnostics: Diagnostics,
}

/// Writes the objects for all gateways that run.
pub fn manifests(
    programs: &[WorkloadProgram],
    resources: &Resources,
    options: &IstioOptions,
) -> Manifests {
    let mut manifests = Manifests::default();
    refuse_shared_pods(programs, &mut manifests.diagnostics);
    let place = |program: &WorkloadProgram| (program.cluster.clone(), program.namespace.clone());
    let mut remote = federated::Remote::default();
    for neighbours in programs.chunk_by(|a, b| place(a) == place(b)) {
        if let Some(program) = neighbours.first() {
            let mut workload = Workload::new(program, options, &mut manifests);
            destination::write(&mut workload, neighbours, resources, &mut remote);
        }
    }
    remote.write(resources, &options.owner, &mut manifests);
    for program in programs {
        let mut workload = Workload::new(program, options, &mut manifests);
        virtual_destination::write(&mut workload, resources);
        if options.attach == Attach::Stable {
            stable::write(&mut workload);
        }
        listener::write(&mut workload, options.attach);
        plugin::write(&mut workload, options);
    }
    let order = |m: &Manifest| {
        (
            m.cluster.clone(),
            m.wave,
            m.kind,
            m.namespace.clone(),
            m.name.clone(),
        )
    };
    manifests.list.sort_by_cached_key(order);
    size::check(&mut manifests);
    for manifest in &manifests.list {
        for fault in schema::faults(&manifest.object) {
            manifests.diagnostics.push(
                Diagnostic::global(
                    Code::ObjectNotAccepted,
                    format!(
                        "Istio would not accept {} `{}/{}`: {fault}",
                        manifest.kind, manifest.namespace, manifest.name
                    ),
                )
                .help("change what the message names; if no resource has it, please report this"),
            );
        }
    }
    let mut seen = BTreeSet::new();
    for manifest in &manifests.list {
        if !seen.insert(order(manifest)) {
            manifests.diagnostics.push(
                Diagnostic::global(
                    Code::ObjectNameTaken,
                    format!(
                        "two objects are {} `{}/{}`",
                        manifest.kind, manifest.namespace, manifest.name
                    ),
                )
                .help("give the gateways' Services other names"),
            );
        }
    }
    manifests.diagnostics.sort();
    manifests
}

/// Two programs for one pod: both filters would run, and the last one would win.
fn refuse_shared_pods(programs: &[WorkloadProgram], diagnostics: &mut Diagnostics) {
    for (n, one) in programs.iter().enumerate() {
        for other in programs.iter().skip(n + 1) {
            let within = |few: &WorkloadProgram, many: &WorkloadProgram| {
                few.labels
                    .iter()
                    .all(|(key, value)| many.labels.get(key) == Some(value))
            };
            if one.cluster == other.cluster
                && one.namespace == other.namespace
                && (within(one, other) || within(other, one))
            {
                let message = format!(
                    "two programs for the same pods in namespace `{}`: the labels {} and {} select pods in common",
                    one.namespace,
                    labels(one),
                    labels(other),
                );
                let mut found = match other.span() {
                    Some(span) => Diagnostic::at(Code::SharedPods, span, message),
                    None => Diagnostic::global(Code::SharedPods, message),
                };
                if let Some(span) = one.span() {
                    found = found.also(span, "the virtual gateway of the other program");
                }
                diagnostics.push(found.help("let the virtual gateways select the same Service"));
            }
        }
    }
}

fn labels(program: &WorkloadProgram) -> String {
    let labels: Vec<String> = program
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("`{}`", labels.join(","))
}

/// Name of a gateway that runs, as part of the names of its objects.
fn workload_id(program: &WorkloadProgram) -> String {
    program.service.clone().unwrap_or_else(|| {
        let values: Vec<&str> = program.labels.values().map(String::as_str).collect();
        name::join(&values)
    })
}

/// One gateway that runs, and where its objects go.
#[derive(Debug)]
struct Workload<'a> {
    program: &'a WorkloadProgram,
    id: String,
    owner: &'a str,
    out: &'a mut Manifests,
}

impl<'a> Workload<'a> {
    fn new(
        program: &'a WorkloadProgram,
        options: &'a IstioOptions,
        out: &'a mut Manifests,
    ) -> Self {
        Self {
            program,
            id: workload_id(program),
            owner: &options.owner,
            out,
        }
    }

    /// How messages call it.
    fn place(&self) -> String {
        let cluster = match &self.program.cluster {
            Some(cluster) => format!(" of cluster `{cluster}`"),
            None => String::new(),
        };
        format!("gateway `{}/{}`{cluster}", self.program.namespace, self.id)
    }

    /// The virtual gateways that take requests, not connections as they are; each with the port that it has here.
    fn of_requests(&self) -> impl Iterator<Item = (&'a Gateway, &'a GatewayWorkload)> + use<'a> {
        let program = self.program;
        let gateways = program.tree.gateways.iter().zip(&program.workloads);
        gateways.filter(|(gateway, _)| gateway.tcp.is_none())
    }

    /// Their ports of the pods; absent if one of them is not known.
    fn request_ports(&self) -> Option<BTreeSet<u16>> {
        self.of_requests().map(|(_, one)| one.target_port).collect()
    }

    /// A finding about the gateway as a whole, at the name of its first virtual gateway.
    fn finding(&self, code: Code, message: impl Display) -> Diagnostic {
        let message = format!("{}: {message}", self.place());
        match self.program.span() {
            Some(span) => Diagnostic::at(code, span, message),
            None => Diagnostic::global(code, message),
        }
    }

    /// A finding about one thing in the resources.
    fn finding_at(&self, code: Code, span: Span, message: impl Display) -> Diagnostic {
        Diagnostic::at(code, span, format!("{}: {message}", self.place()))
    }

    fn report(&mut self, found: Diagnostic) {
        self.out.diagnostics.push(found);
    }

    /// Adds an object in the namespace of the gateway's pods.
    fn add(
        &mut self,
        wave: Wave,
        kind: (&str, &'static str),
        name: String,
        annotations: &[(&str, String)],
        spec: Value,
    ) {
        let place = Place {
            cluster: self.program.cluster.clone(),
            namespace: self.program.namespace.clone(),
            owner: self.owner,
        };
        self.out.add(place, wave, kind, name, annotations, spec);
    }
}

/// Where an object goes.
#[derive(Debug)]
struct Place<'a> {
    cluster: Option<String>,
    namespace: String,
    /// Whose it is.
    owner: &'a str,
}

impl Manifests {
    fn add(
        &mut self,
        place: Place<'_>,
        wave: Wave,
        (api_version, kind): (&str, &'static str),
        name: String,
        annotations: &[(&str, String)],
        spec: Value,
    ) {
        let mut metadata = json!({
            "name": name,
            "namespace": place.namespace,
            "labels": { MANAGED_BY: "meshgate", OWNER: place.owner },
        });
        if !annotations.is_empty() {
            metadata["annotations"] = annotations
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str())))
                .collect::<Map<_, _>>()
                .into();
        }
        let object =
            json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec });
        self.list.push(Manifest {
            cluster: place.cluster,
            wave,
            kind,
            namespace: place.namespace,
            name,
            object,
        });
    }
}
