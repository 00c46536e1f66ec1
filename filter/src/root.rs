//! The root context: accepts or refuses a plugin configuration, and hands it to the streams.

use meshgate_engine::Program;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

use crate::configuration::Configuration;
use crate::explain::Token;
use crate::random::Random;
use crate::stats::Stats;
use crate::{configuration, contexts, external, host};

/// What the streams of one plugin configuration have in common.
#[derive(Debug, Default)]
pub(crate) struct Router {
    /// `None` until there is something to route.
    pub(crate) program: Option<Program>,
    pub(crate) stats: Stats,
    pub(crate) random: Random,
    /// With which token a request gets an explanation.
    pub(crate) explain: Option<Token>,
    /// Requests that no route is for go on as they came, instead of being answered with 404.
    pub(crate) pass_on: bool,
    /// The clusters that get a copy of a request follow its own in the header that names it, instead of the filter state.
    pub(crate) mirrors_in_header: bool,
}

/// One plugin configuration. The host makes another root context for the next one, and keeps this one until its last
/// stream has ended.
#[derive(Debug)]
pub(crate) struct Root {
    id: u32,
}

impl Root {
    pub(crate) fn new(id: u32) -> Root {
        Root { id }
    }

    fn configure(&self) -> Result<String, String> {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let Configuration {
            program,
            metrics,
            explain,
            pass_on,
            mirrors_in_header,
        } = configuration::read(configuration, host::packaged_program)
            .map_err(|error| error.to_string())?;
        let message = accepted(program.as_ref(), pass_on);
        let stats = Stats::new(metrics);
        if let Some(program) = &program {
            external::create_buckets(program);
        }
        stats.set_generation(program.as_ref().map_or(0, Program::number));
        let router = Router {
            program,
            stats,
            random: Random::new(host::random_seed()),
            explain,
            pass_on,
            mirrors_in_header,
        };
        contexts::configure(self.id, router);
        Ok(message)
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        match self.configure() {
            Ok(message) => {
                log(LogLevel::Info, &message);
                true
            }
            Err(error) => {
                log(
                    LogLevel::Error,
                    &format!("meshgate: configuration refused: {error}"),
                );
                false
            }
        }
    }
}

fn accepted(program: Option<&Program>, pass_on: bool) -> String {
    match program {
        Some(program) => format!(
            "meshgate: routing program `{}` accepted: {} gateways, {} clauses, {} bytes",
            program.generation(),
            program.gateways().len(),
            program.clauses(),
            program.len()
        ),
        None if pass_on => "meshgate: no routing program; requests go on as they came".to_owned(),
        None => "meshgate: no routing program; requests are answered with 503".to_owned(),
    }
}

fn log(level: LogLevel, message: &str) {
    // A line that the host does not take cannot be reported anywhere else.
    let _ = hostcalls::log(level, message);
}
