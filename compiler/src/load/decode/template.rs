//! Path templates: `/users/{user}/files/{file=**}`. They are written down as patterns with named groups.

use super::value::missing;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::regex::Regex;
use crate::rewrite::{self, Part, Replacement, TemplatePart};
use crate::source::Spanned;

/// Bytes that a wildcard stands for: what may stand in a segment of a path, RFC 3986.
const SEGMENT: &str = r"a-zA-Z0-9\-._~%!$&'()+,;:@=";
/// Most variables, as groups of patterns can be numbered.
const MAX_VARIABLES: usize = 5;

/// The pattern of a template.
pub(super) fn pattern(template: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<String> {
    match Reader::new(template).pattern() {
        Ok(pattern) => Some(pattern),
        Err(reason) => {
            let message = format!("`{}` is no path template: {reason}", template.value);
            diagnostics.push(
                Diagnostic::at(Code::InvalidTemplate, template.span, message).help(
                    "`*` stands for a part between slashes, `**` at the end for any number of them, `{name}` and \
                     `{name=pattern}` for parts that a rewrite can use",
                ),
            );
            None
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
    names: Vec<&'t str>,
    /// `**` was there: only literal text may follow.
    is_over: bool,
}

impl<'t> Reader<'t> {
    fn new(template: &'t str) -> Self {
        Self {
            rest: template,
            names: Vec::new(),
            is_over: false,
        }
    }

    fn pattern(mut self) -> Result<String, String> {
        if !self.rest.starts_with('/') {
            return Err("it does not begin with a slash".to_owned());
        }
        let mut pattern = String::new();
        while let Some(next) = self.rest.chars().next() {
            if next == '{' {
                pattern += &self.variable()?;
            } else {
                let end = self.rest.find('{').unwrap_or(self.rest.len());
                let (piece, rest) = self.rest.split_at(end);
                self.rest = rest;
                pattern += &self.piece(piece)?;
            }
        }
        Ok(pattern)
    }

    fn variable(&mut self) -> Result<String, String> {
        let end = self.rest.find('}').ok_or("a variable has no end")?;
        let inside = self.rest.get(1..end).unwrap_or_default();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        let (name, inside) = inside.split_once('=').unwrap_or((inside, "*"));
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.len() <= 16
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            return Err(format!(
                "`{name}` is no name: letters, digits and `_`, a letter first, 16 at most"
            ));
        }
        if self.names.contains(&name) {
            return Err(format!("`{name}` is there twice"));
        }
        self.names.push(name);
        if self.names.len() > MAX_VARIABLES {
            return Err(format!("it has more than {MAX_VARIABLES} variables"));
        }
        if inside.is_empty() {
            return Err(format!("`{name}` stands for nothing"));
        }
        Ok(format!("(?P<{name}>{})", self.piece(inside)?))
    }

    /// Text with wildcards, without variables.
    fn piece(&mut self, mut piece: &str) -> Result<String, String> {
        let mut pattern = String::new();
        while let Some(next) = piece.chars().next() {
            if let Some(rest) = piece.strip_prefix("**") {
                self.wildcard()?;
                self.is_over = true;
                pattern += &format!("[{SEGMENT}/]*");
                piece = rest;
            } else if let Some(rest) = piece.strip_prefix('*') {
                self.wildcard()?;
                pattern += &format!("[{SEGMENT}]+");
                piece = rest;
            } else {
                let is_literal = next == '/'
                    || next.is_ascii_alphanumeric()
                    || "-._~%!$&'()+,;:@=".contains(next);
                if !is_literal {
                    return Err(format!("`{next}` cannot stand in a path"));
                }
                pattern += &regex_syntax::escape(next.encode_utf8(&mut [0; 4]));
                piece = piece.get(next.len_utf8()..).unwrap_or_default();
            }
        }
        Ok(pattern)
    }

    fn wildcard(&self) -> Result<(), String> {
        match self.is_over {
            true => Err("no wildcard can follow `**`".to_owned()),
            false => Ok(()),
        }
    }
}

/// `pathTemplateRewrite`.
pub(super) fn rewrite(
    template: &Spanned<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<TemplatePart>> {
    let mut parts = Vec::new();
    let mut rest = template.value.as_str();
    let mut problem = (!rest.starts_with('/')).then(|| "it does not begin with a slash".to_owned());
    while !rest.is_empty() && problem.is_none() {
        let (text, after) = rest.split_at(rest.find(['{', '}', '*']).unwrap_or(rest.len()));
        if !text.is_empty() {
            parts.push(TemplatePart::Text(text.to_owned()));
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
        match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, after)) => {
                parts.push(TemplatePart::Variable(name.to_owned()));
                rest = after;
            }
            None => {
                problem = Some("a rewrite has variables like `{name}`, and no wildcards".to_owned())
            }
        }
    }
    let Some(problem) = problem else {
        return Some(parts);
    };
    let message = format!("`{}` is no rewrite: {problem}", template.value);
    diagnostics.push(Diagnostic::at(
        Code::InvalidTemplate,
        template.span,
        message,
    ));
    None
}

/// `{pattern: {regex}, substitution}`.
pub(super) fn replacement(
    node: &Node<'_>,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Replacement> {
    let regex = node
        .get("pattern")
        .and_then(|pattern| pattern.text_at("regex"));
    let Some(pattern) = regex.filter(|regex| !regex.is_empty()) else {
        if !node.faulty {
            diagnostics.push(missing(node.span, "pattern.regex", what));
        }
        return None;
    };
    let text = node.text_at("substitution").unwrap_or_default();
    super::value::header_safe(&text, "a substitution", text.span, diagnostics)?;
    let regex = match Regex::parse(&pattern) {
        Ok(regex) => regex,
        Err(error) => {
            let message = format!("`{}` is not a valid RE2 expression: {error}", pattern.value);
            diagnostics.push(Diagnostic::at(Code::InvalidRegex, pattern.span, message));
            return None;
        }
    };
    if let Err(error) = rewrite::states(&regex) {
        diagnostics.push(Diagnostic::at(
            Code::RegexTooComplex,
            pattern.span,
            error.message,
        ));
        return None;
    }
    let parts: Result<Vec<Part>, String> = rewrite::substitution(&text, &regex);
    match parts {
        Ok(parts) => Some(Replacement {
            pattern: pattern.value,
            parts,
        }),
        Err(reason) => {
            let message = format!("`{}` cannot be substituted: {reason}", text.value);
            diagnostics.push(Diagnostic::at(
                Code::InvalidSubstitution,
                text.span,
                message,
            ));
            None
        }
    }
}
