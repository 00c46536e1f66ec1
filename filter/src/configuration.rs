//! The plugin configuration: where the routing program is in it, and what else there is.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshgate_engine::{FormatError, Program};
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use serde::Deserialize;

use crate::explain::{self, Token};
use crate::stats::Extra;

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
    /// The digest of the token is none.
    Token,
}

/// What a configuration says.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    /// `None` if there is nothing to route.
    pub(crate) program: Option<Program>,
    /// What is counted besides requests by virtual host.
    pub(crate) metrics: Vec<Extra>,
    /// With which token a request gets an explanation.
    pub(crate) explain: Option<Token>,
    /// Requests that no route is for go on as they came.
    pub(crate) pass_on: bool,
    /// The clusters that get a copy of a request follow its own in the header that names it.
    pub(crate) mirrors_in_header: bool,
}

/// The JSON form, for the channels that carry text only.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JsonConfiguration<'a> {
    #[serde(borrow)]
    program: Option<EncodedProgram<'a>>,
    #[serde(default)]
    metrics: Vec<Extra>,
    explain: Option<explain::Written>,
    #[serde(default)]
    pass_on: bool,
    #[serde(default)]
    mirrors_in_header: bool,
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

/// Reads a configuration, and verifies its program. A configuration without one leaves it to the program `packaged` with the
/// module, if any. It is a program as it is, or
/// `{"program":{"encoding":"base64","data":"…"}}`, with `zlib+base64` for one that is compressed, and perhaps settings
/// beside it; one that is empty, or blank, says nothing.
pub(crate) fn read(
    configuration: Vec<u8>,
    packaged: impl FnOnce() -> Option<Vec<u8>>,
) -> Result<Configuration, ConfigurationError> {
    // A program begins with neither a blank nor a brace.
    let Some(first) = configuration
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
    else {
        return Ok(Configuration {
            program: packaged().map(verified).transpose()?,
            ..Configuration::default()
        });
    };
    if *first != b'{' {
        return Ok(Configuration {
            program: Some(verified(configuration)?),
            ..Configuration::default()
        });
    }
    let json: JsonConfiguration<'_> =
        serde_json::from_slice(&configuration).map_err(ConfigurationError::Json)?;
    let token = |written: explain::Written| written.token().ok_or(ConfigurationError::Token);
    let program = match &json.program {
        Some(program) => Some(decoded(program)?),
        None => packaged(),
    };
    Ok(Configuration {
        explain: json.explain.map(token).transpose()?,
        metrics: json.metrics,
        pass_on: json.pass_on,
        mirrors_in_header: json.mirrors_in_header,
        program: program.map(verified).transpose()?,
    })
}

fn verified(bytes: Vec<u8>) -> Result<Program, ConfigurationError> {
    Program::new(bytes).map_err(ConfigurationError::Program)
}

fn decoded(program: &EncodedProgram<'_>) -> Result<Vec<u8>, ConfigurationError> {
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
            ConfigurationError::Token => write!(
                f,
                "`explain.tokenSha256` of the plugin configuration is no SHA-256: it has 64 hexadecimal digits"
            ),
        }
    }
}
