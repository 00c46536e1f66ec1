//! One form for the paths that mean the same: what is done to the path of a request before it is matched and forwarded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What is done to paths. A path that is in its form stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalization {
    /// `.` and `..` are resolved, with parameters too (`..;x`), `\` becomes `/`, letters, digits and `-._~` are not encoded, and a `%` that encodes nothing
    /// is.
    pub resolve: bool,
    /// Slashes in a row become one, after that.
    pub merge_slashes: bool,
    /// `%2F` and `%5C` are `/` and `\`, before that.
    pub decode_slashes: bool,
}

impl Normalization {
    /// Whether paths stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The normal form of a path with query; `None` if it has that form. What does not begin with `/` is no path, and the
    /// query is not looked at. Takes time by the length of the path.
    pub fn apply(self, whole: &[u8]) -> Option<Vec<u8>> {
        if self.is_none() || !whole.starts_with(b"/") {
            return None;
        }
        let end = memchr::memchr2(b'?', b'#', whole).unwrap_or(whole.len());
        let (path, query) = whole.split_at(end);
        if is_plain(path) {
            return None;
        }
        let mut out = Cow::Borrowed(path);
        if self.resolve || self.decode_slashes {
            out = Cow::Owned(self.decoded(&out));
        }
        if self.resolve {
            out = Cow::Owned(resolved(&out));
        }
        if self.merge_slashes {
            out.to_mut()
                .dedup_by(|next, before| *next == b'/' && *before == b'/');
        }
        if *out == *path {
            return None;
        }
        let mut out = out.into_owned();
        out.extend_from_slice(query);
        Some(out)
    }

    /// Without the encodings that are not to be there.
    fn decoded(self, path: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(path.len());
        let mut rest = path;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            let encoded = match byte {
                b'%' => after.split_first_chunk().and_then(|([high, low], after)| {
                    let byte = 16 * hex(*high)? + hex(*low)?;
                    Some((byte, after))
                }),
                _ => None,
            };
            match encoded {
                Some((byte, after)) if self.decodes(byte) => {
                    rest = after;
                    self.push(byte, &mut out);
                }
                // What is decoded behind it must not make an encoding of it.
                None if byte == b'%' && self.resolve => out.extend_from_slice(b"%25"),
                _ => self.push(byte, &mut out),
            }
        }
        out
    }

    fn decodes(self, byte: u8) -> bool {
        match byte {
            b'/' | b'\\' => self.decode_slashes,
            b'-' | b'.' | b'_' | b'~' => self.resolve,
            _ => self.resolve && byte.is_ascii_alphanumeric(),
        }
    }

    fn push(self, byte: u8, out: &mut Vec<u8>) {
        out.push(match byte {
            b'\\' if self.resolve => b'/',
            byte => byte,
        });
    }
}

/// Whether there is nothing in a path that any rule is about.
fn is_plain(path: &[u8]) -> bool {
    memchr::memchr2(b'%', b'\\', path).is_none()
        && !path
            .windows(2)
            .any(|pair| matches!(pair, [b'/', b'/' | b'.']))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// A path without `.` and `..` between its slashes. Above the root there is only the root.
fn resolved(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        // Servers that know parameters take `..;x` for `..`.
        let name_end = memchr::memchr(b';', segment).unwrap_or(segment.len());
        match segment.split_at(name_end).0 {
            name @ (b"." | b"..") => {
                if name == b".." {
                    let parent = memchr::memrchr(b'/', &out).unwrap_or(0);
                    out.truncate(parent);
                }
                if is_last {
                    out.push(b'/');
                }
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(rules: [bool; 3], path: &str) -> Option<String> {
        let [resolve, merge_slashes, decode_slashes] = rules;
        let rules = Normalization {
            resolve,
            merge_slashes,
            decode_slashes,
        };
        let normal = rules.apply(path.as_bytes())?;
        assert_eq!(rules.apply(&normal), None, "{path} is normal after that");
        Some(String::from_utf8(normal).expect("it is text"))
    }

    const RESOLVE: [bool; 3] = [true, false, false];
    const MERGE: [bool; 3] = [false, true, false];
    const DECODE: [bool; 3] = [false, false, true];
    const ALL: [bool; 3] = [true; 3];

    #[test]
    fn paths_get_their_form() {
        for (rules, path, expected) in [
            (RESOLVE, "/a/./b", "/a/b"),
            (RESOLVE, "/a/../b", "/b"),
            (RESOLVE, "/a/b/..", "/a/"),
            (RESOLVE, "/a/.", "/a/"),
            (RESOLVE, "/a/..;x=1/b", "/b"),
            (RESOLVE, "/a/.;/b/%2e%2e;", "/a/"),
            (RESOLVE, "/..", "/"),
            (RESOLVE, "/../../a", "/a"),
            (RESOLVE, "/a//../b", "/a/b"),
            (RESOLVE, "/a/%2e%2E/b", "/b"),
            (RESOLVE, "/a/.%2e/b?x=/../y", "/b?x=/../y"),
            (RESOLVE, "/a\\..\\b", "/b"),
            (RESOLVE, "/%61%7E%2d/%2f", "/a~-/%2f"),
            (RESOLVE, "/%%32F", "/%252F"),
            (RESOLVE, "/100%", "/100%25"),
            (RESOLVE, "/%2%46", "/%252F"),
            (MERGE, "//a///b//", "/a/b/"),
            (MERGE, "/a//../b", "/a/../b"),
            (DECODE, "/a%2fb%5Cc%2e", "/a/b\\c%2e"),
            (DECODE, "/%%2f", "/%/"),
            (ALL, "/%2Fapp%5cadmin%5Cabc", "/app/admin/abc"),
            (
                ALL,
                "/%5Capp%2f%5c%2F%2e%2e%2fadmin%5c\\abc",
                "/app/admin/abc",
            ),
            (ALL, "/a/..%2f..%2Fb", "/b"),
        ] {
            assert_eq!(apply(rules, path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn others_stay() {
        for (rules, path) in [
            ([false; 3], "//a/../b"),
            (ALL, "/"),
            (ALL, "/a/b?c=//../%2F"),
            (ALL, "/.a/..b/c./.../..a;b/.%3B"),
            (ALL, "*"),
            (ALL, ""),
            (ALL, "/%C3%A9%252e"),
            (RESOLVE, "//a%2F"),
            (MERGE, "/a/../%2F\\"),
            (DECODE, "/a//../%2e"),
        ] {
            assert_eq!(apply(rules, path), None, "{path}");
        }
    }
}
