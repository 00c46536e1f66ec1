//! Whatever the host delivers as headers, the filter reads it to its end and no further.

use meshgate_engine::Headers;

/// The files of the filter that need no host, compiled for this machine. The filter as a whole is wasm only.
#[path = "../../../filter/src"]
#[allow(dead_code, reason = "the rest of the filter uses more of them")]
mod filter {
    pub(crate) mod control;
    pub(crate) mod headers;
    pub(crate) mod words;
}

use filter::headers::{HeaderPairs, encode_pairs};

pub fn run(data: &[u8]) {
    read(data);
    let at = data.iter().position(|byte| *byte == 0);
    let (name, value) = data.split_at(at.unwrap_or(data.len() / 2));
    let encoded = encoded(name, value);
    read(&encoded);
    let pairs = HeaderPairs::new(encoded);
    let read: Vec<_> = pairs.iter().collect();
    assert_eq!(read, [(name, value)], "a pair is read as it was written");
}

fn encoded(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut pair = Vec::new();
    encode_pairs(&[(name, value)], &mut pair);
    pair
}

fn read(data: &[u8]) {
    let pairs = HeaderPairs::new(data.to_vec());
    let (request, control) = pairs.request();
    let read: usize = pairs
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    assert!(read <= data.len(), "more is read than there is");
    let count = pairs.iter().count();
    assert!(count <= data.len() / 8, "each pair has its lengths");
    for name in control.names() {
        let sent = pairs.iter().any(|(sent, _)| sent == name);
        assert!(sent, "`{}` was not sent", String::from_utf8_lossy(name));
    }
    let parts = [
        request.method,
        request.scheme,
        request.authority,
        request.path,
    ];
    let longest = parts.iter().map(|part| part.len()).max();
    assert!(longest <= Some(read), "no part is longer than all headers");
}

/// The headers of a request as the proxy delivers them, and one header.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let headers: [(&[u8], &[u8]); 8] = [
        (b":authority", b"example.com:8443"),
        (b":path", b"/a?q=1"),
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b"x-envoy-max-retries", b"3"),
        (b"x-meshgate-cluster", b"c"),
        (b"accept", b""),
        (b"x-a", b"\xff"),
    ];
    let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
    let mut all = (headers.len() as u32).to_le_bytes().to_vec();
    for (name, value) in headers {
        all.extend_from_slice(&length(name));
        all.extend_from_slice(&length(value));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        all.extend_from_slice(text);
        all.push(0);
    }
    vec![all, encoded(b"location", b"/")]
}
