//! The wire form of headers: a count, the lengths of every name and value, then names and values, each ended by a zero
//! byte. Numbers are little-endian `u32`.

use std::slice;

use meshgate_engine::{Headers, Request};

use super::control::ControlHeaders;
use super::words::equal;

/// The headers of a request, in the bytes in which the host delivered them.
#[derive(Debug)]
pub(crate) struct HeaderPairs {
    bytes: Vec<u8>,
}

impl HeaderPairs {
    /// Wraps serialised pairs. Of damaged ones, those before the damage count.
    pub(crate) fn new(bytes: Vec<u8>) -> HeaderPairs {
        HeaderPairs { bytes }
    }

    /// Finds the parts of the request that are not ordinary headers, and the control headers that the client sent.
    pub(crate) fn request(&self) -> (Request<'_, HeaderPairs>, ControlHeaders) {
        let mut request = Request {
            method: b"",
            scheme: b"",
            authority: b"",
            path: b"",
            headers: self,
        };
        let mut control = ControlHeaders::default();
        for (name, value) in self.iter() {
            match name.first() {
                Some(b':') if equal(name, b":method") => request.method = value,
                Some(b':') if equal(name, b":scheme") => request.scheme = value,
                Some(b':') if equal(name, b":authority") => request.authority = value,
                Some(b':') if equal(name, b":path") => request.path = value,
                Some(b'x') => control.note(name),
                _ => {}
            }
        }
        (request, control)
    }
}

impl Headers for HeaderPairs {
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        Pairs::new(&self.bytes)
    }
}

struct Pairs<'a> {
    /// Length of the name, then of the value, for each header that is left.
    lengths: slice::Iter<'a, [u8; 8]>,
    data: &'a [u8],
}

impl<'a> Pairs<'a> {
    fn new(bytes: &'a [u8]) -> Pairs<'a> {
        let parts = bytes.split_first_chunk::<4>().and_then(|(count, rest)| {
            let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
            rest.split_at_checked(count.checked_mul(8)?)
        });
        let (lengths, data) = parts.unwrap_or_default();
        Pairs {
            lengths: lengths.as_chunks().0.iter(),
            data,
        }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let lengths = u64::from_le_bytes(*self.lengths.next()?);
        let name = take_terminated(&mut self.data, lengths as u32)?;
        let value = take_terminated(&mut self.data, (lengths >> 32) as u32)?;
        Some((name, value))
    }
}

#[inline]
fn take_terminated<'a>(data: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    let (bytes, rest) = data.split_at_checked(usize::try_from(length).ok()?)?;
    let (_, rest) = rest.split_first()?;
    *data = rest;
    Some(bytes)
}

/// Appends headers in their wire form.
pub(crate) fn encode_pairs(pairs: &[(&[u8], &[u8])], out: &mut Vec<u8>) {
    let number = |number| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let size = pairs
        .iter()
        .map(|(name, value)| 10 + name.len() + value.len());
    out.reserve(4 + size.sum::<usize>());
    out.extend_from_slice(&number(pairs.len()));
    for (name, value) in pairs {
        out.extend_from_slice(&number(name.len()));
        out.extend_from_slice(&number(value.len()));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(text);
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(name: &[u8], value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_pairs(&[(name, value)], &mut bytes);
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = HeaderPairs::new(bytes.to_vec());
        pairs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect()
    }

    #[test]
    fn a_pair_is_read_as_it_was_written() {
        let bytes = encoded(b"location", b"/\xff");
        assert_eq!(read(&bytes), [(b"location".to_vec(), b"/\xff".to_vec())]);
    }

    #[test]
    fn damaged_pairs_are_no_pairs() {
        let bytes = encoded(b"name", b"value");
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_empty(), "cut to {length} bytes");
        }
        for count in [2, u32::MAX] {
            let mut bytes = bytes.clone();
            bytes[..4].copy_from_slice(&count.to_le_bytes());
            assert!(read(&bytes).is_empty(), "said to be {count} pairs");
        }
        let mut long = bytes.clone();
        long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&long).is_empty(), "a name beyond the end");
    }
}
