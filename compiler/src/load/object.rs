//! Objects: which kind a document is, its metadata, and where its spec goes.

use std::collections::HashMap;

use super::decode;
use super::node::Node;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Metadata, ObjectName, Resources, VirtualHost};
use crate::schema::{self, Kind};
use crate::source::Span;

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
        schema::check(&mut node, kind, self.diagnostics);
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

    /// The kind of an object; nothing if it is not for us or not there.
    fn kind(&mut self, node: &Node<'_>) -> Option<&'static Kind> {
        let api_version = node.get("apiVersion").and_then(Node::string);
        let kind = node.get("kind").and_then(Node::string);
        let (Some(api_version), Some(kind)) = (api_version, kind) else {
            let missing = if api_version.is_none() {
                "apiVersion"
            } else {
                "kind"
            };
            self.diagnostics.push(
                Diagnostic::at(
                    Code::NotAResource,
                    node.span,
                    format!("this document has no `{missing}`"),
                )
                .help("every object needs `apiVersion`, `kind`, `metadata` and `spec`"),
            );
            return None;
        };
        schema::find(api_version, kind)
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
