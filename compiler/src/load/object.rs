//! Objects: which kind a document is, its metadata, and where its spec goes.

use std::collections::{BTreeMap, HashMap};

use super::decode;
use super::mesh_settings;
use super::node::{Node, Value};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{LeftOut, Metadata, Object, ObjectName, Resources, VirtualHost};
use crate::schema::{self, Kind, Lookup};
use crate::source::{Span, Spanned};

/// Collects the objects of all documents.
pub(super) struct Loader<'d> {
    diagnostics: &'d mut Diagnostics,
    resources: Resources,
    /// Place of every object, to find repeated ones.
    seen: HashMap<(&'static str, Option<String>, ObjectName), Span>,
    /// Cluster whose inventory is being read.
    cluster: Option<String>,
    /// Kinds that are not used, with the place and the number of their objects: one note for each is enough.
    skipped: BTreeMap<(Code, String, String), (Span, usize)>,
    documents: usize,
}

/// Whether an object asks for access logs, in the way of the management plane that would collect them.
fn is_access_log_record(api_version: &str, kind: &str) -> bool {
    kind == "AccessLogRecord"
        && api_version.starts_with("observability.enterprise.mesh.gloo.solo.io/")
}

impl<'d> Loader<'d> {
    pub(super) fn new(diagnostics: &'d mut Diagnostics) -> Self {
        Self {
            diagnostics,
            resources: Resources::default(),
            seen: HashMap::new(),
            cluster: None,
            skipped: BTreeMap::new(),
            documents: 0,
        }
    }

    pub(super) fn diagnostics(&mut self) -> &mut Diagnostics {
        self.diagnostics
    }

    /// Everything that was loaded.
    pub(super) fn finish(self) -> Resources {
        for ((code, api_version, kind), (span, count)) in self.skipped {
            let message = match (code, count) {
                (Code::UnusedKind, 1) => format!("this {kind} is checked, but not used yet"),
                (Code::UnusedKind, _) => {
                    format!("{count} objects of kind {kind} are checked, but not used yet")
                }
                (_, 1) => format!("this {kind} of `{api_version}` is skipped"),
                _ => format!("{count} objects of kind {kind} of `{api_version}` are skipped"),
            };
            let note = Diagnostic::at(code, span, message);
            self.diagnostics.push(match schema::namesake(&kind) {
                Some(ours) if code == Code::ForeignKind => note.help(format!(
                    "the {} that is compiled has `apiVersion: {}/{}`",
                    ours.name, ours.group, ours.version
                )),
                _ => note,
            });
        }
        if self.documents == 0 && !self.diagnostics.has_errors() {
            self.diagnostics.push(
                Diagnostic::global(Code::NoResources, "the input holds no resources")
                    .help("name a file or folder that holds VirtualGateway, VirtualHost or RouteTable objects"),
            );
        }
        self.resources
    }

    /// Says whose inventory the next documents are, if they are one.
    pub(super) fn enter(&mut self, cluster: Option<&String>) {
        self.cluster = cluster.cloned();
        self.resources.clusters.extend(cluster.cloned());
    }

    /// Takes one document: an object, a list of objects such as kubectl prints, or nothing.
    pub(super) fn document(&mut self, node: Node<'_>) {
        if node.is_null() {
            return;
        }
        self.documents += 1;
        self.objects(node);
    }

    /// Takes an object, or a list of objects and of further lists.
    fn objects(&mut self, mut node: Node<'_>) {
        let is_list = node
            .get("kind")
            .and_then(Node::string)
            .is_some_and(|kind| kind.ends_with("List"));
        match node.list_mut("items") {
            Some(items) if is_list => {
                for item in std::mem::take(items) {
                    self.objects(item);
                }
            }
            _ => self.object(node),
        }
    }

