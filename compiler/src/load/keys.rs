//! Finding keys that a map repeats.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::node::Entry;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// Maps up to this size are searched; larger ones get an index.
const SEARCHED: usize = 16;

/// The keys of a map that is being read.
#[derive(Default)]
pub(super) struct Keys {
    index: HashMap<String, Span>,
}

impl Keys {
    /// The finding if a key is already among the entries. Must be called for every key, before it is added.
    pub(super) fn repeated(
        &mut self,
        entries: &[Entry<'_>],
        key: &str,
        span: Span,
    ) -> Option<Diagnostic> {
        let first = self.first(entries, key, span)?;
        Some(
            Diagnostic::at(
                Code::DuplicateKey,
                span,
                format!("the key `{key}` appears twice in this map"),
            )
            .also(first, "first here")
            .help("keep one of them, or merge them"),
        )
    }

    fn first(&mut self, entries: &[Entry<'_>], key: &str, span: Span) -> Option<Span> {
        if entries.len() < SEARCHED {
            return entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| entry.key_span);
        }
        if self.index.is_empty() {
            self.index.extend(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone().into_owned(), entry.key_span)),
            );
        }
        match self.index.entry(key.to_owned()) {
            Slot::Occupied(first) => Some(*first.get()),
            Slot::Vacant(slot) => {
                slot.insert(span);
                None
            }
        }
    }
}
