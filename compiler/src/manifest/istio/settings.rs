//! What a DestinationRule says of pods that fail and of TLS, in Istio's words.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::resolve::Settings;
use crate::resource::{OutlierDetection, TlsMode};

/// `outlierDetection` of a DestinationRule; of what is not written, the usual.
pub(super) fn outlier_detection(written: &OutlierDetection, usual: &OutlierDetection) -> Value {
    let all = written.or(usual);
    let time = |time: Option<Duration>| {
        let time = time.unwrap_or_default();
        match time.subsec_nanos() {
            0 => format!("{}s", time.as_secs()),
            _ => format!("{}ms", time.as_millis()),
        }
    };
    json!({
        "consecutiveGatewayErrors": all.consecutive_errors,
        "consecutive5xxErrors": all.consecutive_errors,
        "interval": time(all.interval),
        "baseEjectionTime": time(all.base_ejection_time),
        "maxEjectionPercent": all.max_ejection_percent,
    })
}

/// `outlierDetection` as TrafficPolicies have it.
pub(super) fn outliers_of_policies(settings: Settings<'_>) -> Option<Value> {
    let written = settings.outlier_detection?;
    Some(outlier_detection(written, &OutlierDetection::OF_POLICIES))
}

/// `tls` of a DestinationRule.
fn tls(mode: TlsMode, host: &str) -> Value {
    match mode {
        // The server is asked for the host's certificate, and must show it. Istio's own choice would be the host that the
        // client of the gateway has asked for.
        TlsMode::Simple => {
            json!({ "mode": mode.as_str(), "sni": host, "subjectAltNames": [host] })
        }
        TlsMode::Disable | TlsMode::IstioMutual => json!({ "mode": mode.as_str() }),
    }
}

/// Lets what TrafficPolicies say take the place of what a rule says, for the host, for single ports of it and for subsets.
/// What the rule says about TLS stays if it is of the same mode: it may name authorities.
pub(super) fn impose(spec: &mut Map<String, Value>, settings: Settings<'_>, host: &str) {
    let outliers = outliers_of_policies(settings);
    let replace = |policy: &mut Value, only_written: bool| {
        if let Some(outliers) = &outliers
            && !(only_written && policy["outlierDetection"].is_null())
        {
            policy["outlierDetection"] = outliers.clone();
        }
        if let Some(mode) = settings.tls_mode
            && !(only_written && policy["tls"].is_null())
            && policy["tls"]["mode"] != mode.as_str()
        {
            policy["tls"] = tls(mode.value, host);
        }
    };
    let ports = |policy: &mut Value, only_written: bool| {
        let ports = policy.get_mut("portLevelSettings");
        for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
            replace(port, only_written);
        }
    };
    if settings.is_empty() {
        return;
    }
    let policy = spec.entry("trafficPolicy").or_insert_with(|| json!({}));
    replace(policy, false);
    // Istio takes nothing from above for a port that has settings of its own.
    ports(policy, false);
    let subsets = spec.get_mut("subsets");
    for subset in subsets.and_then(Value::as_array_mut).into_iter().flatten() {
        // A subset has what is said for the host, except what it says itself.
        if let Some(policy) = subset.get_mut("trafficPolicy") {
            replace(policy, true);
            ports(policy, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::impose;
    use crate::resolve::Settings;
    use crate::resource::{OutlierDetection, TlsMode};
    use crate::source::{Span, Spanned};

    fn imposed(rule: Value) -> Value {
        let outliers = OutlierDetection {
            consecutive_errors: Some(3),
            ..OutlierDetection::default()
        };
        let outliers = Spanned::new(outliers, Span::default());
        let mode = Spanned::new(TlsMode::Simple, Span::default());
        let settings = Settings {
            outlier_detection: Some(&outliers),
            tls_mode: Some(&mode),
        };
        let Value::Object(mut spec) = rule else {
            panic!("a rule is an object");
        };
        impose(&mut spec, settings, "api.example.com");
        Value::Object(spec)
    }

    fn outliers() -> Value {
        json!({
            "consecutiveGatewayErrors": 3,
            "consecutive5xxErrors": 3,
            "interval": "10s",
            "baseEjectionTime": "30s",
            "maxEjectionPercent": 100,
        })
    }

    fn tls() -> Value {
        json!({ "mode": "SIMPLE", "sni": "api.example.com", "subjectAltNames": ["api.example.com"] })
    }

    #[test]
    fn a_rule_without_settings_gets_them() {
        assert_eq!(
            imposed(json!({})),
            json!({ "trafficPolicy": { "outlierDetection": outliers(), "tls": tls() } })
        );
    }

    #[test]
    fn no_port_and_no_subset_is_left_out() {
        let pool = json!({ "tcp": { "maxConnections": 7 } });
        let rule = json!({
            "trafficPolicy": {
                "connectionPool": pool,
                "portLevelSettings": [{ "port": { "number": 80 }, "connectionPool": pool }],
            },
            "subsets": [
                { "name": "plain" },
                { "name": "own", "trafficPolicy": {
                    "connectionPool": pool,
                    "outlierDetection": { "interval": "1s" },
                    "portLevelSettings": [{ "port": { "number": 80 }, "tls": { "mode": "DISABLE" } }],
                } },
            ],
        });
        assert_eq!(
            imposed(rule),
            json!({
                "trafficPolicy": {
                    "connectionPool": pool,
                    "outlierDetection": outliers(),
                    "tls": tls(),
                    "portLevelSettings": [{
                        "port": { "number": 80 },
                        "connectionPool": pool,
                        "outlierDetection": outliers(),
                        "tls": tls(),
                    }],
                },
                "subsets": [
                    { "name": "plain" },
                    { "name": "own", "trafficPolicy": {
                        "connectionPool": pool,
                        "outlierDetection": outliers(),
                        "portLevelSettings": [{ "port": { "number": 80 }, "tls": tls() }],
                    } },
                ],
            })
        );
    }

    #[test]
    fn authorities_of_the_same_mode_stay() {
        let own = json!({ "mode": "SIMPLE", "caCertificates": "/etc/ca.pem" });
        let rule = json!({ "trafficPolicy": { "tls": own } });
        assert_eq!(imposed(rule)["trafficPolicy"]["tls"], own);
        let rule =
            json!({ "trafficPolicy": { "tls": { "mode": "MUTUAL", "credentialName": "x" } } });
        assert_eq!(imposed(rule)["trafficPolicy"]["tls"], tls());
    }
}
