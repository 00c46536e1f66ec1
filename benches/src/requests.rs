//! Requests for a table, each with the answer it has to get.

use meshgate_engine::Request;

use crate::table::{Table, rest_base, service_base, tenant, user};

/// A request that owns its parts.
#[derive(Clone, Debug)]
pub struct OwnedRequest {
    /// Host.
    pub authority: String,
    /// Path.
    pub path: String,
    /// Header fields.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Number of the route that takes it.
    pub expected: Option<usize>,
}

impl OwnedRequest {
    /// A request with the headers that all requests have.
    pub(crate) fn new(authority: String, path: String, expected: Option<usize>) -> Self {
        let headers = [
            ("accept", "*/*"),
            ("user-agent", "bench"),
            ("x-request-id", "8f14e45f"),
        ];
        Self {
            authority,
            path,
            headers: headers
                .map(|(name, value)| (name.into(), value.into()))
                .to_vec(),
            expected,
        }
    }

    /// The request as the engine takes it.
    pub fn borrow(&self) -> Request<'_, [(Vec<u8>, Vec<u8>)]> {
        Request {
            method: b"GET",
            scheme: b"http",
            authority: self.authority.as_bytes(),
            path: self.path.as_bytes(),
            headers: &self.headers,
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(n, _)| n == name.as_bytes())?;
        Some(&found.1)
    }
}

/// `count` requests spread over a table of `n` routes in no order a cache could learn; one in ten just misses a route.
pub fn requests(table: Table, n: usize, count: usize) -> Vec<OwnedRequest> {
    let mut random = Random::default();
    (0..count)
        .map(|i| request_or_miss(table, random.below(n), i % 10 != 9))
        .collect()
}

/// A request for the n-th route of a table.
pub fn request(table: Table, n: usize) -> OwnedRequest {
    request_or_miss(table, n, true)
}

/// A request for the n-th route of a table, or one that no route takes.
fn request_or_miss(table: Table, n: usize, hit: bool) -> OwnedRequest {
    let path = match table {
        Table::Rest => {
            let rest = match n % 4 {
                _ if !hit => "/invoices/4711",
                0 => "/orders",
                1 => "/orders/4711",
                2 => "/orders/4711/items",
                _ => "/orders-files/2024/a.pdf",
            };
            rest_base(n) + rest
        }
        Table::Prefix => service_base(n) + if hit { "/orders/4711" } else { "-old/orders" },
        Table::Exact => service_base(n) + if hit { "/orders" } else { "/invoices" },
        Table::OneHeader | Table::TwoHeaders | Table::HeaderRegex => "/some/path".to_owned(),
    };
    let mut request = OwnedRequest::new("www.example.com".to_owned(), path, hit.then_some(n));
    let mut header = |name: &str, value: String| {
        request
            .headers
            .push((name.as_bytes().to_vec(), value.into_bytes()));
    };
    match table {
        Table::Rest | Table::Prefix | Table::Exact => {}
        Table::OneHeader => header("x-tenant", tenant(n) + if hit { "" } else { "x" }),
        Table::TwoHeaders => {
            header("x-tenant", tenant(n / 100));
            header("x-user", user(n % 100) + if hit { "" } else { "x" });
        }
        Table::HeaderRegex => header("x-tenant", tenant(n) + if hit { "-eu" } else { "-1" }),
    }
    request
}

/// A small generator of numbers that are the same in every run.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}
