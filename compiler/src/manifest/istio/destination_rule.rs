//! DestinationRule: the subsets of Services, and when an instance that fails is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::destination::NETWORKING;
use super::{Wave, Workload, name};
use crate::compile::WorkloadProgram;
use crate::resource::{DestinationRule, ObjectName, OutlierDetection, Resources, Visibility};

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

/// The mesh's root namespace, as Istio is installed.
const ROOT: &str = "istio-system";

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
    let cluster = program.cluster.as_deref();
    let owners = owner_rule(resources, (cluster, &program.namespace), host, service);
    let mut export_to = match for_other_pods(resources, program, host, service) {
        // Istio would make ours part of a rule for other pods that is exported alike. This means the same, and is not alike.
        true => json!([program.namespace]),
        false => json!(["."]),
    };
    let mut spec = Map::new();
    let mut list: Vec<Value> = Vec::new();
    let mut names = BTreeSet::new();
    if let Some(rule) = owners {
        // Rules of one namespace are merged by Istio if they are exported alike.
        let is_merged = rule.name.namespace == program.namespace;
        if is_merged {
            export_to = rule.spec["exportTo"].clone();
        }
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
    if !export_to.is_null() {
        spec.insert("exportTo".to_owned(), export_to);
    }
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

/// The rule that holds for gateways of a namespace without us: of their own namespace, else of the service's.
pub(super) fn owner_rule<'r>(
    resources: &'r Resources,
    (cluster, namespace): (Option<&str>, &str),
    host: &str,
    service: &ObjectName,
) -> Option<&'r DestinationRule> {
    let rules = || {
        let rules = rules(resources, cluster, host, service);
        // One for some workloads only is never exported, and not merged with others.
        rules.filter(|rule| rule.spec["workloadSelector"].is_null())
    };
    // What the root namespace exports comes last, also for gateways that are there.
    let own = |rule: &&DestinationRule| {
        let visibility = visibility(rule);
        visibility.includes(namespace, namespace) && (namespace != ROOT || !is_exported(rule))
    };
    let mut in_own = rules().filter(|rule| rule.name.namespace == namespace);
    let mut of_service = rules().filter(|rule| rule.name.namespace == service.namespace);
    in_own.find(own).or_else(|| {
        of_service.find(|rule| visibility(rule).includes(namespace, &service.namespace))
    })
}

/// Whether the gateway's namespace has a rule for a host that is for other pods than the gateway's.
fn for_other_pods(
    resources: &Resources,
    program: &WorkloadProgram,
    host: &str,
    service: &ObjectName,
) -> bool {
    let mut rules = rules(resources, program.cluster.as_deref(), host, service);
    rules.any(|rule| {
        rule.name.namespace == program.namespace && selects(rule, &program.labels) == Some(false)
    })
}

/// Whether a rule is for pods with these labels; absent if it is for all.
pub(super) fn selects(rule: &DestinationRule, labels: &BTreeMap<String, String>) -> Option<bool> {
    let selector = rule.spec["workloadSelector"].as_object()?;
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let mut wanted = wanted.into_iter().flatten();
    Some(wanted.all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str()))
}

/// The rules of other owners for a host.
pub(super) fn rules<'r>(
    resources: &'r Resources,
    cluster: Option<&str>,
    host: &str,
    service: &ObjectName,
) -> impl Iterator<Item = &'r DestinationRule> {
    resources.destination_rules.iter().filter(move |rule| {
        (rule.cluster.is_none() || rule.cluster.as_deref() == cluster)
            && rule.labels.get(super::MANAGED_BY).map(String::as_str) != Some("meshgate")
            && names(rule, host, service)
    })
}

/// Where a rule is known.
fn visibility(rule: &DestinationRule) -> Visibility {
    let list = rule.spec["exportTo"].as_array().into_iter().flatten();
    Visibility(list.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn is_exported(rule: &DestinationRule) -> bool {
    let own = |one: &String| one == "." || *one == rule.name.namespace;
    let list = visibility(rule).0;
    list.is_empty() || !list.iter().all(own)
}

/// Whether a rule is about a host: short names are completed with the rule's namespace.
fn names(rule: &DestinationRule, host: &str, service: &ObjectName) -> bool {
    if rule.host.contains('.') {
        return rule.host == host;
    }
    rule.host == service.name && rule.name.namespace == service.namespace
}
