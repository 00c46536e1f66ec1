//! Names of clauses: each the name that it lies below, and a text of its own.
//!
//! Neighbours have much in common, so a name is stored as what differs from the one before it. [`NAMES_PER_BLOCK`]
//! clauses form a block that can be read by itself:
//!
//! ```text
//! head          1 bit scope follows | 3 bits length of the new text | 4 bits length of the text shared with the one before
//! scope         0 = no name, else 1 + (kind | 4 * (1 + the name it lies below, or 0))     if the first bit is set
//! new length    if its 3 bits are all set
//! shared length if its 4 bits are all set
//! new text
//! ```
//!
//! Scope and lengths have 7 bits in a byte, lowest first; all but the last byte have the 8th set.

use crate::format::{NAMES_PER_BLOCK, NONE, Section, size, u32_at};
use crate::name::SegmentKind;
use crate::program::Program;

/// Values of the parts of a head that say that a number follows.
pub(crate) const NEW_FOLLOWS: u32 = 7;
pub(crate) const SHARED_FOLLOWS: u32 = 15;
/// The flag in a head that says that a scope follows.
pub(crate) const SCOPE_FOLLOWS: u32 = 0x80;

/// What a clause is called, apart from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope(pub(crate) u32);

impl Scope {
    /// The clause has no name.
    pub(crate) const NAMELESS: Self = Self(0);

    #[cfg(feature = "write")]
    pub(crate) fn new(below: Option<u32>, kind: SegmentKind) -> Option<Self> {
        let below = below.map_or(Some(0), |name| name.checked_add(1))?;
        below.checked_mul(4)?.checked_add(kind as u32 + 1).map(Self)
    }

    fn parts(self) -> Option<(Option<u32>, SegmentKind)> {
        let word = self.0.checked_sub(1)?;
        Some(((word / 4).checked_sub(1), SegmentKind::from_code(word % 4)?))
    }

    /// The name it lies below.
    pub(crate) fn below(self) -> Option<u32> {
        self.parts().and_then(|(below, _)| below)
    }

    fn kind(self) -> Option<SegmentKind> {
        self.parts().map(|(_, kind)| kind)
    }
}

/// One name as stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'p> {
    pub(crate) scope: Scope,
    /// Bytes of the text before it that come first.
    pub(crate) shared: usize,
    /// What comes then.
    pub(crate) new: &'p [u8],
}

/// Reads names one after the other.
pub(crate) struct Reader<'p> {
    /// What has not been read.
    pub(crate) rest: &'p [u8],
    scope: Scope,
}

impl<'p> Reader<'p> {
    /// Starts at the beginning of a block.
    pub(crate) fn new(rest: &'p [u8]) -> Self {
        Self {
            rest,
            scope: Scope::NAMELESS,
        }
    }

    /// The next name; `None` when it is cut off.
    pub(crate) fn next(&mut self) -> Option<Entry<'p>> {
        let (&head, rest) = self.rest.split_first()?;
        self.rest = rest;
        let head = u32::from(head);
        if head & SCOPE_FOLLOWS != 0 {
            self.scope = Scope(self.number()?);
        }
        let new = match head >> 4 & 7 {
            NEW_FOLLOWS => self.number()?,
            new => new,
        };
        let shared = match head & 15 {
            SHARED_FOLLOWS => self.number()?,
            shared => shared,
        };
        let (new, rest) = self.rest.split_at_checked(new as usize)?;
        self.rest = rest;
        Some(Entry {
            scope: self.scope,
            shared: shared as usize,
            new,
        })
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in (0..32).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl Program {
    /// The names of a block up to that of a clause.
    fn entries(&self, clause: u32) -> impl Iterator<Item = Entry<'_>> {
        let blocks = self.section(Section::NameBlocks);
        let start = u32_at(
            blocks,
            (clause / NAMES_PER_BLOCK) as usize * size::NAME_BLOCK,
        );
        let names = self.section(Section::ClauseNames);
        let mut reader = Reader::new(names.get(start as usize..).unwrap_or_default());
        (0..=clause % NAMES_PER_BLOCK).map_while(move |_| reader.next())
    }

    fn scope(&self, clause: u32) -> Scope {
        let scope = self.entries(clause).last().map(|entry| entry.scope);
        scope.unwrap_or(Scope::NAMELESS)
    }

