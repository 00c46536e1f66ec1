//! What a gateway sets for all routes that leave it open: the outermost level of options.

use std::collections::HashMap;
use std::sync::Arc;

use crate::options::Options;
use crate::rare::Empty as _;
use crate::tree::{Delegation, Entry, SharedRoutes, VirtualHost};

/// The virtual hosts that a gateway serves, with its defaults; others as they are. What is shared stays shared.
pub(super) fn with_defaults(
    virtual_hosts: &[Arc<VirtualHost>],
    is_served: impl Fn(usize) -> bool,
    defaults: &Options,
) -> Vec<Arc<VirtualHost>> {
    if defaults.is_empty() {
        return virtual_hosts.to_vec();
    }
    let mut known = HashMap::new();
    virtual_hosts
        .iter()
        .enumerate()
        .map(|(at, host)| {
            if !is_served(at) {
                return Arc::clone(host);
            }
            Arc::new(VirtualHost {
                name: host.name.clone(),
                routes: entries(&host.routes, defaults, &mut known),
                ignore_path_parameters: host.ignore_path_parameters,
                span: host.span,
            })
        })
        .collect()
}

fn entries(
    list: &[Entry],
    defaults: &Options,
    known: &mut HashMap<*const SharedRoutes, Arc<SharedRoutes>>,
) -> Vec<Entry> {
    let mut changed = Vec::with_capacity(list.len());
    for entry in list {
        changed.push(match entry {
            Entry::Route(route) => {
                let mut route = route.as_ref().clone();
                route.options = route.options.inherit(defaults).into();
                Entry::Route(Arc::new(route))
            }
            Entry::Delegation(delegation) => {
                let shared = match known.get(&Arc::as_ptr(&delegation.shared)) {
                    Some(shared) => Arc::clone(shared),
                    None => {
                        let shared = Arc::new(SharedRoutes {
                            entries: entries(&delegation.shared.entries, defaults, known),
                            options: delegation.shared.options.inherit(defaults).into(),
                        });
                        known.insert(Arc::as_ptr(&delegation.shared), Arc::clone(&shared));
                        shared
                    }
                };
                Entry::Delegation(Box::new(Delegation {
                    options: delegation.options.inherit(defaults).into(),
                    shared,
                    ..delegation.as_ref().clone()
                }))
            }
        });
    }
    changed
}
