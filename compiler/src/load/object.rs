//! Objects: which kind a document is, its metadata, and where its spec goes.

use std::collections::HashMap;

use super::decode;
use super::node::{Node, Value};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Metadata, ObjectName, Resources, VirtualHost};
use crate::schema::{self, Kind, Lookup};
use crate::source::{Span, Spanned};

/// Collects the objects of all documents.
pub(super) struct Loader<'d> {
    diagnostics: &'d mut Diagnostics,
    resources: Resources,
    /// Place of every object, to find repeated ones.
    seen: HashMap<(&'static str, ObjectName), Span>,
    documents: usize,
}

impl<'d> Loader<'d> {
    pub(super) fn new(diagnostics: &'d mut Diagnostics) -> Self {
        Self {
            diagnostics,
            resources: Resources::default(),
            seen: HashMap::new(),
            documents: 0,
        }
    }

    pub(super) fn diagnostics(&mut self) -> &mut Diagnostics {
        self.diagnostics
    }

    /// Everything that was loaded.
    pub(super) fn finish(self) -> Resources {
        if self.documents == 0 && !self.diagnostics.has_errors() {
            self.diagnostics.push(
                Diagnostic::global(Code::NoResources, "the input holds no resources")
                    .help("name a file or folder that holds VirtualGateway, VirtualHost or RouteTable objects"),
            );
        }
        self.resources
    }

    /// Takes one document: an object, a `List` of objects, or nothing.
    pub(super) fn document(&mut self, mut node: Node<'_>) {
        if node.is_null() {
            return;
        }
        self.documents += 1;
        if node
            .entry("kind")
            .and_then(|entry| entry.value.string())
            .is_some_and(|kind| kind == "List")
        {
            if let Some(items) = node.list_mut("items") {
                for item in std::mem::take(items) {
                    self.object(item);
                }
            }
            return;
        }
        self.object(node);
    }

    fn object(&mut self, mut node: Node<'_>) {
        let Some(kind) = self.kind(&node) else { return };
        if let Some(root) = kind.root {
            schema::check(&mut node, root, self.diagnostics);
        }
        let Some(metadata) = self.metadata(&node) else {
            return;
        };
        if let Some(first) = self.seen.get(&(kind.name, metadata.id.clone())) {
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
                .help("rename one of them, or remove it"),
            );
            return;
        }
        self.seen
            .insert((kind.name, metadata.id.clone()), metadata.span);
        self.decode(kind, metadata, &node);
    }

    /// The kind of an object; nothing if it is not there or not ours.
    fn kind(&mut self, node: &Node<'_>) -> Option<&'static Kind> {
        let (api_version, name) = self.type_of(node)?;
        let diagnostic = match schema::find(&api_version, &name) {
            Lookup::Known(kind) => return Some(kind),
            Lookup::WrongVersion(kind) => Diagnostic::at(
                Code::WrongVersion,
                api_version.span,
                format!("{} exists in version `{}` only", kind.name, kind.version),
            )
            .help(format!("write `apiVersion: {}/{}`", kind.group, kind.version)),
            Lookup::UnknownKind(meant) => {
                let unknown = Diagnostic::at(
                    Code::UnknownKind,
                    name.span,
                    format!("the API group has no kind `{}`", name.escape_debug()),
                );
                match meant {
                    Some(meant) if meant.name == name.value => {
                        unknown.help(format!("write `apiVersion: {}/{}`", meant.group, meant.version))
                    }
                    Some(meant) => unknown.help(format!("did you mean `{}`?", meant.name)),
                    None => unknown,
                }
            }
            Lookup::Foreign(namesake) => {
                let skipped = Diagnostic::at(
                    Code::ForeignKind,
                    name.span,
                    format!("`{}` of `{}` is skipped", name.escape_debug(), api_version.escape_debug()),
                );
                match namesake {
                    Some(kind) => skipped.help(format!(
                        "the {} that is compiled has `apiVersion: {}/{}`",
                        kind.name, kind.group, kind.version
                    )),
                    None => skipped,
                }
            }
        };
        self.diagnostics.push(diagnostic);
        None
    }

    /// `apiVersion` and `kind` of a document.
    fn type_of(&mut self, node: &Node<'_>) -> Option<(Spanned<String>, Spanned<String>)> {
        let (api_version, kind) = (node.text_at("apiVersion"), node.text_at("kind"));
        if let (Some(api_version), Some(kind)) = (&api_version, &kind) {
            return Some((api_version.clone(), kind.clone()));
        }
        let message = match &node.value {
            Value::Map(_) => {
                let missing = if api_version.is_none() { "apiVersion" } else { "kind" };
                format!("this document has no `{missing}`")
            }
            Value::List(_) => "this document is a list, not an object".to_owned(),
            Value::Scalar(_) => "this document is plain text, not an object".to_owned(),
        };
        // The first line is enough to find it.
        self.diagnostics.push(
            Diagnostic::at(Code::NotAResource, node.span, message)
                .help("every object needs `apiVersion`, `kind`, `metadata` and `spec`"),
        );
        None
    }

    /// The metadata of an object.
    fn metadata(&mut self, node: &Node<'_>) -> Option<Metadata> {
        let metadata = node.get("metadata");
        let Some(name) = metadata.and_then(|metadata| metadata.text_at("name")) else {
            self.diagnostics.push(
                Diagnostic::at(
                    Code::MissingField,
                    metadata.unwrap_or(node).span,
                    "this object has no name",
                )
                .help("add `metadata.name`"),
            );
            return None;
        };
        let metadata = metadata?;
        let namespace = metadata
            .text_at("namespace")
            .map(|namespace| namespace.value);
        Some(Metadata {
            id: ObjectName {
                namespace: namespace
                    .filter(|namespace| !namespace.is_empty())
                    .unwrap_or_else(|| "default".to_owned()),
                name: name.value,
            },
            labels: metadata.string_map_at("labels"),
            created: metadata
                .text_at("creationTimestamp")
                .map(|created| created.value),
            span: name.span,
        })
    }

    fn decode(&mut self, kind: &Kind, metadata: Metadata, object: &Node<'_>) {
        let diagnostics = &mut *self.diagnostics;
        let resources = &mut self.resources;
        let Some(spec) = object.get("spec") else {
            return;
        };
        match kind.name {
            "VirtualGateway" => {
                resources
                    .virtual_gateways
                    .extend(decode::gateway::virtual_gateway(
                        metadata,
                        spec,
                        diagnostics,
                    ))
            }
            "VirtualHost" => {
                let decoded = decode::virtual_host::spec(spec, diagnostics);
                resources
                    .virtual_hosts
                    .extend(decoded.map(|spec| VirtualHost { metadata, spec }));
            }
            "RouteTable" => resources
                .route_tables
                .extend(decode::virtual_host::route_table(
                    metadata,
                    spec,
                    diagnostics,
                )),
            "VirtualDestination" => {
                resources
                    .virtual_destinations
                    .extend(decode::inventory::virtual_destination(
                        metadata,
                        spec,
                        diagnostics,
                    ));
            }
            "Destination" => resources
                .destinations
                .extend(decode::inventory::destination(metadata, spec, diagnostics)),
            "Service" => {
                resources
                    .services
                    .extend(decode::inventory::service(&metadata, spec, diagnostics))
            }
            _ => {}
        }
    }
}
