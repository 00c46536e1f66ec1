//! Parameters in paths: what follows a `;`, up to the next slash. Some virtual hosts do not look at them.

use std::borrow::Cow;

/// A path (with or without query) without its parameters. Takes time by its length.
pub(crate) fn without(path: &[u8]) -> Cow<'_, [u8]> {
    let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
    let (path_only, query) = path.split_at(end);
    if memchr::memchr(b';', path_only).is_none() {
        return Cow::Borrowed(path);
    }
    let kept = positions(path_only).filter_map(|at| path_only.get(at).copied());
    Cow::Owned(kept.chain(query.iter().copied()).collect())
}

/// How many bytes of a path hold the first `len` bytes that it has without its parameters.
pub(crate) fn len_with(path: &[u8], len: usize) -> usize {
    match len.checked_sub(1) {
        Some(last) => positions(path).nth(last).map_or(path.len(), |at| at + 1),
        None => 0,
    }
}

/// Where the bytes are that do not belong to parameters.
fn positions(path: &[u8]) -> impl Iterator<Item = usize> {
    let mut is_parameter = false;
    path.iter().enumerate().filter_map(move |(at, byte)| {
        is_parameter = match byte {
            b'/' => false,
            b';' => true,
            _ => is_parameter,
        };
        (!is_parameter).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_end_at_a_slash() {
        for (path, expected) in [
            ("/a/b", "/a/b"),
            ("/a;x=1/b;y;z", "/a/b"),
            ("/;x", "/"),
            ("/a;?q=;1/;", "/a?q=;1/;"),
            (";/a", "/a"),
            ("", ""),
        ] {
            assert_eq!(*without(path.as_bytes()), *expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn lengths_are_those_before_the_next_parameter() {
        let path = b"/a;x/b;y/c";
        for (len, expected) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 5),
            (4, 6),
            (5, 9),
            (6, 10),
            (7, 10),
        ] {
            assert_eq!(len_with(path, len), expected, "{len}");
        }
    }
}
