//! Where destinations really are, for proxies without a mesh that would tell them.
//!
//! Upstreams come from files (`upstreams.yaml`) and from the command line. A name is `NAME.NAMESPACE`, optionally
//! narrowed to a port and to pod labels: `reviews.bookinfo:9080/version=v2`. Of several names that fit a destination
//! the narrowest one counts.
//!
//! ```yaml
//! upstreams:
//!   ratings.bookinfo: 127.0.0.1:9081
//!   reviews.bookinfo: [127.0.0.1:9082, 127.0.0.1:9083]
//!   reviews.bookinfo/version=v2: "[::1]:9084"
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load;
use crate::load::node::{Node, Value};
use crate::resource::ObjectName;
use crate::source::{FileId, SourceMap, Span};
use crate::suggest::closest;
use crate::tree::{Destination, DestinationTarget, Tree};

/// Name of the file of upstreams that belongs to the resources in the same folder.
pub const FILE_NAME: &str = "upstreams.yaml";

/// Where destinations are.
#[derive(Clone, Debug, Default)]
pub struct Upstreams {
    entries: BTreeMap<UpstreamName, Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    endpoints: Vec<Endpoint>,
    /// The name in a file; absent for the command line.
    span: Option<Span>,
}

/// Destinations that an upstream is meant for: `NAME.NAMESPACE[:PORT][/LABEL=VALUE,…]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpstreamName {
    object: ObjectName,
    port: Option<u16>,
    subset: BTreeMap<String, String>,
}

/// An address and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// IP address (IPv6 without brackets) or DNS name.
    pub host: String,
    /// Port, not zero.
    pub port: u16,
}

/// `NAME=HOST:PORT`, as on the command line.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Which destinations.
    pub name: UpstreamName,
    /// Where they are.
    pub endpoint: Endpoint,
}

impl Upstreams {
    /// Reads a file of upstreams.
    pub fn read(sources: &SourceMap, file: FileId, diagnostics: &mut Diagnostics) -> Self {
        let mut upstreams = Self::default();
        for document in load::documents(sources, file, diagnostics) {
            upstreams.document(&document, diagnostics);
        }
        upstreams
    }

    fn document(&mut self, document: &Node<'_>, diagnostics: &mut Diagnostics) {
        let invalid = |span, message: String| {
            Diagnostic::at(Code::InvalidUpstream, span, message).help(
                "write `upstreams:` and below it lines such as `ratings.bookinfo: 127.0.0.1:9081`",
            )
        };
        for entry in document.entries().iter().filter(|e| e.key != "upstreams") {
            let message = format!("a file of upstreams has no field `{}`", entry.key);
            diagnostics.push(invalid(entry.key_span, message));
        }
        let Some(upstreams) = document.get("upstreams") else {
            if !document.is_null() && document.entries().is_empty() {
                diagnostics.push(invalid(
                    document.span,
                    "this is not a file of upstreams".to_owned(),
                ));
            }
            return;
        };
        if !matches!(upstreams.value, Value::Map(_)) {
            diagnostics.push(invalid(
                upstreams.span,
                "`upstreams` must be a map of names and addresses".to_owned(),
            ));
        }
        for entry in upstreams.entries() {
            let name = entry.key.parse::<UpstreamName>();
            let endpoints = endpoints(&entry.value);
            match (name, endpoints) {
                (Ok(name), Ok(endpoints)) => {
                    let span = Some(entry.key_span);
                    self.entries.insert(name, Entry { endpoints, span });
                }
                (name, endpoints) => {
                    if let Err(message) = name {
                        diagnostics.push(Diagnostic::at(
                            Code::InvalidUpstream,
                            entry.key_span,
                            message,
                        ));
                    }
                    if let Err((span, message)) = endpoints {
                        diagnostics.push(Diagnostic::at(Code::InvalidUpstream, span, message));
                    }
                }
            }
        }
    }

    /// Adds upstreams of the command line. They replace those of the same name; a name that is given several times has
    /// several endpoints.
    pub fn add_all(&mut self, upstreams: impl IntoIterator<Item = Upstream>) {
        let mut added: BTreeMap<UpstreamName, Entry> = BTreeMap::new();
        for upstream in upstreams {
            added
                .entry(upstream.name)
                .or_default()
                .endpoints
                .push(upstream.endpoint);
        }
        self.entries.extend(added);
    }

    /// Adds upstreams of another file. They replace those of the same name.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Endpoints of a destination, by the narrowest name that fits.
    pub fn find(&self, destination: &Destination) -> Option<&[Endpoint]> {
        let narrow = UpstreamName::of(destination);
        let any_port = UpstreamName {
            port: None,
            ..narrow.clone()
        };
        let any_pod = UpstreamName {
            subset: BTreeMap::new(),
            ..narrow.clone()
        };
        let any = UpstreamName {
            subset: BTreeMap::new(),
            ..any_port.clone()
        };
        [narrow, any_port, any_pod, any]
            .iter()
            .find_map(|name| self.entries.get(name))
            .map(|entry| entry.endpoints.as_slice())
    }

