//! The path tries of one virtual host.

use std::borrow::Cow;

use meshgate_engine::write::{Entry, PathTries, TooLarge, TrieEntry, Writer};

/// Which trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trie {
    Forward,
    Folded,
    Reversed,
    ReversedFolded,
}

/// For keys that end here, or for everything that begins like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    End,
    Prefix,
}

/// Where a clause is stored.
#[derive(Clone, Debug)]
pub(super) struct Place<'t> {
    pub(super) trie: Trie,
    pub(super) key: Cow<'t, [u8]>,
    pub(super) slot: Slot,
    /// Automaton for what follows the key.
    pub(super) tail: Option<u32>,
}

struct Clause<'t> {
    trie: Trie,
    key: Cow<'t, [u8]>,
    slot: Slot,
    entry: Entry,
}

/// Clauses by place, in clause order.
pub(super) struct PathIndex<'t> {
    clauses: Vec<Clause<'t>>,
}

impl<'t> PathIndex<'t> {
    /// With room for a number of clauses.
    pub(super) fn with_capacity(clauses: usize) -> Self {
        Self {
            clauses: Vec::with_capacity(clauses),
        }
    }

    pub(super) fn add(&mut self, place: Place<'t>, clause: u32, predicates: Vec<u32>) {
        let Place {
            trie,
            key,
            slot,
            tail,
        } = place;
        self.clauses.push(Clause {
            trie,
            key,
            slot,
            entry: Entry {
                clause,
                tail,
                predicates,
            },
        });
    }

    /// A clause for every path, even one that does not begin with `/`.
    pub(super) fn everything(&mut self, entry: Entry) {
        self.clauses.push(Clause {
            trie: Trie::Forward,
            key: Cow::Borrowed(&[]),
            slot: Slot::Prefix,
            entry,
        });
    }

    pub(super) fn write(mut self, writer: &mut Writer) -> Result<PathTries, TooLarge> {
        // Stable: clauses of one place stay in order.
        self.clauses
            .sort_by(|a, b| (a.trie, &a.key, a.slot).cmp(&(b.trie, &b.key, b.slot)));
        let mut tries = PathTries::default();
        for of_trie in self.clauses.chunk_by_mut(|a, b| a.trie == b.trie) {
            let trie = of_trie[0].trie;
            let mut entries = Vec::with_capacity(of_trie.len());
            for of_key in of_trie.chunk_by_mut(|a, b| a.key == b.key) {
                let mut values = [None, None];
                for of_slot in of_key.chunk_by_mut(|a, b| a.slot == b.slot) {
                    values[of_slot[0].slot as usize] = Some(rule_set(of_slot, writer)?);
                }
                let [end, prefix] = values;
                entries.push(TrieEntry {
                    key: std::mem::take(&mut of_key[0].key).into_owned(),
                    end,
                    prefix,
                });
            }
            let root = writer.path_trie(entries)?;
            match trie {
                Trie::Forward => tries.forward = root,
                Trie::Folded => tries.folded = root,
                Trie::Reversed => tries.reversed = root,
                Trie::ReversedFolded => tries.reversed_folded = root,
            }
        }
        Ok(tries)
    }
}

/// The clauses of one place, up to the first that always holds. Takes their predicates out.
fn rule_set(clauses: &mut [Clause<'_>], writer: &mut Writer) -> Result<u32, TooLarge> {
    let always = |entry: &Entry| entry.tail.is_none() && entry.predicates.is_empty();
    let reachable = clauses
        .iter()
        .position(|clause| always(&clause.entry))
        .map_or(clauses.len(), |last| last + 1);
    let entries: Vec<Entry> = clauses
        .iter_mut()
        .take(reachable)
        .map(|Clause { entry, .. }| Entry {
            predicates: std::mem::take(&mut entry.predicates),
            ..*entry
        })
        .collect();
    writer.rule_set(&entries)
}
