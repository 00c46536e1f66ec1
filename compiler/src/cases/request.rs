//! A request as files have it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;

use crate::oracle;

/// When requests come that say no time: 2026-01-01.
const TIME: u64 = 1_767_225_600;

/// A request.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RequestFields")]
pub struct Request {
    /// Method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host, perhaps with a port.
    pub authority: String,
    /// Path with query.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Name of the gateway that receives it; the first one if absent.
    pub gateway: Option<String>,
    /// What decides weighted choices, if the case fixes it: 0 <= random < 1.
    pub random: Option<f64>,
    /// Who sends it, if the case says more than that it comes from this machine at some time.
    pub client: Option<Client>,
}

/// Who sends a request, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Address that connects; 127.0.0.1 if absent.
    pub source: Option<IpAddr>,
    /// Server name that the client asks for with TLS.
    pub sni: Option<String>,
    /// Names in the client's certificate.
    pub tls_identity: Vec<String>,
    /// Seconds of the Unix epoch.
    pub time: Option<u64>,
}

/// A request as case files have it: with a URL, or with its parts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFields {
    #[serde(default = "get")]
    method: String,
    url: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    gateway: Option<String>,
    /// Below 1 the fraction itself, else a number that counts modulo the sum of the weights, 100.
    random: Option<f64>,
    source: Option<IpAddr>,
    sni: Option<String>,
    #[serde(default, rename = "tlsIdentity")]
    tls_identity: Vec<String>,
    time: Option<u64>,
    /// Whether it came over TLS, which the scheme tells as well.
    #[serde(rename = "tls")]
    _tls: Option<bool>,
}

/// Headers of an upstream's response.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamResponse {
    /// Names and values.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

fn get() -> String {
    "GET".to_owned()
}

impl TryFrom<RequestFields> for Request {
    type Error = String;

    fn try_from(fields: RequestFields) -> Result<Request, String> {
        let (scheme, authority, path) = match (fields.url, fields.authority, fields.path) {
            (Some(url), None, None) => {
                let (scheme, rest) = url
                    .split_once("://")
                    .ok_or_else(|| format!("`{url}` does not begin with a scheme"))?;
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                (scheme.to_owned(), authority.to_owned(), path.to_owned())
            }
            (None, Some(authority), Some(path)) => {
                let scheme = fields.scheme.unwrap_or_else(|| "http".to_owned());
                (scheme, authority, path)
            }
            _ => return Err("a request has either a `url`, or `authority` and `path`".to_owned()),
        };
        // Numbers stand in the middle of their share, so that no rounding moves them to the next one.
        let fraction = |random: f64| {
            if random < 1.0 {
                random
            } else {
                (random % 100.0 + 0.5) / 100.0
            }
        };
        let client = Client {
            source: fields.source,
            sni: fields.sni,
            tls_identity: fields.tls_identity,
            time: fields.time,
        };
        Ok(Request {
            method: fields.method,
            scheme,
            authority,
            path,
            headers: fields.headers,
            gateway: fields.gateway,
            random: fields.random.map(fraction),
            client: Some(client).filter(|client| *client != Client::default()),
        })
    }
}

impl fmt::Display for Request {
    /// Writes the request as the arguments of `meshgate route`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request {
            method,
            scheme,
            authority,
            path,
            ..
        } = self;
        write!(f, "{method} {scheme}://{authority}{path}")?;
        self.headers
            .iter()
            .try_for_each(|(name, value)| write!(f, " -H '{name}: {value}'"))
    }
}

impl Request {
    /// The request as a gateway gets it. Without a number that decides, it is the lowest one.
    pub fn received(&self) -> oracle::Request {
        let client = self.client.clone().unwrap_or_default();
        oracle::Request {
            method: self.method.clone(),
            scheme: self.scheme.clone(),
            authority: self.authority.clone(),
            path: self.path.clone(),
            headers: self.received_headers(),
            random: self.random.unwrap_or(0.0),
            connection: oracle::Connection {
                source: Some(self.source()),
                server_name: client.sni,
                identities: client.tls_identity,
                time: client.time.unwrap_or(TIME),
            },
        }
    }

    fn source(&self) -> IpAddr {
        let source = self.client.as_ref().and_then(|client| client.source);
        source.unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    /// The headers as a filter in Envoy gets them: who connects is at the end of the list of addresses.
    pub fn received_headers(&self) -> Vec<(String, String)> {
        const LIST: &str = "x-forwarded-for";
        let is_list = |name: &str| name.eq_ignore_ascii_case(LIST);
        let (lists, mut headers): (Vec<_>, Vec<_>) = self
            .headers
            .iter()
            .cloned()
            .partition(|(name, _)| is_list(name));
        let addresses = lists.into_iter().map(|(_, value)| value);
        let addresses: Vec<_> = addresses.chain([self.source().to_string()]).collect();
        headers.push((LIST.to_owned(), addresses.join(",")));
        headers
    }

    /// A request without further headers.
    pub fn new(method: &str, scheme: &str, authority: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            gateway: None,
            random: None,
            client: None,
        }
    }
}
