//! The wire form of headers: a count, the lengths of every name and value, then names and values, each ended by a zero
//! byte. Numbers are little-endian `u32`.

use meshgate_engine::{Headers, Request};

use super::control::ControlHeaders;

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
            match name {
                b":method" => request.method = value,
                b":scheme" => request.scheme = value,
                b":authority" => request.authority = value,
                b":path" => request.path = value,
                _ => control.note(name),
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
    lengths: &'a [u8],
    data: &'a [u8],
}

impl<'a> Pairs<'a> {
    fn new(bytes: &'a [u8]) -> Pairs<'a> {
        let parts = split_number(bytes)
            .and_then(|(count, rest)| rest.split_at_checked(count.checked_mul(8)?));
        let (lengths, data) = parts.unwrap_or_default();
        Pairs { lengths, data }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (name_length, rest) = split_number(self.lengths)?;
        let (value_length, rest) = split_number(rest)?;
        self.lengths = rest;
        let name = take_terminated(&mut self.data, name_length)?;
        let value = take_terminated(&mut self.data, value_length)?;
        Some((name, value))
    }
}

fn split_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn take_terminated<'a>(data: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = data.split_at_checked(length)?;
    let (_, rest) = rest.split_first()?;
    *data = rest;
    Some(bytes)
}

/// Serialises a single header.
pub(crate) fn encode_pair(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(14 + name.len() + value.len());
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&length(name));
    bytes.extend_from_slice(&length(value));
    for text in [name, value] {
        bytes.extend_from_slice(text);
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = HeaderPairs::new(bytes.to_vec());
        pairs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect()
    }

    #[test]
    fn a_pair_is_read_as_it_was_written() {
        let bytes = encode_pair(b"location", b"/\xff");
        assert_eq!(read(&bytes), [(b"location".to_vec(), b"/\xff".to_vec())]);
    }

    #[test]
    fn damaged_pairs_are_no_pairs() {
        let bytes = encode_pair(b"name", b"value");
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
