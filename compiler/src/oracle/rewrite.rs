//! Rewrites by pattern, with a regular expression engine that has nothing in common with that of the programs.

use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::{Anchored, Input};

use crate::regex::Regex;
use crate::rewrite::{Part, Replacement, TemplatePart, for_template};

/// A text in which every match is replaced, as RE2 does it: an empty match right after another one is none.
pub(super) fn replace_all(replacement: &Replacement, text: &str) -> String {
    let Some(vm) = machine(replacement) else {
        return text.to_owned();
    };
    let mut cache = vm.create_cache();
    let mut out = String::new();
    let (mut at, mut last_end) = (0, None);
    while at <= text.len() {
        let mut groups = vm.create_captures();
        vm.captures(&mut cache, Input::new(text).range(at..), &mut groups);
        let Some(found) = groups.get_match() else {
            break;
        };
        out.push_str(text.get(at..found.start()).unwrap_or_default());
        if found.is_empty() && last_end == Some(found.start()) {
            let Some(character) = text
                .get(found.start()..)
                .and_then(|rest| rest.chars().next())
            else {
                return out;
            };
            out.push(character);
            at = found.start() + character.len_utf8();
            continue;
        }
        substitute(replacement, text, &groups, &mut out);
        at = found.end();
        last_end = Some(at);
    }
    out + text.get(at..).unwrap_or_default()
}

/// What a path becomes whose rest is all that a template matches.
pub(super) fn by_template(pattern: &str, parts: &[TemplatePart], rest: &str) -> Option<String> {
    let replacement = for_template(pattern, parts)?;
    let whole = Replacement {
        pattern: format!("^(?:{pattern})$"),
        ..replacement
    };
    let vm = machine(&whole)?;
    let mut groups = vm.create_captures();
    let input = Input::new(rest).anchored(Anchored::Yes);
    vm.captures(&mut vm.create_cache(), input, &mut groups);
    groups.is_match().then(|| {
        let mut out = String::new();
        substitute(&whole, rest, &groups, &mut out);
        out
    })
}

fn machine(replacement: &Replacement) -> Option<PikeVM> {
    let regex = Regex::parse(&replacement.pattern).ok()?;
    regex.capturing().ok()
}

fn substitute(
    replacement: &Replacement,
    text: &str,
    groups: &regex_automata::util::captures::Captures,
    out: &mut String,
) {
    for part in &replacement.parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Group(group) => {
                let span = groups.get_group(*group as usize);
                out.push_str(
                    span.and_then(|span| text.get(span.range()))
                        .unwrap_or_default(),
                );
            }
        }
    }
}
