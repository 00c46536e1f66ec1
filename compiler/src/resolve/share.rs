//! Sharing: what several routes delegate to alike is flattened once, and each of them refers to it.
//!
//! While virtual hosts are flattened, every delegation that can be shared becomes a reference to a *unit*. When all
//! references are known, units that are not worth it are written out in their places: [`settle`]. Shared or written
//! out, the routes mean the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::options::SameOptions;
use crate::resource::SortMethod;
use crate::source::Span;
use crate::tree::{
    Above, Delegation, Entry, Matcher, Options, PathMatch, PathTail, Route, SharedRoutes, below,
};

use super::Sharing;
use super::repetition::Repetitions;
use super::traffic_policy::PolicySet;

/// Shared routes may delegate to shared routes, so often.
pub(super) const MAX_NESTING: usize = 3;
/// A request tries the references that its path leads to one after the other. In one list there are no more than this
/// for any path; further ones are written out.
const MAX_TRIED: usize = 4;
/// A unit with fewer clauses is not shared: finding one of them is as much work as following a reference.
pub(super) const SMALL: usize = 16;
/// A unit is not shared if that saves fewer clauses: a clause takes some 40 bytes of program, and 10 KB more do less
/// harm than a step more in every request.
const WORTH: usize = 256;

/// An element of a list that is being flattened.
#[derive(Debug)]
pub(super) enum Draft {
    Route(Arc<Route>),
    Reference(Box<Reference>),
}

/// A delegating route, instead of the routes it delegates to.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) names: Vec<String>,
    /// As in [`Delegation`].
    pub(super) matcher: Matcher,
    pub(super) route: Span,
    /// Options that are passed down.
    pub(super) options: Options,
    pub(super) unit: usize,
}

impl Draft {
    /// The conditions of the route.
    pub(super) fn matchers(&self) -> &[Matcher] {
        match self {
            Self::Route(route) => &route.matchers,
            Self::Reference(reference) => std::slice::from_ref(&reference.matcher),
        }
    }
}

/// A list that is being flattened.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) entries: Vec<Draft>,
    /// Number of references by prefix, in lower case.
    prefixes: BTreeMap<Vec<u8>, usize>,
}

impl List {
    /// Whether a reference can be added without too many of them being tried for one path.
    pub(super) fn has_room(&self, prefix: &PathMatch) -> bool {
        let prefix = folded(prefix);
        let tried = |path: &[u8]| -> usize {
            (0..=path.len())
                .filter_map(|len| self.prefixes.get(&path[..len]))
                .sum()
        };
        tried(&prefix) < MAX_TRIED
            && self
                .prefixes
                .range(prefix.clone()..)
                .take_while(|(longer, _)| longer.starts_with(&prefix))
                .all(|(longer, _)| tried(longer) < MAX_TRIED)
    }

    /// Adds a reference.
    pub(super) fn refer(&mut self, reference: Reference) {
        let prefix = folded(&reference.matcher.path);
        *self.prefixes.entry(prefix).or_default() += 1;
        self.entries.push(Draft::Reference(Box::new(reference)));
    }

    /// Takes back what was added last.
    pub(super) fn truncate(&mut self, len: usize) {
        for draft in self.entries.drain(len..) {
            if let Draft::Reference(reference) = draft
                && let Some(count) = self.prefixes.get_mut(&folded(&reference.matcher.path))
            {
                *count -= 1;
            }
        }
    }
}

fn folded(prefix: &PathMatch) -> Vec<u8> {
    prefix.literal_text().to_ascii_lowercase().into_bytes()
}

/// What a unit depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The tables.
    pub(super) targets: Vec<usize>,
    /// How their routes are ordered.
    pub(super) sort: SortMethod,
    /// Options and policies that are passed down.
    pub(super) level: (SameOptions, PolicySet),
    /// Whether the prefix of the delegating route ends in a slash, and then whether that slash stands in text whose case
    /// is ignored: a route without a path takes the prefix with the slash.
    pub(super) slash: Option<bool>,
    /// Whether there is text before that slash: regexes and suffixes may not begin inside of it.
    pub(super) below_text: bool,
    /// What follows the prefix begins with a slash, or is empty.
    pub(super) whole_segments: bool,
    /// How many references may follow one another from here on.
    pub(super) nesting: usize,
}

/// The complete expansion of a delegating route, as it looks from there.
#[derive(Debug)]
pub(super) struct Unit<'r> {
    pub(super) entries: Vec<Draft>,
    /// Options that were passed down to it.
    pub(super) options: Options,
    /// Number of clauses.
    pub(super) size: usize,
    /// The same with all units that it refers to written out.
    pub(super) written_out: usize,
    pub(super) facts: Facts<'r>,
}

/// What was met while flattening, as far as it decides where the result can be used.
#[derive(Debug, Default)]
pub(super) struct Facts<'r> {
    /// Something was left out that may be there in another place: a cycle, or a chain of tables that is too long.
    pub(super) is_cut: bool,
    /// Something was written out because references may not be nested deeper.
    pub(super) is_flattened: bool,
    /// Longest chain of references.
    pub(super) height: usize,
    /// Length of the longest chain of tables, from the virtual host on.
    pub(super) depth: usize,
    /// The tables that are used, sorted.
    pub(super) tables: Vec<usize>,
    /// Prefixes that may be repeated.
    pub(super) repetitions: Repetitions<'r>,
}

impl<'r> Facts<'r> {
    /// Takes over what also holds around a part.
    pub(super) fn include(&mut self, part: &Facts<'r>, depth: usize) {
        self.is_cut |= part.is_cut;
        self.is_flattened |= part.is_flattened;
        self.depth = self.depth.max(depth);
        for &table in &part.tables {
            self.reach(table);
        }
    }

