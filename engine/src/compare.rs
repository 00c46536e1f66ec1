//! Comparison of short texts by words. The general routine is a call that costs more than what it does here, most of all
//! in wasm, where it goes byte by byte.

/// Whether both are the same.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        // The last word overlaps the one before it.
        8.. => {
            let (words, _) = a.as_chunks::<8>();
            let (other_words, _) = b.as_chunks::<8>();
            a.last_chunk::<8>() == b.last_chunk()
                && words
                    .iter()
                    .zip(other_words)
                    .all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        }
        4.. => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        _ => a.iter().zip(b).all(|(a, b)| a == b),
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn every_byte_counts() {
        for len in 0..40 {
            let text: Vec<u8> = (0..len).collect();
            assert!(same(&text, &text.clone()), "{len}");
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!same(&text, &other), "{len}, {at}");
            }
            assert!(!same(&text, &[text.as_slice(), b"x"].concat()));
        }
    }
}
