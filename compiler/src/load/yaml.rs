//! YAML text to document trees.
//!
//! The text is cut at its `---` lines first, so that a syntax error costs one document and not the file. Expansion
//! of aliases and nesting are bounded, whatever the text says.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use super::keys::Keys;
use super::node::{Entry, Node, Routes, Scalar, Value};
use super::{MAX_DEPTH, decode};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::schema::{self, Kind, Lookup};
use crate::source::{FileId, Span};

/// Most nodes that the aliases of one document may add.
const MAX_EXPANSION: usize = 100_000;

/// Most nodes that the anchors of one document may hold, nested ones counted again.
const MAX_ANCHORED: usize = 1_000_000;

/// Cuts a file into parts at lines that begin with `---`. Every part is a whole number of documents: at the start of
/// a line these characters can be nothing else.
pub(super) fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut has_content = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker && has_content {
            parts.push((start, &text[start..at]));
            start = at;
            has_content = false;
        }
        // Directives and comments before a `---` belong to the document that it opens.
        let trimmed = line.trim();
        has_content |= if marker {
            true
        } else {
            !(trimmed.is_empty() || trimmed.starts_with('#') || line.starts_with('%'))
        };
        at += line.len();
    }
    parts.push((start, &text[start..]));
    parts
}

/// Reads the documents of one part of a file. A syntax error is reported and ends the part.
pub(super) fn documents<'s>(
    file: FileId,
    (offset, text): (usize, &'s str),
    diagnostics: &mut Diagnostics,
) -> Vec<Node<'s>> {
    let mut builder = Builder {
        places: Places::new(file, offset, text),
        diagnostics,
        open: Vec::new(),
        elements: Vec::new(),
        entries: Vec::new(),
        documents: Vec::new(),
        anchors: HashMap::new(),
        anchored: 0,
        expanded: 0,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let result = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => Err(Box::new(builder.syntax_error(&error))),
        };
        if let Err(diagnostic) = result {
            builder.diagnostics.push(*diagnostic);
            break;
        }
    }
    builder.documents
}

/// Turns the parser's character counts into byte offsets of the file.
struct Places<'s> {
    file: FileId,
    offset: usize,
    text: &'s str,
    /// Byte offset of every 64th character; empty for ASCII text, where bytes are characters.
    checkpoints: Vec<u32>,
}

const CHECKPOINT: usize = 64;

impl<'s> Places<'s> {
    fn new(file: FileId, offset: usize, text: &'s str) -> Self {
        let checkpoints = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices()
                .step_by(CHECKPOINT)
                .map(|(at, _)| at as u32)
                .collect()
        };
        Self {
            file,
            offset,
            text,
            checkpoints,
        }
    }

    fn byte(&self, characters: usize) -> usize {
        if self.checkpoints.is_empty() {
            return characters.min(self.text.len());
        }
        let Some(&start) = self.checkpoints.get(characters / CHECKPOINT) else {
            return self.text.len();
        };
        let start = start as usize;
        let rest = &self.text[start..];
        rest.char_indices()
            .nth(characters % CHECKPOINT)
            .map_or(self.text.len(), |(at, _)| start + at)
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        let end = start + self.text[start..end].trim_end().len();
        self.at(start, end)
    }

    fn at(&self, start: usize, end: usize) -> Span {
        Span {
            file: self.file,
            start: (self.offset + start) as u32,
            end: (self.offset + end) as u32,
        }
    }
}

type Failure = Box<Diagnostic>;

/// A list or map that is being read.
struct Open<'s> {
    span: Span,
    anchor: usize,
    is_map: bool,
    /// Where its elements, or its entries, begin on the builder's stack of them.
    first: usize,
    /// Key that waits for its value.
    key: Option<(Cow<'s, str>, Span)>,
    keys: Keys,
    faulty: bool,
    /// Its elements are routes, which are decoded as soon as they are read.
    routes: Option<DecodedRoutes>,
}

/// A list of routes that is being read.
struct DecodedRoutes {
    kind: &'static Kind,
    routes: Box<Routes>,
    /// End of the last element.
    end: u32,
}

struct Builder<'s, 'd> {
    places: Places<'s>,
    diagnostics: &'d mut Diagnostics,
    open: Vec<Open<'s>>,
    /// Finished elements of the open lists, innermost last: a list takes its own in one piece when it ends, so that
    /// the many small lists of a large input do not hold room for more.
    elements: Vec<Node<'s>>,
    /// The same for the entries of the open maps.
    entries: Vec<Entry<'s>>,
    documents: Vec<Node<'s>>,
    anchors: HashMap<usize, Node<'s>>,
    /// Nodes under the anchors of the current document.
    anchored: usize,
    /// Nodes that aliases have added to the current document.
    expanded: usize,
}

