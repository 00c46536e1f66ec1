//! The path tries of one virtual host.

use std::collections::HashSet;

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
pub(super) struct Place {
    pub(super) trie: Trie,
    pub(super) key: Vec<u8>,
    pub(super) slot: Slot,
    /// Automaton for what follows the key.
    pub(super) tail: Option<u32>,
}

/// Clauses by place, in clause order.
#[derive(Default)]
pub(super) struct PathIndex {
    clauses: Vec<(Trie, Vec<u8>, Slot, Entry)>,
    /// Clauses that may not hold although all their conditions do: what they lead to has the last word.
    open: HashSet<u32>,
}

impl PathIndex {
    /// Adds a clause. `is_final`: it holds when its conditions do.
    pub(super) fn add(&mut self, place: Place, clause: u32, predicates: Vec<u32>, is_final: bool) {
        if !is_final {
            self.open.insert(clause);
        }
        let Place {
            trie,
            key,
            slot,
            tail,
        } = place;
        self.clauses.push((
            trie,
            key,
            slot,
            Entry {
                clause,
                tail,
                predicates,
            },
        ));
    }

    /// A clause for every path, even one that does not begin with `/`.
    pub(super) fn everything(&mut self, entry: Entry) {
        self.clauses
            .push((Trie::Forward, Vec::new(), Slot::Prefix, entry));
    }

    pub(super) fn write(mut self, writer: &mut Writer) -> Result<PathTries, TooLarge> {
        // Stable: clauses of one place stay in order.
        self.clauses
            .sort_by(|a, b| (a.0, &a.1, a.2).cmp(&(b.0, &b.1, b.2)));
        let mut tries = PathTries::default();
        for of_trie in self.clauses.chunk_by(|a, b| a.0 == b.0) {
            let mut entries = Vec::new();
            for of_key in of_trie.chunk_by(|a, b| a.1 == b.1) {
                let mut values = [None, None];
                for of_slot in of_key.chunk_by(|a, b| a.2 == b.2) {
                    values[of_slot[0].2 as usize] = Some(rule_set(of_slot, &self.open, writer)?);
                }
                let [end, prefix] = values;
                entries.push(TrieEntry {
                    key: of_key[0].1.clone(),
                    end,
                    prefix,
                });
            }
            let root = writer.path_trie(entries)?;
            match of_trie[0].0 {
                Trie::Forward => tries.forward = root,
                Trie::Folded => tries.folded = root,
                Trie::Reversed => tries.reversed = root,
                Trie::ReversedFolded => tries.reversed_folded = root,
            }
        }
        Ok(tries)
    }
}

/// The clauses of one place, up to the first that always holds.
fn rule_set(
    clauses: &[(Trie, Vec<u8>, Slot, Entry)],
    open: &HashSet<u32>,
    writer: &mut Writer,
) -> Result<u32, TooLarge> {
    let always = |entry: &Entry| {
        entry.tail.is_none() && entry.predicates.is_empty() && !open.contains(&entry.clause)
    };
    let reachable = clauses
        .iter()
        .position(|(.., entry)| always(entry))
        .map_or(clauses.len(), |last| last + 1);
    let entries: Vec<Entry> = clauses
        .iter()
        .take(reachable)
        .map(|(.., entry)| entry.clone())
        .collect();
    writer.rule_set(&entries)
}
