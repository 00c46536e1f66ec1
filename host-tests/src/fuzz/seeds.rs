//! What fuzzers start from: real programs, texts and choices, made anew, so that they are never out of date.

use std::path::Path;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{equivalence, headers, program};
use crate::cases::{self, Group, read_cases, read_examples};
use crate::generate::{self, Draft};

/// Number of generated configurations.
const GENERATED: u8 = 24;

/// The seeds of a target.
///
/// # Errors
/// When the examples or cases cannot be read.
pub fn seeds(target: &str) -> Result<Vec<Vec<u8>>, String> {
    match target {
        "program" => programs(),
        "yaml" => texts(),
        "headers" => Ok(headers::seeds()),
        "equivalence" => Ok((0..GENERATED).map(|n| generated(n).choices).collect()),
        _ => Err(format!("there is no fuzz target `{target}`")),
    }
}

/// A generated configuration.
struct Generated {
    configuration: generate::Configuration,
    drafts: Vec<Draft>,
    /// The random bytes that led to it.
    choices: Vec<u8>,
}

fn generated(seed: u8) -> Generated {
    let rng = TestRng::from_seed(RngAlgorithm::Recorder, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (configuration, drafts) = match equivalence::strategy().new_tree(&mut runner) {
        Ok(value) => value.current(),
        Err(reason) => unreachable!("no strategy refuses a value: {reason}"),
    };
    Generated {
        configuration,
        drafts,
        choices: runner.bytes_used(),
    }
}

fn groups() -> Result<Vec<Group>, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut groups = read_examples(&package.join("../examples"))?;
    groups.append(&mut read_cases(&package.join("cases"))?);
    Ok(groups)
}

fn texts() -> Result<Vec<Vec<u8>>, String> {
    let groups = groups()?.into_iter().map(|group| group.text);
    let generated = (0..GENERATED).map(|n| generated(n).configuration.text());
    Ok(groups.chain(generated).map(String::into_bytes).collect())
}

/// Programs with requests that are aimed at them.
fn programs() -> Result<Vec<Vec<u8>>, String> {
    let drafts = generated(0).drafts;
    let groups = groups()?
        .into_iter()
        .filter(|group| group.invalid.is_none())
        .map(|group| (group.text, drafts.clone()));
    let generated = (0..GENERATED).map(|n| {
        let Generated {
            configuration,
            drafts,
            ..
        } = generated(n);
        (configuration.text(), drafts)
    });
    let input = |(text, drafts): (String, Vec<Draft>)| {
        let compiled = cases::Configuration::compile(&text, 8080).compiled;
        let requests: Vec<_> = drafts
            .iter()
            .map(|draft| draft.request(&compiled.tree))
            .collect();
        Some(program::input(&compiled.program?, &requests))
    };
    Ok(groups.chain(generated).filter_map(input).collect())
}