impl<'s> Builder<'s, '_> {
    fn event(&mut self, event: Event<'s>, span: saphyr_parser::Span) -> Result<(), Failure> {
        let span = self.places.span(span);
        match event {
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.anchored = 0;
                self.expanded = 0;
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let string = style != ScalarStyle::Plain
                    || tag.is_some_and(|tag| {
                        (tag.is_yaml_core_schema() && tag.suffix == "str")
                            || tag.handle == "!" && tag.suffix.is_empty()
                    });
                let node = Node::new(span, Value::Scalar(Scalar { text, string }));
                self.finished(node, anchor)
            }
            Event::SequenceStart(anchor, _) => self.start(span, anchor, false),
            Event::MappingStart(anchor, _) => self.start(span, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(span, anchor),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn start(&mut self, span: Span, anchor: usize, is_map: bool) -> Result<(), Failure> {
        if self.open.len() >= MAX_DEPTH {
            return Err(super::too_deep(Span {
                end: span.start,
                ..span
            }));
        }
        let routes = if is_map || anchor != 0 {
            None
        } else {
            self.kind_of_routes().map(|kind| DecodedRoutes {
                kind,
                routes: Box::default(),
                end: span.start,
            })
        };
        self.open.push(Open {
            routes,
            span,
            anchor,
            is_map,
            first: if is_map {
                self.entries.len()
            } else {
                self.elements.len()
            },
            key: None,
            keys: Keys::default(),
            faulty: false,
        });
        Ok(())
    }

    /// The kind of the object whose routes the list will be that begins now, if they can be decoded one by one: what
    /// the object is has been read, and nothing refers to the list, or repeats it.
    fn kind_of_routes(&self) -> Option<&'static Kind> {
        let [object, spec] = self.open.as_slice() else {
            return None;
        };
        let entries = self.entries.get(object.first..spec.first)?;
        let siblings = self.entries.get(spec.first..)?;
        let holds = |map: &Open<'_>, known: &[Entry<'_>], key: &str| {
            map.is_map
                && map.anchor == 0
                && map.key.as_ref().is_some_and(|(waiting, _)| waiting == key)
                && known.iter().all(|entry| entry.key != key)
        };
        if !holds(object, entries, "spec") || !holds(spec, siblings, "routes") {
            return None;
        }
        let text = |key: &str| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            entry.value.string()
        };
        match schema::find(text("apiVersion")?, text("kind")?) {
            Lookup::Known(kind) if matches!(kind.name, "VirtualHost" | "RouteTable") => Some(kind),
            _ => None,
        }
    }

    fn end(&mut self, end: Span) -> Result<(), Failure> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let (value, last) = if open.is_map {
            let entries = self.entries.split_off(open.first);
            let last = entries
                .last()
                .map(|entry| entry.value.span.end.max(entry.key_span.end));
            (Value::Map(entries), last)
        } else if let Some(DecodedRoutes { routes, end, .. }) = open.routes {
            let last = (routes.count > 0).then_some(end);
            (Value::Routes(routes), last)
        } else {
            let elements = self.elements.split_off(open.first);
            let last = elements.last().map(|node| node.span.end);
            (Value::List(elements), last)
        };
        let bracket = self
            .places
            .text
            .as_bytes()
            .get(open.span.start as usize - self.places.offset);
        let end = match bracket {
            Some(b'{' | b'[') => end.end,
            _ => last.unwrap_or(open.span.end).max(open.span.start),
        };
        let mut node = Node {
            span: Span { end, ..open.span },
            value,
            faulty: open.faulty,
        };
        self.merge(&mut node)?;
        self.finished(node, open.anchor)
    }

    fn alias(&mut self, span: Span, anchor: usize) -> Result<(), Failure> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(Box::new(Diagnostic::at(
                Code::AliasExpansion,
                span,
                "this alias stands inside the value that it refers to",
            )));
        };
        let size = target.size();
        if self.expanded + size > MAX_EXPANSION {
            return Err(self.expansion_error(span));
        }
        self.expanded += size;
        let node = target.clone();
        self.finished(node, 0)
    }

    fn expansion_error(&self, span: Span) -> Failure {
        Box::new(
            Diagnostic::at(
                Code::AliasExpansion,
                span,
                format!("aliases add more than {MAX_EXPANSION} values to this document"),
            )
            .help("write the values out, or split the document"),
        )
    }

    /// Puts a finished node where it belongs.
    fn finished(&mut self, mut node: Node<'s>, anchor: usize) -> Result<(), Failure> {
        if anchor != 0 {
            let size = node.size();
            self.anchored += size;
            if self.anchored > MAX_ANCHORED {
                return Err(self.expansion_error(node.span));
            }
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        if let Some(DecodedRoutes { kind, routes, end }) = &mut parent.routes {
            if let Some(root) = kind.root {
                schema::check_element(&mut node, root, &["spec", "routes"], &mut routes.checks);
            }
            decode::route::add(&node, routes);
            *end = node.span.end;
            return Ok(());
        }
        if !parent.is_map {
            self.elements.push(node);
            return Ok(());
        }
        let Some((key, key_span)) = parent.key.take() else {
            return match node.value {
                Value::Scalar(scalar) => {
                    parent.key = Some((scalar.text, node.span));
                    Ok(())
                }
                _ => Err(Box::new(
                    Diagnostic::at(Code::YamlSyntax, node.span, "a list or map cannot be a key")
                        .help("a text that begins with `{` or `[` must be in quotes; render templates first"),
                )),
            };
        };
        // An omitted value has no place of its own.
        if node.span.start == node.span.end && node.is_null() {
            node.span = key_span;
        }
        let siblings = self.entries.get(parent.first..).unwrap_or_default();
        match parent.keys.repeated(siblings, &key, key_span) {
            Some(finding) => {
                parent.faulty = true;
                self.diagnostics.push(finding);
            }
            None => self.entries.push(Entry {
                key,
                key_span,
                value: node,
            }),
        }
        Ok(())
    }

    /// Resolves the merge key `<<`: the map, or the maps of the list, supply the keys that are not written.
    fn merge(&mut self, node: &mut Node<'s>) -> Result<(), Failure> {
        let Value::Map(entries) = &mut node.value else {
            return Ok(());
        };
        let Some(at) = entries.iter().position(|entry| entry.key == "<<") else {
            return Ok(());
        };
        let merge = entries.remove(at);
        let sources = match merge.value.value {
            Value::Map(_) => vec![merge.value],
            Value::List(list) if list.iter().all(|node| matches!(node.value, Value::Map(_))) => {
                list
            }
            _ => {
                return Err(Box::new(Diagnostic::at(
                    Code::YamlSyntax,
                    merge.value.span,
                    "the merge key `<<` takes a map, or a list of maps",
                )));
            }
        };
        let mut keys: BTreeMap<Cow<'s, str>, ()> = entries
            .iter()
            .map(|entry| (entry.key.clone(), ()))
            .collect();
        for source in sources {
            node.faulty |= source.faulty;
            if let Value::Map(added) = source.value {
                for entry in added {
                    if keys.insert(entry.key.clone(), ()).is_none() {
                        entries.push(entry);
                    }
                }
            }
        }
        Ok(())
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let at = self.places.byte(error.marker().index());
        let rest = &self.places.text[at..];
        let length = rest
            .chars()
            .next()
            .filter(|c| !matches!(c, '\n' | '\r'))
            .map_or(0, char::len_utf8);
        let span = self.places.at(at, at + length);
        let (code, message, help) = explain(error.info(), rest);
        if code == Code::NestingTooDeep {
            return *super::too_deep(span);
        }
        let diagnostic = Diagnostic::at(code, span, message);
        if help.is_empty() {
            diagnostic
        } else {
            diagnostic.help(help)
        }
    }
}

