//! Cross-origin resource sharing, as the Fetch standard has it: <https://fetch.spec.whatwg.org/#http-cors-protocol>.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Reply, TextMatch};
use crate::program::Program;
use crate::request::{Headers, Request};

/// Which pages of other origins may see the answers. Lists are as they are sent: joined with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cors {
    /// Origins that may; one that matches `*` means all.
    pub origins: Vec<TextMatch>,
    /// `access-control-allow-methods` of a preflight; empty = not sent.
    pub methods: String,
    /// `access-control-allow-headers` of a preflight; empty = not sent.
    pub headers: String,
    /// `access-control-expose-headers`; empty = not sent.
    pub expose: String,
    /// `access-control-max-age` of a preflight, in seconds.
    pub max_age: Option<u64>,
    /// `access-control-allow-credentials`.
    pub credentials: bool,
}

impl Cors {
    /// The answer to a preflight from an origin that is allowed. Other requests go their way.
    pub(super) fn preflight<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        program: &Program,
    ) -> Option<Reply> {
        let method = request.header(b"access-control-request-method")?;
        if request.method != b"OPTIONS" || method.is_empty() {
            return None;
        }
        let mut headers = self.response_headers(request, program);
        if headers.is_empty() {
            return None;
        }
        let asked = request.header(b"access-control-request-headers");
        let max_age = self.max_age.map(|seconds| seconds.to_string());
        for (name, value) in [
            (
                "access-control-allow-methods",
                self.allowed(&self.methods, Some(method)),
            ),
            (
                "access-control-allow-headers",
                self.allowed(&self.headers, asked),
            ),
            (
                "access-control-max-age",
                max_age.unwrap_or_default().into_bytes(),
            ),
        ] {
            if !value.is_empty() {
                headers.push((name, value));
            }
        }
        Some(Reply {
            status: 200,
            headers,
            body: Cow::Borrowed(""),
            is_refusal: false,
            details: "meshgate_cors_preflight".into(),
        })
    }

    /// What a preflight is told is allowed. With credentials a browser takes `*` for a name, so it gets what it asked for.
    fn allowed(&self, list: &str, asked: Option<Cow<'_, [u8]>>) -> Vec<u8> {
        match asked {
            Some(asked) if self.credentials && list == "*" => asked.into_owned(),
            _ => list.as_bytes().to_vec(),
        }
    }

    /// What every answer to a page of an allowed origin says; nothing for others.
    pub(super) fn response_headers<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        program: &Program,
    ) -> Vec<(&'static str, Vec<u8>)> {
        let Some(origin) = request
            .header(b"origin")
            .filter(|origin| !origin.is_empty())
        else {
            return Vec::new();
        };
        let allows = |allowed: &TextMatch| {
            allowed.matches(b"*", program) || allowed.matches(&origin, program)
        };
        if !self.origins.iter().any(allows) {
            return Vec::new();
        }
        let mut headers = vec![("access-control-allow-origin", origin.into_owned())];
        if self.credentials {
            headers.push(("access-control-allow-credentials", b"true".to_vec()));
        }
        if !self.expose.is_empty() {
            let expose = self.expose.clone().into_bytes();
            headers.push(("access-control-expose-headers", expose));
        }
        headers
    }
}