    fn object(&mut self, mut node: Node<'_>) {
        if let Some(cluster) = &self.cluster
            && mesh_settings::is_one(&node)
        {
            let settings = mesh_settings::decode(&node, cluster, self.diagnostics);
            self.resources.mesh_settings.extend(settings);
            return;
        }
        if let Some(cluster) = &self.cluster
            && let Some(namespace) = mesh_settings::namespace(&node, cluster)
        {
            self.resources.namespaces.push(namespace);
            return;
        }
        let Some(kind) = self.kind(&node) else { return };
        if let Some(root) = kind.root {
            schema::check(&mut node, root, self.diagnostics);
        }
        let Some(metadata) = self.metadata(&node) else {
            return;
        };
        // What discovery and people write is known to all clusters.
        let cluster = self.cluster.clone().filter(|_| !kind.is_global());
        let key = (kind.name, cluster, metadata.id.clone());
        if let Some(first) = self.seen.get(&key) {
            let help = match kind.is_global() || self.cluster.is_some() {
                true => "rename one of them, or remove it",
                false => {
                    "if they are of two clusters, pass each with `--inventory CLUSTER=PATH`; else remove one of them"
                }
            };
            self.diagnostics.push(
                Diagnostic::at(
                    Code::DuplicateObject,
                    metadata.span,
                    format!(
                        "{} `{}` is defined twice; this one is left out",
                        kind.name, metadata.id
                    ),
                )
                .also(*first, "first defined here")
                .help(help),
            );
            return;
        }
        self.seen.insert(key, metadata.span);
        if kind.has_status() {
            let generation = node.get("metadata").and_then(|all| all.get("generation"));
            self.resources.objects.push(Object {
                kind: kind.name,
                api_version: format!("{}/{}", kind.group, kind.version),
                id: metadata.id.clone(),
                generation: generation.and_then(Node::integer),
                name_span: metadata.span,
                span: node.span,
            });
        }
        if kind.used {
            self.decode(kind, metadata, &mut node);
        }
    }

