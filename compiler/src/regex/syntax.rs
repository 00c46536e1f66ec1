//! RE2 patterns, rewritten for a parser of a slightly different syntax.
//!
//! Both are Perl-like, so most of a pattern is copied. What differs: RE2's `\d \w \s \b` are ASCII; `\Q…\E`, `\C` and
//! octal escapes exist; a `{` that begins no repetition is text; `[`, `&&`, `--` and `~~` in a class are text; repetition
//! operators cannot be stacked and counts stop at 1000; of the flags only `i`, `m`, `s` and `U` exist.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

use super::RegexError;

/// Largest count of a repetition, and of nested repetitions multiplied.
const MAX_REPEAT: u32 = 1000;
/// Deepest nesting of groups.
const MAX_NESTING: u32 = 200;
/// Longest pattern in bytes.
pub(super) const MAX_LEN: usize = 16 * 1024;

/// Parses a pattern.
pub(super) fn parse(pattern: &str) -> Result<Hir, RegexError> {
    if pattern.len() > MAX_LEN {
        return Err(error(
            format!("regular expression is longer than {MAX_LEN} bytes"),
            0,
        ));
    }
    let mut translation = Translation {
        pattern,
        at: 0,
        out: String::new(),
        origins: Vec::new(),
        repeatable: Last::Nothing,
    };
    translation.run()?;
    let parsed = ParserBuilder::new()
        .utf8(false)
        .nest_limit(MAX_NESTING)
        .build()
        .parse(&translation.out);
    let hir = parsed.map_err(|failure| {
        let (message, at) = match &failure {
            regex_syntax::Error::Parse(e) => (e.kind().to_string(), e.span().start.offset),
            regex_syntax::Error::Translate(e) => (e.kind().to_string(), e.span().start.offset),
            _ => (failure.to_string(), 0),
        };
        error(message, translation.origin(at))
    })?;
    if largest_repeat(&hir) > MAX_REPEAT {
        return Err(error(
            format!("repetitions of more than {MAX_REPEAT} are not supported"),
            0,
        ));
    }
    Ok(hir)
}

fn error(message: impl Into<String>, offset: usize) -> RegexError {
    RegexError {
        message: message.into(),
        offset,
        is_budget: false,
    }
}

/// Product of nested repetition counts.
fn largest_repeat(hir: &Hir) -> u32 {
    use regex_syntax::hir::HirKind;
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            let count = repetition.max.unwrap_or(repetition.min).max(1);
            largest_repeat(&repetition.sub).saturating_mul(count)
        }
        HirKind::Capture(group) => largest_repeat(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(largest_repeat).max().unwrap_or(1)
        }
        _ => 1,
    }
}

/// What a repetition operator would apply to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Atom,
    Repetition,
}

struct Translation<'p> {
    pattern: &'p str,
    at: usize,
    out: String,
    /// Where in the pattern each translated piece comes from: (offset in `out`, offset in `pattern`).
    origins: Vec<(usize, usize)>,
    repeatable: Last,
}

