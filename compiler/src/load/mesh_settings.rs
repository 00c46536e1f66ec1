//! Istio's settings of a mesh, which are YAML text in a ConfigMap of the cluster, and the namespaces that they select.

use super::node::{Node, Value};
use super::yaml;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{
    Expression, LabelSelector, MeshSettings, Namespace, ObjectName, Operator, Visibility,
};
use crate::source::{Span, Spanned};

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
        Ok((visibility, discovery)) => Some(MeshSettings {
            name: id,
            cluster: cluster.to_owned(),
            visibility,
            discovery,
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

/// `defaultServiceExportTo` and `discoverySelectors` of the text, or what is wrong with it.
fn parse(text: &str, place: Span) -> Result<(Visibility, Vec<LabelSelector>), String> {
    let mut findings = Diagnostics::default();
    let documents = yaml::documents(place.file, (0, text), &mut findings);
    if findings.has_errors() {
        let first = findings.list().first();
        return Err(first.map_or_else(String::new, |first| first.message.clone()));
    }
    let Some(mesh) = documents.first().filter(|mesh| !mesh.is_null()) else {
        return Ok(Default::default());
    };
    if !matches!(mesh.value, Value::Map(_)) {
        return Err("it is no map".to_owned());
    }
    let selectors = mesh.list_at("discoverySelectors").iter();
    let selectors = selectors.map(|node| selector(node, place));
    Ok((
        Visibility(texts(mesh, "defaultServiceExportTo")),
        selectors.collect::<Result<_, _>>()?,
    ))
}

fn texts(node: &Node<'_>, key: &str) -> Vec<String> {
    let texts = node.list_at(key).iter().filter_map(Node::string);
    texts.map(str::to_owned).collect()
}

/// A selector of the text; the place of its parts is that of the whole text.
fn selector(node: &Node<'_>, place: Span) -> Result<LabelSelector, String> {
    let expression = |node: &Node<'_>| {
        let text = |key: &str| node.text_at(key).map(|text| text.value).unwrap_or_default();
        let operator = match text("operator").as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => return Err(format!("`discoverySelectors` have no operator `{other}`")),
        };
        let values = texts(node, "values").into_iter();
        Ok(Expression {
            key: Spanned::new(text("key"), place),
            operator: Spanned::new(operator, place),
            values: values.map(|value| Spanned::new(value, place)).collect(),
            span: place,
        })
    };
    let expressions = node.list_at("matchExpressions").iter().map(expression);
    Ok(LabelSelector {
        labels: node.string_map_at("matchLabels"),
        expressions: expressions.collect::<Result<_, _>>()?,
    })
}

/// A namespace, if the object is one.
pub(super) fn namespace(object: &Node<'_>, cluster: &str) -> Option<Namespace> {
    let is = |key: &str, value: &str| object.get(key).and_then(Node::string) == Some(value);
    let metadata = object.get("metadata")?;
    let name = metadata.text_at("name")?;
    (is("apiVersion", "v1") && is("kind", "Namespace")).then(|| Namespace {
        name: name.value,
        cluster: cluster.to_owned(),
        labels: metadata.string_map_at("labels"),
    })
}
