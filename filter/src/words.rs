//! Comparing memory by words: what the language offers compares a byte at a time in WebAssembly.

/// Whether two texts are equal. Meant for a constant `b`, whose words then are constants too.
#[inline]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && (chunks_equal::<8>(a, b).or_else(|| chunks_equal::<4>(a, b))).unwrap_or_else(|| a == b)
}

/// Whether a text begins with a word.
#[inline]
pub(crate) fn starts_with(text: &[u8], word: [u8; 8]) -> bool {
    text.first_chunk() == Some(&word)
}

/// Compares texts of equal length; `None` if they are shorter than a chunk.
#[inline]
fn chunks_equal<const N: usize>(a: &[u8], b: &[u8]) -> Option<bool> {
    // The last chunk overlaps the one before it, unless the length is a multiple.
    let ends = (a.last_chunk::<N>()?, b.last_chunk::<N>()?);
    let (whole, other) = (a.as_chunks::<N>().0, b.as_chunks::<N>().0);
    Some(ends.0 == ends.1 && whole.iter().zip(other).all(|(a, b)| a == b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_lengths() {
        let text = b"abcdefghijklmnopqrstuvwxyz";
        for length in 0..text.len() {
            let a = &text[..length];
            assert!(equal(a, a), "{length}");
            assert!(!equal(a, &text[..length + 1]), "{length}");
            for at in 0..length {
                let mut b = a.to_vec();
                b[at] = b'.';
                assert!(!equal(a, &b), "{length}, at {at}");
            }
        }
    }

    #[test]
    fn beginnings() {
        assert!(starts_with(b"x-envoy-", *b"x-envoy-"));
        assert!(starts_with(b"x-envoy-a", *b"x-envoy-"));
        assert!(!starts_with(b"x-envoy", *b"x-envoy-"));
        assert!(!starts_with(b"x-envoyx", *b"x-envoy-"));
        assert!(!starts_with(b"", *b"x-envoy-"));
    }
}
