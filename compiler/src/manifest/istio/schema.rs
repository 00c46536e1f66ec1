//! The schemas of the objects, as Istio's CRDs have them.
//!
//! `schemas.json` is derived from the CRDs of Istio 1.32-dev (istio/api, Apache-2.0): the schema of `spec` in the version
//! we write, without descriptions, defaults and what only the Kubernetes API server reads. An unknown field is an error
//! here; the API server would drop it without a word. The rules that the CRDs state in CEL are in [`rules`]. Patterns are not
//! checked here: the one that objects we write can meet is that of digests, which are checked where they are given.

use serde_json::Value;

use super::rules;

const SCHEMAS: &str = include_str!("schemas.json");

/// What is wrong with an object, one line each.
pub fn faults(object: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let schema = &schemas[object["kind"].as_str().unwrap_or_default()];
    if schema.is_null() || schema["apiVersion"] != object["apiVersion"] {
        faults.push(format!(
            "there is no kind {} in {}",
            object["kind"], object["apiVersion"]
        ));
        return faults;
    }
    check(&object["spec"], &schema["spec"], "spec", &mut faults);
    faults.extend(rules::faults(object));
    faults
}

fn check(value: &Value, schema: &Value, place: &str, faults: &mut Vec<String>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let mut fault = |message: &str| faults.push(format!("{place}: {message}"));
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    };
    if !fits {
        fault(&format!("expected {}", schema["type"]));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        fault(&format!("{value} is not allowed"));
    }
    let size = match value {
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength")),
        Value::Array(list) => Some((list.len(), "minItems", "maxItems")),
        Value::Object(map) => Some((map.len(), "minProperties", "maxProperties")),
        _ => None,
    };
    if let Some((size, least, most)) = size {
        let size = size as u64;
        if schema[least].as_u64().is_some_and(|least| size < least) {
            fault("it is too short");
        }
        if schema[most].as_u64().is_some_and(|most| size > most) {
            fault("it is too long");
        }
    }
    if let Some(number) = value.as_f64() {
        let below = schema["minimum"].as_f64().is_some_and(|min| number < min);
        let above = schema["maximum"].as_f64().is_some_and(|max| number > max);
        if below || above {
            fault(&format!("{value} is out of range"));
        }
    }
    alternatives(value, schema, place, faults);
    match value {
        Value::Object(_) => fields(value, schema, place, faults),
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                check(value, &schema["items"], &format!("{place}[{n}]"), faults);
            }
        }
        _ => {}
    }
}

fn fields(value: &Value, schema: &Value, place: &str, faults: &mut Vec<String>) {
    for key in schema["required"].as_array().into_iter().flatten() {
        if key.as_str().is_some_and(|key| value.get(key).is_none()) {
            faults.push(format!("{place}: {key} is missing"));
        }
    }
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for (key, value) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{key}");
        match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, schema @ Value::Object(_)) => check(value, schema, &place, faults),
            (Value::Null, _) if open => {}
            (Value::Null, _) if schema["properties"].is_object() => {
                faults.push(format!("{place}: there is no such field"));
            }
            (schema, _) => check(value, schema, &place, faults),
        }
    }
}

/// `oneOf`, `anyOf` and `not`. In the CRDs they say only which fields go together.
fn alternatives(value: &Value, schema: &Value, place: &str, faults: &mut Vec<String>) {
    let holding = |key: &str| {
        let branches = schema[key].as_array()?;
        Some(
            branches
                .iter()
                .filter(|branch| holds(value, branch))
                .count(),
        )
    };
    if holding("oneOf").is_some_and(|count| count != 1) || holding("anyOf") == Some(0) {
        faults.push(format!(
            "{place}: fields that exclude one another, or one is missing"
        ));
    }
}

fn holds(value: &Value, branch: &Value) -> bool {
    let has = |key: &Value| key.as_str().is_some_and(|key| value.get(key).is_some());
    let list = |key: &str| branch[key].as_array();
    list("required").is_none_or(|keys| keys.iter().all(has))
        && list("anyOf").is_none_or(|branches| branches.iter().any(|one| holds(value, one)))
        && (branch["not"].is_null() || !holds(value, &branch["not"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::faults;

    #[test]
    fn unknown_fields_wrong_types_and_missing_fields_are_faults() {
        let gateway = |server| {
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
                "spec": { "selector": { "istio": "ingressgateway" }, "servers": [server] },
            })
        };
        let port = json!({ "number": 443, "name": "https", "protocol": "HTTPS" });
        let good = json!({ "port": port, "hosts": ["*"], "tls": { "mode": "SIMPLE", "cipherSuites": ["x"] } });
        assert_eq!(faults(&gateway(good)), Vec::<String>::new());
        for (server, expected) in [
            (
                json!({ "port": port, "hosts": ["*"], "tls": { "cipherSuitez": ["x"] } }),
                "spec.servers[0].tls.cipherSuitez: there is no such field",
            ),
            (
                json!({ "port": port, "hosts": "*" }),
                "spec.servers[0].hosts: expected \"array\"",
            ),
            (
                json!({ "hosts": ["*"] }),
                "spec.servers[0]: \"port\" is missing",
            ),
            (
                json!({ "port": port, "hosts": ["*"], "tls": { "mode": "EASY" } }),
                "spec.servers[0].tls.mode: \"EASY\" is not allowed",
            ),
        ] {
            assert_eq!(faults(&gateway(server)), [expected]);
        }
        let fault = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "spec": { "http": [{ "fault": { "delay": { "fixedDelay": "1s", "exponentialDelay": "1s" } } }] },
        });
        assert_eq!(faults(&fault).len(), 1);
    }
}
