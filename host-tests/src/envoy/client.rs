//! A client for HTTP/1 that sends the bytes it is given, so that tests can send what a well-behaved client would not.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a test waits for bytes before it gives up.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Longest response head that is read.
const MAX_HEAD: usize = 1 << 20;

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Bytes that were read beyond the last response.
    buffer: Vec<u8>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Names, lower-case, and values, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Writes the head of a request: request line, headers, blank line.
pub fn request_head<'h>(
    method: &str,
    target: &[u8],
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Vec<u8> {
    let mut head = Vec::new();
    head.extend_from_slice(method.as_bytes());
    head.push(b' ');
    head.extend_from_slice(target);
    head.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Sends a request on a connection of its own.
///
/// # Errors
/// When the connection fails or what comes back is not an HTTP response.
pub fn send(address: SocketAddr, request: &[u8]) -> io::Result<Response> {
    Connection::open(address)?.send(request)
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Connection {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and reads the response. The connection can be used again unless the server closes it.
    ///
    /// # Errors
    /// When the connection fails or what comes back is not an HTTP response with a length.
    pub fn send(&mut self, request: &[u8]) -> io::Result<Response> {
        self.write(request)?;
        if request.starts_with(b"HEAD ") {
            self.read_head()
        } else {
            self.receive()
        }
    }

    /// Reads the response to a request that was written before, other than `HEAD`.
    ///
    /// # Errors
    /// When the connection fails or what comes back is not an HTTP response with a length.
    pub fn receive(&mut self) -> io::Result<Response> {
        let mut response = self.read_head()?;
        let bodiless = matches!(response.status, 100..=199 | 204 | 304);
        if !bodiless {
            response.body = self.read_body(&response)?;
        }
        Ok(response)
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads exactly `length` bytes.
    ///
    /// # Errors
    /// When the connection fails or ends before.
    pub fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn read_head(&mut self) -> io::Result<Response> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 256];
            let mut parsed = httparse::Response::new(&mut headers);
            match parsed.parse(&self.buffer).map_err(io::Error::other)? {
                httparse::Status::Complete(length) => {
                    let response = Response {
                        status: parsed.code.unwrap_or(0),
                        headers: parsed
                            .headers
                            .iter()
                            .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()))
                            .collect(),
                        body: Vec::new(),
                    };
                    self.buffer.drain(..length);
                    return Ok(response);
                }
                httparse::Status::Partial if self.buffer.len() > MAX_HEAD => {
                    return Err(io::Error::other("the response head is too long"));
                }
                httparse::Status::Partial => self.fill()?,
            }
        }
    }

    fn read_body(&mut self, response: &Response) -> io::Result<Vec<u8>> {
        if response.text("transfer-encoding") == Some("chunked") {
            return self.read_chunks();
        }
        let length = response
            .text("content-length")
            .and_then(|length| length.parse().ok())
            .ok_or_else(|| io::Error::other("the response does not tell its length"))?;
        self.read(length)
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = httparse::parse_chunk_size(&self.buffer)
                .map_err(|_| io::Error::other("the chunk does not tell its size"))?;
            let httparse::Status::Complete((start, size)) = size else {
                self.fill()?;
                continue;
            };
            let chunk = self.read(start + size as usize + b"\r\n".len())?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(chunk.get(start..start + size as usize).unwrap_or_default());
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        let length = self.stream.read(&mut chunk)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer
            .extend_from_slice(chunk.get(..length).unwrap_or_default());
        Ok(())
    }
}

impl Response {
    /// First value of a header, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(header_name, _)| header_name == name)?;
        str::from_utf8(value).ok()
    }
}