    /// Reports names that no destination has.
    pub fn report_unknown(&self, tree: &Tree, diagnostics: &mut Diagnostics) {
        let destinations: BTreeSet<UpstreamName> = tree
            .destinations()
            .map(|destination| UpstreamName::of(destination))
            .collect();
        for (name, entry) in &self.entries {
            if destinations
                .iter()
                .any(|destination| name.covers(destination))
            {
                continue;
            }
            let message = format!("no route goes to `{name}`, for which an upstream is given");
            let diagnostic = match entry.span {
                Some(span) => Diagnostic::at(Code::UnknownUpstream, span, message),
                None => Diagnostic::global(Code::UnknownUpstream, message),
            };
            // Told in the parts that the name has.
            let known: BTreeSet<String> = destinations
                .iter()
                .map(|destination| name.like(destination).to_string())
                .collect();
            let wanted = name.to_string();
            let help = match closest(&wanted, known.iter().map(String::as_str)) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => "name a destination as NAME.NAMESPACE, or remove the upstream".to_owned(),
            };
            diagnostics.push(diagnostic.help(help));
        }
    }
}

fn endpoints(node: &Node<'_>) -> Result<Vec<Endpoint>, (Span, String)> {
    let endpoint = |node: &Node<'_>| {
        let text = node.string().ok_or_else(|| {
            (
                node.span,
                "expected an address such as `127.0.0.1:9081`".to_owned(),
            )
        })?;
        text.parse().map_err(|message| (node.span, message))
    };
    match &node.value {
        Value::List(list) => list.iter().map(endpoint).collect(),
        _ => Ok(vec![endpoint(node)?]),
    }
}

impl UpstreamName {
    /// The narrowest name of a destination.
    pub fn of(destination: &Destination) -> Self {
        let (object, subset) = match &destination.target {
            DestinationTarget::KubeService { name, subset, .. }
            | DestinationTarget::VirtualDestination { name, subset } => {
                (name.clone(), subset.clone())
            }
            DestinationTarget::StaticDestination { name, .. } => (name.clone(), BTreeMap::new()),
        };
        Self {
            object,
            port: Some(destination.port),
            subset,
        }
    }

    /// Whether it fits a destination, given by its narrowest name.
    fn covers(&self, narrow: &Self) -> bool {
        *self == self.like(narrow)
    }

    /// The name of a destination, given by its narrowest name, with no more parts than this one has.
    fn like(&self, narrow: &Self) -> Self {
        Self {
            object: narrow.object.clone(),
            port: self.port.and(narrow.port),
            subset: if self.subset.is_empty() {
                BTreeMap::new()
            } else {
                narrow.subset.clone()
            },
        }
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.object.name, self.object.namespace)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (n, (label, value)) in self.subset.iter().enumerate() {
            write!(f, "{}{label}={value}", if n == 0 { '/' } else { ',' })?;
        }
        Ok(())
    }
}

impl FromStr for UpstreamName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, labels) = text
            .split_once('/')
            .map_or((text, None), |(rest, labels)| (rest, Some(labels)));
        let (rest, port) = match rest.split_once(':') {
            Some((rest, port)) => (rest, Some(parse_port(port, text)?)),
            None => (rest, None),
        };
        // Names may have dots, namespaces may not.
        let (name, namespace) = rest
            .rsplit_once('.')
            .filter(|(name, namespace)| !name.is_empty() && !namespace.is_empty())
            .ok_or_else(|| format!("`{text}` is not a destination: expected NAME.NAMESPACE, such as `ratings.bookinfo`"))?;
        let subset = labels
            .map_or_else(Vec::new, |labels| labels.split(',').collect())
            .into_iter()
            .map(|label| match label.split_once('=') {
                Some((label, value)) if !label.is_empty() => {
                    Ok((label.to_owned(), value.to_owned()))
                }
                _ => Err(format!(
                    "`{label}` in `{text}` is not a label: expected LABEL=VALUE after the `/`"
                )),
            })
            .collect::<Result<_, _>>()?;
        let object = ObjectName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Ok(Self {
            object,
            port,
            subset,
        })
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| {
            format!("`{text}` has no port: expected HOST:PORT, such as `127.0.0.1:9081`")
        })?;
        let port = parse_port(port, text)?;
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(address) => address,
            None if host.contains(':') => {
                return Err(format!(
                    "`{text}` is not an address: write IPv6 addresses in brackets, such as `[::1]:9081`"
                ));
            }
            None => host,
        };
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(legal) {
            return Err(format!(
                "`{text}` is not an address: expected HOST:PORT, such as `127.0.0.1:9081`"
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

fn parse_port(port: &str, whole: &str) -> Result<u16, String> {
    port.parse().ok().filter(|&port| port != 0).ok_or_else(|| {
        format!("`{port}` in `{whole}` is not a port: expected a number from 1 to 65535")
    })
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The last one: labels have equals signs, addresses do not.
        let (name, endpoint) = text.rsplit_once('=').ok_or_else(|| {
            format!("`{text}` has no `=`: expected NAME.NAMESPACE=HOST:PORT, such as `ratings.bookinfo=127.0.0.1:9081`")
        })?;
        Ok(Self {
            name: name.parse()?,
            endpoint: endpoint.parse()?,
        })
    }
}
