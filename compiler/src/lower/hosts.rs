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
        let mut key = Vec::new();
        if let Some(port) = domain.port {
            self.names_ports = true;
            key.extend_from_slice(format!("{port}:").as_bytes());
        }
        match domain.kind {
            DomainKind::Any if domain.port.is_none() => self.any = Some(host),
            // `*:8443` is a suffix without text: at least one byte of host name follows the port.
            DomainKind::Suffix | DomainKind::Any => {
                key.extend(domain.text.bytes().rev());
                self.suffix.insert(key, host);
            }
            DomainKind::Exact => {
                key.extend_from_slice(domain.text.as_bytes());
                self.exact.insert(key, host);
            }
            DomainKind::Prefix => {
                key.extend_from_slice(domain.text.as_bytes());
                self.prefix.insert(key, host);
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
