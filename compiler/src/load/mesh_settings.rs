//! Istio's settings of a mesh: YAML text in a ConfigMap of the cluster.

use super::node::{Node, Value};
use super::yaml;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{MeshSettings, ObjectName, Visibility};
use crate::source::Span;

/// Where Istio is installed.
const NAMESPACE: &str = "istio-system";

/// Whether an object is the ConfigMap `istio`, or `istio-REVISION`, with settings of a mesh. Other ConfigMaps of Istio have
/// names like these, and no such text.
pub(super) fn is_one(object: &Node<'_>) -> bool {
    let is = |node: &Node<'_>, key: &str, value: &str| {
        node.get(key).and_then(Node::string) == Some(value)
    };
    let named = |metadata: &Node<'_>| {
        let name = metadata.get("name").and_then(Node::string);
        is(metadata, "namespace", NAMESPACE)
            && name.is_some_and(|name| name == "istio" || name.starts_with("istio-"))
    };
    is(object, "apiVersion", "v1")
        && is(object, "kind", "ConfigMap")
        && object.get("metadata").is_some_and(named)
        && text(object).is_some()
}

/// The text, as a value of the object.
fn text<'a, 's>(object: &'a Node<'s>) -> Option<&'a Node<'s>> {
    object.get("data")?.get("mesh")
}

/// The settings, unless their text is at fault, which is reported at the text as a whole: how the text lies in the file
/// depends on how it is quoted.
pub(super) fn decode(
    object: &Node<'_>,
    cluster: &str,
    diagnostics: &mut Diagnostics,
) -> Option<MeshSettings> {
    let node = text(object)?;
    let name = object.get("metadata")?.text_at("name")?;
    let id = ObjectName {
        namespace: NAMESPACE.to_owned(),
        name: name.value,
    };
    let settings = match node.string() {
        Some(text) => parse(text, node.span),
        None => Err("it is no text".to_owned()),
    };
    match settings {
        Ok(visibility) => Some(MeshSettings {
            name: id,
            cluster: cluster.to_owned(),
            visibility,
            span: node.span,
        }),
        Err(reason) => {
            let message = format!("`data.mesh` of ConfigMap `{id}` cannot be read: {reason}");
            diagnostics.push(Diagnostic::at(Code::YamlSyntax, node.span, message).help(
                "take the inventory again, or mend the ConfigMap; Istio cannot read it either",
            ));
            None
        }
    }
}

/// `defaultServiceExportTo` of the text, or what is wrong with it.
fn parse(text: &str, place: Span) -> Result<Visibility, String> {
    let mut findings = Diagnostics::default();
    let documents = yaml::documents(place.file, (0, text), &mut findings);
    if findings.has_errors() {
        let first = findings.list().first();
        return Err(first.map_or_else(String::new, |first| first.message.clone()));
    }
    let Some(mesh) = documents.first().filter(|mesh| !mesh.is_null()) else {
        return Ok(Visibility::default());
    };
    if !matches!(mesh.value, Value::Map(_)) {
        return Err("it is no map".to_owned());
    }
    let names = mesh.list_at("defaultServiceExportTo").iter();
    let names = names.filter_map(Node::string).map(str::to_owned);
    Ok(Visibility(names.collect()))
}
