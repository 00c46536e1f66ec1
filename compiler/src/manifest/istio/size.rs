//! Objects against what Kubernetes takes.

use super::{Manifests, Wave};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// Above this size of the object, in bytes, plain `kubectl apply` fails, since it keeps a copy in an annotation of at most
/// this size.
pub(super) const APPLY_LIMIT: usize = 256 * 1024;

/// Above this size it is time to think of another way: half of what etcd takes, for a configuration that grows.
pub(super) const SOFT_LIMIT: usize = 700 * 1024;

/// Above this size the object does not fit into etcd, which takes 1.5 MiB; the rest is for what Kubernetes adds.
pub(super) const HARD_LIMIT: usize = 1_400_000;

/// Reports objects that are too large, but for those with programs: their size has a way out of its own.
pub(super) fn check(manifests: &mut Manifests) {
    let others = manifests
        .list
        .iter()
        .filter(|one| one.wave != Wave::Program);
    for manifest in others {
        let size = manifest.object.to_string().len();
        let object = format!(
            "{} `{}/{}` has {size} bytes",
            manifest.kind, manifest.namespace, manifest.name
        );
        let found = if size > HARD_LIMIT {
            let message = format!("{object}, and Kubernetes takes {HARD_LIMIT}");
            let help = "spread the virtual gateways over several gateways; a VirtualService with a route for every \
                        destination is not needed without `--attach stable`";
            Diagnostic::global(Code::ObjectTooLarge, message).help(help)
        } else if size > APPLY_LIMIT {
            let message = format!("{object}, and plain `kubectl apply` takes {APPLY_LIMIT}");
            Diagnostic::global(Code::LargeObject, message)
                .help("apply it with `kubectl apply --server-side`")
        } else {
            continue;
        };
        manifests.diagnostics.push(found);
    }
}
