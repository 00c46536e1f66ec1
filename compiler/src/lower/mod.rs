//! From the resolved tree to the bytes of a routing program.
//!
//! Every matcher of every route becomes a clause, numbered in first-match order. Its path condition decides where in
//! which trie the clause is stored; its other conditions are stored with it. Equal actions, destinations, header
//! operations, conditions and automata are stored once.

mod actions;
mod conditions;
mod hosts;
mod paths;
mod policies;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use meshgate_engine::policy::CredentialCheck;
use meshgate_engine::write::{ClauseName, Entry, TooLarge, Writer};
use meshgate_engine::{Gateway as HeadGateway, Head, SegmentKind};
use sha2::{Digest, Sha256};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::ObjectName;
use crate::source::Span;
use crate::tree::{
    self, Delegation, Gateway, Host, Route, RouteName, SharedRoutes, Tree, VirtualHost,
};
use actions::Actions;
use conditions::Conditions;
use paths::PathIndex;
use policies::PolicyTable;

type Result<T> = std::result::Result<T, TooLarge>;

/// Most matchers that a request may have to try one after the other, unless more are allowed.
pub const MAX_LIST: usize = 1024;

/// What a program needs to know besides the tree.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name of this version of the configuration. Absent: derived from the contents.
    pub generation: Option<String>,
    /// Lists of more than [`MAX_LIST`] matchers that have to be tried one after the other are warned about, not refused.
    pub allow_long_lists: bool,
    /// Port each gateway of the tree listens on. The proxy tells them apart by it when there are several.
    pub ports: Vec<u16>,
}

/// Writes the program of a tree. A route whose regular expressions cannot be compiled is reported and left out.
/// `None` when the whole does not fit into the format, which is reported too, or when there is no gateway.
pub fn lower(tree: &Tree, options: &Options, diagnostics: &mut Diagnostics) -> Option<Vec<u8>> {
    if tree.gateways.is_empty() {
        return None;
    }
    let mut lowering = Lowering {
        writer: Writer::default(),
        actions: Actions::default(),
        policies: PolicyTable::default(),
        conditions: Conditions::default(),
        hosts: HashMap::new(),
        shared: HashMap::new(),
        places: Vec::new(),
        above: None,
        head: Head::default(),
        auth_configs: &tree.auth_configs,
        diagnostics,
    };
    let ports = options.ports.iter().copied().chain(std::iter::repeat(0));
    let gateways = tree.gateways.iter().zip(ports);
    // Connections that are forwarded as they are never meet the program.
    for (gateway, port) in gateways.filter(|(gateway, _)| gateway.tcp.is_none()) {
        if let Err(error) = lowering.gateway(gateway, port) {
            lowering.diagnostics.push(Diagnostic::at(
                Code::ProgramTooLarge,
                gateway.span,
                error.to_string(),
            ));
            return None;
        }
    }
    lowering.report_long_lists(options.allow_long_lists);
    let Lowering {
        writer,
        actions,
        policies,
        mut head,
        diagnostics,
        ..
    } = lowering;
    actions.finish(&mut head);
    (head.policies, head.keys) = policies.into_lists();
    finish(writer, head, options)
        .map_err(|error| {
            diagnostics.push(Diagnostic::global(Code::ProgramTooLarge, error.to_string()))
        })
        .ok()
}

fn finish(mut writer: Writer, mut head: Head, options: &Options) -> Result<Vec<u8>> {
    head.generation = match &options.generation {
        Some(generation) => generation.clone(),
        None => {
            let digest = Sha256::digest(writer.finish(&head)?);
            digest
                .iter()
                .take(6)
                .map(|byte| format!("{byte:02x}"))
                .collect()
        }
    };
    writer.finish(&head)
}

struct Lowering<'d> {
    writer: Writer,
    actions: Actions,
    policies: PolicyTable,
    conditions: Conditions,
    /// Hosts that several gateways share are written once, by the virtual hosts behind them.
    hosts: HashMap<Vec<*const VirtualHost>, u32>,
    /// Shared routes that were written.
    shared: HashMap<*const SharedRoutes, u32>,
    /// Place of the matcher behind each clause.
    places: Vec<Span>,
    /// The names above the last route, which mostly are those above the next one.
    above: Option<(*const [String], Option<u32>)>,
    head: Head,
    auth_configs: &'d BTreeMap<ObjectName, Vec<CredentialCheck>>,
    diagnostics: &'d mut Diagnostics,
}

