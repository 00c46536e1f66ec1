//! Compiled configurations that answer requests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use meshgate_compiler::answer::Answer;
use meshgate_compiler::compile::{CompileOptions, compile};
use meshgate_compiler::diagnostic::{Diagnostics, Severity};
use meshgate_compiler::render;
use meshgate_compiler::resolve::{DestinationPolicies, Settings};
use meshgate_compiler::resource::Resources;
use meshgate_compiler::route::{GatewayChoice, Request, choose_gateway, evaluate, find_gateway};
use meshgate_compiler::source::SourceMap;
use meshgate_compiler::tree::Tree;
use meshgate_engine::Program;

use crate::input::{self, Inventories};
use crate::output::{self, Failure};
use crate::requests::Query;

/// Answers requests; compiles once for every cluster that they name.
pub(crate) struct Router {
    pub(crate) sources: SourceMap,
    /// Whether something was left out of the first cluster's.
    pub(crate) has_errors: bool,
    cluster: Option<String>,
    /// The first cluster's.
    pub(crate) target: Target,
    others: HashMap<String, Target>,
}

/// A compiled configuration, ready to be asked.
pub(crate) struct Target {
    pub(crate) tree: Tree,
    pub(crate) program: Program,
    resources: Resources,
}

impl Router {
    /// Compiles the resources and shows their errors.
    pub(crate) fn new(
        paths: &[PathBuf],
        inventories: &Inventories,
        cluster: Option<&str>,
    ) -> Result<Self, Failure> {
        let (sources, mut diagnostics) = input::read(paths, inventories);
        let cluster = cluster.map(str::to_owned);
        let target = Target::compile(&sources, cluster.as_deref(), &mut diagnostics);
        let mut errors = Diagnostics::default();
        diagnostics
            .list()
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .for_each(|error| errors.push(error.clone()));
        output::tell(&render::lines(&errors, &sources));
        input::all_readable(&errors)?;
        let target = target.map_err(Failure::failed)?;
        Ok(Self {
            has_errors: errors.has_errors(),
            sources,
            cluster,
            target,
            others: HashMap::new(),
        })
    }

    pub(crate) fn answer(&mut self, query: &Query) -> Result<(GatewayChoice, Answer), String> {
        let target = match &query.cluster {
            Some(cluster) if Some(cluster) != self.cluster.as_ref() => {
                match self.others.entry(cluster.clone()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        // The findings are those that were shown for the first cluster.
                        new.insert(Target::compile(
                            &self.sources,
                            Some(cluster),
                            &mut Diagnostics::default(),
                        )?)
                    }
                }
            }
            _ => &self.target,
        };
        let choice = target.choose(query.gateway.as_deref(), &query.request)?;
        let Target { tree, program, .. } = target;
        Ok((
            choice,
            evaluate(program, tree, choice.index, &query.request),
        ))
    }
}

impl Target {
    pub(crate) fn compile(
        sources: &SourceMap,
        cluster: Option<&str>,
        diagnostics: &mut Diagnostics,
    ) -> Result<Self, String> {
        let options = CompileOptions {
            cluster: cluster.map(str::to_owned),
            ..CompileOptions::default()
        };
        let compiled = compile(sources, &options, diagnostics);
        let program = compiled
            .program
            .ok_or("there is nothing to ask: the input has no usable VirtualGateway")?;
        let program = Program::new(program)
            .map_err(|error| format!("the compiled program is refused: {error}"))?;
        Ok(Self {
            tree: compiled.tree,
            program,
            resources: compiled.resources,
        })
    }

    /// What TrafficPolicies say about the destination that was chosen.
    pub(crate) fn settings(&self, answer: &Answer) -> Settings<'_> {
        let chosen = answer.destination.as_ref().map(|chosen| &chosen.cluster);
        let mut destinations = self.tree.destinations();
        let chosen = destinations.find(|destination| Some(&destination.cluster) == chosen);
        let Some(chosen) = chosen else {
            return Settings::default();
        };
        DestinationPolicies::new(&self.resources).of(&self.tree, chosen)
    }

    /// The gateway of a name, else the first one that has a domain for the request's host.
    pub(crate) fn choose(
        &self,
        gateway: Option<&str>,
        request: &Request,
    ) -> Result<GatewayChoice, String> {
        Ok(match gateway {
            Some(name) => GatewayChoice {
                index: find_gateway(&self.tree, name)?,
                others: 0,
            },
            None => choose_gateway(&self.tree, request),
        })
    }
}
