//! What the executors have in common.

use meshgate_compiler::answer::{Answer, Response};

use super::format::{Group, Request, UpstreamResponse};

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

/// What an executor saw of an answer.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The answer. Parts that the executor cannot see are absent.
    pub answer: Answer,
    /// What the client receives in the end, be it from the gateway or through it.
    pub response: Option<Response>,
    /// Parts that are absent because the executor cannot see them.
    pub unseen: &'static [Unseen],
}

/// A part of an answer that an executor cannot see, or not determine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The weights of all destinations.
    Weights,
    /// Which destination a random number stands for: the executor draws its own.
    RandomChoice,
    /// Time limits and retries.
    Options,
    /// The response to a request that is forwarded.
    ForwardedResponse,
}

impl Observed {
    /// Whether the executor cannot see a part of its answers.
    pub fn cannot_see(&self, part: Unseen) -> bool {
        self.unseen.contains(&part)
    }
}
