//! From patterns to the automata of the routing program.

use std::collections::BTreeMap;

use meshgate_engine::write::Automaton;
use regex_automata::Anchored;
use regex_automata::MatchKind;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_syntax::hir::{Hir, Look};

use super::{Regex, RegexError};

/// How much a pattern may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Most bytes of the table.
    pub table: usize,
    /// Most bytes of memory to work it out; also bounds the time.
    pub work: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            table: 256 << 10,
            work: 1 << 20,
        }
    }
}

/// Makes a pattern deterministic.
///
/// # Errors
/// When that takes more than the budget allows.
pub fn compile(regex: &Regex, budget: Budget) -> Result<Automaton, RegexError> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(budget.work)),
        )
        .build_from_hir(&Hir::concat(vec![
            regex.hir().clone(),
            Hir::look(Look::End),
        ]))
        .map_err(|_| RegexError::too_complex())?;
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        // All alternatives are followed to the end: the longest one may be the one that reaches it.
        .match_kind(MatchKind::All)
        .accelerate(false)
        .dfa_size_limit(Some(budget.table))
        .determinize_size_limit(Some(budget.work));
    let dfa = dense::Builder::new()
        .configure(config)
        .build_from_nfa(&nfa)
        .map_err(|_| RegexError::too_complex())?;
    transcribe(&dfa).ok_or_else(RegexError::too_complex)
}

/// Copies the states that can be reached, numbered in the order they are found after the dead state.
fn transcribe(dfa: &dense::DFA<Vec<u32>>) -> Option<Automaton> {
    let byte_classes = dfa.byte_classes();
    let mut classes = Box::new([0_u8; 256]);
    let mut representatives = BTreeMap::new();
    for byte in 0..=u8::MAX {
        let class = byte_classes.get(byte);
        classes[usize::from(byte)] = class;
        representatives.entry(class).or_insert(byte);
    }
    let stride = representatives.len();
    let first = dfa
        .start_state(&start::Config::new().anchored(Anchored::Yes))
        .ok()?;

    let mut numbers: BTreeMap<StateID, u16> = BTreeMap::new();
    let mut states = vec![None, Some(first)];
    numbers.insert(first, 1);
    let mut table = vec![0; stride];
    let mut accept = vec![false];
    let mut next = 1;
    while let Some(state) = states.get(next).copied().flatten() {
        accept.push(dfa.is_match_state(dfa.next_eoi_state(state)));
        for byte in representatives.values() {
            let target = dfa.next_state(state, *byte);
            let number = if dfa.is_dead_state(target) {
                0
            } else if let Some(&number) = numbers.get(&target) {
                number
            } else {
                let number = u16::try_from(states.len()).ok()?;
                numbers.insert(target, number);
                states.push(Some(target));
                number
            };
            table.push(number);
        }
        next += 1;
    }
    Some(prune(Automaton {
        classes,
        stride,
        start: 1,
        table,
        accept,
    }))
}

/// Sends every transition that can lead to no acceptance to the dead state, so that a run ends early.
fn prune(mut automaton: Automaton) -> Automaton {
    let stride = automaton.stride;
    let mut live = automaton.accept.clone();
    loop {
        let mut changed = false;
        // Later states are usually nearer to acceptance, so few rounds are needed.
        for (state, targets) in automaton.table.chunks(stride).enumerate().rev() {
            if !live[state] && targets.iter().any(|target| live[usize::from(*target)]) {
                live[state] = true;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for target in &mut automaton.table {
        if !live[usize::from(*target)] {
            *target = 0;
        }
    }
    automaton
}