    /// Appends the text of a clause. Returns its scope.
    fn append_text(&self, clause: u32, out: &mut Vec<u8>) -> Scope {
        let start = out.len();
        let mut scope = Scope::NAMELESS;
        for entry in self.entries(clause) {
            out.truncate(start.saturating_add(entry.shared));
            out.extend_from_slice(entry.new);
            scope = entry.scope;
        }
        scope
    }

    /// Appends the name of a clause: its segments joined with `/`. Nothing if it has none. Returns the number of the first
    /// segment, if the clause lies below one.
    pub(crate) fn append_clause_name(&self, clause: u32, out: &mut Vec<u8>) -> Option<u32> {
        let start = out.len();
        let scope = self.append_text(clause, out);
        if scope == Scope::NAMELESS {
            out.truncate(start);
            return None;
        }
        let below = scope.below()?;
        // What comes first is known last: it goes to the end, the text after it, and both to where the text was.
        let text = start..out.len();
        let root = self.append_name(below, out);
        out.push(b'/');
        out.extend_from_within(text.clone());
        out.copy_within(text.end.., text.start);
        out.truncate(out.len() - text.len());
        Some(root)
    }

    /// The number of the first segment of a clause's name.
    pub(crate) fn clause_root(&self, clause: u32) -> Option<u32> {
        self.append_clause_name(clause, &mut Vec::new())
    }

    /// Appends the leaf route's own name. `false` if it has none.
    pub(crate) fn append_leaf_name(&self, clause: u32, out: &mut Vec<u8>) -> bool {
        let scope = self.scope(clause);
        match scope.kind() {
            Some(SegmentKind::Route) => {
                self.append_text(clause, out);
            }
            Some(SegmentKind::Matcher) => {
                let Some(name) = scope.below().and_then(|route| self.route_text(route)) else {
                    return false;
                };
                out.extend_from_slice(name);
            }
            _ => return false,
        }
        true
    }

    /// Appends the first segment: the virtual host. `false` if the clause has no name.
    pub(crate) fn append_root_name(&self, clause: u32, out: &mut Vec<u8>) -> bool {
        let scope = self.scope(clause);
        match scope.below() {
            Some(below) => out.extend_from_slice(self.root_name(below)),
            None if scope == Scope::NAMELESS => return false,
            None => {
                self.append_text(clause, out);
            }
        }
        true
    }
}

#[cfg(feature = "write")]
pub(crate) mod write {
    use super::{NEW_FOLLOWS, SCOPE_FOLLOWS, SHARED_FOLLOWS, Scope};

    /// Appends names one after the other.
    #[derive(Debug)]
    pub(crate) struct Appender {
        scope: Scope,
        text: Vec<u8>,
    }

    impl Default for Appender {
        fn default() -> Self {
            Self {
                scope: Scope::NAMELESS,
                text: Vec::new(),
            }
        }
    }

    impl Appender {
        /// Appends the next name. The first of a block does not depend on the one before it.
        pub(crate) fn append(
            &mut self,
            is_first: bool,
            scope: Scope,
            text: &[u8],
            out: &mut Vec<u8>,
        ) {
            let shared = if is_first {
                0
            } else {
                let pairs = self.text.iter().zip(text);
                pairs.take_while(|(a, b)| a == b).count()
            };
            let new = &text[shared..];
            let (shared_head, new_head) = (
                (shared as u32).min(SHARED_FOLLOWS),
                (new.len() as u32).min(NEW_FOLLOWS),
            );
            let scope_follows = is_first || scope != self.scope;
            let flag = if scope_follows { SCOPE_FOLLOWS } else { 0 };
            out.push((flag | new_head << 4 | shared_head) as u8);
            if scope_follows {
                number(scope.0, out);
            }
            if new_head == NEW_FOLLOWS {
                number(new.len() as u32, out);
            }
            if shared_head == SHARED_FOLLOWS {
                number(shared as u32, out);
            }
            out.extend_from_slice(new);
            self.scope = scope;
            self.text.truncate(shared);
            self.text.extend_from_slice(new);
        }
    }

    fn number(mut number: u32, out: &mut Vec<u8>) {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }
}

/// Whether a scope leads to a name that exists.
pub(crate) fn is_scope(scope: Scope, names: usize) -> bool {
    scope == Scope::NAMELESS
        || scope.parts().is_some_and(|(below, _)| {
            below.is_none_or(|name| name != NONE && (name as usize) < names)
        })
}
