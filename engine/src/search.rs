//! The search for the first clause that holds: through the path tries of a virtual host, through the rule sets to which
//! they lead, and through the virtual hosts that are called from there.

use crate::format::{NONE, Section, SetRef, size};
use crate::predicate::Context;
use crate::program::{Does, Program};
use crate::request::{Headers, Request};
use crate::rule_set::lowest;
use crate::trie::{Reading, any_value, walk};

/// Most calls of virtual hosts for one request. The compiler's programs need a handful; the limits are for programs that
/// were not written by it.
const MAX_CALLS: u32 = 1_000;
/// Deepest nesting of calls, for the same reason.
pub(crate) const MAX_CALL_NESTING: usize = 4;

/// How the four tries of a virtual host read a path, in the order of its record.
const READINGS: [Reading; 4] = [
    Reading {
        reversed: false,
        folded: false,
    },
    Reading {
        reversed: false,
        folded: true,
    },
    Reading {
        reversed: true,
        folded: false,
    },
    Reading {
        reversed: true,
        folded: true,
    },
];

/// A clause, and if it is a call, the clause that won there, and so on. What follows a clause that is no call has no
/// meaning.
pub(crate) type Chain = [u32; MAX_CALL_NESTING + 1];

/// Looks for the first clause that holds.
pub(crate) struct Search<'p, 'r, H: ?Sized> {
    pub(crate) program: &'p Program,
    pub(crate) sets: &'p [u8],
    tries: &'p [u8],
    pub(crate) context: Context<'p, 'r, H>,
    /// What the virtual host that is being searched decides about.
    path: &'r [u8],
    /// Number of rule sets looked at so far, and of those around the present one.
    pub(crate) visits: u32,
    pub(crate) nesting: u32,
    calls: u32,
    /// Number of calls around the virtual host that is being searched.
    level: usize,
    /// Something was not looked at, because it would have been too much. It may have been what comes first.
    pub(crate) is_cut: bool,
    /// The lowest clause found so far in the virtual host that is being searched.
    pub(crate) best: u32,
    /// Where the search of a call ended, by level. Valid for `best` if that is a call.
    chain: Chain,
}

impl<'p, 'r, H: Headers + ?Sized> Search<'p, 'r, H> {
    #[inline(always)]
    pub(crate) fn new(program: &'p Program, request: &'r Request<'r, H>) -> Self {
        Self {
            program,
            sets: program.section(Section::RuleSets),
            tries: program.section(Section::Tries),
            context: Context::new(program, request),
            path: request.path_only(),
            visits: 0,
            nesting: 0,
            calls: 0,
            level: 0,
            is_cut: false,
            best: NONE,
            chain: [NONE; MAX_CALL_NESTING + 1],
        }
    }

    /// Lets the virtual host decide about another path than that of the request.
    pub(crate) fn set_path(&mut self, path: &'r [u8]) {
        self.path = path;
    }

    /// The first clause of a virtual host that holds. None, rather than one that may not be the first, if there is too much to
    /// look at.
    pub(crate) fn first(&mut self, host: u32) -> Option<Chain> {
        self.host(host);
        let [first, ..] = &mut self.chain;
        *first = self.best;
        (self.best != NONE && !self.is_cut).then_some(self.chain)
    }

    /// Searches a virtual host.
    fn host(&mut self, host: u32) {
        let (tries, path) = (self.tries, self.path);
        let records = self.program.section(Section::VirtualHosts);
        let record = records.get(host as usize * size::VIRTUAL_HOST..);
        let Some((roots, _)) = record.and_then(<[u8]>::split_first_chunk::<{ size::VIRTUAL_HOST }>)
        else {
            return;
        };
        let mut candidates = Candidates::new();
        let (roots, _) = roots.as_chunks();
        for (n, root) in roots.iter().enumerate() {
            let root = u32::from_le_bytes(*root);
            if root == NONE {
                continue;
            }
            let reading = READINGS[n & 3];
            walk(tries, root, path, reading, |found| {
                // Reversed tries hold suffixes, which leave nothing to test.
                let depth = if reading.reversed {
                    path.len()
                } else {
                    found.depth
                };
                self.meet(&mut candidates, SetRef(found.value), depth);
            });
        }
        for candidate in candidates.iter() {
            if candidate.lowest >= self.best {
                break;
            }
            self.visit(
                candidate.set,
                path.get(candidate.depth..).unwrap_or_default(),
            );
        }
    }

