//! The engine answers like the oracle: the program with as much shared as possible like the tree without sharing.

use meshgate_compiler::resolve::{self, ResolveOptions, Sharing};
use meshgate_compiler::{load, lower, oracle, route};
use meshgate_engine::Program;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::generate::{self, Configuration, Draft};

/// Number of requests for each configuration.
pub const REQUESTS: usize = 40;

/// Follows the choices of a fuzzer, so that there is always a next one: small numbers stand for the first alternative.
/// Without it proptest would read zeros, some of which it skips, for ever.
static FILLER: [u8; 128 << 10] = [1; 128 << 10];

/// The bytes are the choices of the generator, in order.
pub fn run(data: &[u8]) {
    let choices = [data, FILLER.as_slice()].concat();
    let rng = TestRng::from_seed(RngAlgorithm::PassThrough, &choices);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let Ok(generated) = strategy().new_tree(&mut runner) else {
        return;
    };
    let (configuration, drafts) = generated.current();
    let difference = check(&configuration, &drafts).err();
    assert_eq!(difference, None);
}

/// A configuration, and requests for it.
pub(super) fn strategy() -> impl Strategy<Value = (Configuration, Vec<Draft>)> {
    (generate::any_configuration(), generate::drafts(REQUESTS))
}

/// Sends requests to a configuration: to the oracle, which sees every route in its place, and to the engine, whose program
/// shares all that can be shared.
///
/// # Errors
/// When the configuration does not compile, or the answers differ.
pub fn check(configuration: &Configuration, drafts: &[Draft]) -> Result<(), String> {
    let text = configuration.text();
    let (_, resources, mut diagnostics) = load::from_text("generated.json", &text);
    let mut tree = |sharing| {
        let options = ResolveOptions {
            sharing,
            ..ResolveOptions::default()
        };
        resolve::resolve(&resources, &options, &mut diagnostics)
    };
    let (plain, shared) = (tree(Sharing::Never), tree(Sharing::Always));
    let program = lower::lower(&shared, &lower::Options::default(), &mut diagnostics);
    let program = program.ok_or_else(|| format!("there is no program\n{text}"))?;
    let program = Program::new(program).map_err(|error| format!("{error}\n{text}"))?;
    for draft in drafts {
        let request = draft.request(&plain);
        let expected = oracle::evaluate(&plain, None, &request);
        let answer = route::evaluate(&program, &shared, 0, &request);
        if answer != expected {
            return Err(format!(
                "{request:?}\n{text}\nthe oracle: {expected:?}\nthe engine: {answer:?}"
            ));
        }
    }
    Ok(())
}
