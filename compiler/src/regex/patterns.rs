//! Many patterns at a time. Those of a large configuration mostly differ in the literal text they begin with
//! (`/tenants/17/orders/[^/]+`), so only what follows it is parsed, once for all that have it.

use std::collections::HashMap;
use std::sync::Arc;

use regex_syntax::hir::Hir;

use super::syntax::MAX_LEN;
use super::{Regex, RegexError};

/// Most rests that are remembered; with more, all are forgotten.
const REMEMBERED: usize = 4096;

/// Parses patterns and remembers them.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    rests: HashMap<Box<str>, Arc<Rest>>,
}

/// A pattern that was understood: literal text, then the rest.
#[derive(Clone, Debug)]
pub(crate) struct Pattern<'p> {
    start: &'p str,
    rest: Arc<Rest>,
}

/// What follows the literal text that can be told from a pattern at a glance.
#[derive(Debug)]
struct Rest {
    regex: Regex,
    /// It has assertions.
    asserts: bool,
    /// It, split again.
    literal: Vec<u8>,
    tail: Tail,
}

/// What follows the literal text of a pattern.
#[derive(Debug)]
pub(crate) struct Tail {
    /// It.
    pub(crate) regex: Regex,
    /// It, as text: the same for the same expression.
    pub(crate) text: String,
}

impl Patterns {
    /// Reads a pattern.
    pub(crate) fn parse<'p>(&mut self, pattern: &'p str) -> Result<Pattern<'p>, RegexError> {
        let (start, rest) = pattern.split_at(plain_start(pattern));
        if !start.is_empty()
            && pattern.len() <= MAX_LEN
            // Assertions may look back at the start; and of a mistake, the place in the whole pattern is wanted.
            && let Ok(rest) = self.rest(rest)
            && !rest.asserts
        {
            return Ok(Pattern { start, rest });
        }
        let rest = self.rest(pattern)?;
        Ok(Pattern { start: "", rest })
    }

    fn rest(&mut self, text: &str) -> Result<Arc<Rest>, RegexError> {
        if let Some(known) = self.rests.get(text) {
            return Ok(Arc::clone(known));
        }
        let regex = Regex::parse(text)?;
        let (literal, tail) = regex.split_literal();
        let rest = Arc::new(Rest {
            asserts: !regex.hir.properties().look_set().is_empty(),
            literal,
            tail: Tail {
                text: tail.hir.to_string(),
                regex: tail,
            },
            regex,
        });
        if self.rests.len() >= REMEMBERED {
            self.rests.clear();
        }
        self.rests.insert(text.into(), Arc::clone(&rest));
        Ok(rest)
    }
}

impl Pattern<'_> {
    /// The literal text that every match begins with, in two pieces.
    pub(crate) fn literal(&self) -> [&[u8]; 2] {
        [self.start.as_bytes(), &self.rest.literal]
    }

    /// What follows the literal text.
    pub(crate) fn tail(&self) -> &Tail {
        &self.rest.tail
    }

    /// The plain text it begins with, and the expression that follows.
    pub(crate) fn parts(&self) -> (&str, &Hir) {
        (self.start, &self.rest.regex.hir)
    }

    /// The whole expression.
    pub(crate) fn hir(&self) -> Hir {
        let start = Hir::literal(self.start.as_bytes());
        Hir::concat(vec![start, self.rest.regex.hir.clone()])
    }
}

/// Length of the text at the start of a pattern that stands for itself whatever follows. The longest is not needed.
fn plain_start(pattern: &str) -> usize {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/-_~%:@!&',;=".contains(b);
    let bytes = pattern.as_bytes();
    let len = bytes.iter().take_while(|b| plain(b)).count();
    match bytes.get(len) {
        // An alternative may not have the start.
        Some(_) if bytes[len..].contains(&b'|') => 0,
        // It repeats the last character only.
        Some(b'*' | b'+' | b'?' | b'{') => len.saturating_sub(1),
        Some(_) => len,
        // A pattern without a rest: too long a one is a mistake.
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Patterns, plain_start};
    use crate::regex::Regex;

    #[test]
    fn what_begins_plainly() {
        for (pattern, start) in [
            ("/a/[^/]+", "/a/"),
            ("/ab*", "/a"),
            ("/ab{2}", "/a"),
            ("/a.b", "/a"),
            ("/a|b", ""),
            ("/a(b|c)", ""),
            ("/a*|b", ""),
            ("/ab", ""),
            ("(?i)/a", ""),
            ("*", ""),
            ("", ""),
            ("é", ""),
        ] {
            assert_eq!(&pattern[..plain_start(pattern)], start, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn remembered_patterns_are_the_same(
            patterns in prop::collection::vec("[a/]{0,3}([ab.*+?|(){}2^$\\\\bEQ\\[\\]]|\\(\\?i\\)|\\[\\^/\\]\\+){0,6}", 1..6)
        ) {
            let mut known = Patterns::default();
            for pattern in patterns.iter().chain(&patterns) {
                match (Regex::parse(pattern), known.parse(pattern)) {
                    (Err(error), Err(same)) => prop_assert_eq!(error, same),
                    (Ok(regex), Ok(same)) => {
                        let (literal, tail) = regex.split_literal();
                        prop_assert_eq!(literal, same.literal().concat(), "{}", pattern);
                        prop_assert_eq!(tail.hir(), same.tail().regex.hir(), "{}", pattern);
                        prop_assert_eq!(tail.hir().to_string(), same.tail().text.as_str());
                        prop_assert_eq!(regex.hir(), &same.hir(), "{}", pattern);
                    }
                    (one, other) => prop_assert!(false, "{pattern}: {one:?} {other:?}"),
                }
            }
        }
    }
}
