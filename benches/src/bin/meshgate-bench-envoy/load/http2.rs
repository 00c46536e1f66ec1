//! HTTP/2, as little of it as it takes to ask for answers without a body and to see their status.
//!
//! A request is one HEADERS frame that was written beforehand; only its stream number changes. Both sides do without the
//! dynamic table of HPACK, so that frames can be sent and read in any order. A library for HTTP/2 takes nearly as much CPU
//! time for a request as Envoy (see `benches/ENVOY.md`), so that Envoy would have to wait for it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use meshgate_benches::OwnedRequest;

use super::{Connection, ROUTED};

/// How long an answer may take. The slowest lists of routes need seconds for all that has been sent.
const TIMEOUT: Duration = Duration::from_secs(60);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection.
#[derive(Debug)]
pub(super) struct Http2 {
    stream: TcpStream,
    /// Bytes that are about to be sent.
    output: Vec<u8>,
    /// Bytes that were received; those before `read` have been dealt with.
    input: Vec<u8>,
    read: usize,
    next_stream: u32,
    missing: usize,
}

/// A frame that was received.
#[derive(Debug, PartialEq, Eq)]
struct Frame<'a> {
    kind: u8,
    flags: u8,
    payload: &'a [u8],
}

impl Http2 {
    pub(super) fn open(address: SocketAddr) -> io::Result<Http2> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut hello = PREFACE.to_vec();
        // HEADER_TABLE_SIZE is 0, ENABLE_PUSH is 0.
        frame(
            SETTINGS,
            0,
            &[0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0],
            &mut hello,
        );
        stream.write_all(&hello)?;
        Ok(Http2 {
            stream,
            output: Vec::new(),
            input: Vec::new(),
            read: 0,
            next_stream: 1,
            missing: 0,
        })
    }

    /// Reads more. What has been dealt with is dropped first.
    fn fill(&mut self) -> io::Result<()> {
        self.input.drain(..self.read);
        self.read = 0;
        let length = self.input.len();
        self.input.resize(length + 16 * 1024, 0);
        let free = self.input.get_mut(length..).unwrap_or_default();
        let received = self.stream.read(free);
        self.input
            .truncate(length + received.as_ref().map_or(0, |received| *received));
        match received? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Connection for Http2 {
    fn send(&mut self, requests: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        for request in requests {
            let start = self.output.len();
            self.output.extend_from_slice(request);
            if let Some(number) = self.output.get_mut(start + 5..start + FRAME_HEADER) {
                number.copy_from_slice(&self.next_stream.to_be_bytes());
            }
            self.next_stream += 2;
            self.missing += 1;
        }
        self.stream.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }

    fn receive(&mut self) -> io::Result<(usize, Option<u16>)> {
        let mut other = None;
        let count = self.missing;
        while self.missing > 0 {
            let Some((frame, length)) =
                split_frame(self.input.get(self.read..).unwrap_or_default())
            else {
                self.fill()?;
                continue;
            };
            match frame.kind {
                HEADERS => {
                    let status = status(frame.payload).ok_or_else(|| {
                        io::Error::other("the status of an answer is none of the common ones")
                    })?;
                    if status != ROUTED {
                        other.get_or_insert(status);
                    }
                }
                SETTINGS | PING if frame.flags & ACK == 0 => {
                    let payload = if frame.kind == PING {
                        frame.payload
                    } else {
                        b""
                    };
                    self::frame(frame.kind, ACK, payload, &mut self.output);
                }
                DATA | SETTINGS | PING | WINDOW_UPDATE => {}
                kind => {
                    return Err(io::Error::other(format!(
                        "Envoy sent a frame of type {kind}"
                    )));
                }
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                self.missing -= 1;
            }
            self.read += length;
        }
        Ok((count, other))
    }
}

/// The first frame of the bytes, and its length with its header; none if it is not complete.
fn split_frame(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let (header, rest) = bytes.split_first_chunk::<FRAME_HEADER>()?;
    let &[a, b, c, kind, flags, ..] = header;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let payload = rest.get(..length)?;
    let frame = Frame {
        kind,
        flags,
        payload,
    };
    Some((frame, FRAME_HEADER + length))
}

/// The status at the beginning of a header block, if it is one of the statuses that HPACK has a number for.
fn status(block: &[u8]) -> Option<u16> {
    // The first block on a connection says how large the dynamic table may be.
    let is_size_update = |byte: &&u8| **byte & 0b1110_0000 == 0b0010_0000;
    let first = block.iter().find(|byte| !is_size_update(byte))?;
    Some(match first {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        _ => return None,
    })
}

/// Appends a frame of the stream 0.
fn frame(kind: u8, flags: u8, payload: &[u8], bytes: &mut Vec<u8>) {
    let [_, a, b, c] = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    bytes.extend_from_slice(&[a, b, c, kind, flags, 0, 0, 0, 0]);
    bytes.extend_from_slice(payload);
}

/// Appends a request. Its stream number is yet to be written.
pub(super) fn encode(request: &OwnedRequest, bytes: &mut Vec<u8>) {
    let request = request.borrow();
    // `:method: GET` and `:scheme: http` have numbers, as do the names of the other two.
    let mut block = vec![0x82, 0x86];
    block.push(0x04);
    string(request.path, &mut block);
    block.push(0x01);
    string(request.authority, &mut block);
    for (name, value) in request.headers {
        block.push(0x00);
        string(name, &mut block);
        string(value, &mut block);
    }
    frame(HEADERS, END_STREAM | END_HEADERS, &block, bytes);
}

/// Appends a string literal of HPACK.
fn string(text: &[u8], block: &mut Vec<u8>) {
    const LARGEST: usize = 127;
    if text.len() < LARGEST {
        block.push(text.len() as u8);
    } else {
        block.push(LARGEST as u8);
        let mut rest = text.len() - LARGEST;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshgate_benches::{Table, request};

    #[test]
    fn a_request_is_one_frame() {
        let mut bytes = Vec::new();
        encode(&request(Table::OneHeader, 7), &mut bytes);
        let (frame, length) = split_frame(&bytes).expect("the frame is complete");
        assert_eq!((frame.kind, frame.flags, length), (HEADERS, 5, bytes.len()));
        let start = b"\x82\x86\x04\x0a/some/path\x01\x0fwww.example.com\x00\x06accept\x03*/*";
        assert!(frame.payload.starts_with(start), "{frame:?}");
        assert!(frame.payload.ends_with(b"\x00\x08x-tenant\x08tenant-7"));
        for length in 0..bytes.len() {
            assert_eq!(split_frame(&bytes[..length]), None);
        }
    }

    #[test]
    fn long_strings_have_long_lengths() {
        for (length, encoded) in [
            (126, vec![126]),
            (127, vec![127, 0]),
            (254, vec![127, 127]),
            (255, vec![127, 128, 1]),
            // The example of RFC 7541, C.1.2, with a prefix of seven bits.
            (1337, vec![127, 0xba, 0x09]),
        ] {
            let mut block = Vec::new();
            string(&vec![b'x'; length], &mut block);
            assert_eq!(block.len(), encoded.len() + length);
            assert_eq!(block[..encoded.len()], encoded);
        }
    }

    #[test]
    fn the_status_comes_first() {
        assert_eq!(status(b"\x88\x61"), Some(200));
        assert_eq!(status(b"\x20\x8d"), Some(404));
        assert_eq!(status(b"\x48\x03503"), None);
        assert_eq!(status(b""), None);
    }
}
