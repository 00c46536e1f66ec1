//! Requests as arguments and as lines of JSON.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use meshgate_compiler::route::{Connection, Request};
use serde::Deserialize;

/// A request line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default = "get")]
    method: String,
    #[serde(default = "http")]
    scheme: String,
    authority: String,
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    gateway: Option<String>,
    cluster: Option<String>,
    random: Option<f64>,
    source: Option<IpAddr>,
    sni: Option<String>,
    #[serde(default, rename = "tlsIdentity")]
    tls_identity: Vec<String>,
    time: Option<u64>,
}

fn get() -> String {
    "GET".to_owned()
}

fn http() -> String {
    "http".to_owned()
}

/// A request, and where it is sent.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) request: Request,
    /// Gateway, if named.
    pub(crate) gateway: Option<String>,
    /// Cluster the gateway runs in, if named.
    pub(crate) cluster: Option<String>,
}

/// Reads a request line.
pub(crate) fn parse_line(line: &str) -> Result<Query, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| {
        // The position within the one line is a column.
        let message = error.to_string();
        message.replace(" at line 1 column ", " at column ")
    })?;
    let Line {
        method,
        scheme,
        authority,
        path,
        headers,
        gateway,
        cluster,
        random,
        source,
        sni,
        tls_identity,
        time,
    } = line;
    let random = check_random(random)?;
    if method.is_empty() {
        return Err("`method` is empty".to_owned());
    }
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(format!(
            "`scheme` is `{scheme}`: expected `http` or `https`"
        ));
    }
    Ok(Query {
        request: Request {
            method,
            scheme,
            authority,
            path,
            headers,
            random,
            connection: Connection {
                source,
                server_name: sni,
                identities: tls_identity,
                time: time.unwrap_or_else(now),
            },
        },
        gateway,
        cluster,
    })
}

/// Reads a method, a URL and headers.
pub(crate) fn parse_args(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    random: Option<f64>,
) -> Result<Request, String> {
    let (scheme, rest) = url
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
        .ok_or_else(|| {
            format!(
                "`{url}` is not a URL: expected something like `http://www.example.com/ratings`"
            )
        })?;
    // Fragments are not sent.
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err(format!("`{url}` has no host"));
    }
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    // As HTTP clients do: a header named host replaces the host of the URL.
    let (hosts, headers): (Vec<_>, Vec<_>) = headers
        .iter()
        .cloned()
        .partition(|(name, _)| name.eq_ignore_ascii_case("host"));
    let authority = hosts
        .into_iter()
        .next_back()
        .map_or_else(|| authority.to_owned(), |(_, host)| host);
    Ok(Request {
        method: method.to_owned(),
        scheme: scheme.to_owned(),
        authority,
        path,
        headers,
        random: check_random(random)?,
        connection: Connection {
            time: now(),
            ..Connection::default()
        },
    })
}

/// Reads `name: value`.
pub(crate) fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected `name: value`")?;
    let name = name.trim();
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(legal) {
        return Err(format!("`{name}` is not a header name"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// Seconds of the Unix epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

/// The number that decides weighted choices: as asked for, else by chance, as in a gateway.
fn check_random(random: Option<f64>) -> Result<f64, String> {
    match random {
        None => {
            // Every state is seeded by chance.
            let bits = RandomState::new().build_hasher().finish();
            Ok((bits >> 11) as f64 / (1_u64 << 53) as f64)
        }
        Some(random) if (0.0..1.0).contains(&random) => Ok(random),
        Some(random) => Err(format!(
            "`random` is {random}: expected a number from 0 up to, but not including, 1"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str) -> Result<(String, String, String), String> {
        parse_args("GET", url, &[], Some(0.5))
            .map(|request| (request.scheme, request.authority, request.path))
    }

    #[test]
    fn urls() {
        let parts = |scheme: &str, authority: &str, path: &str| {
            Ok((scheme.to_owned(), authority.to_owned(), path.to_owned()))
        };
        assert_eq!(
            args("http://www.example.com"),
            parts("http", "www.example.com", "/")
        );
        assert_eq!(
            args("https://h:8443/a?b=c#d"),
            parts("https", "h:8443", "/a?b=c")
        );
        assert_eq!(
            args("http://h?b=http://x/"),
            parts("http", "h", "/?b=http://x/")
        );
        assert!(args("www.example.com/ratings").is_err());
        assert!(args("http:///ratings").is_err());
        assert!(args("ftp://h/").is_err());
    }

    #[test]
    fn the_host_header_counts() {
        let headers = [
            ("Host".to_owned(), "a".to_owned()),
            ("x".to_owned(), "1".to_owned()),
        ];
        let request = parse_args("GET", "http://b/", &headers, None).unwrap();
        assert_eq!(request.authority, "a");
        assert_eq!(request.headers, [("x".to_owned(), "1".to_owned())]);
        assert!((0.0..1.0).contains(&request.random));
    }

    #[test]
    fn headers() {
        assert_eq!(
            parse_header("x-a: b:c "),
            Ok(("x-a".to_owned(), "b:c".to_owned()))
        );
        assert_eq!(parse_header("x-a:"), Ok(("x-a".to_owned(), String::new())));
        assert!(parse_header("x-a").is_err());
        assert!(parse_header(":path: /").is_err());
    }

    #[test]
    fn lines() {
        let query = parse_line(r#"{"authority":"h","path":"/","random":0.25}"#).unwrap();
        assert_eq!(
            (query.request.method.as_str(), query.request.scheme.as_str()),
            ("GET", "http")
        );
        assert_eq!(query.request.random, 0.25);
        for bad in [
            r#"{"path":"/"}"#,
            r#"{"authority":"h","path":"/","verb":"GET"}"#,
            r#"{"authority":"h","path":"/","random":1.0}"#,
            r#"{"authority":"h","path":"/","scheme":"ftp"}"#,
            "[]",
            "GET /",
        ] {
            assert!(parse_line(bad).is_err(), "{bad}");
        }
    }
}
