//! Services by name.

use std::collections::BTreeMap;

use crate::resource::{Resources, Service};

/// Services of the clusters, of plain manifests and of discovery, by namespace and name.
#[derive(Debug)]
pub(in crate::resolve) struct Services<'r>(BTreeMap<(&'r str, &'r str), Vec<&'r Service>>);

impl<'r> Services<'r> {
    /// Indexes the input.
    pub(in crate::resolve) fn new(resources: &'r Resources) -> Self {
        let mut services: BTreeMap<(&str, &str), Vec<&Service>> = BTreeMap::new();
        let discovered = resources
            .destinations
            .iter()
            .filter_map(|destination| destination.kube.as_ref());
        for service in resources.services.iter().chain(discovered) {
            services
                .entry((&service.namespace, &service.name))
                .or_default()
                .push(service);
        }
        for candidates in services.values_mut() {
            candidates.sort_by_key(|service| (&service.cluster, service.span));
        }
        Self(services)
    }

    /// The namespaces that have a service of a name, in order.
    pub(super) fn namespaces(&self, name: &str) -> impl Iterator<Item = &'r str> {
        let names = self.0.keys();
        names
            .filter(move |(_, other)| *other == name)
            .map(|(namespace, _)| *namespace)
    }

    /// The service in a cluster; plain manifests stand for every cluster.
    pub(in crate::resolve) fn find(
        &self,
        namespace: &str,
        name: &str,
        cluster: Option<&str>,
    ) -> Option<&'r Service> {
        let candidates = self.0.get(&(namespace, name))?;
        let in_cluster =
            |service: &&&Service| cluster.is_none() || service.cluster.as_deref() == cluster;
        candidates
            .iter()
            .find(in_cluster)
            .or_else(|| candidates.iter().find(|service| service.cluster.is_none()))
            .copied()
    }
}
