//! Names of objects.

use sha2::{Digest, Sha256};

/// Longest name that is a DNS label, which Istio wants of a Gateway.
const MAX: usize = 63;

/// Joins parts to one name that is a DNS label. Different parts have different names: where joining alone would not do,
/// the name ends with a hash.
pub(super) fn join(parts: &[&str]) -> String {
    let plain = |part: &&str| {
        !part.is_empty()
            && !part.contains("--")
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let joined = parts.join("--");
    if parts.iter().all(plain) && joined.len() <= MAX {
        return joined;
    }
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hash: String = hash
        .finalize()
        .iter()
        .take(5)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let readable: String = joined
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
            _ => '-',
        })
        .take(MAX - 1 - hash.len())
        .collect();
    let readable = readable.trim_matches('-');
    if readable.is_empty() {
        return format!("x-{hash}");
    }
    format!("{readable}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn names_are_labels_and_differ() {
        assert_eq!(join(&["ingress", "shop", "web"]), "ingress--shop--web");
        let long = "x".repeat(80);
        for parts in [
            &["a.b", "c"][..],
            &["a--b", "c"],
            &["a", "b--c"],
            &[&long],
            &["", ""],
        ] {
            let name = join(parts);
            assert!(
                name.len() <= 63 && !name.ends_with('-') && !name.contains('.'),
                "{name}"
            );
        }
        assert_ne!(join(&["a--b", "c"]), join(&["a", "b--c"]));
        assert_ne!(join(&["a.b"]), join(&["a-b"]));
    }
}
