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
    /// The first bytes of the key by which keys differ, so that sorting seldom has to look at the keys themselves.
    head: u64,
    key: Cow<'t, [u8]>,
    slot: Slot,
    entry: Entry,
    /// It holds when its conditions do; whether a call holds is decided by what it calls.
    is_final: bool,
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

    /// Adds a clause. `is_final`: it holds when its conditions do; it is no call.
    pub(super) fn add(
        &mut self,
        place: Place<'t>,
        clause: u32,
        predicates: Vec<u32>,
        is_final: bool,
    ) {
        let Place {
            trie,
            key,
            slot,
            tail,
        } = place;
        self.clauses.push(Clause {
            trie,
            head: 0,
            key,
            slot,
            entry: Entry {
                clause,
                tail,
                predicates,
            },
            is_final,
        });
    }

    /// A clause for every path, even one that does not begin with `/`.
    pub(super) fn everything(&mut self, entry: Entry) {
        self.clauses.push(Clause {
            trie: Trie::Forward,
            head: 0,
            key: Cow::Borrowed(&[]),
            slot: Slot::Prefix,
            entry,
            is_final: true,
        });
    }

    fn set_heads(&mut self) {
        let Some((first, others)) = self.clauses.split_first() else {
            return;
        };
        let common = others.iter().fold(first.key.len(), |common, clause| {
            let same = |(a, b): &(&u8, &u8)| a == b;
            first
                .key
                .iter()
                .zip(&*clause.key)
                .take(common)
                .take_while(same)
                .count()
        });
        for clause in &mut self.clauses {
            clause.head = head(&clause.key[common..]);
        }
    }

    pub(super) fn write(mut self, writer: &mut Writer) -> Result<PathTries, TooLarge> {
        self.set_heads();
        // Stable: clauses of one place stay in order.
        self.clauses.sort_by(|a, b| {
            (a.trie, a.head)
                .cmp(&(b.trie, b.head))
                .then_with(|| (&a.key, a.slot).cmp(&(&b.key, b.slot)))
        });
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

/// The first eight bytes of a key; a shorter one comes before those that it begins.
fn head(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(bytes)
}

/// The clauses of one place, up to the first that always holds. Takes their predicates out.
fn rule_set(clauses: &mut [Clause<'_>], writer: &mut Writer) -> Result<u32, TooLarge> {
    let always = |clause: &Clause<'_>| {
        clause.is_final && clause.entry.tail.is_none() && clause.entry.predicates.is_empty()
    };
    let reachable = clauses
        .iter()
        .position(always)
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

#[cfg(test)]
mod tests {
    use super::head;

    #[test]
    fn heads_sort_like_keys() {
        let keys: [&[u8]; 6] = [b"", b"\0", b"/", b"/a", b"/abcdefgh", b"/b"];
        assert!(keys.is_sorted_by_key(|key| head(key)));
    }
}
