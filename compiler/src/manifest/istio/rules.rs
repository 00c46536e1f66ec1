//! The rules that Istio's CRDs state in CEL, the language in which the Kubernetes API server checks what no schema says.
//!
//! `rules.json` lists those of the kinds that we write, from the CRDs of Istio 1.32-dev (istio/api, Apache-2.0): each with
//! the places in `spec` that it is about, `*` for every item or entry. The rule about the URL of a WasmPlugin is left out:
//! it needs functions that only the API server has, and the URL is checked where it is given.

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program, Value as CelValue, extensions};
use serde::Deserialize;
use serde_json::Value;

const STATED: &str = include_str!("rules.json");

#[derive(Deserialize)]
struct Stated {
    kind: String,
    rule: String,
    message: String,
    places: Vec<String>,
}

struct Rule {
    stated: Stated,
    /// `None` if it is beyond what the library knows; a test makes sure that it is not.
    program: Option<Program>,
}

struct Rules {
    env: Arc<Env>,
    rules: Vec<Rule>,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // For `substring`. It fails only if another extension has a function of that name, and there is no other.
    let _ = env.add_extension(extensions::strings);
    let stated: Vec<Stated> = serde_json::from_str(STATED).unwrap_or_default();
    let rules = stated
        .into_iter()
        .map(|stated| Rule {
            program: env.compile(&stated.rule).ok(),
            stated,
        })
        .collect();
    Rules {
        env: Arc::new(env),
        rules,
    }
});

/// Which rules an object breaks, one line each.
pub(super) fn faults(object: &Value) -> Vec<String> {
    let context = Context::with_env(Arc::clone(&RULES.env));
    let mut faults = Vec::new();
    for rule in RULES
        .rules
        .iter()
        .filter(|rule| object["kind"] == rule.stated.kind)
    {
        for place in &rule.stated.places {
            let steps: Vec<&str> = place.split('.').filter(|step| !step.is_empty()).collect();
            each(
                &object["spec"],
                &steps,
                "spec".to_owned(),
                &mut |value, place| {
                    if !holds(rule, value, &context) {
                        faults.push(format!("{place}: {}", rule.stated.message));
                    }
                },
            );
        }
    }
    faults
}

/// Calls `check` for each value at a place, with where it is.
fn each(value: &Value, steps: &[&str], place: String, check: &mut impl FnMut(&Value, &str)) {
    let Some((step, steps)) = steps.split_first() else {
        return check(value, &place);
    };
    match (value, *step) {
        (Value::Array(items), "*") => {
            for (n, item) in items.iter().enumerate() {
                each(item, steps, format!("{place}[{n}]"), check);
            }
        }
        (Value::Object(entries), "*") => {
            for (key, entry) in entries {
                each(entry, steps, format!("{place}.{key}"), check);
            }
        }
        (Value::Object(entries), key) => {
            if let Some(entry) = entries.get(key) {
                each(entry, steps, format!("{place}.{key}"), check);
            }
        }
        _ => {}
    }
}

/// A rule that cannot be evaluated for a value does not hold, as in the API server.
fn holds(rule: &Rule, value: &Value, context: &Context<'_, '_>) -> bool {
    let Some(program) = &rule.program else {
        return false;
    };
    let mut context = context.new_inner_scope();
    if context.add_variable("self", value).is_err() {
        return false;
    }
    matches!(program.execute(&context), Ok(CelValue::Bool(true)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{RULES, faults};

    #[test]
    fn every_rule_is_understood() {
        assert!(RULES.rules.len() > 30);
        for rule in &RULES.rules {
            assert!(rule.program.is_some(), "{}", rule.stated.rule);
        }
    }

    #[test]
    fn objects_that_break_a_rule_are_found() {
        let entry = |spec| json!({ "kind": "ServiceEntry", "spec": spec });
        let endpoint = |address: &str| json!({ "address": address, "ports": { "http": 80 } });
        let good = json!({
            "hosts": ["a.example"], "resolution": "STATIC", "addresses": ["10.0.0.0/8"],
            "ports": [{ "number": 80, "name": "http" }, { "number": 443, "name": "https", "targetPort": 65535 }],
            "endpoints": [endpoint("10.0.0.1"), { "address": "unix:///run/socket" }, { "network": "n" }],
        });
        assert_eq!(faults(&entry(good)), Vec::<String>::new());
        for (spec, expected) in [
            (
                json!({ "hosts": ["*"] }),
                "spec.hosts[0]: hostname cannot be wildcard",
            ),
            (
                json!({ "ports": [{ "number": 80 }, { "number": 80 }] }),
                "spec.ports: port number cannot be duplicated",
            ),
            (
                json!({ "ports": [{ "number": 65536 }] }),
                "spec.ports[0].number: port must be between 1-65535",
            ),
            (
                json!({ "endpoints": [endpoint("10.0.0.1")] }),
                "spec: NONE mode cannot set endpoints",
            ),
            (
                json!({ "resolution": "DNS", "endpoints": [{ "address": "unix://run" }] }),
                "spec.endpoints[0].address: UDS must be an absolute path or abstract socket",
            ),
            (
                json!({ "resolution": "DNS", "addresses": ["10.0.0.0/8"] }),
                "spec: CIDR addresses are allowed only for NONE/STATIC resolution types",
            ),
        ] {
            assert_eq!(faults(&entry(spec)), [expected]);
        }
        let plugin = json!({ "kind": "WasmPlugin", "spec": { "selector": { "matchLabels": { "app": "*" } }, "targetRefs": [] } });
        assert_eq!(
            faults(&plugin),
            [
                "spec.selector.matchLabels.app: wildcard not allowed in label value match",
                "spec: only one of targetRefs or selector can be set",
            ]
        );
        let rule = json!({
            "kind": "DestinationRule",
            "spec": { "trafficPolicy": { "outlierDetection": { "interval": "0.5ms", "baseEjectionTime": "30s" } } },
        });
        assert_eq!(
            faults(&rule),
            [
                "spec.trafficPolicy.outlierDetection.interval: must be a valid duration greater than 1ms"
            ]
        );
    }
}
