//! The engine answers like the oracle.

use meshgate_compiler::{oracle, route};
use meshgate_engine::Program;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::cases;
use crate::generate::{self, Configuration, Draft};

/// Number of requests for each configuration.
pub const REQUESTS: usize = 40;

/// Port of the gateway. Nothing listens there.
const PORT: u16 = 8080;

/// Follows the choices of a fuzzer, so that there is always a next one: small numbers stand for the first alternative.
/// Without it proptest would read zeros, some of which it skips, for ever.
const FILLER: [u8; 128 << 10] = [1; 128 << 10];

/// The bytes are the choices of the generator, in order.
pub fn run(data: &[u8]) {
    let choices = [data, &FILLER].concat();
    let rng = TestRng::from_seed(RngAlgorithm::PassThrough, &choices);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let Ok(generated) = strategy().new_tree(&mut runner) else {
        return;
    };
    let (configuration, drafts) = generated.current();
    let result = check(&configuration, &drafts);
    assert!(result.is_ok(), "{}", result.unwrap_err());
}

/// A configuration, and requests for it.
pub(super) fn strategy() -> impl Strategy<Value = (Configuration, Vec<Draft>)> {
    (generate::configuration(), generate::drafts(REQUESTS))
}

/// Sends requests to a configuration, as the oracle and as the engine see it.
///
/// # Errors
/// When the configuration does not compile, or the answers differ.
pub fn check(configuration: &Configuration, drafts: &[Draft]) -> Result<(), String> {
    let text = configuration.text();
    let configuration = cases::Configuration::compile(&text, PORT);
    let program = configuration
        .program()
        .map_err(|error| format!("{error}\n{text}"))?;
    let program = Program::new(program.to_vec()).map_err(|error| format!("{error}\n{text}"))?;
    let tree = &configuration.compiled.tree;
    for draft in drafts {
        let request = draft.request(tree);
        let expected = oracle::evaluate(tree, None, &request);
        let answer = route::evaluate(&program, tree, 0, &request);
        if answer != expected {
            return Err(format!(
                "{request:?}\n{text}\nthe oracle: {expected:?}\nthe engine: {answer:?}"
            ));
        }
    }
    Ok(())
}
