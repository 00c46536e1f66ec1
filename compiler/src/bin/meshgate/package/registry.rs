//! Sending an image to a registry, by the OCI distribution API.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use meshgate_compiler::package::{Blob, Image};
use serde::Deserialize;
use ureq::http::{Request, Response, Uri, header};
use ureq::{Agent, Body};

/// How long one answer of the registry may take, an upload included.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The one registry whose name is not its address.
const DOCKER_HUB: &str = "docker.io";

/// Where an image goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Host, perhaps with a port.
    registry: String,
    repository: String,
    pub(crate) tag: String,
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "`{text}` is no place for an image: expected REGISTRY/REPOSITORY:TAG, such as `registry.example.com/gateways/east:7`"
            )
        };
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let (registry, rest) = text.split_once('/').ok_or_else(expected)?;
        let (repository, tag) = rest.rsplit_once(':').ok_or_else(expected)?;
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        };
        let is_tag = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let is_host = registry == "localhost" || registry.contains(['.', ':']);
        let is_legal = is_host
            && registry.parse::<ureq::http::uri::Authority>().is_ok()
            && !registry.contains('@')
            && repository.split('/').all(is_name)
            && (1..=128).contains(&tag.len())
            && tag.bytes().all(is_tag);
        match is_legal {
            true => Ok(Self {
                registry: registry.to_owned(),
                repository: repository.to_owned(),
                tag: tag.to_owned(),
            }),
            false => Err(expected()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl Reference {
    /// The address of the registry. One on this machine has no certificate.
    fn base(&self) -> String {
        let host = match self.registry.as_str() {
            DOCKER_HUB => "registry-1.docker.io",
            host => host,
        };
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let scheme = match name {
            "localhost" | "127.0.0.1" | "[::1]" => "http",
            _ => "https",
        };
        format!("{scheme}://{host}")
    }

    /// The name under which `docker login` keeps the credentials.
    fn login(&self) -> &str {
        match self.registry.as_str() {
            DOCKER_HUB => "https://index.docker.io/v1/",
            host => host,
        }
    }
}

/// Sends an image to a registry.
///
/// # Errors
/// Says what the registry refused, and how.
pub(crate) fn push(image: &Image, reference: &Reference) -> Result<(), String> {
    let agent = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build()
        .new_agent();
    let mut registry = Registry {
        agent,
        reference,
        authorization: None,
    };
    for blob in [&image.layer, &image.config] {
        registry
            .push_blob(blob)
            .map_err(|error| format!("cannot push to `{reference}`: {error}"))?;
    }
    registry
        .push_manifest(&image.manifest)
        .map_err(|error| format!("cannot push to `{reference}`: {error}"))
}

struct Registry<'r> {
    agent: Agent,
    reference: &'r Reference,
    /// What the registry wants to be shown with every request.
    authorization: Option<String>,
}

/// The answer of a service that hands out tokens.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry<'_> {
    fn push_blob(&mut self, blob: &Blob) -> Result<(), String> {
        let known = self.send("HEAD", &self.url(&format!("blobs/{}", blob.digest)), None)?;
        if known.status() == 200 {
            return Ok(());
        }
        let begun = self.send("POST", &self.url("blobs/uploads/"), None)?;
        let begun = expect(begun, 202, "an upload")?;
        let place = begun.headers().get(header::LOCATION);
        let place = place
            .and_then(|place| place.to_str().ok())
            .ok_or("the registry does not say where to upload to")?;
        let place = match place.starts_with('/') {
            true => format!("{}{place}", self.reference.base()),
            false => place.to_owned(),
        };
        self.is_ours(&place)?;
        let separator = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{separator}digest={}", blob.digest);
        let media_type = "application/octet-stream";
        let done = self.send("PUT", &url, Some((media_type, &blob.bytes)))?;
        expect(done, 201, "a blob").map(drop)
    }

    fn push_manifest(&mut self, manifest: &Blob) -> Result<(), String> {
        let url = self.url(&format!("manifests/{}", self.reference.tag));
        let body = (manifest.media_type, manifest.bytes.as_slice());
        let done = self.send("PUT", &url, Some(body))?;
        expect(done, 201, "the manifest").map(drop)
    }

    fn url(&self, path: &str) -> String {
        let Reference { repository, .. } = self.reference;
        format!("{}/v2/{repository}/{path}", self.reference.base())
    }

    /// Credentials are shown to the registry alone, wherever it would like the upload to go.
    fn is_ours(&self, url: &str) -> Result<(), String> {
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("`{url}` is no URL: {error}"))?;
        let authority = uri.authority().map(|authority| authority.as_str());
        let scheme = uri.scheme_str().unwrap_or_default();
        let base = self.reference.base();
        if authority.is_some_and(|host| base == format!("{scheme}://{host}")) {
            return Ok(());
        }
        Err(format!(
            "the registry wants the upload at `{url}`, which is another host"
        ))
    }

    /// Sends a request; once more with credentials, if the registry asks for them.
    fn send(
        &mut self,
        method: &str,
        url: &str,
        body: Option<(&str, &[u8])>,
    ) -> Result<Response<Body>, String> {
        let response = self.try_send(method, url, body)?;
        if response.status() != 401 {
            return Ok(response);
        }
        let challenges: Vec<String> = response
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect();
        self.authorization = Some(self.authorize(&challenges.join(", "))?);
        self.try_send(method, url, body)
    }

    fn try_send(
        &self,
        method: &str,
        url: &str,
        body: Option<(&str, &[u8])>,
    ) -> Result<Response<Body>, String> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let failed = |error: &dyn fmt::Display| format!("{method} `{url}`: {error}");
        match body {
            Some((media_type, bytes)) => {
                let request = request.header(header::CONTENT_TYPE, media_type).body(bytes);
                let request = request.map_err(|error| failed(&error))?;
                self.agent.run(request).map_err(|error| failed(&error))
            }
            None => {
                let request = request.body(()).map_err(|error| failed(&error))?;
                self.agent.run(request).map_err(|error| failed(&error))
            }
        }
    }

    /// What to show to a registry that wants what `challenges` say.
    fn authorize(&self, challenges: &str) -> Result<String, String> {
        let parsed = http_auth::parse_challenges(challenges).map_err(|_| {
            format!("the registry asks for credentials as nobody does: {challenges}")
        })?;
        let find = |scheme: &str| {
            let mut parsed = parsed.iter();
            parsed.find(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme))
        };
        let credential = self.credential()?;
        let Some(bearer) = find("bearer") else {
            return match (find("basic"), credential) {
                (Some(_), Some(DockerCredential::UsernamePassword(name, password))) => {
                    Ok(basic(&name, &password))
                }
                (Some(_), _) => Err(format!(
                    "the registry wants a name and a password: run `docker login {}`",
                    self.reference.registry
                )),
                (None, _) => Err(format!(
                    "the registry asks for unknown credentials: {challenges}"
                )),
            };
        };
        let value = |name: &str| {
            let mut params = bearer.params.iter();
            params
                .find(|(param, _)| param.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_unescaped())
        };
        let realm = value("realm").ok_or("the registry does not say who hands out tokens")?;
        if !(realm.starts_with("https://") || self.reference.base().starts_with("http://")) {
            return Err(format!("tokens are handed out without TLS: `{realm}`"));
        }
        let scope = value("scope")
            .unwrap_or_else(|| format!("repository:{}:pull,push", self.reference.repository));
        self.token(&realm, value("service"), &scope, credential)
    }

    fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: &str,
        credential: Option<DockerCredential>,
    ) -> Result<String, String> {
        let failed = |error: ureq::Error| format!("no token from `{realm}`: {error}");
        let response = match credential {
            // An identity token is exchanged, as OAuth 2 has it.
            Some(DockerCredential::IdentityToken(token)) => {
                let service = service.unwrap_or_default();
                self.agent.post(realm).send_form([
                    ("grant_type", "refresh_token"),
                    ("client_id", "meshgate"),
                    ("service", service.as_str()),
                    ("scope", scope),
                    ("refresh_token", token.as_str()),
                ])
            }
            credential => {
                let mut request = self.agent.get(realm).query("scope", scope);
                if let Some(service) = service {
                    request = request.query("service", service);
                }
                if let Some(DockerCredential::UsernamePassword(name, password)) = credential {
                    request = request.header(header::AUTHORIZATION, basic(&name, &password));
                }
                request.call()
            }
        };
        let response = expect(response.map_err(failed)?, 200, "a token")?;
        let token: Token = serde_json::from_reader(response.into_body().into_reader())
            .map_err(|error| format!("no token from `{realm}`: {error}"))?;
        let token = token.token.or(token.access_token);
        let token = token.ok_or_else(|| format!("no token from `{realm}`"))?;
        Ok(format!("Bearer {token}"))
    }

    /// What `docker login` has stored for the registry.
    fn credential(&self) -> Result<Option<DockerCredential>, String> {
        use CredentialRetrievalError::{ConfigNotFound, ConfigReadError, NoCredentialConfigured};
        match get_credential(self.reference.login()) {
            Ok(credential) => Ok(Some(credential)),
            // It cannot be read if it is not there, which is how most machines are.
            Err(ConfigNotFound | ConfigReadError | NoCredentialConfigured) => Ok(None),
            Err(error) => Err(format!("the credentials of `docker login`: {error}")),
        }
    }
}