impl<'p> Translation<'p> {
    fn rest(&self) -> &'p str {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn origin(&self, out_offset: usize) -> usize {
        let after = self.origins.partition_point(|(out, _)| *out <= out_offset);
        self.origins
            .get(after.wrapping_sub(1))
            .map_or(0, |(_, from)| *from)
    }

    /// Writes a piece that stands for the next `len` bytes of the pattern.
    fn emit(&mut self, len: usize, piece: &str) {
        self.origins.push((self.out.len(), self.at));
        self.out.push_str(piece);
        self.at += len;
    }

    fn literal(&mut self, len: usize, c: char) {
        let piece = regex_syntax::escape(c.encode_utf8(&mut [0; 4]));
        self.emit(len, &piece);
    }

    fn run(&mut self) -> Result<(), RegexError> {
        while let Some(c) = self.rest().chars().next() {
            match c {
                '\\' => self.escape()?,
                '[' => {
                    self.class()?;
                    self.repeatable = Last::Atom;
                }
                '(' => self.group()?,
                '*' | '+' | '?' => self.repetition(1)?,
                '{' => match repetition_len(self.rest()) {
                    Some(len) => self.repetition(len)?,
                    None => {
                        self.literal(1, '{');
                        self.repeatable = Last::Atom;
                    }
                },
                '|' => {
                    self.emit(1, "|");
                    self.repeatable = Last::Nothing;
                }
                // Parentheses, anchors and the dot mean the same.
                '.' | '^' | '$' | ')' => {
                    self.emit(1, c.encode_utf8(&mut [0; 4]));
                    self.repeatable = Last::Atom;
                }
                _ => {
                    self.literal(c.len_utf8(), c);
                    self.repeatable = Last::Atom;
                }
            }
        }
        Ok(())
    }

    fn repetition(&mut self, len: usize) -> Result<(), RegexError> {
        match self.repeatable {
            Last::Nothing => {
                return Err(error("repetition operator has nothing to repeat", self.at));
            }
            Last::Repetition => {
                return Err(error("repetition operators cannot be stacked", self.at));
            }
            Last::Atom => {}
        }
        let lazy = usize::from(
            self.rest()
                .get(len..)
                .is_some_and(|after| after.starts_with('?')),
        );
        let piece = self.rest().get(..len + lazy).unwrap_or_default();
        self.emit(len + lazy, piece);
        self.repeatable = Last::Repetition;
        Ok(())
    }

    fn group(&mut self) -> Result<(), RegexError> {
        let rest = self.rest();
        self.repeatable = Last::Nothing;
        let Some(inside) = rest.strip_prefix("(?") else {
            self.emit(1, "(");
            return Ok(());
        };
        let unsupported = [
            ("=", "look-ahead"),
            ("!", "look-ahead"),
            ("<=", "look-behind"),
            ("<!", "look-behind"),
            (">", "atomic groups"),
        ];
        for (opening, what) in unsupported {
            if inside.starts_with(opening) {
                return Err(error(format!("{what} is not supported by RE2"), self.at));
            }
        }
        if inside.starts_with("P<") || inside.starts_with('<') {
            let len = rest
                .find('>')
                .ok_or_else(|| error("unclosed group name", self.at))?
                + 1;
            let piece = rest.get(..len).unwrap_or_default();
            let name = piece.trim_start_matches("(?P").trim_start_matches("(?");
            let name = name.trim_matches(['<', '>']);
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let message = format!("`{name}` is not a name of a group in RE2");
                return Err(error(message, self.at));
            }
            self.emit(len, piece);
            return Ok(());
        }
        let flags = inside
            .find([':', ')'])
            .ok_or_else(|| error("unclosed group", self.at))?;
        if let Some(unknown) = inside
            .get(..flags)
            .and_then(|flags| flags.chars().find(|c| !"imsU-".contains(*c)))
        {
            return Err(error(
                format!("`(?{unknown}` is not supported by RE2"),
                self.at,
            ));
        }
        let piece = rest.get(..flags + 3).unwrap_or_default();
        self.emit(flags + 3, piece);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), RegexError> {
        let rest = self.rest();
        self.repeatable = Last::Atom;
        let Some(c) = rest.chars().nth(1) else {
            return Err(error("trailing backslash", self.at));
        };
        match c {
            'Q' => self.quotation(),
            'E' => self.emit(2, ""),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                let piece = format!("(?-i:{})", perl_class(c));
                self.emit(2, &piece);
            }
            'b' => self.emit(2, r"(?-u:\b)"),
            'B' => self.emit(2, r"(?-u:\B)"),
            'A' => self.emit(2, r"\A"),
            'z' => self.emit(2, r"\z"),
            'C' => self.emit(2, "(?s-u:.)"),
            _ => self.character_escape(c)?,
        }
        Ok(())
    }

    fn quotation(&mut self) {
        self.emit(2, "");
        while let Some(c) = self.rest().chars().next() {
            if self.rest().starts_with(r"\E") {
                return self.emit(2, "");
            }
            self.literal(c.len_utf8(), c);
        }
    }

    /// Escapes that stand for one character or a Unicode class, in or outside of brackets.
    fn character_escape(&mut self, c: char) -> Result<(), RegexError> {
        let rest = self.rest();
        let digits = |max: usize| {
            rest.bytes()
                .skip(1)
                .take(max)
                .take_while(|b| (b'0'..=b'7').contains(b))
                .count()
        };
        match c {
            'a' | 'f' | 't' | 'n' | 'r' | 'v' => {
                let piece = rest.get(..2).unwrap_or_default();
                self.emit(2, piece);
            }
            'x' | 'p' | 'P' => {
                let len = match rest.get(2..).and_then(|after| after.chars().next()) {
                    Some('{') => {
                        rest.find('}')
                            .ok_or_else(|| error("unclosed escape", self.at))?
                            + 1
                    }
                    Some(_) if c != 'x' => 3,
                    _ => 4,
                };
                let piece = rest
                    .get(..len)
                    .ok_or_else(|| error("incomplete escape", self.at))?;
                match piece.get(2..).and_then(|name| name.strip_prefix('{')) {
                    Some(name) if c != 'x' => {
                        let class = unicode_class(c == 'P', name.trim_end_matches('}'));
                        self.emit(len, &class);
                    }
                    _ => self.emit(len, piece),
                }
            }
            '0' => {
                let len = 1 + digits(3);
                let value = u32::from_str_radix(rest.get(1..len).unwrap_or("0"), 8).unwrap_or(0);
                self.literal(len, char::from_u32(value).unwrap_or('\0'));
            }
            '1'..='7' if digits(3) > 1 => {
                let len = 1 + digits(3);
                let value = u32::from_str_radix(rest.get(1..len).unwrap_or("0"), 8).unwrap_or(0);
                self.literal(len, char::from_u32(value).unwrap_or('\0'));
            }
            '1'..='9' => return Err(error("back-references are not supported by RE2", self.at)),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => self.literal(2, c),
            _ => return Err(error(format!("`\\{c}` is not an escape of RE2"), self.at)),
        }
        Ok(())
    }

    /// A bracketed class.
    fn class(&mut self) -> Result<(), RegexError> {
        let start = self.at;
        let unclosed = move || error("unclosed character class", start);
        self.emit(1, "[");
        if self.rest().starts_with('^') {
            self.emit(1, "^");
        }
        let mut first = true;
        loop {
            let rest = self.rest();
            if rest.starts_with(']') && !first {
                self.emit(1, "]");
                return Ok(());
            }
            first = false;
            if rest.starts_with("[:")
                && let Some(end) = rest.find(":]")
            {
                let piece = rest.get(..end + 2).unwrap_or_default();
                let name = rest.get(2..end).unwrap_or_default();
                if !ASCII_CLASSES.contains(&name.trim_start_matches('^')) {
                    return Err(error(format!("`{piece}` is not a class of RE2"), self.at));
                }
                self.emit(end + 2, piece);
                continue;
            }
            let is_character = self.class_item(unclosed)?;
            // Only here is a hyphen an operator: between two characters. Elsewhere it is text.
            let rest = self.rest();
            if is_character && rest.starts_with('-') && !rest.starts_with("-]") {
                self.emit(1, "-");
                let end = self.at;
                if !self.class_item(unclosed)? {
                    return Err(error("a range cannot end in a class", end));
                }
            }
        }
    }

    /// A character of a class, or a class inside it. Tells whether it is a character, so that a range may begin.
    fn class_item(&mut self, unclosed: impl Fn() -> RegexError) -> Result<bool, RegexError> {
        let mut rest = self.rest().chars();
        match (rest.next().ok_or_else(&unclosed)?, rest.next()) {
            ('\\', None) => return Err(unclosed()),
            ('\\', Some(c @ ('d' | 'D' | 's' | 'S' | 'w' | 'W'))) => {
                self.emit(2, perl_class(c));
                return Ok(false);
            }
            ('\\', Some(c)) => {
                self.character_escape(c)?;
                return Ok(!matches!(c, 'p' | 'P'));
            }
            (c, _) => self.literal(c.len_utf8(), c),
        }
        Ok(true)
    }
}

