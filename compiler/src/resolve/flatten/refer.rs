//! Delegating routes that are replaced by references to shared routes.

use crate::code::Code;
use crate::diagnostic::Diagnostics;
use crate::resource::SortMethod;
use crate::source::Span;
use crate::tree::Matcher;

use super::super::matcher::Conditions;
use super::super::repetition::{self, Below};
use super::super::share::{self, Draft, Key, List, Reference, SMALL, Unit};
use super::{Flattener, LimitReached, MAX_DEPTH, Scope, everything};

impl<'r> Flattener<'_, 'r> {
    /// Replaces a delegating route: by a reference if that is possible, by the routes otherwise.
    pub(super) fn delegate(
        &mut self,
        route: Span,
        targets: &[(usize, Span)],
        sort: SortMethod,
        scope: Scope<'_>,
        flat: &mut List,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), LimitReached> {
        let Some((prefix, unit)) = self.unit(targets, sort, scope, flat, diagnostics)? else {
            return self.expand(targets, sort, scope, flat, diagnostics);
        };
        let copied = super::size(&prefix).saturating_mul(self.units.list[unit].written_out);
        self.spend(self.units.list[unit].size.min(SMALL).saturating_add(copied))?;
        let text = prefix.path.literal_text();
        match scope.outside {
            None => self.check_repetitions(unit, &text, prefix.span, diagnostics),
            Some(_) => {
                let nested = (unit, text, prefix.span);
                self.facts.repetitions.nested.push(nested);
            }
        }
        if self.units.list[unit].size > 0 {
            let names = scope.names[scope.outside.unwrap_or(0)..].to_vec();
            flat.refer(Reference {
                names,
                matcher: prefix,
                route,
                options: scope.level.options.clone(),
                unit,
            });
        }
        Ok(())
    }

    /// The unit that a delegating route can refer to, and the conditions of the reference.
    fn unit(
        &mut self,
        targets: &[(usize, Span)],
        sort: SortMethod,
        scope: Scope<'_>,
        flat: &List,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<(Matcher, usize)>, LimitReached> {
        // A contradictory method is reported on the child, and an option that is refused on each of its places.
        let Some([parent]) = scope.parents else {
            return Ok(None);
        };
        if !scope.may_share || parent.method.is_some() || scope.level.is_refused() {
            return Ok(None);
        }
        let Some((prefix, rest, slash)) = share::split(&parent.path) else {
            return Ok(None);
        };
        if scope.nesting == 0 || !flat.has_room(&prefix) {
            self.facts.is_flattened |= scope.nesting == 0;
            return Ok(None);
        }
        let key = Key {
            targets: targets.iter().map(|&(table, _)| table).collect(),
            sort,
            level: scope.level.key(),
            slash,
            below_text: slash.is_some() && (scope.below_text || !prefix.literal.is_empty()),
            whole_segments: rest.whole_segments,
            nesting: scope.nesting,
        };
        let known = match self.units.get(&key) {
            Some(known) => known,
            None => {
                let inner = Scope {
                    below_text: key.below_text,
                    parents: Some(&[everything(rest, Span::default())]),
                    outside: Some(scope.names.len()),
                    nesting: scope.nesting - 1,
                    ..scope
                };
                self.make_unit(key, targets, inner, diagnostics)?
            }
        };
        let Some(number) = known else {
            return Ok(None);
        };
        let facts = &self.units.list[number].facts;
        let depth = scope.through.len() + facts.depth;
        let comes_back = |(table, _): &(usize, Span)| facts.tables.binary_search(table).is_ok();
        if depth > MAX_DEPTH || scope.through.iter().any(comes_back) {
            return Ok(None);
        }
        if scope.outside.is_some() {
            self.facts.include(facts, depth);
            self.facts.height = self.facts.height.max(facts.height + 1);
        }
        let matcher = Matcher {
            path: prefix,
            ..parent.clone()
        };
        Ok(Some((matcher, number)))
    }

    /// Flattens what may become a unit. `None` if it cannot.
    fn make_unit(
        &mut self,
        key: Key,
        targets: &[(usize, Span)],
        scope: Scope<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<usize>, LimitReached> {
        let around = std::mem::take(&mut self.facts);
        let before = self.left;
        let mut list = List::default();
        self.expand(targets, key.sort, scope, &mut list, diagnostics)?;
        let mut facts = std::mem::replace(&mut self.facts, around);
        facts.depth = facts.depth.saturating_sub(scope.through.len());
        if facts.is_cut {
            self.facts.is_cut = true;
            self.units.refuse(key);
            // It is flattened again, where it is used.
            self.left = before;
            return Ok(None);
        }
        let size = list
            .entries
            .iter()
            .map(|draft| draft.matchers().len())
            .sum();
        let written_out = list.entries.iter().map(|draft| match draft {
            Draft::Route(route) => route.matchers.len(),
            Draft::Reference(reference) => self.units.list[reference.unit].written_out,
        });
        let unit = Unit {
            written_out: written_out.fold(0, usize::saturating_add),
            entries: list.entries,
            options: scope.level.options.clone(),
            size,
            facts,
        };
        Ok(Some(self.units.add(key, unit)))
    }

    /// Reports a path that repeats the prefix of its delegating route, or keeps it for later.
    pub(super) fn check_repetition(
        &mut self,
        parent: &Matcher,
        own: &Conditions<'r>,
        scope: Scope<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        let Some(uri) = own.uri else { return };
        let prefix = parent.path.literal_text();
        if scope.outside.is_some() {
            let place = (parent.span != Span::default()).then_some(parent.span);
            self.facts.repetitions.add(Below { prefix, place, uri });
        } else if repetition::repeats(&prefix, &uri.value.value)
            && self.is_new(Code::RepeatedPrefix, uri.span)
        {
            diagnostics.push(repetition::finding(&prefix, uri, parent.span));
        }
    }

    /// The same for a unit that is referred to below a prefix.
    fn check_repetitions(
        &mut self,
        unit: usize,
        above: &str,
        place: Span,
        diagnostics: &mut Diagnostics,
    ) {
        let repetitions = &self.units.list[unit].facts.repetitions;
        for below in repetitions.candidates(above) {
            let prefix = format!("{above}{}", below.prefix);
            if repetition::repeats(&prefix, &below.uri.value.value)
                && self.reported.insert((Code::RepeatedPrefix, below.uri.span))
            {
                let place = below.place.unwrap_or(place);
                diagnostics.push(repetition::finding(&prefix, below.uri, place));
            }
        }
        for nested in 0..repetitions.nested.len() {
            let (unit, prefix, place) = &self.units.list[unit].facts.repetitions.nested[nested];
            let (unit, above, place) = (*unit, format!("{above}{prefix}"), *place);
            self.check_repetitions(unit, &above, place, diagnostics);
        }
    }
}
