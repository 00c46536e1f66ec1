//! YAML as JSON values, for files that tests read.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// Reads the only document of a YAML text.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    match documents.as_slice() {
        [document] => convert(document),
        documents => Err(format!("expected one document, found {}", documents.len())),
    }
}

fn convert(node: &Yaml<'_>) -> Result<Value, String> {
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::from(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => Value::from(value.as_ref()),
        Yaml::Sequence(items) => items.iter().map(convert).collect::<Result<Value, _>>()?,
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let Some(key) = key.as_str() else {
                    return Err(format!("expected a text as key, found {key:?}"));
                };
                object.insert(key.to_owned(), convert(value)?);
            }
            Value::Object(object)
        }
        other => return Err(format!("not supported here: {other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn values() {
        let text = "a: [1, x, null, true, 0.5]\nb: {c: 'd', \"e\": \"1\"}\n";
        assert_eq!(
            super::parse(text),
            Ok(json!({"a": [1, "x", null, true, 0.5], "b": {"c": "d", "e": "1"}}))
        );
        assert!(super::parse("a: 1\n---\nb: 2\n").is_err());
    }
}
