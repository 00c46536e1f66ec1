//! The root context: accepts or refuses a plugin configuration, and hands it to the streams.

use std::rc::Rc;

use meshgate_engine::Program;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

use crate::configuration;
use crate::host;
use crate::random::Random;
use crate::stats::Stats;
use crate::stream::Stream;

/// What the streams of one plugin configuration have in common.
#[derive(Debug, Default)]
pub(crate) struct Router {
    /// `None` until there is something to route.
    pub(crate) program: Option<Program>,
    pub(crate) stats: Stats,
    pub(crate) random: Random,
}

/// One plugin configuration. The host makes another root context for the next one, and keeps this one until its last
/// stream has ended.
#[derive(Debug, Default)]
pub(crate) struct Root {
    router: Rc<Router>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        match configuration::program(self.get_plugin_configuration().unwrap_or_default()) {
            Ok(program) => {
                log(LogLevel::Info, &accepted(program.as_ref()));
                self.router = Rc::new(Router {
                    program,
                    stats: Stats::define(),
                    random: Random::new(host::random_seed()),
                });
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

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(Rc::clone(&self.router))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn accepted(program: Option<&Program>) -> String {
    match program {
        Some(program) => format!(
            "meshgate: routing program `{}` accepted: {} gateways, {} clauses, {} bytes",
            program.generation(),
            program.gateways().len(),
            program.clauses(),
            program.len()
        ),
        None => "meshgate: no routing program; requests are answered with 503".to_owned(),
    }
}

fn log(level: LogLevel, message: &str) {
    // A line that the host does not take cannot be reported anywhere else.
    let _ = hostcalls::log(level, message);
}
