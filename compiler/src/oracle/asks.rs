//! What services are asked about a request that the policies of its route let pass.

use super::conditions::field;
use super::policies::text_matches;
use super::{Request, choose, headers_after_policies};
use crate::answer::{self, Asks};
use crate::policy::external::{DescriptorEntry, Extauth, HeaderCondition, HeaderValue, RateLimit};
use crate::tree::{Action, Route, Services};

/// `services` are the gateway's.
pub(super) fn asks(services: &Services, route: &Route, request: &Request) -> Asks {
    // Services see what policies made of the request; destinations are chosen by the request as it came.
    let cluster = match &route.action {
        Action::Forward(forward) => {
            choose(forward, route, request).map(|chosen| chosen.destination.cluster.as_str())
        }
        Action::Redirect(_) | Action::DirectResponse(_) => None,
    };
    let request = Request {
        headers: headers_after_policies(route, request),
        ..request.clone()
    };
    let mut asks = Asks::default();
    if let (Some(extauth), Some(service)) = (&route.options.extauth, &services.extauth)
        && let Extauth::Custom(context) = &*extauth.value
    {
        let is_told = service.settings.http.is_none();
        let context = context.iter().filter(|_| is_told);
        asks.extauth = Some(context.cloned().collect());
    }
    if let (Some(limit), Some(service)) = (&route.options.rate_limit, &services.rate_limit)
        && service.destination.is_some()
    {
        asks.rate_limit = descriptors(&limit.value, cluster, &request);
    }
    asks
}

/// Descriptors with all their entries.
fn descriptors(
    limit: &RateLimit,
    cluster: Option<&str>,
    request: &Request,
) -> Vec<Vec<answer::DescriptorEntry>> {
    let mut descriptors = Vec::new();
    for wanted in &limit.descriptors {
        let mut entries = Vec::new();
        for entry in wanted {
            if let Some((key, value)) = key_and_value(entry, cluster, request) {
                entries.push(answer::DescriptorEntry { key, value });
            }
        }
        if entries.len() == wanted.len() {
            descriptors.push(entries);
        }
    }
    descriptors
}

/// An entry of a descriptor, if the request has what it is made from. What only a proxy knows (its own cluster, properties) is
/// never there.
fn key_and_value(
    entry: &DescriptorEntry,
    cluster: Option<&str>,
    request: &Request,
) -> Option<(String, String)> {
    match entry {
        DescriptorEntry::Text { key, value } => Some((key.clone(), value.clone())),
        DescriptorEntry::Header { key, name } => Some((key.clone(), field(request, name)?)),
        DescriptorEntry::RemoteAddress => {
            let address = request.connection.source?.to_string();
            Some(("remote_address".to_owned(), address))
        }
        DescriptorEntry::SourceCluster => None,
        DescriptorEntry::DestinationCluster => {
            Some(("destination_cluster".to_owned(), cluster?.to_owned()))
        }
        DescriptorEntry::HeaderMatch {
            value,
            expect,
            headers,
        } => {
            let all = headers.iter().all(|condition| holds(condition, request));
            (all == *expect).then(|| ("header_match".to_owned(), value.clone()))
        }
        DescriptorEntry::Property { key, default, .. } => {
            (!default.is_empty()).then(|| (key.clone(), default.clone()))
        }
    }
}

fn holds(condition: &HeaderCondition, request: &Request) -> bool {
    let holds = field(request, &condition.name).is_some_and(|value| match &condition.value {
        HeaderValue::Present => true,
        HeaderValue::Text(text) => text_matches(text, &value),
        HeaderValue::Range(start, end) => value
            .parse::<i64>()
            .is_ok_and(|number| *start <= number && number < *end),
    });
    holds != condition.invert
}
