//! The plugin configuration: where the routing program is in it.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshgate_engine::{FormatError, Program};
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use serde::Deserialize;

/// Why a configuration was refused.
#[derive(Debug)]
pub(crate) enum ConfigurationError {
    /// It looks like JSON, but is not what it should be.
    Json(serde_json::Error),
    /// The text of the program is not base64.
    Base64(base64::DecodeError),
    /// The program cannot be decompressed.
    Compression(&'static str),
    /// The program does not verify.
    Program(FormatError),
}

/// The JSON form, for the channels that carry text only.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonConfiguration<'a> {
    #[serde(borrow)]
    program: EncodedProgram<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedProgram<'a> {
    encoding: Encoding,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

#[derive(Deserialize)]
enum Encoding {
    #[serde(rename = "base64")]
    Base64,
    #[serde(rename = "zlib+base64")]
    ZlibBase64,
}

/// Largest program that is decompressed, in bytes. What a channel for text can carry expands to less, unless it is meant
/// to exhaust the memory.
const MAX_DECOMPRESSED: usize = 64 * 1024 * 1024;

/// Finds and verifies the program. A configuration without one leaves it to the program `packaged` with the module, if any.
/// A configuration is a program as it is, or
/// `{"program":{"encoding":"base64","data":"…"}}`, with `zlib+base64` for one that is compressed; one that is empty, or
/// blank, holds none.
pub(crate) fn program(
    configuration: Vec<u8>,
    packaged: impl FnOnce() -> Option<Vec<u8>>,
) -> Result<Option<Program>, ConfigurationError> {
    // A program begins with neither a blank nor a brace.
    let Some(first) = configuration
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
    else {
        return packaged().map(verified).transpose();
    };
    verified(if *first == b'{' {
        decoded(&configuration)?
    } else {
        configuration
    })
    .map(Some)
}

fn verified(bytes: Vec<u8>) -> Result<Program, ConfigurationError> {
    Program::new(bytes).map_err(ConfigurationError::Program)
}

fn decoded(json: &[u8]) -> Result<Vec<u8>, ConfigurationError> {
    let configuration: JsonConfiguration<'_> =
        serde_json::from_slice(json).map_err(ConfigurationError::Json)?;
    let program = configuration.program;
    let bytes = STANDARD
        .decode(program.data.as_bytes())
        .map_err(ConfigurationError::Base64)?;
    match program.encoding {
        Encoding::Base64 => Ok(bytes),
        Encoding::ZlibBase64 => decompress_to_vec_zlib_with_limit(&bytes, MAX_DECOMPRESSED)
            .map_err(|error| match error.status {
                TINFLStatus::HasMoreOutput => {
                    ConfigurationError::Compression("it is larger than 64 MiB")
                }
                _ => ConfigurationError::Compression("it is not zlib data, or not all of it"),
            }),
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigurationError::Json(error) => write!(
                f,
                "the plugin configuration is neither a routing program nor \
                 `{{\"program\":{{\"encoding\":\"base64\",\"data\":\"…\"}}}}`: {error}"
            ),
            ConfigurationError::Base64(error) => {
                write!(
                    f,
                    "`program.data` of the plugin configuration is not base64: {error}"
                )
            }
            ConfigurationError::Compression(reason) => write!(
                f,
                "`program.data` of the plugin configuration cannot be decompressed: {reason}"
            ),
            ConfigurationError::Program(error) => write!(f, "{error}"),
        }
    }
}
