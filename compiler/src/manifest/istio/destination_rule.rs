//! DestinationRule: the subsets of Services, and when an instance that fails is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::destination::NETWORKING;
use super::{Wave, Workload, name};
use crate::compile::WorkloadProgram;
use crate::resource::{DestinationRule, ObjectName, OutlierDetection, Resources};

/// The subsets of a host, by name.
pub(super) type Subsets<'a> = BTreeMap<String, Subset<'a>>;

/// Some of the pods of a Service, and how they are treated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subset<'a> {
    /// Labels of the pods.
    pub labels: &'a BTreeMap<String, String>,
    /// How they are treated behind a virtual destination, if the subset is for one.
    pub behind: Option<Behind<'a>>,
}

/// How the pods behind a virtual destination are treated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind<'a> {
    /// What the virtual destination says of pods that fail.
    pub outliers: Option<&'a OutlierDetection>,
    /// Port of the Service.
    pub port: u16,
    /// The subset with these labels that routes use, as its name is in the other cluster.
    pub plain: &'a str,
}

/// When failing pods are left alone, where the resources do not say: soon enough for other services to take over.
const OUTLIERS: OutlierDetection = OutlierDetection {
    consecutive_errors: Some(10),
    interval: Some(Duration::from_secs(5)),
    base_ejection_time: Some(Duration::from_secs(120)),
    max_ejection_percent: Some(100),
};

/// `outlierDetection` of a DestinationRule.
pub(super) fn outlier_detection(written: Option<&OutlierDetection>) -> Value {
    let written = written.unwrap_or(&OUTLIERS);
    let errors = written.consecutive_errors.or(OUTLIERS.consecutive_errors);
    let time = |time: Option<Duration>, usual: Option<Duration>| {
        let time = time.or(usual).unwrap_or_default();
        match time.subsec_nanos() {
            0 => format!("{}s", time.as_secs()),
            _ => format!("{}ms", time.as_millis()),
        }
    };
    json!({
        "consecutiveGatewayErrors": errors,
        "consecutive5xxErrors": errors,
        "interval": time(written.interval, OUTLIERS.interval),
        "baseEjectionTime": time(written.base_ejection_time, OUTLIERS.base_ejection_time),
        "maxEjectionPercent": written.max_ejection_percent.or(OUTLIERS.max_ejection_percent),
    })
}

/// A rule in the gateway's namespace replaces the one of the service's owner for this gateway, so what that one says is
/// said again.
pub(super) fn write(
    workload: &mut Workload<'_>,
    resources: &Resources,
    host: &str,
    service: &ObjectName,
    subsets: &Subsets<'_>,
) {
    let program = workload.program;
    let owners = owner_rule(program, resources, host, service);
    let mut spec = Map::new();
    let mut list: Vec<Value> = Vec::new();
    let mut names = BTreeSet::new();
    if let Some(rule) = owners {
        // Rules of one namespace are merged by Istio.
        let is_merged = rule.name.namespace == program.namespace;
        for subset in rule.spec["subsets"].as_array().into_iter().flatten() {
            if let Some(name) = subset["name"].as_str() {
                names.insert(name.to_owned());
                if !is_merged {
                    list.push(subset.clone());
                }
            }
        }
        if !is_merged && rule.spec["trafficPolicy"].is_object() {
            spec.insert(
                "trafficPolicy".to_owned(),
                rule.spec["trafficPolicy"].clone(),
            );
        }
    }
    // What an owner says of failing pods holds for virtual destinations that say nothing.
    let owners_outliers = owners
        .map(|rule| &rule.spec["trafficPolicy"]["outlierDetection"])
        .filter(|outliers| outliers.is_object());
    for (name, subset) in subsets {
        if !names.insert(name.clone()) {
            continue;
        }
        let mut written = json!({ "name": name });
        if !subset.labels.is_empty() {
            written["labels"] = json!(subset.labels);
        }
        if let Some(behind) = subset.behind {
            let outliers = match (behind.outliers, owners_outliers) {
                (None, Some(owners)) => {
                    let mut outliers = owners.clone();
                    // Istio's default would leave pods that fail in use, so that nothing takes over from them.
                    if outliers["maxEjectionPercent"].is_null() {
                        outliers["maxEjectionPercent"] = json!(OUTLIERS.max_ejection_percent);
                    }
                    outliers
                }
                (own, _) => outlier_detection(own),
            };
            written["trafficPolicy"] = json!({ "outlierDetection": outliers });
        }
        list.push(written);
    }
    if list.is_empty() {
        return;
    }
    spec.insert("host".to_owned(), json!(host));
    spec.insert("exportTo".to_owned(), json!(["."]));
    spec.insert("subsets".to_owned(), json!(list));
    let name = name::join(&["meshgate", &service.namespace, &service.name]);
    workload.add(
        Wave::Destinations,
        (NETWORKING, "DestinationRule"),
        name,
        &[],
        Value::Object(spec),
    );
}

/// The rule that holds for the gateway without us: of its own namespace, else of the service's.
fn owner_rule<'r>(
    program: &WorkloadProgram,
    resources: &'r Resources,
    host: &str,
    service: &ObjectName,
) -> Option<&'r DestinationRule> {
    let rules = || {
        resources.destination_rules.iter().filter(|rule| {
            (rule.cluster.is_none() || rule.cluster == program.cluster)
                && rule.labels.get(super::MANAGED_BY).map(String::as_str) != Some("meshgate")
                && names(rule, host, service)
        })
    };
    [&program.namespace, &service.namespace]
        .into_iter()
        .find_map(|namespace| rules().find(|rule| rule.name.namespace == *namespace))
}

/// Whether a rule is about a host: short names are completed with the rule's namespace.
fn names(rule: &DestinationRule, host: &str, service: &ObjectName) -> bool {
    if rule.host.contains('.') {
        return rule.host == host;
    }
    rule.host == service.name && rule.name.namespace == service.namespace
}
