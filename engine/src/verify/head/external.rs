//! Verification of what services beside the gateway are asked, and of the answers that the gateway gives for them.

use super::{check, is_header_name, is_text};
use crate::error::FormatError;
use crate::policy::{
    AuthHttp, AuthProtocol, DescriptorEntry, HeaderValue, MOST_OF_BODY, RateLimit, Services,
    TextMatch,
};

/// The services of a gateway.
pub(super) fn services(services: &Services) -> Result<(), FormatError> {
    if let Some(auth) = &services.auth {
        check(
            is_cluster(&auth.cluster),
            "authorization service has no cluster",
        )?;
        check(
            (200..=599).contains(&auth.status_on_error),
            "status of a failed authorization is out of range",
        )?;
        if let AuthProtocol::Http(http) = &auth.protocol {
            check(is_http(http), "authorization service is malformed")?;
        }
        check(
            (auth.body).is_none_or(|body| (1..=MOST_OF_BODY).contains(&body.max_bytes)),
            "authorization service gets too much or nothing of bodies",
        )?;
    }
    let service = services.rate_limits.service.as_ref();
    check(
        service.is_none_or(|service| is_cluster(&service.cluster)),
        "rate limit service has no cluster",
    )
}

/// The rate limits of a route. `is_text_match`: whether a condition on a text is sound.
pub(super) fn rate_limit(
    limit: &RateLimit,
    is_text_match: impl Fn(&TextMatch) -> bool,
) -> Result<(), FormatError> {
    let mut conditions = limit.descriptors.iter().flatten().flat_map(|entry| {
        match entry {
            DescriptorEntry::HeaderMatch { headers, .. } => headers.as_slice(),
            _ => &[],
        }
        .iter()
    });
    check(
        conditions.all(|condition| match &condition.value {
            HeaderValue::Text(text) => is_text_match(text),
            HeaderValue::Present | HeaderValue::Range { .. } => true,
        }),
        "rate limit is malformed",
    )?;
    check(
        limit
            .local
            .as_ref()
            .is_none_or(|bucket| bucket.max_tokens > 0 && bucket.nanoseconds_per_token > 0),
        "token bucket is never filled",
    )
}

fn is_cluster(name: &str) -> bool {
    !name.is_empty() && is_text(name)
}

fn is_http(http: &AuthHttp) -> bool {
    let lists = [
        &http.allowed_headers,
        &http.upstream_headers,
        &http.client_headers,
    ];
    let mut names = lists
        .into_iter()
        .flatten()
        .chain(http.headers_to_add.iter().map(|(name, _)| name));
    names.all(|name| is_header_name(name))
        && is_text(&http.path_prefix)
        && http.headers_to_add.iter().all(|(_, value)| is_text(value))
}