    /// The kind of an object; nothing if it is not there or not ours.
    fn kind(&mut self, node: &Node<'_>) -> Option<&'static Kind> {
        let (api_version, name) = self.type_of(node)?;
        let diagnostic = match schema::find(&api_version, &name) {
            Lookup::Known(kind) => {
                if !kind.used {
                    self.skip(Code::UnusedKind, api_version.value, name);
                }
                return Some(kind);
            }
            Lookup::Foreign if is_access_log_record(&api_version.value, &name.value) => {
                Diagnostic::at(
                    Code::AccessLogRecord,
                    name.span,
                    "access logs of gateways are not configured by an AccessLogRecord; it has no effect",
                )
                .help("write a Telemetry of Istio, or use `--access-log` without a mesh; docs/observability.md shows both")
            }
            Lookup::Foreign => {
                self.skip(Code::ForeignKind, api_version.value, name);
                return None;
            }
            Lookup::WrongVersion(kind) => Diagnostic::at(
                Code::WrongVersion,
                api_version.span,
                format!("{} exists in version `{}` only", kind.name, kind.version),
            )
            .help(format!(
                "write `apiVersion: {}/{}`",
                kind.group, kind.version
            )),
            Lookup::UnknownKind(meant) => {
                let unknown = Diagnostic::at(
                    Code::UnknownKind,
                    name.span,
                    format!("the API group has no kind `{}`", name),
                );
                match meant {
                    Some(meant) if meant.name == name.value => unknown.help(format!(
                        "write `apiVersion: {}/{}`",
                        meant.group, meant.version
                    )),
                    Some(meant) => unknown.help(format!("did you mean `{}`?", meant.name)),
                    None => unknown,
                }
            }
        };
        self.diagnostics.push(diagnostic);
        None
    }

    fn skip(&mut self, code: Code, api_version: String, kind: Spanned<String>) {
        // An inventory is whatever the cluster has.
        if self.cluster.is_some() {
            return;
        }
        self.skipped
            .entry((code, api_version, kind.value))
            .or_insert((kind.span, 0))
            .1 += 1;
    }

    /// `apiVersion` and `kind` of a document.
    fn type_of(&mut self, node: &Node<'_>) -> Option<(Spanned<String>, Spanned<String>)> {
        let (api_version, kind) = (node.text_at("apiVersion"), node.text_at("kind"));
        let message = match (&node.value, api_version, kind) {
            (_, Some(api_version), Some(kind)) => return Some((api_version, kind)),
            (Value::Map(_), None, _) => "this document has no `apiVersion`",
            (Value::Map(_), _, None) => "this document has no `kind`",
            (Value::List(_) | Value::Routes(_), ..) => "this document is a list, not an object",
            (Value::Scalar(_), ..) => "this document is plain text, not an object",
        };
        self.diagnostics.push(
            Diagnostic::at(Code::NotAResource, node.span, message)
                .help("every object needs `apiVersion`, `kind`, `metadata` and `spec`"),
        );
        None
    }

    /// The metadata of an object.
    fn metadata(&mut self, node: &Node<'_>) -> Option<Metadata> {
        let metadata = node.get("metadata");
        let Some(name) = metadata
            .and_then(|metadata| metadata.text_at("name"))
            .filter(|name| !name.is_empty())
        else {
            if metadata.is_none_or(|metadata| !metadata.faulty) {
                self.diagnostics.push(
                    Diagnostic::at(
                        Code::NotAResource,
                        metadata.unwrap_or(node).span,
                        "this object has no name",
                    )
                    .help("add `metadata.name`"),
                );
            }
            return None;
        };
        let metadata = metadata?;
        let namespace = metadata
            .text_at("namespace")
            .filter(|namespace| !namespace.is_empty());
        self.check_name(&name)?;
        if let Some(namespace) = &namespace {
            self.check_name(namespace)?;
        }
        Some(Metadata {
            id: ObjectName {
                namespace: namespace.map_or("default".to_owned(), |namespace| namespace.value),
                name: name.value,
            },
            labels: metadata.string_map_at("labels"),
            created: metadata
                .text_at("creationTimestamp")
                .map(|created| created.value),
            span: name.span,
        })
    }

    /// Checks that an object can have a name. Names become parts of files, other names and logs, where a slash or a line break
    /// would stand for something else.
    fn check_name(&mut self, name: &Spanned<String>) -> Option<()> {
        if is_object_name(name) {
            return Some(());
        }
        self.diagnostics.push(
            Diagnostic::at(
                Code::InvalidName,
                name.span,
                format!("`{}` cannot be the name of an object", name.value),
            )
            .help("names have up to 253 characters, no blank and no slash among them, and no `.` at either end"),
        );
        None
    }

    fn decode(&mut self, kind: &'static Kind, metadata: Metadata, object: &mut Node<'_>) {
        let left_out = LeftOut {
            kind: kind.name,
            id: metadata.id.clone(),
        };
        if self.decoded(kind, metadata, object).is_none() {
            self.resources.left_out.push(left_out);
        }
    }

    fn decoded(&mut self, kind: &Kind, metadata: Metadata, object: &mut Node<'_>) -> Option<()> {
        let diagnostics = &mut *self.diagnostics;
        let resources = &mut self.resources;
        if kind.name == "Secret" {
            let secret = decode::auth_config::secret(metadata, object, diagnostics);
            resources.secrets.extend(secret);
            return Some(());
        }
        // Faults of the spec are dealt with part by part; those beside it concern the whole object.
        let whole = !object.faulty;
        let written = object.entry("spec").is_some();
        let Some(spec) = object.get_mut("spec").filter(|spec| !spec.is_null()) else {
            if !written {
                diagnostics.push(Diagnostic::at(
                    Code::MissingField,
                    metadata.span,
                    format!("{} `{}` has no `spec`", kind.name, metadata.id),
                ));
            }
            return None;
        };
        match kind.name {
            "VirtualGateway" => {
                let gateway = decode::gateway::virtual_gateway(metadata, spec, diagnostics);
                resources.virtual_gateways.push(gateway.filter(|_| whole)?);
            }
            "AuthConfig" => {
                let config = decode::auth_config::auth_config(metadata, spec, diagnostics);
                resources.auth_configs.push(config.filter(|_| whole)?);
            }
            "VirtualHost" => {
                let spec = decode::virtual_host::spec(spec, diagnostics);
                resources.virtual_hosts.push(VirtualHost {
                    metadata,
                    spec: spec.filter(|_| whole)?,
                });
            }
            "RouteTable" => {
                let table = decode::virtual_host::route_table(metadata, spec, diagnostics);
                resources.route_tables.push(table.filter(|_| whole)?);
            }
            "TrafficPolicy" => {
                let policy = decode::traffic_policy::traffic_policy(metadata, spec, diagnostics);
                resources.traffic_policies.push(policy.filter(|_| whole)?);
            }
            "VirtualDestination" => {
                let destination =
                    decode::inventory::virtual_destination(metadata, spec, diagnostics);
                resources
                    .virtual_destinations
                    .push(destination.filter(|_| whole)?);
            }
            "Mesh" => {
                let mesh = decode::cluster::mesh(metadata, spec);
                resources.meshes.push(mesh.filter(|_| whole)?);
            }
            "VirtualMesh" => {
                let mesh = decode::cluster::virtual_mesh(metadata, spec, diagnostics);
                resources.virtual_meshes.push(mesh.filter(|_| whole)?);
            }
            _ => return self.decoded_inventory(kind, metadata, object),
        }
        Some(())
    }

    /// Objects of which more than the spec is of interest, or whose cluster is.
    fn decoded_inventory(
        &mut self,
        kind: &Kind,
        metadata: Metadata,
        object: &Node<'_>,
    ) -> Option<()> {
        let diagnostics = &mut *self.diagnostics;
        let resources = &mut self.resources;
        let whole = !object.faulty;
        let cluster = self.cluster.clone();
        let spec = object.get("spec")?;
        match kind.name {
            "Destination" => {
                let federated = object
                    .get("status")
                    .and_then(|status| status.get("appliedFederation"))
                    .and_then(|federation| federation.text_at("federatedHostname"))
                    .map(|host| host.value);
                let destination =
                    decode::inventory::destination(metadata, spec, federated, diagnostics);
                resources.destinations.push(destination.filter(|_| whole)?);
            }
            "RateLimitClientConfig" => {
                let config = decode::rate_limit::client_config(metadata, spec, diagnostics);
                resources.rate_limit_clients.push(config.filter(|_| whole)?);
            }
            "RateLimitServerConfig" => {
                let config = decode::rate_limit::server_config(metadata, spec, diagnostics);
                resources.rate_limit_servers.push(config.filter(|_| whole)?);
            }
            "Service" => {
                let service = decode::inventory::service(&metadata, cluster, object, diagnostics);
                resources.services.push(service.filter(|_| whole)?);
            }
            "Deployment" | "Pod" => {
                let pods = decode::cluster::pods(metadata, cluster, spec);
                resources.pods.push(pods.filter(|_| whole)?);
            }
            "Node" => (resources.nodes).push(decode::cluster::node(metadata, cluster, object)),
            "DestinationRule" => {
                let rule = decode::cluster::destination_rule(metadata, cluster, spec, diagnostics);
                resources.destination_rules.push(rule.filter(|_| whole)?);
            }
            "ServiceEntry" => {
                let entry = decode::cluster::service_entry(metadata, cluster, spec, diagnostics);
                resources.service_entries.push(entry.filter(|_| whole)?);
            }
            "KubernetesCluster" => {
                resources.registered_clusters.insert(metadata.id.name);
            }
            _ => {}
        }
        Some(())
    }
}

/// Whether a name, of an object or a cluster, is one that does no harm where it becomes part of others. Kubernetes allows less, but
/// templates whose variables are not filled in yet (`shop-${CLUSTER}`) are checked too.
pub(super) fn is_object_name(name: &str) -> bool {
    let harms = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\');
    !name.is_empty()
        && name.len() <= 253
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains(harms)
}
