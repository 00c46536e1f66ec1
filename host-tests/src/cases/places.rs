//! Finding the places that a case names in prose: `route b, matchers[0]`, `virtual hosts one, two`.

use std::ops::Range;

use serde_json::Value;

/// Resources as JSON text, and where in it every field stands.
#[derive(Debug, Default)]
pub(super) struct PlacedText {
    /// The text, one document for each resource.
    pub(super) text: String,
    places: Vec<Place>,
}

/// A field or list entry.
#[derive(Debug)]
struct Place {
    /// Its path below the resource: `.spec.routes[0].matchers[0].uri`.
    path: String,
    /// What it is called in prose: `route b`, `virtual host one`, `route table t` and `route table test/t`.
    names: Vec<String>,
    range: Range<usize>,
}

impl PlacedText {
    /// Writes resources.
    pub(super) fn new(resources: &[Value]) -> PlacedText {
        let mut placed = PlacedText::default();
        for resource in resources {
            placed.text.push_str("---\n");
            let start = placed.text.len();
            placed.write(resource, "");
            placed.places.push(Place {
                path: String::new(),
                names: object_names(resource),
                range: start..placed.text.len(),
            });
            placed.text.push('\n');
        }
        placed
    }

    fn write(&mut self, value: &Value, path: &str) {
        match value {
            Value::Object(fields) => {
                self.text.push('{');
                for (index, (key, field)) in fields.iter().enumerate() {
                    self.text.push_str(if index > 0 { ",\n" } else { "\n" });
                    let start = self.text.len();
                    self.text.push_str(&Value::from(key.as_str()).to_string());
                    self.text.push_str(": ");
                    let path = format!("{path}.{key}");
                    self.write(field, &path);
                    self.places.push(Place {
                        path,
                        names: Vec::new(),
                        range: start..self.text.len(),
                    });
                }
                self.text.push_str("\n}");
            }
            Value::Array(items) => {
                self.text.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.text.push_str(if index > 0 { ",\n" } else { "\n" });
                    let start = self.text.len();
                    let item_path = format!("{path}[{index}]");
                    self.write(item, &item_path);
                    let names = match item["name"].as_str() {
                        Some(name) if path.ends_with(".routes") => vec![format!("route {name}")],
                        _ => Vec::new(),
                    };
                    self.places.push(Place {
                        path: item_path,
                        names,
                        range: start..self.text.len(),
                    });
                }
                self.text.push_str("\n]");
            }
            scalar => self.text.push_str(&scalar.to_string()),
        }
    }

    /// Whether a finding with labels at `labels` is at the place that `prose` names: each of its parts holds a label, or
    /// stands within one. `None` when the prose names nothing that is there.
    pub(super) fn is_at(&self, prose: &str, labels: &[Range<usize>]) -> Option<bool> {
        let mut kind = "";
        let mut all_touched = true;
        for part in prose.split([',', ':']).map(str::trim) {
            // `virtual hosts one, two`: the kind goes on.
            let name = match part.strip_prefix("virtual hosts ") {
                Some(name) => {
                    kind = "virtual host ";
                    format!("{kind}{name}")
                }
                None => format!("{kind}{part}"),
            };
            let ranges: Vec<&Range<usize>> = self
                .places
                .iter()
                .filter(|place| place.is_called(&name) || place.is_called(part))
                .map(|place| &place.range)
                .collect();
            if ranges.is_empty() {
                return None;
            }
            all_touched &= ranges.iter().any(|range| {
                labels
                    .iter()
                    .any(|label| inside(label, range) || inside(range, label))
            });
        }
        Some(all_touched)
    }
}

impl Place {
    fn is_called(&self, prose: &str) -> bool {
        let field = prose.strip_prefix("virtual host ").unwrap_or(prose);
        self.names.iter().any(|name| name == prose) || self.path.ends_with(&format!(".{field}"))
    }
}

fn inside(inner: &Range<usize>, outer: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn object_names(resource: &Value) -> Vec<String> {
    let kind = match resource["kind"].as_str() {
        Some("VirtualHost") => "virtual host",
        Some("RouteTable") => "route table",
        Some("VirtualGateway") => "gateway",
        _ => return Vec::new(),
    };
    let metadata = &resource["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    vec![
        format!("{kind} {name}"),
        format!("{kind} {namespace}/{name}"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::PlacedText;

    #[test]
    fn places_in_prose() {
        let host = json!({
            "kind": "VirtualHost",
            "metadata": {"name": "one", "namespace": "test"},
            "spec": {"routes": [
                {"name": "a", "matchers": [{"method": "GET"}]},
                {"name": "b", "matchers": [{"method": "PUT"}]},
            ]},
        });
        let placed = PlacedText::new(&[host]);
        let at = |text: &str| {
            let start = placed.text.find(text).expect("it is there");
            start..start + text.len()
        };
        assert_eq!(
            placed.is_at("route b, matchers[0]", &[at("\"PUT\"")]),
            Some(true)
        );
        assert_eq!(
            placed.is_at("route b, matchers[0]", &[at("\"GET\"")]),
            Some(false)
        );
        assert_eq!(
            placed.is_at("virtual hosts one", &[at("\"GET\"")]),
            Some(true)
        );
        assert_eq!(
            placed.is_at("matchers[0].method", &[at("\"a\"")]),
            Some(false)
        );
        assert_eq!(placed.is_at("matchers[1]", &[at("\"a\"")]), None);
    }
}
