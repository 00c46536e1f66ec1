//! The plugin configuration of the filter, as channels for text carry it.

use base64::prelude::{BASE64_STANDARD, Engine};
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde_json::{Value, json};

/// Level of compression: the best that does not take much longer for a few per cent.
const LEVEL: u8 = 8;

/// Largest program that the filter decompresses, in bytes.
const MAX_DECOMPRESSED: usize = 64 << 20;

/// The configuration for a program, which is compressed if that makes it smaller by a tenth or more.
pub fn encode(program: &[u8]) -> Value {
    let compressed = compress_to_vec_zlib(program, LEVEL);
    let (encoding, bytes) = match compressed.len() * 10 <= program.len() * 9 {
        true => ("zlib+base64", compressed.as_slice()),
        false => ("base64", program),
    };
    json!({ "program": { "encoding": encoding, "data": BASE64_STANDARD.encode(bytes) } })
}

/// The program in a configuration, not verified.
///
/// # Errors
/// Says what the filter would not take.
pub fn decode(configuration: &Value) -> Result<Vec<u8>, String> {
    let program = &configuration["program"];
    let data = program["data"]
        .as_str()
        .ok_or("there is no `program.data` in it")?;
    let bytes = BASE64_STANDARD
        .decode(data)
        .map_err(|error| format!("`program.data` is not base64: {error}"))?;
    match program["encoding"].as_str() {
        Some("base64") => Ok(bytes),
        Some("zlib+base64") => decompress_to_vec_zlib_with_limit(&bytes, MAX_DECOMPRESSED)
            .map_err(|error| format!("`program.data` cannot be decompressed: {error}")),
        other => Err(format!(
            "`program.encoding` is {}: it must be `base64` or `zlib+base64`",
            other.map_or("absent".to_owned(), |other| format!("`{other}`"))
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let random: Vec<u8> = (0..999_u32).map(|n| ((n * n) >> 3) as u8).collect();
        for (program, encoding) in [
            (vec![7; 1000], "zlib+base64"),
            (vec![1, 2, 3], "base64"),
            (random, "base64"),
        ] {
            let configuration = encode(&program);
            assert_eq!(configuration["program"]["encoding"], encoding);
            assert_eq!(decode(&configuration), Ok(program));
        }
    }

    #[test]
    fn what_the_filter_refuses_is_refused() {
        let bomb = compress_to_vec_zlib(&vec![0; MAX_DECOMPRESSED + 1], LEVEL);
        for (encoding, data, reason) in [
            ("base64", "*".to_owned(), "not base64"),
            (
                "zlib+base64",
                "aGFsbG8=".to_owned(),
                "cannot be decompressed",
            ),
            (
                "zlib+base64",
                BASE64_STANDARD.encode(bomb),
                "cannot be decompressed",
            ),
            ("gzip", String::new(), "`program.encoding` is `gzip`"),
        ] {
            let configuration = json!({ "program": { "encoding": encoding, "data": data } });
            let error = decode(&configuration).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(decode(&json!({})).is_err());
    }
}
