//! How an Envoy without a mesh treats destinations: what TrafficPolicies say of instances that fail and of TLS.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resolve::{DestinationPolicies, Settings};
use crate::resource::{OutlierDetection, Resources, TlsMode};
use crate::source::Span;
use crate::tree::{Destination, DestinationTarget, Tree};
use crate::upstreams::UpstreamName;

/// Certificates of the authorities that the system trusts, where Debian, Alpine and Envoy's own images have them.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How many names a warning lists.
const LISTED_NAMES: usize = 3;

/// Adds to clusters what policies say, and reports what cannot be done.
#[derive(Debug)]
pub(super) struct Treatment<'r> {
    policies: DestinationPolicies<'r>,
    tree: &'r Tree,
    /// Destinations that are spoken to without TLS, by the place of the mode, and whether their upstreams are given.
    plain: BTreeMap<(Span, bool), (TlsMode, Vec<UpstreamName>)>,
}

impl<'r> Treatment<'r> {
    pub(super) fn new(resources: &'r Resources, tree: &'r Tree) -> Self {
        Self {
            policies: DestinationPolicies::new(resources),
            tree,
            plain: BTreeMap::new(),
        }
    }

    /// Adds them to the cluster of a destination. One whose upstreams are given is spoken to as they are: without TLS.
    pub(super) fn add_to(&mut self, cluster: &mut Value, destination: &Destination, given: bool) {
        let settings = self.policies.of(self.tree, destination);
        if let Some(outliers) = self.outliers(destination, settings) {
            cluster["outlier_detection"] = outlier_detection(&outliers);
            // As in Istio: instances that are left alone are not asked again because all of them are.
            cluster["common_lb_config"] = json!({ "healthy_panic_threshold": { "value": 0 } });
        }
        let mode = settings.tls_mode;
        let Some(mode) = mode.filter(|mode| mode.value != TlsMode::Disable) else {
            return;
        };
        match &destination.target {
            DestinationTarget::StaticDestination { .. }
                if mode.value == TlsMode::Simple && !given =>
            {
                let host = destination.cluster.rsplit('|').next().unwrap_or_default();
                cluster["transport_socket"] = tls(host);
            }
            _ => {
                let (_, names) =
                    (self.plain.entry((mode.span, given))).or_insert((mode.value, Vec::new()));
                names.push(UpstreamName::of(destination));
            }
        }
    }

    /// When instances of a destination are left alone.
    fn outliers(
        &self,
        destination: &Destination,
        settings: Settings<'_>,
    ) -> Option<OutlierDetection> {
        let of_policies = settings.outlier_detection;
        let of_policies = of_policies.map(|written| written.or(&OutlierDetection::OF_POLICIES));
        let virtuals = &self.tree.virtual_destinations;
        let own = destination.virtual_name().and_then(|name| {
            let found = virtuals.iter().find(|one| one.name == *name)?;
            found.outlier_detection.as_ref()
        });
        own.map(|own| own.or(&OutlierDetection::OF_VIRTUAL_DESTINATIONS))
            .or(of_policies)
    }

    /// Reports the destinations that are spoken to without TLS though a policy says otherwise.
    pub(super) fn report(self, diagnostics: &mut Diagnostics) {
        for ((span, given), (mode, names)) in self.plain {
            let listed: Vec<String> = names
                .iter()
                .take(LISTED_NAMES)
                .map(|name| format!("`{name}`"))
                .collect();
            let more = match names.len() - listed.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (code, reason, help) = match given {
                true => (
                    Code::PlainUpstream,
                    "their upstreams are given for trying things out",
                    "send plain requests to servers that take them; the routes are the same",
                ),
                false => (
                    Code::SettingNotApplied,
                    "without a mesh there are no certificates for it",
                    "it has an effect with `--target istio`",
                ),
            };
            let message = format!(
                "`tlsMode: {}` does not hold for {}{more}, to which requests are sent without TLS: {reason}",
                mode.as_str(),
                listed.join(", "),
            );
            diagnostics.push(Diagnostic::at(code, span, message).help(help));
        }
    }
}

fn outlier_detection(outliers: &OutlierDetection) -> Value {
    let seconds = |time: Option<std::time::Duration>| {
        let time = time.unwrap_or_default();
        format!("{}.{:09}s", time.as_secs(), time.subsec_nanos())
    };
    json!({
        "consecutive_5xx": outliers.consecutive_errors,
        "enforcing_consecutive_5xx": 100,
        "consecutive_gateway_failure": outliers.consecutive_errors,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_success_rate": 0,
        "interval": seconds(outliers.interval),
        "base_ejection_time": seconds(outliers.base_ejection_time),
        "max_ejection_percent": outliers.max_ejection_percent,
    })
}

/// TLS to a server that has to show a certificate of the host, from an authority that the system trusts.
fn tls(host: &str) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": host,
            "common_tls_context": { "validation_context": {
                "trusted_ca": { "filename": SYSTEM_AUTHORITIES },
                "match_typed_subject_alt_names": [
                    { "san_type": "DNS", "matcher": { "exact": host } },
                ],
            } },
        },
    })
}
