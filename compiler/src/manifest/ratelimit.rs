//! The configuration file of the standard rate limit server (envoyproxy/ratelimit): what it counts for the routes of these
//! resources.
//!
//! Each RateLimitServerConfig becomes a branch below a generic key with its name, the one with which descriptors of the
//! routes that select it begin.

use std::fmt::Write;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::Resources;
use crate::resource::external::{RateLimitServerConfig, ServerDescriptor};

/// What the filter calls the limits of these resources.
const DOMAIN: &str = "solo.io";

/// Writes the file (YAML). Limits that the server cannot count are reported and left out.
pub fn configuration(resources: &Resources, diagnostics: &mut Diagnostics) -> String {
    let mut servers: Vec<&RateLimitServerConfig> = resources.rate_limit_servers.iter().collect();
    servers.sort_by_key(|server| &server.metadata.id);
    let mut text = format!("domain: {DOMAIN}\n");
    if servers.is_empty() {
        return text;
    }
    text.push_str("descriptors:\n");
    for server in servers {
        report(server, diagnostics);
        let name = &server.metadata.id;
        let value = format!("{}.{}", name.namespace, name.name);
        entry(&mut text, 1, "generic_key", Some(&value));
        descriptors(&mut text, 2, &server.descriptors);
    }
    text
}

fn report(server: &RateLimitServerConfig, diagnostics: &mut Diagnostics) {
    for field in &server.uncountable {
        diagnostics.push(
            Diagnostic::at(
                Code::UncountableLimit,
                field.span,
                format!(
                    "the standard rate limit server has nothing like `{}`",
                    field.value
                ),
            )
            .help(
                "write the limit as `descriptors`, whose entries come in the order of the actions",
            ),
        );
    }
}

fn descriptors(text: &mut String, depth: usize, descriptors: &[ServerDescriptor]) {
    if descriptors.is_empty() {
        return;
    }
    let indent = "  ".repeat(depth);
    let _ = writeln!(text, "{indent}descriptors:");
    for descriptor in descriptors {
        entry(
            text,
            depth + 1,
            &descriptor.key,
            descriptor.value.as_deref(),
        );
        if let Some(limit) = &descriptor.limit {
            let (unit, requests) = (limit.unit, limit.requests);
            let limit = format!("{{unit: {unit}, requests_per_unit: {requests}}}");
            let _ = writeln!(text, "{indent}    rate_limit: {limit}");
        }
        self::descriptors(text, depth + 2, &descriptor.descriptors);
    }
}

/// The beginning of a descriptor. Writing to a text does not fail. Texts are written as in JSON, which YAML understands.
fn entry(text: &mut String, depth: usize, key: &str, value: Option<&str>) {
    let indent = "  ".repeat(depth);
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let _ = writeln!(text, "{indent}- key: {}", json(key));
    if let Some(value) = value {
        let _ = writeln!(text, "{indent}  value: {}", json(value));
    }
}
