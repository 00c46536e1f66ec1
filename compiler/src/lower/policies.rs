//! The policies of routes, each set of them stored once.

mod external;

use std::collections::BTreeMap;
use std::sync::Arc;

use meshgate_engine as engine;
use meshgate_engine::Key;
use meshgate_engine::policy::{CredentialCheck, Policies, TextKind};
use meshgate_engine::write::Writer;

use super::actions::{Interner, milliseconds};
use super::conditions::{Conditions, Failure};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::options::Options;
use crate::policy::access::{
    Authorization, AuthorizationRule, ClaimMatch, Jwt, JwtIssuer, SameHeader,
};
use crate::policy::external::Extauth;
use crate::policy::{Cors, Csrf, CsrfMode, Fault, FaultKind, TextMatch};
use crate::resource::{ObjectName, PathKind};
use crate::tree::{Destination, RouteName};

pub(super) use external::services;

/// The table in the making.
#[derive(Default)]
pub(super) struct PolicyTable {
    policies: Interner<Policies>,
    keys: Interner<Key>,
    buckets: external::Buckets,
}

impl PolicyTable {
    /// The policies among the options of a route; `None` if there are none.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that policies refer to"
    )]
    pub(super) fn intern(
        &mut self,
        options: &Options,
        route: &RouteName,
        auth_configs: &BTreeMap<ObjectName, Vec<CredentialCheck>>,
        diagnostics: &mut Diagnostics,
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
            jwt: options
                .jwt
                .as_ref()
                .map(|jwt| self::jwt(jwt, &mut self.keys)),
            credentials: credentials(options, auth_configs, diagnostics),
            authorization: options
                .authorization
                .as_ref()
                .map(|authorization| lower.authorization(authorization))
                .transpose()?,
            auth: options
                .extauth
                .as_ref()
                .and_then(|extauth| external::auth(extauth)),
            rate_limit: match &options.rate_limit {
                Some(limit) => Some(lower.rate_limit(limit, route, &mut self.buckets)?),
                None => None,
            },
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

    /// The policies, and the keys that they refer to.
    pub(super) fn into_lists(self) -> (Vec<Policies>, Vec<Key>) {
        (self.policies.into_list(), self.keys.into_list())
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

/// The checks of the AuthConfig that a route refers to. One that is not there lets nobody pass.
fn credentials(
    options: &Options,
    auth_configs: &BTreeMap<ObjectName, Vec<CredentialCheck>>,
    diagnostics: &mut Diagnostics,
) -> Vec<CredentialCheck> {
    let Some(extauth) = &options.extauth else {
        return Vec::new();
    };
    let Extauth::Config(name) = &*extauth.value else {
        return Vec::new();
    };
    if let Some(checks) = auth_configs.get(name) {
        return checks.clone();
    }
    let is_known = |known: &Diagnostic| {
        let label = known.primary.as_ref();
        known.code == Code::MissingAuthConfig
            && label.is_some_and(|label| label.span == extauth.span)
    };
    if !diagnostics.list().iter().any(is_known) {
        let message = format!("there is no AuthConfig `{name}`: all requests are refused");
        diagnostics.push(Diagnostic::at(
            Code::MissingAuthConfig,
            extauth.span,
            message,
        ));
    }
    vec![CredentialCheck::Impossible]
}

fn jwt(jwt: &Jwt, keys: &mut Interner<Key>) -> engine::policy::Jwt {
    let issuer = |issuer: &JwtIssuer| engine::policy::Issuer {
        name: issuer.issuer.clone(),
        audiences: issuer.audiences.clone(),
        keys: issuer
            .keys
            .iter()
            .map(|key| keys.intern(key.clone()))
            .collect(),
    };
    engine::policy::Jwt {
        issuers: jwt.issuers.iter().map(issuer).collect(),
        header: jwt.header.clone(),
        prefix: jwt.prefix.clone(),
        parameter: jwt.parameter.clone(),
        claim_headers: jwt.claim_headers.clone(),
        forward: jwt.forward,
        allow_missing: jwt.allow_missing,
        clock_skew: jwt.clock_skew,
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

    fn authorization(
        &mut self,
        authorization: &Authorization,
    ) -> Result<engine::policy::Authorization, Failure> {
        let mut lowered = engine::policy::Authorization {
            trusted_hops: authorization.trusted_hops,
            ..engine::policy::Authorization::default()
        };
        for rule in &authorization.rules {
            let list = match rule.denies {
                true => &mut lowered.deny,
                false => &mut lowered.allow,
            };
            list.push(self.rule(rule)?);
        }
        Ok(lowered)
    }

    fn rule(&mut self, rule: &AuthorizationRule) -> Result<engine::policy::Rule, Failure> {
        let header = |header: &SameHeader| {
            let predicate = self.conditions.header(&header.0, self.writer)?;
            Ok(self.writer.write_predicate(predicate)?)
        };
        let predicates = rule
            .headers
            .iter()
            .map(header)
            .collect::<Result<_, Failure>>()?;
        let claim = |claim: &ClaimMatch| {
            Ok(engine::policy::ClaimMatch {
                path: claim.path.clone(),
                values: self.texts(&claim.values)?,
            })
        };
        let claims = rule
            .claims
            .iter()
            .map(claim)
            .collect::<Result<_, Failure>>()?;
        // It becomes part of one word of an access log.
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '[' | ']');
        let name = rule.name.chars().map(|c| if is_plain(c) { c } else { '_' });
        Ok(engine::policy::Rule {
            name: name.collect(),
            sources: rule.sources.clone(),
            not_sources: rule.not_sources.clone(),
            identities: self.texts(&rule.identities)?,
            claims,
            methods: rule.methods.clone(),
            paths: self.texts(&rule.paths)?,
            predicates,
            server_names: self.texts(&rule.server_names)?,
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
