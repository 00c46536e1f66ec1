//! The published schema of the resources.

use crate::diagnostic::Diagnostics;
use crate::load::node::Node;

/// A kind of object.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
}

static KINDS: &[Kind] = &[
    Kind {
        name: "VirtualGateway",
        group: "networking.enterprise.mesh.gloo.solo.io",
    },
    Kind {
        name: "VirtualHost",
        group: "networking.enterprise.mesh.gloo.solo.io",
    },
    Kind {
        name: "RouteTable",
        group: "networking.enterprise.mesh.gloo.solo.io",
    },
    Kind {
        name: "VirtualDestination",
        group: "networking.enterprise.mesh.gloo.solo.io",
    },
    Kind {
        name: "Destination",
        group: "discovery.mesh.gloo.solo.io",
    },
    Kind {
        name: "Service",
        group: "",
    },
];

pub(crate) fn find(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    KINDS
        .iter()
        .find(|known| known.name == kind && known.group == group)
}

pub(crate) fn check(_node: &mut Node<'_>, _kind: &Kind, _diagnostics: &mut Diagnostics) {}