impl Lowering<'_> {
    fn gateway(&mut self, gateway: &Gateway, port: u16) -> Result<()> {
        self.head.gateways.push(HeadGateway {
            namespace: gateway.name.namespace.clone(),
            name: gateway.name.name.clone(),
            port,
            paths: gateway.paths.into(),
        });
        self.head
            .services
            .push(policies::services(&gateway.services));
        let mut hosts = hosts::Collector::default();
        if gateway.https_redirect {
            let redirect = self.https_redirect(gateway.span, Vec::new())?;
            hosts.any(self.list(Some(redirect), std::iter::empty())?);
        }
        for host in &gateway.hosts {
            let id = self.host(host)?;
            host.domains.iter().for_each(|domain| hosts.add(domain, id));
        }
        self.writer.gateway(hosts.into_hosts())
    }

    /// A clause that redirects to https whatever the predicates hold for.
    fn https_redirect(&mut self, place: Span, predicates: Vec<u32>) -> Result<Entry> {
        let action = self.actions.https_redirect();
        let clause = self.writer.clause(action, None)?;
        self.places.push(place);
        Ok(Entry {
            clause,
            tail: None,
            predicates,
        })
    }

    /// The clause that a host has before all others, if some of its clients have to use TLS.
    fn require_tls(&mut self, host: &Host) -> Result<Option<Entry>> {
        let Some(predicates) = conditions::needs_tls(host.require_tls(), &mut self.writer)? else {
            return Ok(None);
        };
        let place = host.virtual_hosts.first().map(|host| host.span);
        self.https_redirect(place.unwrap_or_default(), predicates)
            .map(Some)
    }

    fn host(&mut self, host: &Host) -> Result<u32> {
        let key: Vec<_> = host.virtual_hosts.iter().map(Arc::as_ptr).collect();
        if let Some(&id) = self.hosts.get(&key) {
            return Ok(id);
        }
        let first = self.require_tls(host)?;
        let routes = (host.virtual_hosts.iter()).flat_map(|host| &host.routes);
        let id = self.list(first, routes)?;
        if host.ignores_path_parameters() {
            self.head.without_parameters.push(id);
        }
        self.hosts.insert(key, id);
        Ok(id)
    }

    /// A list of routes, perhaps after a clause for every path, as a virtual host of the program.
    fn list<'t>(
        &mut self,
        first: Option<Entry>,
        entries: impl Iterator<Item = &'t tree::Entry> + Clone,
    ) -> Result<u32> {
        let clauses = entries.clone().map(|entry| match entry {
            tree::Entry::Route(route) => route.matchers.len(),
            tree::Entry::Delegation(_) => 1,
        });
        let mut paths =
            PathIndex::with_capacity(usize::from(first.is_some()) + clauses.sum::<usize>());
        if let Some(first) = first {
            paths.everything(first);
        }
        for entry in entries {
            match entry {
                tree::Entry::Route(route) => self.route(route, &mut paths)?,
                tree::Entry::Delegation(delegation) => self.delegation(delegation, &mut paths)?,
            }
        }
        let tries = paths.write(&mut self.writer)?;
        Ok(self.writer.virtual_host(tries))
    }

    /// A clause that leaves what follows its prefix to a virtual host of its own.
    fn delegation<'t>(
        &mut self,
        delegation: &'t Delegation,
        paths: &mut PathIndex<'t>,
    ) -> Result<()> {
        let matcher = &delegation.matcher;
        let place = self.conditions.place(&matcher.path, &mut self.writer);
        let predicates = self.conditions.predicates(matcher, &mut self.writer);
        let (place, predicates) = match (place, predicates) {
            (Ok(place), Ok(predicates)) => (place, predicates),
            (Err(failure), _) | (_, Err(failure)) => {
                let name = delegation.names.join("/");
                self.refuse(&name, delegation.route, failure);
                return Ok(());
            }
        };
        let shared = Arc::as_ptr(&delegation.shared);
        let host = match self.shared.get(&shared) {
            Some(&host) => host,
            None => {
                let host = self.list(None, delegation.shared.entries.iter())?;
                self.shared.insert(shared, host);
                host
            }
        };
        let name = delegation
            .names
            .split_last()
            .map(|(own, above)| ClauseName {
                below: self.names(above),
                kind: SegmentKind::Route,
                text: own,
            });
        let base = u32::try_from(delegation.base()).map_err(|_| TooLarge("prefix"))?;
        let clause = self.writer.call(host, base, name)?;
        self.places.push(matcher.span);
        paths.add(place, clause, predicates, false);
        Ok(())
    }

    fn route<'t>(&mut self, route: &'t Route, paths: &mut PathIndex<'t>) -> Result<()> {
        // Compiled before anything is written: a route is served whole or not at all.
        let mut compiled = Vec::with_capacity(route.matchers.len());
        for matcher in &route.matchers {
            let place = self.conditions.place(&matcher.path, &mut self.writer);
            let predicates = self.conditions.predicates(matcher, &mut self.writer);
            match (place, predicates) {
                (Ok(place), Ok(predicates)) => compiled.push((matcher, place, predicates)),
                (Err(failure), _) | (_, Err(failure)) => {
                    self.refuse(&route.name.to_string(), route.span, failure);
                    return Ok(());
                }
            }
        }
        let conditions = &mut self.conditions;
        let actions = &mut self.actions;
        let policies = self.policies.intern(
            &route.options,
            &route.name,
            self.auth_configs,
            self.diagnostics,
            conditions,
            &mut self.writer,
            |destination| actions.destination(destination),
        );
        let policies = match policies {
            Ok(policies) => policies,
            Err(failure) => {
                self.refuse(&route.name.to_string(), route.span, failure);
                return Ok(());
            }
        };
        let mut actions = Vec::with_capacity(compiled.len());
        for (matcher, _, _) in &compiled {
            match self.actions.intern(route, &matcher.path, policies) {
                Ok(action) => actions.push(action),
                Err(error) => {
                    let span = matcher.span;
                    let failure = conditions::Failure::Regex { error, span };
                    self.refuse(&route.name.to_string(), route.span, failure);
                    return Ok(());
                }
            }
        }
        let RouteName {
            above,
            own,
            is_named,
        } = &route.name;
        let route_name = ClauseName {
            below: self.above(above),
            kind: match is_named {
                true => SegmentKind::Route,
                false => SegmentKind::RoutePosition,
            },
            text: own,
        };
        // Matchers with names lie below the route.
        let mut below_route = None;
        for ((matcher, place, predicates), action) in compiled.into_iter().zip(actions) {
            let name = match &matcher.name {
                Some(text) => {
                    let writer = &mut self.writer;
                    let ClauseName {
                        below,
                        kind,
                        text: own,
                    } = route_name;
                    let route = *below_route.get_or_insert_with(|| writer.name(below, kind, own));
                    ClauseName {
                        below: Some(route),
                        kind: SegmentKind::Matcher,
                        text,
                    }
                }
                None => route_name,
            };
            let clause = self.writer.clause(action, Some(name))?;
            self.places.push(matcher.span);
            paths.add(place, clause, predicates, true);
        }
        Ok(())
    }

    fn report_long_lists(&mut self, allow: bool) {
        for clauses in self.writer.long_lists() {
            let mut places = clauses
                .iter()
                .filter_map(|clause| self.places.get(*clause as usize));
            let Some(first) = places.next() else { continue };
            let message = format!(
                "{} matchers share a path, and their other conditions cannot be looked up",
                clauses.len()
            );
            let way_out = "tell them apart by path, by exact values, or by patterns that begin with literal text";
            let (code, help) = if clauses.len() > MAX_LIST && !allow {
                let help = format!("{way_out}; `--allow-long-lists` makes this a warning");
                (Code::TooLongList, help)
            } else {
                (Code::LongList, way_out.to_owned())
            };
            let mut diagnostic = Diagnostic::at(code, *first, message)
                .remark("a request for this path tries them one after the other")
                .help(help);
            if let Some(last) = places.next_back() {
                diagnostic = diagnostic.also(*last, "the last of them");
            }
            self.diagnostics.push(diagnostic);
        }
    }

    /// Leaves out a route, and says why.
    fn refuse(&mut self, name: &str, route: Span, failure: conditions::Failure) {
        self.diagnostics.push(match failure {
            conditions::Failure::Limit(what) => Diagnostic::at(
                Code::MatcherTooLarge,
                route,
                format!("route `{name}` is left out: {what}"),
            )
            .help("write shorter paths, and fewer conditions and patterns"),
            conditions::Failure::Regex { error, span } => {
                let code = if error.is_budget {
                    Code::RegexTooComplex
                } else {
                    Code::InvalidRegex
                };
                Diagnostic::at(code, span, error.message.clone())
                    .also(route, format!("route `{name}` is left out"))
                    .help("match a literal prefix, or split the pattern into several matchers")
            }
        });
    }

    /// The name that the routes of one list lie below.
    fn above(&mut self, above: &Arc<[String]>) -> Option<u32> {
        let place = Arc::as_ptr(above);
        if let Some((known, name)) = self.above
            && std::ptr::eq(known, place)
        {
            return name;
        }
        let name = self.names(above);
        self.above = Some((place, name));
        name
    }

    fn names(&mut self, segments: &[String]) -> Option<u32> {
        let mut name = None;
        for (n, segment) in segments.iter().enumerate() {
            let kind = match n % 2 {
                0 => SegmentKind::Object,
                _ => SegmentKind::Route,
            };
            name = Some(self.writer.name(name, kind, segment));
        }
        name
    }
}
