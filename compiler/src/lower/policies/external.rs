//! What services beside the gateway are asked.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use meshgate_engine::policy as engine;

use super::Lower;
use crate::lower::conditions::Failure;
use crate::policy::external::{
    DescriptorEntry, Extauth, HeaderCondition, HeaderValue, RateLimit, TokenBucket,
};
use crate::source::Span;
use crate::tree::{RouteName, Services};

/// Names of token buckets, by the place where a bucket is written. It is called like the first route that has it.
#[derive(Default)]
pub(super) struct Buckets {
    by_place: HashMap<Span, String>,
    taken: HashSet<String>,
}

impl Buckets {
    fn name(&mut self, place: Span, route: &RouteName) -> String {
        let taken = &mut self.taken;
        let name = self.by_place.entry(place).or_insert_with(|| {
            // Shared routes do not have their whole names, so two may have one.
            let name = route.to_string();
            let others = (2..).map(|number| format!("{name} ({number})"));
            let mut names = std::iter::once(name.clone()).chain(others);
            let free = names.find(|name| taken.insert(name.clone()));
            free.unwrap_or(name)
        });
        name.clone()
    }
}

/// The services of a gateway.
pub(in crate::lower) fn services(services: &Services) -> engine::Services {
    let auth = services.extauth.as_ref().map(|auth| {
        let settings = &auth.settings;
        engine::AuthService {
            cluster: auth.destination.cluster.clone(),
            timeout_ms: milliseconds(settings.timeout),
            protocol: match &settings.http {
                None => engine::AuthProtocol::Grpc,
                Some(http) => engine::AuthProtocol::Http(engine::AuthHttp {
                    path_prefix: http.path_prefix.clone(),
                    allowed_headers: http.allowed_headers.clone(),
                    headers_to_add: http.headers_to_add.clone(),
                    upstream_headers: http.upstream_headers.clone(),
                    client_headers: http.client_headers.clone(),
                }),
            },
            body: settings.body.map(|body| engine::AuthBody {
                max_bytes: body.max_bytes,
                allow_partial: body.allow_partial,
                as_bytes: body.as_bytes,
            }),
            failure_mode_allow: settings.failure_mode_allow,
            status_on_error: settings.status_on_error,
        }
    });
    let rate_limits = services.rate_limit.as_ref().map(|limits| {
        let settings = &limits.settings;
        engine::RateLimits {
            service: limits
                .destination
                .as_ref()
                .map(|destination| engine::RateLimitService {
                    cluster: destination.cluster.clone(),
                    timeout_ms: milliseconds(settings.timeout),
                }),
            deny_on_fail: settings.deny_on_fail,
            before_auth: settings.before_auth,
        }
    });
    engine::Services {
        auth,
        rate_limits: rate_limits.unwrap_or_default(),
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// External authorization of a route.
pub(super) fn auth(extauth: &Extauth) -> Option<engine::Auth> {
    match extauth {
        Extauth::Disabled | Extauth::Config(_) => None,
        Extauth::Custom(context) => Some(engine::Auth {
            context: context.clone(),
        }),
    }
}

impl Lower<'_> {
    /// Rate limits of a route.
    pub(super) fn rate_limit(
        &mut self,
        limit: &RateLimit,
        route: &RouteName,
        buckets: &mut Buckets,
    ) -> Result<engine::RateLimit, Failure> {
        let mut descriptors = Vec::with_capacity(limit.descriptors.len());
        for entries in &limit.descriptors {
            let entries = entries.iter().map(|entry| self.entry(entry));
            descriptors.push(entries.collect::<Result<_, _>>()?);
        }
        let bucket = |bucket: &TokenBucket| engine::TokenBucket {
            name: buckets.name(bucket.span, route),
            max_tokens: bucket.max_tokens,
            nanoseconds_per_token: bucket.nanoseconds_per_token,
        };
        Ok(engine::RateLimit {
            descriptors,
            local: limit.local.as_ref().map(bucket),
        })
    }

    fn entry(&mut self, entry: &DescriptorEntry) -> Result<engine::DescriptorEntry, Failure> {
        Ok(match entry.clone() {
            DescriptorEntry::Text { key, value } => engine::DescriptorEntry::Text { key, value },
            DescriptorEntry::Header { key, name } => engine::DescriptorEntry::Header { key, name },
            DescriptorEntry::RemoteAddress => engine::DescriptorEntry::RemoteAddress,
            DescriptorEntry::SourceCluster => engine::DescriptorEntry::SourceCluster,
            DescriptorEntry::DestinationCluster => engine::DescriptorEntry::DestinationCluster,
            DescriptorEntry::HeaderMatch {
                value,
                expect,
                headers,
            } => {
                let headers = headers.iter().map(|condition| self.condition(condition));
                engine::DescriptorEntry::HeaderMatch {
                    value,
                    expect,
                    headers: headers.collect::<Result<_, _>>()?,
                }
            }
            DescriptorEntry::Property { key, path, default } => {
                engine::DescriptorEntry::Property { key, path, default }
            }
        })
    }

    fn condition(
        &mut self,
        condition: &HeaderCondition,
    ) -> Result<engine::HeaderCondition, Failure> {
        Ok(engine::HeaderCondition {
            name: condition.name.clone(),
            value: match &condition.value {
                HeaderValue::Present => engine::HeaderValue::Present,
                HeaderValue::Text(text) => engine::HeaderValue::Text(self.text(text)?),
                HeaderValue::Range(start, end) => engine::HeaderValue::Range {
                    start: *start,
                    end: *end,
                },
            },
            invert: condition.invert,
        })
    }
}
