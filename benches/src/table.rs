//! Route tables as plain data, from which trees, requests and the tables of other routers are made.

/// What the routes of a table look like. No two routes of a table take the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// REST paths of many tenants: exact, one parameter, a parameter in the middle, a prefix.
    Rest,
    /// Path prefixes only.
    Prefix,
    /// Exact paths only.
    Exact,
    /// Everything on `/`, told apart by the value of one header.
    OneHeader,
    /// Everything on `/`, told apart by the values of two headers.
    TwoHeaders,
    /// Everything on `/`, told apart by a regular expression on one header that begins with literal text.
    HeaderRegex,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 6] = [
        Table::Rest,
        Table::Prefix,
        Table::Exact,
        Table::OneHeader,
        Table::TwoHeaders,
        Table::HeaderRegex,
    ];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Table::Rest => "rest",
            Table::Prefix => "prefix",
            Table::Exact => "exact",
            Table::OneHeader => "one-header",
            Table::TwoHeaders => "two-headers",
            Table::HeaderRegex => "header-regex",
        }
    }

    /// The table of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Whether all routes are told apart by their paths.
    pub fn is_by_path(self) -> bool {
        matches!(self, Table::Rest | Table::Prefix | Table::Exact)
    }

    /// The conditions of the n-th route.
    pub fn route(self, n: usize) -> RouteShape {
        let on_headers = |headers| RouteShape {
            path: Path::Prefix("/".to_owned()),
            headers,
        };
        match self {
            Table::Rest => RouteShape::on_path(match n % 4 {
                0 => Path::Exact(format!("{}/orders", rest_base(n))),
                1 => Path::Parameter {
                    base: rest_base(n),
                    before: "/orders/",
                    after: "",
                },
                2 => Path::Parameter {
                    base: rest_base(n),
                    before: "/orders/",
                    after: "/items",
                },
                _ => Path::Prefix(format!("{}/orders-files/", rest_base(n))),
            }),
            Table::Prefix => RouteShape::on_path(Path::Prefix(format!("{}/", service_base(n)))),
            Table::Exact => RouteShape::on_path(Path::Exact(format!("{}/orders", service_base(n)))),
            Table::OneHeader => on_headers(vec![("x-tenant", Value::Exact(tenant(n)))]),
            Table::TwoHeaders => on_headers(vec![
                ("x-tenant", Value::Exact(tenant(n / 100))),
                ("x-user", Value::Exact(user(n % 100))),
            ]),
            Table::HeaderRegex => on_headers(vec![(
                "x-tenant",
                Value::Regex {
                    literal: format!("{}-", tenant(n)),
                    tail: "[a-z]+",
                },
            )]),
        }
    }
}

/// The conditions of one route, all of which must hold.
#[derive(Clone, Debug)]
pub struct RouteShape {
    /// On the path.
    pub path: Path,
    /// On headers: name and value.
    pub headers: Vec<(&'static str, Value)>,
}

impl RouteShape {
    fn on_path(path: Path) -> Self {
        Self {
            path,
            headers: Vec::new(),
        }
    }
}

/// A condition on the path.
#[derive(Clone, Debug)]
pub enum Path {
    /// This path.
    Exact(String),
    /// Every path that begins like this.
    Prefix(String),
    /// `base`, `before`, one segment of any text, `after`.
    Parameter {
        /// What differs from route to route.
        base: String,
        /// Text up to the segment.
        before: &'static str,
        /// Text behind the segment.
        after: &'static str,
    },
}

/// A condition on the value of a header.
#[derive(Clone, Debug)]
pub enum Value {
    /// This value.
    Exact(String),
    /// A regular expression for the whole value.
    Regex {
        /// The text it begins with, without special characters.
        literal: String,
        /// The pattern that follows.
        tail: &'static str,
    },
}

/// Names of the services that the routes lead to.
pub(crate) const SERVICES: [&str; 5] = ["billing", "catalog", "orders", "search", "users"];

/// What the paths of four routes of [`Table::Rest`] begin with.
pub(crate) fn rest_base(n: usize) -> String {
    service_base(n / 4)
}

/// What the path of one route of [`Table::Prefix`] and [`Table::Exact`] begins with.
pub(crate) fn service_base(n: usize) -> String {
    format!("/api/v1/{}/{}", tenant(n / 5), SERVICES[n % 5])
}

pub(crate) fn tenant(n: usize) -> String {
    format!("tenant-{n}")
}

pub(crate) fn user(n: usize) -> String {
    format!("user-{n}")
}
