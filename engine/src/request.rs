//! A request as the engine sees it: bytes, borrowed, as they came.

use std::borrow::Cow;

/// The header fields of a request.
pub trait Headers {
    /// Name and value of each header field in order. Names are lower-case; a name may come several times.
    /// Pseudo headers (`:path`) may be among them.
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])>;
}

impl Headers for [(Vec<u8>, Vec<u8>)] {
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        <[_]>::iter(self).map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

/// One request. What is absent is empty.
#[derive(Debug)]
pub struct Request<'a, H: ?Sized> {
    /// Method, as sent.
    pub method: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// Host, with port if sent.
    pub authority: &'a [u8],
    /// Path with query.
    pub path: &'a [u8],
    /// Header fields.
    pub headers: &'a H,
}

impl<'a, H: ?Sized> Request<'a, H> {
    /// The path without query and fragment.
    pub fn path_only(&self) -> &'a [u8] {
        let end = memchr::memchr2(b'?', b'#', self.path).unwrap_or(self.path.len());
        self.path.get(..end).unwrap_or_default()
    }

    /// The value of a header field, by its lower-case name; those of one that comes several times joined with `,`.
    pub fn header(&self, name: &[u8]) -> Option<Cow<'a, [u8]>>
    where
        H: Headers,
    {
        let values = self.headers.iter().filter(|(field, _)| *field == name);
        values.fold(None, |joined: Option<Cow<'_, [u8]>>, (_, value)| {
            Some(match joined {
                None => Cow::Borrowed(value),
                Some(joined) => Cow::Owned([&*joined, b",", value].concat()),
            })
        })
    }

    /// What follows the `?`, without fragment; `None` without a `?`.
    pub fn query(&self) -> Option<&'a [u8]> {
        let whole = self.path.split(|&b| b == b'#').next().unwrap_or_default();
        let mark = whole.iter().position(|&b| b == b'?')?;
        whole.get(mark + 1..)
    }
}