    pub(super) fn reach(&mut self, table: usize) {
        if let Err(at) = self.tables.binary_search(&table) {
            self.tables.insert(at, table);
        }
    }
}

/// The units so far. One refers only to units before it.
#[derive(Debug, Default)]
pub(super) struct Units<'r> {
    pub(super) list: Vec<Unit<'r>>,
    /// `None`: cannot be shared.
    known: HashMap<Key, Option<usize>>,
}

impl<'r> Units<'r> {
    pub(super) fn get(&self, key: &Key) -> Option<Option<usize>> {
        self.known.get(key).copied()
    }

    pub(super) fn refuse(&mut self, key: Key) {
        self.known.insert(key, None);
    }

    pub(super) fn add(&mut self, key: Key, unit: Unit<'r>) -> usize {
        let number = self.list.len();
        if !unit.facts.is_flattened {
            // It would look the same wherever it fits.
            for nesting in unit.facts.height + 1..=MAX_NESTING {
                let key = Key {
                    nesting,
                    ..key.clone()
                };
                self.known.entry(key).or_insert(Some(number));
            }
        }
        self.known.insert(key, Some(number));
        self.list.push(unit);
        number
    }

    /// Forgets the units from this one on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
        self.known
            .retain(|_, unit| unit.is_none_or(|unit| unit < len));
    }
}

/// Decides which units remain shared, and writes the others out.
pub(super) fn settle(
    units: Vec<Unit<'_>>,
    lists: Vec<Vec<Draft>>,
    sharing: Sharing,
) -> Vec<Vec<Entry>> {
    // How often each unit is referred to, once those that refer to it are settled. These come after it.
    let mut uses = vec![0_usize; units.len()];
    let count = |drafts: &[Draft], times: usize, uses: &mut Vec<usize>| {
        for draft in drafts {
            if let Draft::Reference(reference) = draft {
                let uses = &mut uses[reference.unit];
                *uses = uses.saturating_add(times);
            }
        }
    };
    for list in &lists {
        count(list, 1, &mut uses);
    }
    let mut is_shared = vec![false; units.len()];
    for (at, unit) in units.iter().enumerate().rev() {
        is_shared[at] = match sharing {
            Sharing::Never => false,
            Sharing::Always => true,
            Sharing::WhereItPays => {
                unit.size >= SMALL && uses[at].saturating_sub(1).saturating_mul(unit.size) >= WORTH
            }
        };
        let times = if is_shared[at] { 1 } else { uses[at] };
        count(&unit.entries, times, &mut uses);
    }
    let mut settled = Settled {
        uses,
        units: Vec::with_capacity(units.len()),
    };
    for (unit, is_shared) in units.into_iter().zip(is_shared) {
        let entries = settled.list(unit.entries);
        settled.units.push(if is_shared {
            Contents::Shared(Arc::new(SharedRoutes {
                entries,
                options: unit.options.into(),
            }))
        } else {
            Contents::WrittenOut(entries, Box::new(unit.options))
        });
    }
    lists.into_iter().map(|list| settled.list(list)).collect()
}

struct Settled {
    /// How many references to each unit are left.
    uses: Vec<usize>,
    units: Vec<Contents>,
}

enum Contents {
    Shared(Arc<SharedRoutes>),
    /// With the options that were passed down to them.
    WrittenOut(Vec<Entry>, Box<Options>),
}

impl Settled {
    fn list(&mut self, drafts: Vec<Draft>) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let reference = match draft {
                Draft::Route(route) => {
                    entries.push(Entry::Route(route));
                    continue;
                }
                Draft::Reference(reference) => *reference,
            };
            let Reference {
                names,
                matcher,
                route,
                options,
                unit,
            } = reference;
            match &mut self.units[unit] {
                Contents::Shared(shared) => entries.push(Entry::Delegation(Box::new(Delegation {
                    names,
                    matcher,
                    route,
                    options: options.into(),
                    shared: shared.clone(),
                }))),
                Contents::WrittenOut(list, from) => {
                    self.uses[unit] = self.uses[unit].saturating_sub(1);
                    let list = if self.uses[unit] == 0 {
                        // Nobody else needs it, so its routes are not copied.
                        std::mem::take(list)
                    } else {
                        list.clone()
                    };
                    let above = Above {
                        names: &names,
                        matcher: &matcher,
                        options: [from, &options],
                    };
                    entries.extend(below(above, list));
                }
            }
        }
        entries
    }
}

/// The path of a delegating route in two parts: the prefix without the slash at its end, and that slash, which is where
/// the paths of shared routes begin. Whether segments are whole is left to them. `None` if the path is no single prefix.
pub(super) fn split(path: &PathMatch) -> Option<(PathMatch, PathMatch, Option<bool>)> {
    if path.literal.len() > 1 || path.tail != PathTail::Any {
        return None;
    }
    let mut prefix = PathMatch {
        whole_segments: false,
        ..path.clone()
    };
    let mut rest = PathMatch {
        literal: Vec::new(),
        whole_segments: path.whole_segments,
        tail: PathTail::Any,
    };
    let mut slash = None;
    if let Some(last) = prefix.literal.last_mut()
        && last.text.ends_with('/')
    {
        last.text.pop();
        slash = Some(last.ignore_case);
        rest.literal.push(crate::tree::LiteralPart {
            text: "/".to_owned(),
            ignore_case: last.ignore_case,
        });
        if last.text.is_empty() {
            prefix.literal.clear();
        }
    }
    Some((prefix, rest, slash))
}
