//! Gateways: which virtual hosts they serve, and which domains lead to which virtual hosts.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::options::Options;
use crate::resource::{
    self, HandlerKind, Metadata, ObjectName, Resources, RouteConfig, VirtualGateway,
    VirtualHostSpec,
};
use crate::source::Span;
use crate::tree::{Domain, DomainKind, Gateway, GatewayWorkload, Host, Services, VirtualHost};

use super::defaults::with_defaults;
use super::flatten::Flattener;
use super::prepare::{Catalogue, empty_selection};
use super::traffic_policy::Owner;
use super::workload::Gateways;
use super::{age, domain, has_error_inside, selector};

/// A virtual host that a gateway may serve.
#[derive(Debug)]
pub(super) struct Candidate<'r> {
    metadata: &'r Metadata,
    /// Domains and their places, without repetitions.
    domains: Vec<(Domain, Span)>,
    /// Number of the virtual host among those that were flattened.
    virtual_host: usize,
}

impl<'r> Candidate<'r> {
    /// Flattens a virtual host and reads its domains. `metadata` is the gateway's for an inline host.
    pub(super) fn new(
        metadata: &'r Metadata,
        owner: Owner<'_>,
        spec: &'r VirtualHostSpec,
        catalogue: &mut Catalogue<'r>,
        flattener: &mut Flattener<'_, 'r>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let span = match owner {
            Owner::Inline => spec.span,
            _ => metadata.span,
        };
        let domains = domains(spec, span, diagnostics);
        let selection = flattener.policies.selection(owner);
        let namespace = &metadata.id.namespace;
        let prepared = catalogue.prepare(&spec.routes, namespace, &selection, diagnostics);
        let mut level = catalogue.level(&spec.options, namespace, diagnostics);
        level.policies = selection.whole;
        let mut candidate = Self {
            metadata,
            domains,
            virtual_host: flattener.virtual_host(
                &metadata.id,
                span,
                &prepared,
                &level,
                spec.ignore_path_parameters,
                diagnostics,
            ),
        };
        // A host whose routes are all broken keeps its domains: they must not fall to a wildcard host.
        if spec.routes.is_empty() && !has_error_inside(diagnostics, spec.span) {
            let message = format!(
                "virtual host `{}` has no routes and is ignored",
                metadata.id
            );
            diagnostics.push(Diagnostic::at(Code::EmptyVirtualHost, span, message));
            candidate.domains.clear();
        }
        candidate
    }
}

/// All gateways, in order of their names.
pub(super) fn sources(resources: &Resources) -> Vec<&VirtualGateway> {
    let mut sources: Vec<&VirtualGateway> = resources.virtual_gateways.iter().collect();
    sources.sort_by_key(|gateway| &gateway.metadata.id);
    sources
}