/// A class by the name of a general category, or of a script: RE2 has no others. A `^` before the name negates once more.
fn unicode_class(negated: bool, name: &str) -> String {
    let (negated, name) = match name.strip_prefix('^') {
        Some(name) => (!negated, name),
        None => (negated, name),
    };
    let kind = match name {
        "Any" => "",
        _ if name.len() <= 2 => "gc=",
        _ => "sc=",
    };
    let letter = if negated { 'P' } else { 'p' };
    format!("\\{letter}{{{kind}{name}}}")
}

/// Names of classes that are written in brackets of their own, as in `[[:alpha:]]`.
const ASCII_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// ASCII classes, which also work inside brackets.
fn perl_class(c: char) -> &'static str {
    match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        'w' => "[0-9A-Za-z_]",
        _ => "[^0-9A-Za-z_]",
    }
}

/// Length of `{n}`, `{n,}` or `{n,m}` at the start of the text.
fn repetition_len(text: &str) -> Option<usize> {
    let close = text.find('}')?;
    let inside = text.get(1..close)?;
    let (min, max) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (!min.is_empty() && is_number(min) && is_number(max)).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::super::Regex;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], not_matching: &[&str]) {
        let matcher = Regex::parse(pattern).unwrap().matcher().unwrap();
        for text in matching {
            assert!(
                matcher.matches(text.as_bytes()),
                "`{pattern}` should match `{text}`"
            );
        }
        for text in not_matching {
            assert!(
                !matcher.matches(text.as_bytes()),
                "`{pattern}` should not match `{text}`"
            );
        }
    }

    #[track_caller]
    fn check_error(pattern: &str, message: &str, offset: usize) {
        let error = Regex::parse(pattern).unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.offset),
            (message, offset),
            "`{pattern}`"
        );
    }

    #[test]
    fn whole_value() {
        check("a|ab", &["a", "ab"], &["abc", "ba", ""]);
        check("^/api/v[0-9]/.*$", &["/api/v1/"], &["/api/v1", "x/api/v1/"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn ascii_classes() {
        check(r"\d+", &["12"], &["١"]);
        check(r"[\w-]+", &["a-b_1"], &["é", "a b"]);
        check(r"[^\s]", &["a", "é"], &[" "]);
        check(r"[\D]", &["a"], &["1"]);
        check(r"a\bc|a\b-", &["a-"], &["ac"]);
    }

    #[test]
    fn characters() {
        check("/./x", &["/é/x", "/a/x"], &["/\n/x", "/ab/x"]);
        check("(?i)straße", &["STRAßE"], &["strasse"]);
        check(r"\x41\x{42}\103\07", &["ABC\u{7}"], &[]);
        check(r"\Qa.b*\E+", &["a.b*", "a.b**"], &["axb"]);
        check(r"\-\/\_\<\ ", &["-/_< "], &[]);
    }

    #[test]
    fn braces() {
        check("a{2}", &["aa"], &["a"]);
        check("a{2,}b{1,2}", &["aab", "aaabb"], &["ab"]);
        check("{id}", &["{id}"], &["id"]);
        check("a{,2}", &["a{,2}"], &["aa"]);
        check("x{", &["x{"], &[]);
    }

    #[test]
    fn bracket_text() {
        check("[a[b]", &["a", "[", "b"], &["c"]);
        check("[a&&b]", &["a", "&", "b"], &["c"]);
        check("[]a]", &["]", "a"], &["b"]);
        check("[^]a]", &["b"], &["]", "a"]);
        check("[-a]", &["-", "a"], &["b"]);
        check("[a-]", &["-", "a"], &["b"]);
        check("[+--]", &["+", ",", "-"], &["."]);
        check("[a-c--9]", &["a", "c", "-", ".", "5"], &["d", ","]);
        check("[a-c-e]", &["b", "-", "e"], &["d"]);
        check(r"[\d-z]", &["1", "-", "z"], &["a"]);
        check(r"[\pN-z]", &["1", "-", "z"], &["a"]);
        check("[]-a]", &["]", "^", "a"], &["b"]);
        check("[--0]", &["-", ".", "0"], &["1"]);
        check("[[:alpha:]_]", &["a", "_"], &["1"]);
        check("[[:^alpha:]]", &["1", "_"], &["a"]);
        check(r"\p{^Lu}[\P{^Lu}]", &["aA"], &["Aa", "aa"]);
    }

    #[test]
    fn errors() {
        check_error("/a(?=b)", "look-ahead is not supported by RE2", 2);
        check_error(r"(a)\1", "back-references are not supported by RE2", 3);
        check_error("a**", "repetition operators cannot be stacked", 2);
        check_error("*a", "repetition operator has nothing to repeat", 0);
        check_error(
            "a{1001}",
            "repetitions of more than 1000 are not supported",
            0,
        );
        check_error("[a", "unclosed character class", 0);
        check_error("[[:no:]]", "`[:no:]` is not a class of RE2", 1);
        check_error(r"[A-\d]", "a range cannot end in a class", 3);
        check_error(
            "[z-a]",
            "invalid character class range, the start must be <= the end",
            1,
        );
        check_error("(a", "unclosed group", 0);
        check_error("a)", "unopened group", 1);
        check_error(r"a\", "trailing backslash", 1);
        check_error("(?x)a", "`(?x` is not supported by RE2", 0);
    }
}
