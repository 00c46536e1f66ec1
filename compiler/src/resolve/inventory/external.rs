//! Services that a gateway asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Inventory, full_name, numbers};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{ClusterObjectRef, ObjectName, ObjectRef, Service, ServicePort};
use crate::source::{Span, Spanned};
use crate::tree;

/// What is looked for.
pub(in crate::resolve) struct Wanted<'r> {
    /// What the gateway names.
    pub(in crate::resolve) reference: Option<&'r ObjectRef>,
    /// The Service that is meant otherwise, in whatever namespace.
    pub(in crate::resolve) default: &'static str,
    /// First words of names of ports, and protocols, that speak what is needed.
    pub(in crate::resolve) protocols: &'static [&'static str],
    /// Namespace of the gateway.
    pub(in crate::resolve) namespace: &'r str,
    /// Where the service is asked for.
    pub(in crate::resolve) span: Span,
}

impl<'r> Inventory<'r> {
    /// Finds a service that a gateway asks, and its port. `None` after an error.
    pub(in crate::resolve) fn external(
        &mut self,
        wanted: &Wanted<'r>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<tree::Destination>> {
        let name = match wanted.reference {
            Some(reference) => full_name(reference, wanted.namespace),
            None => self.named(wanted.default, wanted.namespace),
        };
        let span = wanted.reference.map_or(wanted.span, |target| target.span);
        if let Some(service) = self
            .services
            .find(&name.namespace, &name.name, self.cluster)
        {
            let port = port(service, &name, wanted, span, diagnostics)?;
            let spanned = |text: String| Spanned::new(text, span);
            let reference = ClusterObjectRef {
                name: spanned(name.name),
                namespace: Some(spanned(name.namespace)),
                cluster: None,
                subset: BTreeMap::new(),
                port: Some(Spanned::new(port, span)),
                span,
            };
            let destination = self.kube_service(&reference, wanted.namespace, diagnostics);
            return destination.map(Arc::new);
        }
        if let Some(target) = wanted.reference
            && self.destinations.contains_key(&name)
        {
            let destination = self.static_destination(target, wanted.namespace, diagnostics);
            return destination.map(Arc::new);
        }
        let message = match wanted.reference {
            Some(_) => format!("there is no Service and no Destination `{name}`"),
            None => format!("there is no Service `{}` in any namespace", wanted.default),
        };
        diagnostics.push(
            Diagnostic::at(Code::UnknownService, span, message)
                .help("pass its manifest as well: it says which port to ask at"),
        );
        None
    }

    /// The Service of a name in whatever namespace, the own one first.
    fn named(&self, name: &str, own: &str) -> ObjectName {
        let mut elsewhere = self.services.namespaces(name);
        let namespace = match self.services.find(own, name, None) {
            Some(_) => own,
            None => elsewhere.next().unwrap_or(own),
        };
        ObjectName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// The only port that says it speaks the protocol, or the only port.
fn port(
    service: &Service,
    name: &ObjectName,
    wanted: &Wanted<'_>,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Option<u16> {
    let speaks = |port: &&ServicePort| {
        let by_name = port.name.split('-').next().unwrap_or_default();
        let is = |protocol: &&str| {
            by_name.eq_ignore_ascii_case(protocol) || port.protocol.eq_ignore_ascii_case(protocol)
        };
        wanted.protocols.iter().any(is)
    };
    let mut speaking = service.ports.iter().filter(speaks);
    match (speaking.next(), speaking.next(), service.ports.as_slice()) {
        (Some(port), None, _) | (None, _, [port]) => return Some(port.number),
        _ => {}
    }
    diagnostics.push(
        Diagnostic::at(
            Code::AmbiguousPort,
            span,
            format!(
                "service `{name}` has the ports {}, and it is not clear which one to ask at",
                numbers(&service.ports)
            ),
        )
        .also(service.span, "declared here")
        .help(format!("name one port `{}`", wanted.protocols[0])),
    );
    None
}
