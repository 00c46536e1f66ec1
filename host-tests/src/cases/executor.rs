//! What the executors have in common.

use meshgate_compiler::cases::{Observed, Request, UpstreamResponse};

use super::format::Group;

/// Something that answers requests for a configuration.
pub trait Executor {
    /// Name, for the names of tests: `oracle`.
    fn name(&self) -> &'static str;

    /// Takes the resources of a group.
    ///
    /// # Errors
    /// When the resources do not compile or cannot be loaded.
    fn load(&self, group: &Group) -> Result<Box<dyn Session + '_>, String>;
}

/// A configuration that an executor has loaded.
pub trait Session {
    /// Answers a request. `upstream` is what the destination answers, if the request goes to one.
    ///
    /// # Errors
    /// When there is no answer at all.
    fn answer(
        &mut self,
        request: &Request,
        upstream: &UpstreamResponse,
    ) -> Result<Observed, String>;
}

/// A proxy sees its clients itself: what a case says of one is for executors without a proxy.
pub(super) fn needs_no_client(request: &Request) -> Result<(), String> {
    match &request.client {
        None => Ok(()),
        Some(client) => Err(format!("a proxy has no client like {client:?}")),
    }
}
