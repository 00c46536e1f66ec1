//! Workloads as people write them: a gateway, virtual hosts and route tables in YAML, of any size.

use std::fmt::Write;

use meshgate_compiler::source::SourceMap;

use crate::SERVICES;

/// How the routes are spread over objects and files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All routes in the list of one VirtualHost: one huge document. Above the size limit of a file, one for each file.
    OneHost,
    /// Route tables of 1,000 routes, as documents of one file.
    Tables,
    /// Route tables of 1,000 routes, each in its own file.
    Files,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Layout; 3] = [Layout::OneHost, Layout::Tables, Layout::Files];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Layout::OneHost => "one-host",
            Layout::Tables => "tables",
            Layout::Files => "files",
        }
    }
}

/// Routes of one route table.
const TABLE_ROUTES: usize = 1_000;

const API_VERSION: &str = "networking.enterprise.mesh.gloo.solo.io/v1beta1";

/// Sources of `n` routes: REST paths, named, to a few destinations.
pub fn sources(layout: Layout, n: usize) -> SourceMap {
    let mut sources = SourceMap::default();
    let mut file = gateway();
    match layout {
        Layout::OneHost => {
            virtual_host(&mut file);
            (0..n).for_each(|i| route(&mut file, i, "/api/v1"));
        }
        Layout::Tables | Layout::Files => {
            virtual_host(&mut file);
            for table in 0..n.div_ceil(TABLE_ROUTES) {
                let _ = write!(
                    file,
                    "  - name: area-{table}
    matchers:
    - uri:
        prefix: /area-{table}/
    delegateAction:
      refs:
      - name: area-{table}
        namespace: shop
"
                );
            }
            for table in 0..n.div_ceil(TABLE_ROUTES) {
                if layout == Layout::Files {
                    let name = format!("{}.yaml", sources.files().len());
                    file.shrink_to_fit();
                    sources.add(name, std::mem::take(&mut file));
                }
                let _ = write!(
                    file,
                    "---
apiVersion: {API_VERSION}
kind: RouteTable
metadata:
  name: area-{table}
  namespace: shop
spec:
  routes:
"
                );
                let first = table * TABLE_ROUTES;
                (first..n.min(first + TABLE_ROUTES)).for_each(|i| route(&mut file, i, "/api/v1"));
            }
        }
    }
    // As read from a file: without room for more.
    file.shrink_to_fit();
    sources.add(format!("{}.yaml", sources.files().len()), file);
    sources
}

fn gateway() -> String {
    format!(
        "apiVersion: {API_VERSION}
kind: VirtualGateway
metadata:
  name: north-south
  namespace: platform
spec:
  ingressGatewaySelectors:
  - portName: http2
  connectionHandlers:
  - http:
      routeConfig:
      - virtualHostSelector:
          namespaces: [platform]
"
    )
}

fn virtual_host(file: &mut String) {
    let _ = write!(
        file,
        "---
apiVersion: {API_VERSION}
kind: VirtualHost
metadata:
  name: www
  namespace: platform
spec:
  domains:
  - www.example.com
  routes:
"
    );
}

/// The n-th route: an exact path, one parameter, a parameter in the middle, a prefix, in turn.
fn route(file: &mut String, n: usize, base: &str) {
    let service = SERVICES[n / 4 % SERVICES.len()];
    let base = format!("{base}/tenant-{}/{service}/orders", n / 20);
    let uri = match n % 4 {
        0 => format!("exact: {base}"),
        1 => format!("regex: {base}/[^/]+"),
        2 => format!("regex: {base}/[^/]+/items"),
        _ => format!("prefix: {base}-files/"),
    };
    let _ = write!(
        file,
        "  - name: {service}-{n}
    matchers:
    - uri:
        {uri}
      method: GET
    routeAction:
      destinations:
      - kubeService:
          name: {service}
          namespace: shop
          port: 8080
"
    );
}
