//! Conditions on method, headers and query parameters.
//!
//! Record: `{field:16 | flags:8 | kind:8, a, b}` with `a`, `b` a string, or `a` an automaton. The string of a range is its
//! two bounds, as numbers of 64 bits.

use crate::compare::same;
use crate::field::{self, Field, Fields};
use crate::format::{NONE, Section, size, u32_at};
use crate::program::Program;
use crate::request::{Headers, Request};

/// Kind of a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Method,
    HeaderPresent,
    HeaderExact,
    HeaderRegex,
    ParameterPresent,
    ParameterExact,
    ParameterRegex,
    HeaderRange,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Method,
        Kind::HeaderPresent,
        Kind::HeaderExact,
        Kind::HeaderRegex,
        Kind::ParameterPresent,
        Kind::ParameterExact,
        Kind::ParameterRegex,
        Kind::HeaderRange,
    ];

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }
}

/// A predicate as stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Predicate {
    pub(crate) kind: Option<Kind>,
    pub(crate) invert: bool,
    /// A header that is missing counts as an empty one.
    pub(crate) missing_as_empty: bool,
    pub(crate) field: u16,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

impl Predicate {
    pub(crate) fn at(section: &[u8], id: u32) -> Self {
        let at = id as usize * size::PREDICATE;
        let word = u32_at(section, at);
        Self {
            kind: Kind::from_code(word & 0xff),
            invert: word >> 8 & 1 != 0,
            missing_as_empty: word >> 9 & 1 != 0,
            field: (word >> 16) as u16,
            a: u32_at(section, at + 4),
            b: u32_at(section, at + 8),
        }
    }
}

/// Predicates whose outcome is kept. Those of one number modulo this push each other out.
const MEMO: usize = 16;

/// A request together with what has been looked up for it so far.
pub(crate) struct Context<'p, 'r, H: ?Sized> {
    program: &'p Program,
    request: &'r Request<'r, H>,
    /// The header fields that the program knows, read when the first question about one comes up.
    fields: Option<Fields<'r>>,
    /// Predicates that were evaluated, twice their number and one more if they hold: several places on one path often ask
    /// the same.
    memo: [u32; MEMO],
}

impl<'p, 'r, H: Headers + ?Sized> Context<'p, 'r, H> {
    #[inline(always)]
    pub(crate) fn new(program: &'p Program, request: &'r Request<'r, H>) -> Self {
        Self {
            program,
            request,
            fields: None,
            memo: [NONE; MEMO],
        }
    }

    /// Whether a predicate holds.
    pub(crate) fn holds(&mut self, id: u32) -> bool {
        let (slot, known) = (id as usize % MEMO, id << 1);
        match self.memo[slot] ^ known {
            0 => false,
            1 => true,
            _ => {
                let holds = self.evaluate(id);
                self.memo[slot] = known | u32::from(holds);
                holds
            }
        }
    }

    fn evaluate(&mut self, id: u32) -> bool {
        let program = self.program;
        let predicate = Predicate::at(program.section(Section::Predicates), id);
        let text = || program.string(predicate.a, predicate.b);
        let accepts = |value: &[u8]| {
            program
                .automaton(predicate.a)
                .is_some_and(|automaton| automaton.accepts(value))
        };
        let holds = match predicate.kind {
            Some(Kind::Method) => same(self.request.method, text()),
            Some(Kind::HeaderPresent) => !matches!(self.header(&predicate), Value::Missing),
            Some(Kind::HeaderExact) => match self.header(&predicate) {
                Value::Missing => false,
                Value::One(value) => same(value, text()),
                Value::Several(name) => is_joined(field::lines(self.request, name), text()),
            },
            Some(Kind::HeaderRegex) => match self.header(&predicate) {
                Value::Missing => false,
                Value::One(value) => accepts(value),
                Value::Several(name) => program.automaton(predicate.a).is_some_and(|automaton| {
                    automaton.accepts_joined(field::lines(self.request, name))
                }),
            },
            Some(Kind::HeaderRange) => {
                let value = match self.header(&predicate) {
                    Value::Missing => None,
                    Value::One(value) => Some(value),
                    Value::Several(name) => {
                        let mut lines = field::lines(self.request, name);
                        // Several lines are joined with commas, and that is no number.
                        lines.next().filter(|_| lines.next().is_none())
                    }
                };
                value.is_some_and(|value| is_in_range(value, text()))
            }
            Some(Kind::ParameterPresent) => self.parameter(predicate.field).is_some(),
            Some(Kind::ParameterExact) => self
                .parameter(predicate.field)
                .is_some_and(|value| same(value, text())),
            Some(Kind::ParameterRegex) => self.parameter(predicate.field).is_some_and(accepts),
            None => false,
        };
        holds != predicate.invert
    }

