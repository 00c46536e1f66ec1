//! AuthConfigs: from what they refer to, to checks.

use std::collections::BTreeMap;

use meshgate_engine::policy::{CredentialCheck, User};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::auth_config::{AuthCheck, AuthConfig};
use crate::resource::{ObjectName, Resources};

/// The checks of each AuthConfig.
pub(super) fn resolve(
    resources: &Resources,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<ObjectName, Vec<CredentialCheck>> {
    let checks = |config: &AuthConfig, diagnostics: &mut Diagnostics| {
        let checks = config.checks.iter();
        checks
            .map(|check| self::check(config, check, resources, diagnostics))
            .collect()
    };
    let configs = resources.auth_configs.iter();
    configs
        .map(|config| (config.metadata.id.clone(), checks(config, diagnostics)))
        .collect()
}

fn check(
    config: &AuthConfig,
    check: &AuthCheck,
    resources: &Resources,
    diagnostics: &mut Diagnostics,
) -> CredentialCheck {
    match check {
        AuthCheck::Basic { realm, users } => CredentialCheck::Basic {
            realm: realm.clone(),
            users: users
                .iter()
                .map(|user| User {
                    name: user.name.clone(),
                    salt: user.salt.clone(),
                    hash: user.hash.clone(),
                })
                .collect(),
        },
        AuthCheck::ApiKey {
            header,
            labels,
            secrets,
        } => {
            let selected = resources.secrets.iter().filter(|secret| {
                let has = |(name, value): (&String, &String)| {
                    secret.metadata.labels.get(name) == Some(value)
                };
                secrets.contains(&secret.metadata.id)
                    || !labels.is_empty() && labels.iter().all(has)
            });
            let mut hashes: Vec<&[u8]> = selected.map(|secret| secret.hash.as_slice()).collect();
            hashes.sort_unstable();
            hashes.dedup();
            if hashes.is_empty() {
                diagnostics.push(
                    Diagnostic::at(
                        Code::NoApiKeys,
                        config.metadata.span,
                        format!("no Secret has an API key for `{}`: nobody passes", config.metadata.id),
                    )
                    .help("add Secrets with the labels it selects, and the key as `api-key` in `data`"),
                );
            }
            CredentialCheck::ApiKey {
                header: header.clone(),
                hashes: hashes.concat(),
            }
        }
        AuthCheck::Unsupported => CredentialCheck::Impossible,
    }
}