fn basic(name: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{name}:{password}"))
    )
}

/// Fails unless the registry took something.
fn expect(response: Response<Body>, status: u16, what: &str) -> Result<Response<Body>, String> {
    const SHOWN: u64 = 1000;
    if response.status() == status {
        return Ok(response);
    }
    let code = response.status();
    let mut body = response.into_body();
    let text = body.with_config().limit(SHOWN).read_to_string();
    Err(format!(
        "the registry refused {what} with {code}: {}",
        text.unwrap_or_default().trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn places_for_images() {
        let place = |text: &str| text.parse::<Reference>().map(|place| place.base());
        for (text, base) in [
            ("registry.example.com/a/b:1", "https://registry.example.com"),
            (
                "oci://registry.example.com:5000/a:v1.2_x",
                "https://registry.example.com:5000",
            ),
            ("localhost:5000/a:1", "http://localhost:5000"),
            ("localhost/a:1", "http://localhost"),
            ("docker.io/a/b:1", "https://registry-1.docker.io"),
            ("127.0.0.1:5000/a:1", "http://127.0.0.1:5000"),
        ] {
            assert_eq!(place(text), Ok(base.to_owned()), "{text}");
        }
        for text in [
            "a",
            "registry.example.com/a",
            "a/b:1",
            "registry.example.com/A:1",
            "registry.example.com/:1",
            "registry.example.com/a:",
            "registry.example.com//a:1",
            "u@registry.example.com/a:1",
            "registry.example.com/a:1@sha256:0",
        ] {
            assert!(place(text).is_err(), "{text}");
        }
    }
}