    pub(crate) fn request(&self) -> &'r Request<'r, H> {
        self.request
    }

    /// What the request has to say about a subject.
    pub(crate) fn value(&mut self, subject: Subject) -> Value<'p, 'r> {
        match subject {
            Subject::Method => Value::One(self.request.method),
            Subject::Header(field) => self.lines(field),
            Subject::Parameter(parameter) => {
                self.parameter(parameter).map_or(Value::Missing, Value::One)
            }
        }
    }

    pub(crate) fn fields(&mut self) -> &Fields<'r> {
        let (program, request) = (self.program, self.request);
        self.fields
            .get_or_insert_with(|| Fields::read(program, request))
    }

    fn header(&mut self, predicate: &Predicate) -> Value<'p, 'r> {
        match self.lines(predicate.field) {
            Value::Missing if predicate.missing_as_empty => Value::One(b""),
            value => value,
        }
    }

    fn lines(&mut self, field: u16) -> Value<'p, 'r> {
        match self.fields().get(field) {
            Field::Missing => Value::Missing,
            Field::One(value) => Value::One(value),
            Field::Several => {
                let name = self.program.string_ref(Section::Fields, usize::from(field));
                match field::lines(self.request, name).next() {
                    Some(_) => Value::Several(name),
                    None => Value::Missing,
                }
            }
        }
    }

    fn parameter(&self, parameter: u16) -> Option<&'r [u8]> {
        let name = self
            .program
            .string_ref(Section::Parameters, usize::from(parameter));
        field::parameter(self.request.query(), name)
    }
}

/// What predicates and switches look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Method,
    Header(u16),
    Parameter(u16),
}

impl Subject {
    /// Unpacks a subject; the verifier has refused what is none.
    pub(crate) fn parse(word: u32) -> Self {
        match word & 0xffff {
            0 => Self::Method,
            1 => Self::Header((word >> 16) as u16),
            _ => Self::Parameter((word >> 16) as u16),
        }
    }

    #[cfg(feature = "write")]
    pub(crate) fn word(self) -> u32 {
        match self {
            Self::Method => 0,
            Self::Header(field) => 1 | u32::from(field) << 16,
            Self::Parameter(parameter) => 2 | u32::from(parameter) << 16,
        }
    }
}

/// The value of a subject.
#[derive(Clone, Copy)]
pub(crate) enum Value<'p, 'r> {
    Missing,
    One(&'r [u8]),
    /// Several header lines under this name, which count as one value, joined with commas.
    Several(&'p [u8]),
}

/// Whether the pieces, joined with commas, are the text.
fn is_joined<'t>(pieces: impl Iterator<Item = &'t [u8]>, text: &[u8]) -> bool {
    let mut rest = Some(text);
    for (n, piece) in pieces.enumerate() {
        if n > 0 {
            rest = rest.and_then(|rest| rest.strip_prefix(b","));
        }
        rest = rest.and_then(|rest| rest.strip_prefix(piece));
    }
    rest == Some(b"")
}

/// Whether a value is a decimal number within the bounds that a string holds.
fn is_in_range(value: &[u8], bounds: &[u8]) -> bool {
    let ([bytes_of_start, bytes_of_end], _) = bounds.as_chunks() else {
        return false;
    };
    let number = str::from_utf8(value)
        .ok()
        .and_then(|value| value.parse().ok());
    let range = i64::from_le_bytes(*bytes_of_start)..i64::from_le_bytes(*bytes_of_end);
    number.is_some_and(|number| range.contains(&number))
}
