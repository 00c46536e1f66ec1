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
        let record = section.get(id as usize * size::NAME..).unwrap_or_default();
        let word = u32_at(record, 12);
        Self {
            parent: u32_at(record, 0),
            string: u32_at(record, 4),
            len: u32_at(record, 8),
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

    /// Appends the full name: its segments joined with `/`. Returns the number of the first segment. Goes as deep as the name
    /// has segments, of which there are not more than [`MAX_DEPTH`].
    pub(crate) fn append_name(&self, id: u32, out: &mut Vec<u8>) -> u32 {
        let segment = Segment::at(self.section(Section::Names), id);
        let root = match segment.parent {
            NONE => id,
            parent => {
                let root = self.append_name(parent, out);
                out.push(b'/');
                root
            }
        };
        out.extend_from_slice(self.string(segment.string, segment.len));
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
