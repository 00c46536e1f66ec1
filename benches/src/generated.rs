//! Parts of texts for people that commands write.

use std::fs;
use std::path::Path;

/// The project's README.
pub const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

/// Puts what a command has written in the place of what it wrote before, between two marks that name the command.
///
/// # Errors
/// When the text cannot be read or written, or has no such marks.
pub fn replace_in(path: impl AsRef<Path>, command: &str, generated: &str) -> Result<(), String> {
    let path = path.as_ref();
    let because = |error| format!("`{}`: {error}", path.display());
    let text = fs::read_to_string(path).map_err(because)?;
    let replaced = replace(&text, command, generated)
        .ok_or_else(|| format!("`{}` has no place for `{command}`", path.display()))?;
    fs::write(path, replaced).map_err(because)
}

fn replace(text: &str, command: &str, generated: &str) -> Option<String> {
    let begin = format!("<!-- begin: written by `{command}` -->");
    let end = "<!-- end -->";
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{generated}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_what_the_command_wrote_is_replaced() {
        let text = "a\n<!-- begin: written by `x` -->\n1\n<!-- end -->\nb\n<!-- begin: written by `y` -->\n2\n<!-- end -->\nc";
        let replaced = replace(text, "y", "3").expect("it has a place");
        assert_eq!(replaced, text.replace('2', "3"));
        assert_eq!(replace(text, "z", "3"), None);
    }
}