/// The parser's words in those of somebody who does not know the grammar of YAML; `rest` is the text at the place.
fn explain(info: &str, rest: &str) -> (Code, String, &'static str) {
    let has = |words: &str| info.contains(words);
    if has("recursion limit") {
        return (Code::NestingTooDeep, String::new(), "");
    }
    if has("tab") && !has("character") {
        return (
            Code::TabIndentation,
            "a tab cannot indent YAML".to_owned(),
            "replace it with spaces",
        );
    }
    let template = rest.starts_with("{{") || rest.starts_with("{%");
    let (message, help) = if has("mapping values are not allowed") {
        (
            "a `:` is not expected here",
            "the line before may lack its `:` or be indented differently; put a text that contains `: ` in quotes",
        )
    } else if has("did not find expected key")
        || has("invalid indentation")
        || has("only valid inside a block")
    {
        (
            "this line does not fit the indentation of the lines before",
            "align it with the keys or items that it belongs to",
        )
    } else if has("did not find expected '-'") {
        (
            "expected a `- ` here",
            "this line is as far left as the items of a list, but is none",
        )
    } else if has("expected node content") {
        (
            "a value or a closing bracket is missing here",
            "check the lines before",
        )
    } else if has("flow sequence") {
        (
            "this list has no closing `]`",
            "add `]`, or a `,` between its elements",
        )
    } else if has("flow mapping") {
        (
            "this map has no closing `}`",
            "add `}`, or a `,` between its entries",
        )
    } else if has("end of stream") || has("unexpected eof") || has("document indicator") {
        ("this text has no closing quote", "add the closing quote")
    } else if has("escape") {
        (
            "this text has an escape that YAML does not know",
            "write `\\\\` for a backslash, or use single quotes",
        )
    } else if has("unknown anchor") {
        (
            "this alias refers to an anchor that does not exist",
            "a text that begins with `*` must be in quotes",
        )
    } else if has("simple key") {
        (
            "this line has no `:`",
            "write `key: value`, or put a text of several lines in quotes",
        )
    } else if has("illegal placement") {
        (
            "a `:` is not expected here",
            "the lines before may lack a `]` or `}`; put a text that contains `: ` in quotes",
        )
    } else if has("unexpected character") || has("anchor or alias") {
        (
            "a text cannot begin with this character",
            "put the text in quotes",
        )
    } else if has("trailing content") {
        (
            "nothing can follow the closing quote",
            "put the whole text in quotes, or double the quotes inside it",
        )
    } else if has("<document start>") || has("<document-start>") {
        (
            "a document ends before this line",
            "separate documents with a line `---`",
        )
    } else if template {
        ("this looks like a template", "render it first")
    } else {
        return (Code::YamlSyntax, info.to_owned(), "");
    };
    (Code::YamlSyntax, message.to_owned(), help)
}
