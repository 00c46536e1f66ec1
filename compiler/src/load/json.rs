//! JSON text to document trees. YAML readers do not know JSON's surrogate escapes, nor values that follow one another
//! without a separator, so JSON has its own reader.

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::keys::Keys;
use super::node::{Entry, Node, Scalar, Value};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

/// Whether a text can be JSON: it begins with a map.
pub(super) fn looks_like_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{')
}

/// What was read.
pub(super) struct Documents<'s> {
    pub(super) documents: Vec<Node<'s>>,
    /// Findings that leave the text JSON.
    pub(super) findings: Vec<Diagnostic>,
    /// Why reading stopped before the end.
    pub(super) error: Option<Diagnostic>,
}

/// Reads the values of a text, one after the other.
pub(super) fn documents(file: FileId, (offset, text): (usize, &str)) -> Documents<'_> {
    let mut reader = Reader {
        file,
        offset,
        text,
        at: 0,
        findings: Vec::new(),
    };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    let mut documents = Vec::new();
    let mut error = None;
    reader.skip_space();
    while error.is_none() && reader.peek().is_some() {
        match reader.value(0) {
            Ok(node) => documents.push(node),
            Err(diagnostic) => error = Some(*diagnostic),
        }
        reader.skip_space();
    }
    Documents {
        documents,
        findings: reader.findings,
        error,
    }
}

type Failure = Box<Diagnostic>;

struct Reader<'s> {
    file: FileId,
    offset: usize,
    text: &'s str,
    /// The next byte; always on the boundary of a character.
    at: usize,
    findings: Vec<Diagnostic>,
}

impl<'s> Reader<'s> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            file: self.file,
            start: (self.offset + start) as u32,
            end: (self.offset + end) as u32,
        }
    }

    fn error(&self, message: &str) -> Failure {
        let length = self.text[self.at..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
        Box::new(Diagnostic::at(
            Code::JsonSyntax,
            self.span(self.at, self.at + length),
            message,
        ))
    }

    /// Takes a punctuation character, and the space around it.
    fn takes(&mut self, character: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(character);
        if found {
            self.at += 1;
            self.skip_space();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node<'s>, Failure> {
        let start = self.at;
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => {
                Err(super::too_deep(self.span(start, start + 1)))
            }
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => {
                let text = self.string()?;
                Ok(Node::new(
                    self.span(start, self.at),
                    Value::Scalar(Scalar { text, string: true }),
                ))
            }
            Some(_) => {
                let word = self.text[start..]
                    .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
                let word = &self.text[start..word.map_or(self.text.len(), |length| start + length)];
                let number = || serde_json::from_str::<serde_json::Number>(word).is_ok();
                if !(matches!(word, "true" | "false" | "null") || number()) {
                    return Err(self.error("expected a value"));
                }
                self.at += word.len();
                let scalar = Scalar {
                    text: Cow::Borrowed(word),
                    string: false,
                };
                Ok(Node::new(self.span(start, self.at), Value::Scalar(scalar)))
            }
            None => Err(self.error("the text ends in the middle of a value")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node<'s>, Failure> {
        let start = self.at;
        let mut list = Vec::new();
        self.at += 1;
        if !self.takes(b']') {
            loop {
                list.push(self.value(depth + 1)?);
                if !self.takes(b',') {
                    break;
                }
            }
            self.closes(b']', "expected `,` or `]`")?;
        }
        Ok(Node::new(
            self.span(start, self.end(start)),
            Value::List(list),
        ))
    }

    fn map(&mut self, depth: usize) -> Result<Node<'s>, Failure> {
        let start = self.at;
        let mut entries: Vec<Entry<'s>> = Vec::new();
        let mut keys = Keys::default();
        let mut faulty = false;
        self.at += 1;
        if !self.takes(b'}') {
            loop {
                let key_start = self.at;
                if self.peek() != Some(b'"') {
                    return Err(self.error("expected a key in double quotes"));
                }
                let key = self.string()?;
                let key_span = self.span(key_start, self.at);
                if !self.takes(b':') {
                    return Err(self.error("expected `:`"));
                }
                let value = self.value(depth + 1)?;
                match keys.repeated(&entries, &key, key_span) {
                    Some(finding) => {
                        faulty = true;
                        self.findings.push(finding);
                    }
                    None => entries.push(Entry {
                        key,
                        key_span,
                        value,
                    }),
                }
                if !self.takes(b',') {
                    break;
                }
            }
            self.closes(b'}', "expected `,` or `}`")?;
        }
        let mut node = Node::new(self.span(start, self.end(start)), Value::Map(entries));
        node.faulty = faulty;
        Ok(node)
    }

    fn closes(&mut self, bracket: u8, message: &str) -> Result<(), Failure> {
        if self.takes(bracket) {
            Ok(())
        } else {
            Err(self.error(message))
        }
    }

    /// The end of the value that began at `start`, without the space that was skipped after it.
    fn end(&self, start: usize) -> usize {
        start + self.text[start..self.at].trim_end().len()
    }

    fn string(&mut self) -> Result<Cow<'s, str>, Failure> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        let mut escaped = false;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(0x20..) => at += 1,
                Some(_) => {
                    self.at = at;
                    return Err(self.error(
                        "a string cannot contain line breaks or control characters; escape them",
                    ));
                }
                None => return Err(self.error("this string has no closing quote")),
            }
        }
        if !escaped {
            self.at = at + 1;
            return Ok(Cow::Borrowed(&self.text[start + 1..at]));
        }
        match serde_json::from_str(&self.text[start..=at]) {
            Ok(text) => {
                self.at = at + 1;
                Ok(Cow::Owned(text))
            }
            Err(_) => Err(self.error("this string has an escape that JSON does not know")),
        }
    }
}
