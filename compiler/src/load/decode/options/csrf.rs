//! `csrf`.

use super::super::{every, matcher};
use super::fault::percentage;
use crate::diagnostic::Diagnostics;
use crate::load::node::Node;
use crate::policy::{Csrf, CsrfMode};

pub(in super::super) fn csrf(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Csrf> {
    let origins = every(node.list_at("additionalOrigins"), |node| {
        matcher::text_match(node, diagnostics)
    });
    let percentage = percentage(node, diagnostics);
    let mode = match (node.flag("filterEnabled"), node.flag("shadowEnabled")) {
        (true, _) => CsrfMode::Enforce,
        (false, true) => CsrfMode::Shadow,
        (false, false) => CsrfMode::Off,
    };
    Some(Csrf {
        mode,
        percentage: percentage?,
        origins: origins?,
    })
}
