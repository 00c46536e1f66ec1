//! Small programs, written with the writer of the engine, and the filter that evaluates them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use meshgate_engine::policy::{Policies, Services};
use meshgate_engine::write::{ClauseName, Entry, Hosts, PathTries, TrieEntry, Writer};
use meshgate_engine::{
    Action, ActionKind, Destination, DestinationKind, Forward, Gateway, Head, HeaderOperations,
    Key, SegmentKind, Share,
};
use meshgate_host_tests::wasm::{Module, Vm};

/// The filter under test: `MESHGATE_FILTER`, or the one that `cargo xtask filter` has built.
pub(crate) fn wasm() -> Vec<u8> {
    let path = match std::env::var_os("MESHGATE_FILTER") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/meshgate_filter.wasm"),
    };
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "cannot read the filter at `{}` ({error}); run `cargo xtask filter` first",
            path.display()
        )
    })
}

/// The filter under test, compiled.
pub(crate) fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| Module::load(&wasm()).unwrap_or_else(|error| panic!("{error}")))
}

/// A VM that runs a program.
pub(crate) fn start(program: ProgramBuilder) -> Vm {
    Vm::start(module(), &program.bytes()).unwrap_or_else(|refused| panic!("{refused}"))
}

/// A program in the making. Its virtual hosts take every authority; its routes are path prefixes.
pub(crate) struct ProgramBuilder {
    writer: Writer,
    head: Head,
    /// Path prefixes and rule sets of the current gateway.
    routes: Vec<TrieEntry>,
}

impl ProgramBuilder {
    /// A program whose first gateway listens on port 8080.
    pub(crate) fn new(generation: &str) -> ProgramBuilder {
        let head = Head {
            generation: generation.to_owned(),
            gateways: vec![gateway(8080)],
            ..Head::default()
        };
        ProgramBuilder {
            writer: Writer::default(),
            head,
            routes: Vec::new(),
        }
    }

    /// Adds a route; of several that match, the first counts. It is called `shop.www/` and its prefix.
    pub(crate) fn route(
        mut self,
        prefix: &str,
        kind: ActionKind,
        headers: Option<HeaderOperations>,
    ) -> ProgramBuilder {
        let headers = headers.map(|headers| self.operations(headers));
        let action = index(&self.head.actions);
        self.head.actions.push(Action {
            kind,
            headers,
            policies: None,
        });
        let host = self.writer.name(None, SegmentKind::Object, "shop.www");
        let name = ClauseName {
            below: Some(host),
            kind: SegmentKind::Route,
            text: prefix,
        };
        let clause = self.writer.clause(action, Some(name)).unwrap();
        let set = self
            .writer
            .rule_set(&[Entry {
                clause,
                tail: None,
                predicates: Vec::new(),
            }])
            .unwrap();
        self.routes.push(TrieEntry {
            key: prefix.into(),
            end: None,
            prefix: Some(set),
        });
        self
    }

    /// Adds a route to a single cluster, with what `change` does to the action.
    pub(crate) fn forward(
        mut self,
        prefix: &str,
        cluster: &str,
        change: impl FnOnce(&mut Forward),
    ) -> ProgramBuilder {
        let share = self.share(cluster, 1, None);
        let mut forward = Forward {
            shares: vec![share],
            total_weight: 1,
            rewrite: None,
            host: None,
            timeout_ms: None,
            stickiness: None,
            retries: None,
        };
        change(&mut forward);
        self.route(prefix, ActionKind::Forward(forward), None)
    }

    /// Adds a key.
    pub(crate) fn key(mut self, key: Key) -> ProgramBuilder {
        self.head.keys.push(key);
        self
    }

    /// Gives the route that was added last its policies.
    pub(crate) fn policies(mut self, policies: Policies) -> ProgramBuilder {
        let id = index(&self.head.policies);
        self.head.policies.push(policies);
        if let Some(action) = self.head.actions.last_mut() {
            action.policies = Some(id);
        }
        self
    }

    /// The services that every gateway asks.
    pub(crate) fn services(mut self, services: Services) -> ProgramBuilder {
        self.head.services = vec![services];
        self
    }

    /// Adds a destination, and gives it a share.
    pub(crate) fn share(
        &mut self,
        cluster: &str,
        weight: u32,
        headers: Option<HeaderOperations>,
    ) -> Share {
        let destination = index(&self.head.destinations);
        self.head.destinations.push(Destination {
            kind: DestinationKind::KubeService,
            namespace: "shop".to_owned(),
            name: cluster.to_owned(),
            cluster_name: None,
            subset: Vec::new(),
            port: 80,
            cluster: cluster.to_owned(),
        });
        Share {
            weight,
            destination,
            headers: headers.map(|headers| self.operations(headers)),
        }
    }

    fn operations(&mut self, operations: HeaderOperations) -> u32 {
        self.head.header_operations.push(operations);
        index(&self.head.header_operations) - 1
    }

    /// Ends the routes of the current gateway; those that follow belong to one that listens on `port`.
    pub(crate) fn gateway(mut self, port: u16) -> ProgramBuilder {
        self.end_gateway();
        self.head.gateways.push(gateway(port));
        self
    }

    fn end_gateway(&mut self) {
        let forward = self
            .writer
            .path_trie(std::mem::take(&mut self.routes))
            .unwrap();
        let host = self.writer.virtual_host(PathTries {
            forward,
            ..PathTries::default()
        });
        self.writer
            .gateway(Hosts {
                any: Some(host),
                ..Hosts::default()
            })
            .unwrap();
    }

    /// The finished program.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.end_gateway();
        self.writer.finish(&self.head).unwrap()
    }
}

fn gateway(port: u16) -> Gateway {
    Gateway {
        namespace: "infra".to_owned(),
        name: format!("gateway-{port}"),
        port,
        ..Gateway::default()
    }
}

fn index<T>(table: &[T]) -> u32 {
    u32::try_from(table.len()).unwrap()
}

/// Header operations from lists: names to remove, headers to append.
pub(crate) fn operations(
    request: (&[&str], &[(&str, &str)]),
    response: (&[&str], &[(&str, &str)]),
) -> HeaderOperations {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let headers = |headers: &[(&str, &str)]| {
        headers
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    HeaderOperations {
        remove_request: names(request.0),
        append_request: headers(request.1),
        remove_response: names(response.0),
        append_response: headers(response.1),
        ..HeaderOperations::default()
    }
}
