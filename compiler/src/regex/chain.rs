//! Automata for fixed text, and then what another automaton accepts.

use std::collections::{BTreeMap, BTreeSet};

use meshgate_engine::write::Automaton;

use super::{Budget, RegexError};

/// An automaton that takes one byte of each step, and then does what `rest` does. For `rest` the text begins after the
/// steps, which a pattern for both could not say: its `^` and `\b` would look back at them. With `whole_segments` it is
/// empty or begins with a slash.
///
/// # Errors
/// When the table is larger than the budget allows.
pub(crate) fn after(
    steps: &[[u8; 2]],
    whole_segments: bool,
    rest: &Automaton,
    budget: Budget,
) -> Result<Automaton, RegexError> {
    // Bytes of steps are told apart from all others.
    let slash = whole_segments.then_some(b'/');
    let own: BTreeSet<u8> = steps.iter().flatten().copied().chain(slash).collect();
    let mut numbers = BTreeMap::new();
    let mut classes = Box::new([0_u8; 256]);
    for byte in 0..=u8::MAX {
        let old = rest.classes[usize::from(byte)];
        let next = numbers.len();
        let number = *numbers
            .entry((old, own.contains(&byte).then_some(byte)))
            .or_insert(next);
        // There are no more classes than bytes.
        classes[usize::from(byte)] = number as u8;
    }
    let stride = numbers.len();
    let added = steps.len() + usize::from(whole_segments);
    let states = 1 + added + (rest.accept.len() - 1);
    if 2 * states * stride > budget.table || u16::try_from(states).is_err() {
        return Err(RegexError::too_complex());
    }

    // States of the rest follow those that are added; the dead state stays the first.
    let moved = |state: u16| match state {
        0 => 0,
        state => state + added as u16,
    };
    let mut table = vec![0; stride];
    for (n, step) in steps.iter().enumerate() {
        let is_last = n + 1 == added;
        let next = match is_last {
            true => moved(rest.start),
            false => n as u16 + 2,
        };
        let mut row = vec![0; stride];
        for byte in step {
            row[usize::from(classes[usize::from(*byte)])] = next;
        }
        table.extend(row);
    }
    if whole_segments {
        // The start of the rest, without the bytes that it must not begin with.
        let first = &rest.table[usize::from(rest.start) * rest.stride..];
        let mut row = vec![0; stride];
        row[usize::from(classes[usize::from(b'/')])] =
            moved(first[usize::from(rest.classes[usize::from(b'/')])]);
        table.extend(row);
    }
    let mut old_classes = vec![0; stride];
    for ((old, _), number) in &numbers {
        old_classes[*number] = usize::from(*old);
    }
    for row in rest.table.chunks(rest.stride).skip(1) {
        table.extend(old_classes.iter().map(|old| moved(row[*old])));
    }
    let mut accept = vec![false; 1 + steps.len()];
    accept.extend(whole_segments.then_some(rest.accept[usize::from(rest.start)]));
    accept.extend_from_slice(&rest.accept[1..]);
    Ok(Automaton {
        classes,
        stride,
        start: match added {
            0 => rest.start,
            _ => 1,
        },
        table,
        accept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::{Regex, compile};

    fn accepts(automaton: &Automaton, text: &str) -> bool {
        let mut state = automaton.start;
        for byte in text.bytes() {
            let class = usize::from(automaton.classes[usize::from(byte)]);
            state = automaton.table[usize::from(state) * automaton.stride + class];
        }
        automaton.accept[usize::from(state)]
    }

    #[test]
    fn the_rest_begins_after_the_steps() {
        for (pattern, yes, no) in [
            ("^/a$", "bX/a", "bX/b"),
            ("(x|^y)*z", "bXyxz", "bXxyz"),
            ("\\bc.", "bxcc", "bx.c"),
            ("", "bx", "bxb"),
            ("b*", "bxbb", "xb"),
        ] {
            let rest = Regex::parse(pattern).expect("it is valid");
            let rest = compile(&rest, Budget::default()).expect("it is small");
            let steps = [[b'b', b'b'], [b'x', b'X']];
            let automaton = after(&steps, false, &rest, Budget::default()).expect("it is small");
            assert!(accepts(&automaton, yes), "{pattern}: {yes}");
            for other in [no, "", "b", "bx "] {
                let empty = pattern == "b*" && other == "bx";
                assert!(!accepts(&automaton, other) || empty, "{pattern}: {other}");
            }
            assert_eq!(
                after(&[], false, &rest, Budget::default())
                    .expect("it is small")
                    .accept,
                rest.accept
            );
        }
    }

    #[test]
    fn the_rest_can_be_made_to_begin_with_a_slash() {
        for (pattern, yes, no) in [
            ("(?s:.*)", &["", "/", "/x/y"][..], &["x", "x/"][..]),
            (".*c", &["/c", "/bc"], &["", "c", "bc", "/b"]),
            ("[^a]b?", &["/", "/b"], &["", "b", "xb", "/a"]),
            ("(a|/)*", &["", "/", "/a", "//"], &["a", "a/", "/b"]),
            ("^a|^$", &[""], &["a", "/"]),
            ("\\b/", &[], &["", "/"]),
        ] {
            let rest = Regex::parse(pattern).expect("it is valid");
            let rest = compile(&rest, Budget::default()).expect("it is small");
            for steps in [&[][..], &[[b'a', b'A'], [b'/', b'/']]] {
                let automaton = after(steps, true, &rest, Budget::default()).expect("it is small");
                let before = if steps.is_empty() { "" } else { "A/" };
                for text in yes {
                    assert!(
                        accepts(&automaton, &format!("{before}{text}")),
                        "{pattern}: {text}"
                    );
                }
                for text in no {
                    assert!(
                        !accepts(&automaton, &format!("{before}{text}")),
                        "{pattern}: {text}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_table_has_a_limit() {
        let rest = compile(&Regex::parse("a").expect("it is valid"), Budget::default());
        let steps = vec![[b'a', b'A']; 70_000];
        let budget = Budget {
            table: 1 << 30,
            ..Budget::default()
        };
        assert!(after(&steps, false, &rest.expect("it is small"), budget).is_err());
    }
}
