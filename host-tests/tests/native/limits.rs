//! Buckets of tokens: `rateLimit.local` and Envoy's local rate limit filter.

use std::time::Duration;

use serde_json::{Value, json};

use crate::pair::{Differences, Pair, Seen, Twin, Twins};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[("limits/buckets", buckets)];

const LIMIT: &str = "envoy.filters.http.local_ratelimit";

/// Headers of a refusal that Envoy does not send. (It sends the middle ones if it is told to, and then on every answer.)
const OWN: [&str; 5] = [
    "x-envoy-ratelimited",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

/// Tokens at most, tokens for each time of so many milliseconds.
#[derive(Clone, Copy, Debug)]
struct Bucket(u32, u32, u32);

impl Bucket {
    fn interval(self) -> String {
        format!("{}.{:03}s", self.2 / 1000, self.2 % 1000)
    }

    fn ours(self) -> Value {
        json!({"rateLimit": {"local": {
            "maxTokens": self.0, "tokensPerFill": self.1, "fillInterval": self.interval(),
        }}})
    }

    fn native(self) -> Value {
        let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
        json!({"typed_per_filter_config": {LIMIT: {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "native",
            "token_bucket": {
                "max_tokens": self.0, "tokens_per_fill": self.1, "fill_interval": self.interval(),
            },
            "filter_enabled": always,
            "filter_enforced": always,
        }}})
    }
}

/// The same bucket lets the same requests pass; routes that inherit one share it.
fn buckets(tools: &Tools) {
    // On a busy machine a token may come between a question to one and the same question to the other. That does not happen
    // every time; what differs does.
    let mut differences = compare(tools);
    for _ in 0..2 {
        if differences.is_empty() {
            return;
        }
        differences = compare(tools);
    }
    differences.assert_none();
}

fn compare(tools: &Tools) -> Differences {
    // A token every other second.
    const BUCKETS: [Bucket; 6] = [
        Bucket(4, 1, 2_000),
        Bucket(3, 3, 3_600_000),
        Bucket(1, 1, 2_000),
        Bucket(2, 5, 10_000),
        Bucket(6, 2, 4_000),
        Bucket(3, 30, 60_000),
    ];
    let inheriting = Twin {
        ours: json!({}),
        native: json!({}),
    };
    let mut routes: Vec<Twin> = BUCKETS
        .into_iter()
        .map(|bucket| Twin {
            ours: json!({"options": bucket.ours()}),
            native: bucket.native(),
        })
        .collect();
    routes.extend([inheriting.clone(), inheriting]);
    let host = Bucket(5, 1, 2_000);
    let twins = Twins {
        routes,
        policy: host.ours(),
        native_host: host.native(),
        filters: vec![(
            LIMIT,
            json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                "stat_prefix": "native",
            }),
        )],
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    let mut differences = Differences::default();
    let mut statuses = Vec::new();
    // How long to wait before so many requests to each: never near the time of a token.
    for (wait, count) in [(0, 6), (3_000, 3), (4_000, 4), (12_000, 7)] {
        std::thread::sleep(Duration::from_millis(wait));
        for route in 0..twins.routes.len() {
            for n in 0..count {
                let grpc = [("content-type", "application/grpc")];
                let (method, headers) = match n % 3 {
                    0 => ("GET", &[][..]),
                    1 => ("HEAD", &[][..]),
                    _ => ("POST", &grpc[..]),
                };
                let [ours, native] = pair.ask(route, method, "/", headers);
                statuses.push((route, ours.status));
                let is_refused = ours.status == 429 || ours.header("grpc-status").is_some();
                for name in OWN {
                    assert_eq!(ours.header(name).is_some(), is_refused, "{ours:?}");
                    assert_eq!(native.header(name), None);
                }
                let rest = |seen: Seen| seen.without(&OWN);
                differences.compare(&[rest(ours), rest(native)], || {
                    format!("after {wait} ms, {n}, route {route}")
                });
            }
        }
    }
    for route in 0..twins.routes.len() {
        for status in [200, 429] {
            assert!(
                statuses.contains(&(route, status)),
                "{route}: {status} was never seen"
            );
        }
    }
    pair.assert_unharmed();
    differences
}
