//! DestinationRule: the subsets of Services, when an instance that fails is left alone, and TLS.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::destination::NETWORKING;
use super::settings::{impose, outlier_detection, outliers_of_policies};
use super::{Wave, Workload};
use crate::code::Code;
use crate::compile::WorkloadProgram;
use crate::resolve::Settings;
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

/// The mesh's root namespace, as Istio is installed.
const ROOT: &str = "istio-system";

impl Behind<'_> {
    /// When pods are left alone: as the virtual destination says, else TrafficPolicies, else a rule of the owner.
    pub(super) fn outliers(&self, settings: Settings<'_>, owners: Option<&Value>) -> Value {
        const USUAL: OutlierDetection = OutlierDetection::OF_VIRTUAL_DESTINATIONS;
        if let Some(own) = self.outliers {
            return outlier_detection(own, &USUAL);
        }
        let owners = || {
            let mut outliers = owners?.clone();
            // Istio's default would leave pods that fail in use, so that nothing takes over from them.
            if outliers["maxEjectionPercent"].is_null() {
                outliers["maxEjectionPercent"] = json!(USUAL.max_ejection_percent);
            }
            Some(outliers)
        };
        outliers_of_policies(settings)
            .or_else(owners)
            .unwrap_or_else(|| outlier_detection(&USUAL, &USUAL))
    }
}

/// A host that a rule is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    /// The host.
    pub host: &'a str,
    /// Whose it is: the Service, or, outside the mesh, the ServiceEntry by its namespace and the host.
    pub service: &'a ObjectName,
    /// Name of the rule that we write.
    pub rule: &'a str,
}

/// A rule in the gateway's namespace replaces the one of the service's owner for this gateway, so what that one says is
/// said again.
pub(super) fn write(
    workload: &mut Workload<'_>,
    resources: &Resources,
    Host {
        host,
        service,
        rule: name,
    }: Host<'_>,
    subsets: &Subsets<'_>,
    settings: Settings<'_>,
) {
    let program = workload.program;
    let cluster = program.cluster.as_deref();
    let owners = owner_rule(resources, (cluster, &program.namespace), host, service);
    let export_to = match for_other_pods(resources, program, host, service) {
        // Istio would make ours part of a rule for other pods that is exported alike. This means the same, and is not alike.
        true => json!([program.namespace]),
        false => json!(["."]),
    };
    // What an owner says of failing pods holds for virtual destinations that say nothing.
    let owners_outliers = owners
        .map(|rule| &rule.spec["trafficPolicy"]["outlierDetection"])
        .filter(|outliers| outliers.is_object());
    let taken = |name: &str| {
        let subsets = owners.and_then(|rule| rule.spec["subsets"].as_array());
        let mut subsets = subsets.into_iter().flatten();
        subsets.any(|subset| subset["name"] == name)
    };
    let own = subsets.iter().filter(|(name, _)| !taken(name));
    let own = own.map(|(name, subset)| {
        let mut written = json!({ "name": name });
        if !subset.labels.is_empty() {
            written["labels"] = json!(subset.labels);
        }
        if let Some(behind) = subset.behind {
            let outliers = behind.outliers(settings, owners_outliers);
            written["trafficPolicy"] = json!({ "outlierDetection": outliers });
        }
        written
    });
    let own: Vec<Value> = own.collect();
    let mut spec = Map::new();
    for key in ["trafficPolicy", "subsets"] {
        let said = owners.map(|rule| &rule.spec[key]);
        if let Some(said) = said.filter(|said| !said.is_null()) {
            spec.insert(key.to_owned(), said.clone());
        }
    }
    impose(&mut spec, settings, host);
    spec.insert("exportTo".to_owned(), export_to);
    if let Some(rule) = owners
        && rule.name.namespace == program.namespace
    {
        merge(workload, &mut spec, rule, host, settings);
    }
    if let Some(rule) = for_these_pods(resources, program, host, service)
        && !says(rule, settings, host)
    {
        let message = format!(
            "DestinationRule `{}` is for the gateway's pods (`workloadSelector`), so what it says of `{host}` holds, and not the TrafficPolicy",
            rule.name
        );
        not_applied(workload, settings, &message, WRITE_IT_THERE);
    }
    if own.is_empty() && (settings.is_empty() || !spec.contains_key("trafficPolicy")) {
        return;
    }
    spec.insert("host".to_owned(), json!(host));
    let mut list = match spec.remove("subsets") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    list.extend(own);
    if !list.is_empty() {
        spec.insert("subsets".to_owned(), Value::Array(list));
    }
    workload.add(
        Wave::Destinations,
        (NETWORKING, "DestinationRule"),
        name.to_owned(),
        &[],
        Value::Object(spec),
    );
}

/// Leaves out what the owner's rule in the gateway's namespace says: rules of one namespace are merged by Istio if they are
/// exported alike. It takes settings for the host from one of them alone.
fn merge(
    workload: &mut Workload<'_>,
    spec: &mut Map<String, Value>,
    rule: &DestinationRule,
    host: &str,
    settings: Settings<'_>,
) {
    match &rule.spec["exportTo"] {
        Value::Null => spec.remove("exportTo"),
        own => spec.insert("exportTo".to_owned(), own.clone()),
    };
    spec.remove("subsets");
    if !rule.spec["trafficPolicy"].is_null() {
        spec.remove("trafficPolicy");
    }
    if !says(rule, settings, host) {
        let message = format!(
            "DestinationRule `{}` is in the gateway's own namespace, so what it says of `{host}` holds, and not the TrafficPolicy",
            rule.name
        );
        not_applied(workload, settings, &message, WRITE_IT_THERE);
    }
}

/// Whether a rule leaves room for what TrafficPolicies say, or says the same.
fn says(rule: &DestinationRule, settings: Settings<'_>, host: &str) -> bool {
    let Some(said) = rule.spec.as_object() else {
        return true;
    };
    let mut wanted = said.clone();
    impose(&mut wanted, settings, host);
    let same = |key| said.get(key) == wanted.get(key);
    same("subsets") && (rule.spec["trafficPolicy"].is_null() || same("trafficPolicy"))
}

/// The way out where a rule of somebody else has the last word.
const WRITE_IT_THERE: &str = "write the same in the DestinationRule, or remove it there";

/// Reports a TrafficPolicy that a gateway cannot follow.
pub(super) fn not_applied(
    workload: &mut Workload<'_>,
    settings: Settings<'_>,
    message: &str,
    help: &'static str,
) {
    let tls = settings.tls_mode.map(|mode| mode.span);
    let outliers = settings.outlier_detection.map(|outliers| outliers.span);
    if let Some(span) = tls.or(outliers) {
        let found = workload.finding_at(Code::SettingNotApplied, span, message);
        workload.report(found.help(help));
    }
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

/// A rule in the gateway's namespace for its pods, with which Istio merges ours.
fn for_these_pods<'r>(
    resources: &'r Resources,
    program: &WorkloadProgram,
    host: &str,
    service: &ObjectName,
) -> Option<&'r DestinationRule> {
    let mut rules = rules(resources, program.cluster.as_deref(), host, service);
    rules.find(|rule| {
        rule.name.namespace == program.namespace && selects(rule, &program.labels) == Some(true)
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
