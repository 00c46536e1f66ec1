//! `mirror` and `mirrors`.

use super::super::value::{missing, port};
use super::super::{every, route};
use super::fault::percentage;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::resource::options::WrittenMirror;

/// Most mirrors of one route. The proxy needs a route for every choice among them.
const MOST_MIRRORS: usize = 4;

pub(super) fn mirror(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<WrittenMirror> {
    let percentage = percentage(node, diagnostics);
    let Some(service) = node.get("kubeService") else {
        if !node.faulty {
            diagnostics.push(missing(node.span, "kubeService", "`mirror`"));
        }
        return None;
    };
    let service = route::cluster_object_ref(service, diagnostics);
    let port = match node.get("port") {
        Some(written) => Some(port(written, diagnostics)?),
        None => None,
    };
    let mut service = service?;
    service.port = port;
    Some(WrittenMirror {
        service,
        percentage: percentage?,
    })
}

pub(super) fn mirrors(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<WrittenMirror>> {
    let list = node.list();
    if list.len() > MOST_MIRRORS {
        diagnostics.push(Diagnostic::at(
            Code::NumberOutOfRange,
            node.span,
            format!(
                "a route can have at most {MOST_MIRRORS} mirrors, but these are {}",
                list.len()
            ),
        ));
        return None;
    }
    every(list, |node| mirror(node, diagnostics))
}
