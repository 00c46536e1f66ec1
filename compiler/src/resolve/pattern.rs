//! Regular expressions: whether they are RE2.

use regex_automata::nfa::thompson;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::util::syntax;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::Spanned;

/// Compiles a pattern that has to match all of a text. The error is one line.
pub(crate) fn compile(pattern: &str) -> Result<PikeVM, String> {
    // Check the pattern alone first: `a)(b` must not become valid by being put in a group.
    let parser = || syntax::Config::new().unicode(false).utf8(false);
    syntax::parse_with(pattern, &parser()).map_err(|error| one_line(&error))?;
    PikeVM::builder()
        .syntax(parser())
        .thompson(thompson::Config::new().utf8(false))
        .build(&format!("^(?:{pattern})$"))
        .map_err(|error| one_line(&error))
}

/// Whether a pattern is valid; reports it if not.
pub(super) fn check(pattern: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool {
    match compile(&pattern.value) {
        Ok(_) => true,
        Err(reason) => {
            diagnostics.push(Diagnostic::at(
                Code::InvalidRegex,
                pattern.span,
                format!(
                    "`{}` is not a valid RE2 expression: {reason}",
                    pattern.value
                ),
            ));
            false
        }
    }
}

/// The last line of a parser's message is the reason; what stands above draws the pattern.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
