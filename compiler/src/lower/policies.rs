//! The policies of routes, each set of them stored once.

use std::sync::Arc;

use meshgate_engine as engine;
use meshgate_engine::policy::{Policies, TextKind};
use meshgate_engine::write::Writer;

use super::actions::{Interner, milliseconds};
use super::conditions::{Conditions, Failure};
use crate::options::Options;
use crate::policy::{Cors, Csrf, CsrfMode, Fault, FaultKind, TextMatch};
use crate::resource::PathKind;
use crate::tree::Destination;

/// The table in the making.
#[derive(Default)]
pub(super) struct PolicyTable {
    policies: Interner<Policies>,
}

impl PolicyTable {
    /// The policies among the options of a route; `None` if there are none.
    pub(super) fn intern(
        &mut self,
        options: &Options,
        conditions: &mut Conditions,
        writer: &mut Writer,
        mut destination: impl FnMut(&Arc<Destination>) -> u32,
    ) -> Result<Option<u32>, Failure> {
        let mut lower = Lower { conditions, writer };
        let policies = Policies {
            fault: options.fault.as_ref().map(|fault| self::fault(fault)),
            cors: options
                .cors
                .as_ref()
                .map(|cors| lower.cors(cors))
                .transpose()?,
            csrf: options
                .csrf
                .as_ref()
                .filter(|csrf| csrf.mode != CsrfMode::Off)
                .map(|csrf| lower.csrf(csrf))
                .transpose()?,
            mirrors: (options.mirrors.iter().flat_map(|mirrors| mirrors.iter()))
                .map(|mirror| engine::policy::Mirror {
                    destination: destination(&mirror.destination),
                    percentage: engine::policy::Percentage(mirror.percentage.0),
                })
                .collect(),
        };
        Ok((policies != Policies::default()).then(|| self.policies.intern(policies)))
    }

    pub(super) fn into_list(self) -> Vec<Policies> {
        self.policies.into_list()
    }
}

fn fault(fault: &Fault) -> engine::policy::Fault {
    engine::policy::Fault {
        kind: match fault.kind {
            FaultKind::Delay(delay) => engine::policy::FaultKind::Delay(milliseconds(delay)),
            FaultKind::Abort(status) => engine::policy::FaultKind::Abort(status),
        },
        percentage: engine::policy::Percentage(fault.percentage.0),
    }
}

struct Lower<'a> {
    conditions: &'a mut Conditions,
    writer: &'a mut Writer,
}

impl Lower<'_> {
    fn cors(&mut self, cors: &Cors) -> Result<engine::policy::Cors, Failure> {
        Ok(engine::policy::Cors {
            origins: self.texts(&cors.origins)?,
            methods: cors.methods.join(","),
            headers: cors.headers.join(","),
            expose: cors.expose.join(","),
            max_age: cors.max_age.map(|max_age| max_age.as_secs()),
            credentials: cors.credentials,
        })
    }

    fn csrf(&mut self, csrf: &Csrf) -> Result<engine::policy::Csrf, Failure> {
        Ok(engine::policy::Csrf {
            enforce: csrf.mode == CsrfMode::Enforce,
            percentage: engine::policy::Percentage(csrf.percentage.0),
            origins: self.texts(&csrf.origins)?,
        })
    }

    fn texts(&mut self, texts: &[TextMatch]) -> Result<Vec<engine::policy::TextMatch>, Failure> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    fn text(&mut self, text: &TextMatch) -> Result<engine::policy::TextMatch, Failure> {
        let value = || text.value.clone();
        let kind = match text.kind {
            PathKind::Exact => TextKind::Exact(value()),
            PathKind::Prefix => TextKind::Prefix(value()),
            PathKind::Suffix => TextKind::Suffix(value()),
            PathKind::Regex => {
                TextKind::Automaton(self.conditions.whole(&text.value, self.writer)?)
            }
        };
        Ok(engine::policy::TextMatch {
            kind,
            ignore_case: text.ignore_case,
        })
    }
}
