//! Names that clauses lie below: a tree of segments, so that routes of one table share the names of their ancestors.
//!
//! Record: `{parent, string, length, depth:8 | kind:8}`. A parent comes before its children.

use crate::format::{NONE, Section, size, u32_at};
use crate::program::Program;

/// Most segments of one name.
pub(crate) const MAX_DEPTH: u32 = 255;

/// What a segment names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// A virtual host or route table, as `namespace.name`.
    Object,
    /// A route by its own name.
    Route,
    /// A route by its position, as `#3`.
    RoutePosition,
    /// A matcher.
    Matcher,
}

impl SegmentKind {
    const ALL: [SegmentKind; 4] = [
        Self::Object,
        Self::Route,
        Self::RoutePosition,
        Self::Matcher,
    ];

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }
}

/// A segment as stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) parent: u32,
    pub(crate) string: u32,
    pub(crate) len: u32,
    pub(crate) depth: u32,
    pub(crate) kind: Option<SegmentKind>,
}

impl Segment {
    pub(crate) fn at(section: &[u8], id: u32) -> Self {
        let at = id as usize * size::NAME;
        let word = u32_at(section, at + 12);
        Self {
            parent: u32_at(section, at),
            string: u32_at(section, at + 4),
            len: u32_at(section, at + 8),
            depth: word & 0xff,
            kind: SegmentKind::from_code(word >> 8),
        }
    }
}

impl Program {
    /// The segments of a name from the last to the first.
    fn segments(&self, id: u32) -> impl Iterator<Item = (Segment, &[u8])> {
        let section = self.section(Section::Names);
        let mut next = id;
        std::iter::from_fn(move || {
            if next == NONE {
                return None;
            }
            let segment = Segment::at(section, next);
            next = segment.parent;
            Some((segment, self.string(segment.string, segment.len)))
        })
    }

    /// Appends the full name: its segments joined with `/`. Returns the number of the first segment.
    pub(crate) fn append_name(&self, id: u32, out: &mut Vec<u8>) -> u32 {
        let start = out.len();
        let (mut len, mut root) = (0, id);
        for (segment, text) in self.segments(id) {
            len += text.len() + 1;
            if segment.parent != NONE {
                root = segment.parent;
            }
        }
        out.resize(start + len.saturating_sub(1), b'/');
        // From the last segment to the first, each before the slash of the one written before it.
        let mut end = out.len();
        for (_, text) in self.segments(id) {
            let begin = end.saturating_sub(text.len());
            if let Some(place) = out.get_mut(begin..end)
                && place.len() == text.len()
            {
                place.copy_from_slice(text);
            }
            end = begin.saturating_sub(1);
        }
        root
    }

    /// The last segment, if it names a route.
    pub(crate) fn route_text(&self, id: u32) -> Option<&[u8]> {
        let (segment, text) = self.segments(id).next()?;
        (segment.kind == Some(SegmentKind::Route)).then_some(text)
    }

    /// The first segment: the virtual host that a name lies below.
    pub fn root_name(&self, id: u32) -> &[u8] {
        self.segments(id).last().map_or(b"", |(_, text)| text)
    }
}
