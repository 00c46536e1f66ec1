//! Descriptors: what a rate limit service is asked to count a request under.

use super::{DescriptorEntry, HeaderCondition, HeaderValue, RateLimit};
use crate::decision::Match;
use crate::program::Program;
use crate::request::{Headers, Request};

/// Entries of one descriptor: keys and values.
pub type Descriptor<'p> = Vec<(&'p str, Vec<u8>)>;

/// What descriptors are made from.
struct Source<'a, H: ?Sized, P> {
    request: &'a Request<'a, H>,
    program: &'a Program,
    destination: Option<&'a str>,
    property: P,
}

impl<'p> Match<'p> {
    /// The descriptors of a request. `destination`: name of the cluster that it goes to. `property`: a property of the
    /// request that the proxy knows, by its path with zero bytes between the parts.
    pub fn descriptors<H: Headers + ?Sized>(
        &self,
        limit: &'p RateLimit,
        request: &Request<'_, H>,
        destination: Option<&str>,
        property: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Vec<Descriptor<'p>> {
        let source = Source {
            request,
            program: self.program(),
            destination,
            property,
        };
        let descriptor = |entries: &'p Vec<DescriptorEntry>| {
            let entries = entries.iter().map(|entry| source.entry(entry));
            entries.collect::<Option<Descriptor<'p>>>()
        };
        limit.descriptors.iter().filter_map(descriptor).collect()
    }
}

impl<H: Headers + ?Sized, P: Fn(&[u8]) -> Option<Vec<u8>>> Source<'_, H, P> {
    fn entry<'p>(&self, entry: &'p DescriptorEntry) -> Option<(&'p str, Vec<u8>)> {
        let known = |key, value: Option<Vec<u8>>| {
            let value = value.filter(|value| !value.is_empty())?;
            Some((key, value))
        };
        match entry {
            DescriptorEntry::Text { key, value } => Some((key, value.clone().into_bytes())),
            DescriptorEntry::Header { key, name } => {
                let value = self.request.header(name.as_bytes())?;
                Some((key, value.into_owned()))
            }
            DescriptorEntry::RemoteAddress => {
                let address = (self.property)(b"source\0address")?;
                known("remote_address", Some(without_port(&address).to_vec()))
            }
            DescriptorEntry::SourceCluster => {
                known("source_cluster", (self.property)(b"xds\0node\0cluster"))
            }
            DescriptorEntry::DestinationCluster => known(
                "destination_cluster",
                self.destination.map(|name| name.as_bytes().to_vec()),
            ),
            DescriptorEntry::HeaderMatch {
                value,
                expect,
                headers,
            } => {
                let all = headers.iter().all(|condition| self.holds(condition));
                (all == *expect).then(|| ("header_match", value.clone().into_bytes()))
            }
            DescriptorEntry::Property { key, path, default } => {
                let found = (self.property)(path.join("\0").as_bytes());
                let found = found.filter(|value| !value.is_empty());
                known(key, found.or_else(|| Some(default.clone().into_bytes())))
            }
        }
    }

    /// As conditions of matchers: a negated one holds too when the header is missing.
    fn holds(&self, condition: &HeaderCondition) -> bool {
        let value = self.request.header(condition.name.as_bytes());
        let matches = |value: &[u8]| match &condition.value {
            HeaderValue::Present => true,
            HeaderValue::Text(text) => text.matches(value, self.program),
            HeaderValue::Range { start, end } => str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<i64>().ok())
                .is_some_and(|number| (*start..*end).contains(&number)),
        };
        value.is_some_and(|value| matches(&value)) != condition.invert
    }
}

/// The address of `ADDRESS:PORT` or `[ADDRESS]:PORT`.
fn without_port(address: &[u8]) -> &[u8] {
    let end = address
        .iter()
        .rposition(|&byte| byte == b':')
        .unwrap_or(address.len());
    let address = address.get(..end).unwrap_or_default();
    address
        .strip_prefix(b"[")
        .and_then(|address| address.strip_suffix(b"]"))
        .unwrap_or(address)
}
