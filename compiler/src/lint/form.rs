//! Path conditions that never hold, because the gateway or the virtual host gives another form to all paths.

use meshgate_engine::Normalization;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::tree::{Gateway, Host, Matcher, PathMatch, PathTail};

/// Looks at the text of a matcher. What a regex takes is not looked into.
pub(super) fn check(gateway: &Gateway, host: &Host, matcher: &Matcher) -> Option<Diagnostic> {
    let rules = Normalization::from(gateway.paths);
    if rules.is_none() && !host.ignores_path_parameters() {
        return None;
    }
    let path = &matcher.path;
    let pieces = [literal(path), suffix(path)].into_iter().flatten();
    let (text, reason, help) = match host.ignores_path_parameters() {
        // Without its parameters a path may have any form again: `/a/;x/b` is matched as `/a//b`.
        true => pieces.map(|piece| piece.text).find_map(|text| {
            let reason = "`ignorePathParameters` leaves out what follows a `;`".to_owned();
            let help = "leave the parameter out here, too".to_owned();
            text.contains(';').then_some((text, reason, help))
        }),
        false => pieces.into_iter().find_map(|Piece { text, example }| {
            rules.apply(example.as_bytes())?;
            let form = rules.apply(text.as_bytes())?;
            let form = String::from_utf8_lossy(&form);
            let reason = format!("gateway `{}` makes `{form}` of it", gateway.name);
            Some((text, reason, format!("write `{form}`")))
        }),
    }?;
    let message = format!("no path has `{text}` when routes are looked at: {reason}");
    Some(Diagnostic::at(Code::PathNotInForm, matcher.span, message).help(help))
}

/// Text of a condition.
struct Piece {
    text: String,
    /// A path with this text, the most harmless one: if this one is not in its form, none is.
    example: String,
}

/// What paths begin with.
fn literal(path: &PathMatch) -> Option<Piece> {
    let text = path.literal_text();
    let last_slash = text.rfind('/').filter(|_| text.starts_with('/'))?;
    let example = match path.tail {
        PathTail::End => text.clone(),
        _ if path.whole_segments => format!("{text}/x"),
        // Behind the last slash anything may follow: `/a/..` is the beginning of `/a/..x`.
        _ => format!("{}x", text.get(..=last_slash)?),
    };
    Some(Piece { text, example })
}

/// What paths end with, from a slash on: what comes before it may be the end of anything.
fn suffix(path: &PathMatch) -> Option<Piece> {
    let PathTail::Suffix(suffix) = &path.tail else {
        return None;
    };
    let text = suffix.text.get(suffix.text.find('/')?..)?.to_owned();
    let example = format!("/x{text}");
    Some(Piece { text, example })
}
