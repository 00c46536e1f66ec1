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
    /// stands within one.
    pub(super) fn is_at(&self, prose: &str, labels: &[Range<usize>]) -> bool {
        let mut kind = "";
        prose.split([',', ':']).map(str::trim).all(|part| {
            // `virtual hosts one, two`: the kind goes on.
            let part = match part.strip_prefix("virtual hosts ") {
                Some(name) => {
                    kind = "virtual host ";
                    name
                }
                None => part,
            };
            let ranges = self.ranges(&format!("{kind}{part}"), part);
            ranges.iter().any(|range| {
                labels
                    .iter()
                    .any(|label| inside(label, range) || inside(range, label))
            })
        })
    }

    /// The places that have a name or a path, or those around it if it names a field that is missing.
    fn ranges(&self, name: &str, path: &str) -> Vec<&Range<usize>> {
        let mut path = path;
        loop {
            let places = self.places.iter();
            let called = places.filter(|place| place.is_called(name) || place.is_called(path));
            let ranges: Vec<_> = called.map(|place| &place.range).collect();
            match path.rsplit_once('.') {
                Some((parent, _)) if ranges.is_empty() => path = parent,
                _ => return ranges,
            }
        }
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
        assert!(placed.is_at("route b, matchers[0]", &[at("\"PUT\"")]));
        assert!(!placed.is_at("route b, matchers[0]", &[at("\"GET\"")]));
        assert!(placed.is_at("virtual hosts one", &[at("\"GET\"")]));
        assert!(!placed.is_at("matchers[0].method", &[at("\"a\"")]));
        assert!(placed.is_at("routes[1].options", &[at("\"PUT\"")]));
        assert!(!placed.is_at("matchers[7]", &[at("\"PUT\"")]));
    }
}
