//! How a gateway listens: settings that belong to the proxy, not to routing.

use crate::source::Spanned;

/// Settings of the listener of a VirtualGateway.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// `options.bindAddress`.
    pub bind: Option<String>,
    /// `options.perConnectionBufferLimitBytes`.
    pub buffer_limit: Option<u32>,
    /// `connectionOptions.enableProxyProtocol`.
    pub proxy_protocol: bool,
    /// `connectionMatch.serverNames`.
    pub server_names: Vec<String>,
    /// `connectionOptions.sslConfig`.
    pub tls: Option<Tls>,
    /// Keys of the settings that are written and have an effect only in a mesh.
    pub written: Vec<Spanned<&'static str>>,
}

impl Listener {
    /// Whether connections use TLS and are not decrypted.
    pub(crate) fn passes_tls_on(&self) -> bool {
        let mode = self.tls.as_ref().map(|tls| tls.mode.as_str());
        matches!(mode, Some("PASSTHROUGH" | "AUTO_PASSTHROUGH"))
    }
}

/// `connectionOptions.sslConfig`. Names of modes and versions are as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// `tlsMode`; `PASSTHROUGH` when absent.
    pub mode: String,
    /// `secretName`.
    pub secret: Option<String>,
    /// `sslFiles`.
    pub files: Option<TlsFiles>,
    /// `verifySubjectAltName`.
    pub subject_alt_names: Vec<String>,
    /// `parameters.minimumProtocolVersion`.
    pub minimum_version: Option<String>,
    /// `parameters.maximumProtocolVersion`.
    pub maximum_version: Option<String>,
    /// `parameters.cipherSuites`.
    pub cipher_suites: Vec<String>,
}

/// Certificates in files of the gateway's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// `tlsCert`.
    pub certificate: Option<String>,
    /// `tlsKey`.
    pub key: Option<String>,
    /// `rootCa`.
    pub authority: Option<String>,
}