    /// Keeps a rule set for later, or looks at it at once where too many are kept. Not inlined: it happens once or twice
    /// for a request, and the walk is faster without it in its loop.
    #[inline(never)]
    fn meet(&mut self, candidates: &mut Candidates, set: SetRef, depth: usize) {
        let candidate = Candidate {
            lowest: lowest(self.sets, set),
            set,
            depth,
        };
        if !candidates.push(candidate) {
            self.visit(set, self.path.get(depth..).unwrap_or_default());
        }
    }

    /// Searches the virtual host that a clause calls. Whether it has a clause that holds.
    pub(crate) fn call(&mut self, clause: u32) -> bool {
        let Does::Call(call) = self.program.clause(clause) else {
            return false;
        };
        let Some(path) = self.path.get(call.base as usize..) else {
            return false;
        };
        if self.level == MAX_CALL_NESTING || self.calls == MAX_CALLS {
            // How deep calls are nested is a matter of the program; how many there are, of the request.
            self.is_cut |= self.calls == MAX_CALLS;
            return false;
        }
        let (outer_path, outer_best) = (self.path, self.best);
        let (outer_nesting, outer_chain) = (self.nesting, self.chain);
        self.path = path;
        self.best = NONE;
        self.nesting = 0;
        self.calls += 1;
        self.level += 1;
        self.host(call.host);
        let found = self.best;
        if found == NONE {
            // What the search has left in the chain belongs to nothing.
            self.chain = outer_chain;
        } else if let Some(place) = self.chain.get_mut(self.level) {
            *place = found;
        }
        self.level -= 1;
        self.path = outer_path;
        self.best = outer_best;
        self.nesting = outer_nesting;
        found != NONE
    }
}

impl Program {
    /// One of the clauses of a virtual host; `None` if it has none.
    pub(crate) fn any_clause(&self, host: u32) -> Option<u32> {
        let records = self.section(Section::VirtualHosts);
        let record = records.get(host as usize * size::VIRTUAL_HOST..)?;
        let (roots, _) = record.split_first_chunk::<{ size::VIRTUAL_HOST }>()?;
        let mut roots = roots
            .as_chunks()
            .0
            .iter()
            .map(|root| u32::from_le_bytes(*root));
        let root = roots.find(|root| *root != NONE)?;
        let set = any_value(self.section(Section::Tries), root)?;
        Some(lowest(self.section(Section::RuleSets), SetRef(set)))
    }
}

const CAPACITY: usize = 8;

/// A rule set whose path condition holds.
#[derive(Clone, Copy)]
struct Candidate {
    /// Its lowest clause.
    lowest: u32,
    set: SetRef,
    /// Bytes of the path before what is left to test.
    depth: usize,
}

/// Rule sets to look at, lowest clause first. Holds the few that a path usually meets; the rest is looked at at once.
struct Candidates {
    sets: [Candidate; CAPACITY],
    len: usize,
}

impl Candidates {
    #[inline(always)]
    fn new() -> Self {
        const NOTHING: Candidate = Candidate {
            lowest: NONE,
            set: SetRef::NONE,
            depth: 0,
        };
        Self {
            sets: [NOTHING; CAPACITY],
            len: 0,
        }
    }

    /// Keeps a set, ordered; `false` when there is no room.
    fn push(&mut self, candidate: Candidate) -> bool {
        if self.len == CAPACITY {
            return false;
        }
        let mut at = self.len;
        while let Some([before, place]) = at
            .checked_sub(1)
            .and_then(|before| self.sets.get_mut(before..=at))
        {
            if before.lowest <= candidate.lowest {
                break;
            }
            *place = *before;
            at -= 1;
        }
        if let Some(place) = self.sets.get_mut(at) {
            *place = candidate;
        }
        self.len += 1;
        true
    }

    fn iter(&self) -> impl Iterator<Item = Candidate> {
        self.sets
            .get(..self.len)
            .unwrap_or_default()
            .iter()
            .copied()
    }
}
