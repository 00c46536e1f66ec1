//! The executors without a host: the oracle and the engine.

use meshgate_compiler::answer::Response;
use meshgate_compiler::cases::{Observed, Request, UpstreamResponse};
use meshgate_compiler::oracle;
use meshgate_engine::Program;

use super::configuration::Configuration;
use super::executor::{Executor, Session};
use super::format::Group;

/// Port of the first gateway. Nothing listens there.
const FIRST_PORT: u16 = 8080;

/// The linear oracle, which defines what is correct.
#[derive(Clone, Copy, Debug)]
pub struct Oracle;

/// The engine, as `meshgate route` uses it.
#[derive(Clone, Copy, Debug)]
pub struct Engine;

impl Executor for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn load(&self, group: &Group) -> Result<Box<dyn Session + '_>, String> {
        let configuration = Configuration::of(group, FIRST_PORT);
        configuration.program()?;
        Ok(Box::new(OracleSession { configuration }))
    }
}

struct OracleSession {
    configuration: Configuration,
}

impl Session for OracleSession {
    fn answer(
        &mut self,
        request: &Request,
        upstream: &UpstreamResponse,
    ) -> Result<Observed, String> {
        let tree = &self.configuration.compiled.tree;
        let index = self.configuration.gateway(request.gateway.as_deref())?;
        let gateway = tree.gateways.get(index).map(|gateway| &gateway.name);
        let request = request.received();
        let answer = oracle::evaluate(tree, gateway, &request);
        let headers = oracle::response_headers(tree, gateway, &request, &upstream.headers);
        let forwarded = headers.map(|headers| Response {
            status: 200,
            headers,
            body: String::new(),
        });
        let response = answer.response.clone().or(forwarded);
        Ok(Observed {
            answer,
            response,
            unseen: &[],
        })
    }
}

impl Executor for Engine {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn load(&self, group: &Group) -> Result<Box<dyn Session + '_>, String> {
        let configuration = Configuration::of(group, FIRST_PORT);
        let program = Program::new(configuration.program()?.to_vec())
            .map_err(|error| format!("the engine refuses the program: {error}"))?;
        Ok(Box::new(EngineSession {
            configuration,
            program,
        }))
    }
}

struct EngineSession {
    configuration: Configuration,
    program: Program,
}

impl Session for EngineSession {
    fn answer(
        &mut self,
        request: &Request,
        upstream: &UpstreamResponse,
    ) -> Result<Observed, String> {
        let gateway = self.configuration.gateway(request.gateway.as_deref())?;
        let tree = &self.configuration.compiled.tree;
        Ok(Observed::by_engine(
            &self.program,
            tree,
            gateway,
            &request.received(),
            upstream,
        ))
    }
}