/// The virtual hosts that are written in a gateway.
pub(super) fn inline_specs(gateway: &VirtualGateway) -> impl Iterator<Item = &VirtualHostSpec> {
    let handler = gateway.handlers.first();
    let entries = match handler.map(|handler| &handler.kind) {
        Some(HandlerKind::Http(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().filter_map(|entry| match entry {
        RouteConfig::Inline(spec) => Some(spec.as_ref()),
        RouteConfig::Selector(_) => None,
    })
}

/// The virtual hosts that are written in gateways, for each gateway in order of their names.
pub(super) fn inline_hosts<'r>(
    resources: &'r Resources,
    catalogue: &mut Catalogue<'r>,
    flattener: &mut Flattener<'_, 'r>,
    diagnostics: &mut Diagnostics,
) -> Vec<Vec<Candidate<'r>>> {
    let mut inline = Vec::new();
    for source in sources(resources) {
        let mut own = Vec::new();
        for spec in inline_specs(source) {
            own.push(Candidate::new(
                &source.metadata,
                Owner::Inline,
                spec,
                catalogue,
                flattener,
                diagnostics,
            ));
        }
        inline.push(own);
    }
    inline
}

/// Resolves all gateways, in order of their names.
pub(super) fn resolve(
    resources: &Resources,
    candidates: &[Candidate<'_>],
    inline: &[Vec<Candidate<'_>>],
    virtual_hosts: &[Arc<VirtualHost>],
    running: &Gateways<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Gateway> {
    let sources = sources(resources);
    let mut running_as = workloads(&sources, running, diagnostics);
    let mut used = vec![false; candidates.len()];
    let mut gateways = Vec::with_capacity(sources.len());
    for (source, inline) in sources.iter().zip(inline) {
        let handler = source.handlers.first();
        let https_redirect = handler.is_some_and(|handler| handler.https_redirect);
        let mut selected = vec![false; candidates.len()];
        match handler.map(|handler| &handler.kind) {
            Some(HandlerKind::Http(entries)) => {
                for entry in entries {
                    if let RouteConfig::Selector(selector) = entry {
                        select(
                            selector,
                            &source.metadata,
                            candidates,
                            &mut selected,
                            diagnostics,
                        );
                    }
                }
            }
            Some(HandlerKind::Tcp(_) | HandlerKind::None) | None => {}
        }
        let mut served: Vec<&Candidate<'_>> = inline.iter().collect();
        for (at, candidate) in candidates
            .iter()
            .enumerate()
            .filter(|&(at, _)| selected[at])
        {
            used[at] = true;
            served.push(candidate);
        }
        // Stable: inline hosts of one gateway stay in the order they are written in.
        served.sort_by_key(|candidate| age(candidate.metadata));
        let (workloads, workloads_known) =
            running_as.remove(&source.metadata.id).unwrap_or_default();
        gateways.push(Gateway {
            name: source.metadata.id.clone(),
            workloads,
            workloads_known,
            listener: Arc::clone(&source.listener),
            paths: source.paths,
            port_name: source.port_name.as_ref().map(|name| name.value.clone()),
            https_redirect,
            tls: handler.is_some_and(|handler| handler.tls),
            hosts: if https_redirect {
                Vec::new()
            } else {
                let defaults = handler.map_or(&Options::NONE, |handler| &handler.defaults);
                let virtual_hosts = with_defaults(
                    virtual_hosts,
                    |at| served.iter().any(|host| host.virtual_host == at),
                    defaults,
                );
                hosts(&served, &virtual_hosts, diagnostics)
            },
            tcp: None,
            services: Services::default(),
            span: source.metadata.span,
        });
    }
    if !sources.is_empty() {
        for (candidate, _) in candidates.iter().zip(&used).filter(|(_, used)| !**used) {
            let message = format!(
                "no virtual gateway selects virtual host `{}`",
                candidate.metadata.id
            );
            diagnostics.push(Diagnostic::at(
                Code::UnusedVirtualHost,
                candidate.metadata.span,
                message,
            ));
        }
    }
    gateways
}

/// Cluster, namespace and name of a gateway's Service, and its port.
type Port = (Option<String>, String, Option<String>, u16);

/// The gateways that run, for each virtual gateway. A port that two of them want is the older one's.
fn workloads(
    sources: &[&VirtualGateway],
    running: &Gateways<'_>,
    diagnostics: &mut Diagnostics,
) -> HashMap<ObjectName, (Vec<GatewayWorkload>, bool)> {
    let mut by_age = sources.to_vec();
    by_age.sort_by_key(|gateway| age(&gateway.metadata));
    let mut owners: HashMap<Port, &VirtualGateway> = HashMap::new();
    let mut found = HashMap::with_capacity(sources.len());
    for source in by_age {
        let (mut own, known) = running.of_gateway(source, diagnostics);
        if known {
            own.retain(|workload| {
                let port = (
                    workload.cluster.clone(),
                    workload.namespace.clone(),
                    workload.service.clone(),
                    workload.port,
                );
                let owner = *owners.entry(port).or_insert(source);
                let free = std::ptr::eq(owner, source);
                if !free {
                    diagnostics.push(port_taken(source, owner, workload));
                }
                free
            });
        }
        found.insert(source.metadata.id.clone(), (own, known));
    }
    found
}

fn port_taken(
    source: &VirtualGateway,
    owner: &VirtualGateway,
    workload: &GatewayWorkload,
) -> Diagnostic {
    let place = source
        .selectors
        .first()
        .map_or(source.metadata.span, |s| s.span);
    Diagnostic::at(
        Code::GatewayPortTaken,
        place,
        format!(
            "port `{}` of the gateway `{}/{}` is taken by `{}`",
            workload.port_name,
            workload.namespace,
            workload.service.as_deref().unwrap_or_default(),
            owner.metadata.id
        ),
    )
    .also(
        owner.metadata.span,
        "this one is older, or its name comes first",
    )
    .help("select the virtual hosts of both with one VirtualGateway, or use another port")
}

fn select(
    selector: &resource::ObjectSelector,
    gateway: &Metadata,
    candidates: &[Candidate<'_>],
    selected: &mut [bool],
    diagnostics: &mut Diagnostics,
) {
    let namespace = &gateway.id.namespace;
    if !selector::check(selector, diagnostics) {
        return;
    }
    let mut any = false;
    for (candidate, selected) in candidates.iter().zip(selected) {
        if selector::selects(selector, namespace, candidate.metadata) {
            any = true;
            *selected = true;
        }
    }
    if !any {
        diagnostics.push(empty_selection(selector, namespace, "virtual host"));
    }
}

/// The domains of one virtual host. Ones that are not valid or that repeat another one are reported.
fn domains(
    spec: &VirtualHostSpec,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Vec<(Domain, Span)> {
    if spec.domains.is_empty() && !has_error_inside(diagnostics, spec.span) {
        diagnostics.push(
            Diagnostic::at(
                Code::NoDomains,
                span,
                "a virtual host needs at least one domain",
            )
            .help("write `domains: [\"*\"]` for every host"),
        );
    }
    let mut domains: Vec<(Domain, Span)> = Vec::new();
    let mut places: HashMap<Domain, Span> = HashMap::new();
    for written in &spec.domains {
        match domain::parse(&written.value) {
            Ok(domain) => match places.entry(domain) {
                Entry::Occupied(first) => diagnostics.push(
                    Diagnostic::at(
                        Code::RedundantDomain,
                        written.span,
                        format!("`{}` is there twice", written.value),
                    )
                    .also(*first.get(), "first here"),
                ),
                Entry::Vacant(free) => {
                    domains.push((free.key().clone(), written.span));
                    free.insert(written.span);
                }
            },
            Err(reason) => {
                diagnostics.push(Diagnostic::at(Code::InvalidDomain, written.span, reason));
            }
        }
    }
    let wildcards: Vec<_> = domains
        .iter()
        .filter(|(domain, _)| domain.kind != DomainKind::Exact)
        .collect();
    for (narrow, span) in &domains {
        if let Some((wide, wide_span)) = wildcards
            .iter()
            .find(|(wide, _)| domain::covers(wide, narrow))
        {
            diagnostics.push(
                Diagnostic::at(
                    Code::RedundantDomain,
                    *span,
                    format!("`{narrow}` is covered by `{wide}` of the same host"),
                )
                .also(*wide_span, "covers it"),
            );
        }
    }
    domains
}

/// Groups domains by the virtual hosts behind them.
fn hosts(
    served: &[&Candidate<'_>],
    virtual_hosts: &[Arc<VirtualHost>],
    diagnostics: &mut Diagnostics,
) -> Vec<Host> {
    let mut owners: BTreeMap<&Domain, Vec<(usize, Span)>> = BTreeMap::new();
    for (at, candidate) in served.iter().enumerate() {
        for (domain, span) in &candidate.domains {
            owners.entry(domain).or_default().push((at, *span));
        }
    }
    let mut groups: BTreeMap<Vec<usize>, Vec<Domain>> = BTreeMap::new();
    for (domain, owners) in owners {
        if let [(first, first_span), rest @ ..] = owners.as_slice()
            && let Some((second, second_span)) = rest.first()
        {
            diagnostics.push(shared(
                domain,
                *first_span,
                *second_span,
                served[*second],
                "after",
            ));
            for (_, span) in rest {
                diagnostics.push(shared(domain, *span, *first_span, served[*first], "before"));
            }
        }
        groups
            .entry(owners.iter().map(|&(at, _)| at).collect())
            .or_default()
            .push(domain.clone());
    }
    groups
        .into_iter()
        .map(|(owners, domains)| Host {
            domains,
            virtual_hosts: owners
                .into_iter()
                .map(|at| virtual_hosts[served[at].virtual_host].clone())
                .collect(),
        })
        .collect()
}

fn shared(
    domain: &Domain,
    span: Span,
    other_span: Span,
    other: &Candidate<'_>,
    order: &str,
) -> Diagnostic {
    let name = &other.metadata.id;
    Diagnostic::at(
        Code::SharedDomain,
        span,
        format!("`{domain}` is also a domain of virtual host `{name}`, whose routes are tried {order} these"),
    )
    .also(other_span, format!("claimed by `{name}` too"))
}
