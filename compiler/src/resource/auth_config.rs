//! AuthConfig, and Secrets with API keys.

use std::collections::BTreeMap;

use super::{Metadata, ObjectName};

/// An AuthConfig: checks that a request has to pass, all of them.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Its metadata.
    pub metadata: Metadata,
    /// `configs`.
    pub checks: Vec<AuthCheck>,
}

/// One of `configs`.
#[derive(Clone, Debug)]
pub enum AuthCheck {
    /// `basicAuth`.
    Basic {
        /// What the client is told to ask its user for.
        realm: String,
        /// Who may pass.
        users: Vec<BasicUser>,
    },
    /// `apiKeyAuth`.
    ApiKey {
        /// The header, lower-case.
        header: String,
        /// Labels of the Secrets that hold the keys; empty = none are selected by label.
        labels: BTreeMap<String, String>,
        /// Secrets that hold keys, by name.
        secrets: Vec<ObjectName>,
    },
    /// What cannot be checked here.
    Unsupported,
}

/// A user of `basicAuth`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BasicUser {
    /// Name.
    pub name: String,
    /// What comes before the password when it is hashed.
    pub salt: String,
    /// SHA-256 of salt and password.
    pub hash: Vec<u8>,
}

/// A Secret with an API key.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its metadata.
    pub metadata: Metadata,
    /// SHA-256 of the key.
    pub hash: Vec<u8>,
}
