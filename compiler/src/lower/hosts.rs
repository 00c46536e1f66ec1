//! Domains as keys of the host index.

use std::collections::BTreeMap;

use meshgate_engine::write::Hosts;

use crate::tree::{Domain, DomainKind};

/// Collects the domains of one gateway, in an order that does not depend on the input's.
#[derive(Default)]
pub(super) struct Collector {
    exact: BTreeMap<Vec<u8>, u32>,
    suffix: BTreeMap<Vec<u8>, u32>,
    prefix: BTreeMap<Vec<u8>, u32>,
    any: Option<u32>,
    names_ports: bool,
}

impl Collector {
    pub(super) fn any(&mut self, host: u32) {
        self.any = Some(host);
    }

    pub(super) fn add(&mut self, domain: &Domain, host: u32) {
        let Domain { kind, text, port } = domain;
        self.names_ports |= port.is_some();
        let with_port = || port.map_or_else(|| text.clone(), |port| format!("{text}:{port}"));
        match kind {
            DomainKind::Any if port.is_none() => self.any = Some(host),
            // `*:8443` is a suffix like any other: at least one byte of host name comes before it.
            DomainKind::Suffix | DomainKind::Any => {
                self.suffix
                    .insert(with_port().bytes().rev().collect(), host);
            }
            DomainKind::Exact => {
                self.exact.insert(with_port().into_bytes(), host);
            }
            DomainKind::Prefix => {
                let key = port.map_or_else(|| text.clone(), |port| format!("{port}:{text}"));
                self.prefix.insert(key.into_bytes(), host);
            }
        }
    }

    pub(super) fn into_hosts(self) -> Hosts {
        Hosts {
            exact: self.exact.into_iter().collect(),
            suffix: self.suffix.into_iter().collect(),
            prefix: self.prefix.into_iter().collect(),
            any: self.any,
            names_ports: self.names_ports,
        }
    }
}
