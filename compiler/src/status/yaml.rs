//! JSON values as YAML, for people: block style, strings without quotes where nothing else could be meant.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes a document, without a `---` before it.
pub fn to_yaml(value: &Value) -> String {
    let mut text = String::new();
    node(value, 0, &mut text);
    text
}

/// Writes a value on lines of its own.
fn node(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (n, (key, value)) in map.iter().enumerate() {
                // The first key of an element stands beside its dash.
                if n > 0 || !text.ends_with("- ") {
                    pad(indent, text);
                }
                scalar(key, text);
                text.push(':');
                below(value, indent, text);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list {
                pad(indent, text);
                text.push_str("- ");
                node(value, indent + 2, text);
            }
        }
        Value::String(value) => {
            scalar(value, text);
            text.push('\n');
        }
        // The same in JSON: numbers, booleans, null, `{}`, `[]`.
        other => {
            let _ = writeln!(text, "{other}");
        }
    }
}

/// Writes the value of a key.
fn below(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            node(value, indent + 2, text);
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('\n');
            node(value, indent, text);
        }
        _ => {
            text.push(' ');
            node(value, indent, text);
        }
    }
}

fn pad(indent: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', indent));
}

fn scalar(value: &str, text: &mut String) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let is_plain = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(plain)
        && !matches!(
            value.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if is_plain {
        text.push_str(value);
    } else {
        // A JSON string is a YAML string, but for characters that YAML does not print or takes for the end of a line.
        for c in Value::from(value).to_string().chars() {
            let _ = match c {
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                    write!(text, "\\u{:04x}", u32::from(c))
                }
                c => text.write_char(c),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_yaml;

    #[test]
    fn values_of_all_kinds() {
        let value = json!({
            "kind": "X",
            "list": [{"a": 1, "b": ["x", "no"]}, "two words", []],
            "map": {"empty": {}, "null": null, "text": "a: b", "number": "1", "odd": "é\n\u{7f}\u{85}\u{2028}"},
        });
        let expected = r#"kind: X
list:
- a: 1
  b:
  - x
  - "no"
- "two words"
- []
map:
  empty: {}
  "null": null
  number: "1"
  odd: "é\n\u007f\u0085\u2028"
  text: "a: b"
"#;
        assert_eq!(to_yaml(&value), expected);
    }
}
