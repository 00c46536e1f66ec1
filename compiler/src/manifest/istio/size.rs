//! Objects against what Kubernetes takes.

use super::{Manifests, Wave};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// Above this size of the object, in bytes, plain `kubectl apply` fails, since it keeps a copy in an annotation of at most
/// this size.
const APPLY_LIMIT: usize = 256 * 1024;

/// Above this size it is time to think of another way: half of what etcd takes, for a configuration that grows.
const SOFT_LIMIT: usize = 700 * 1024;

/// Above this size the object does not fit into etcd, which takes 1.5 MiB; the rest is for what Kubernetes adds.
pub(super) const HARD_LIMIT: usize = 1_400_000;

/// What there is to say of an object's size: code, message and help. `smaller` is the way to a smaller one.
pub(super) fn finding(object: &str, size: usize, smaller: &str) -> Option<(Code, String, String)> {
    let has = format!("{object} has {size} bytes, and");
    if size > HARD_LIMIT {
        Some((
            Code::ObjectTooLarge,
            format!("{has} Kubernetes takes {HARD_LIMIT}"),
            smaller.to_owned(),
        ))
    } else if size > SOFT_LIMIT {
        Some((
            Code::LargeObject,
            format!("{has} Kubernetes takes no more than {HARD_LIMIT}"),
            format!("{smaller}; until then apply it with `kubectl apply --server-side`"),
        ))
    } else if size > APPLY_LIMIT {
        Some((
            Code::LargeObject,
            format!("{has} plain `kubectl apply` takes {APPLY_LIMIT}"),
            "apply it with `kubectl apply --server-side`".to_owned(),
        ))
    } else {
        None
    }
}

/// Reports objects that are too large, but for those with programs: they have a way out of their own.
pub(super) fn check(manifests: &mut Manifests) {
    let others = manifests.list.iter();
    for manifest in others.filter(|one| one.wave != Wave::Program) {
        let object = format!(
            "{} `{}/{}`",
            manifest.kind, manifest.namespace, manifest.name
        );
        let smaller = "spread the virtual gateways over several gateways; a VirtualService with a route for every \
                       destination is not needed without `--attach stable`";
        let size = manifest.object.to_string().len();
        if let Some((code, message, help)) = finding(&object, size, smaller) {
            let found = Diagnostic::global(code, message).help(help);
            manifests.diagnostics.push(found);
        }
    }
}
