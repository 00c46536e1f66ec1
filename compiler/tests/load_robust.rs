//! Whatever the text, loading ends without a panic, and every finding points into the text.

use meshgate_compiler::{load, render};
use proptest::prelude::*;

const TEXT: &str = "# é
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: h, labels: {a: &a b}}
spec:
  domains: [\"example.com\", 'ü', *a]
  routes:
  - &r
    name: |
      text
    matchers:
    - uri: {prefix: /x}
    directResponseAction: {status: 200}
  - <<: *r
    options: {requestTimeout: 1m30s}
---
{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"kind\": \"\\ud83d\\ude00\"}]}
";

/// Pieces that mean something to YAML, JSON or the schema.
const PIECES: &[&str] = &[
    "\n",
    " ",
    "  ",
    "\t",
    "\r\n",
    ":",
    ": ",
    "- ",
    "-",
    "?",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "&r ",
    "*r",
    "*q",
    "!!str ",
    "! ",
    "|",
    ">",
    "|+2",
    "%",
    "@",
    "`",
    "#",
    "---\n",
    "...\n",
    "<<: ",
    "\\",
    "\\u00",
    "\\ud83d",
    "0x",
    "-1",
    "99999999999999999999",
    ".inf",
    "null",
    "yes",
    "é",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "😀",
    "routes: ",
    "spec: ",
    "\0",
    "\u{7}",
    "<",
    "{{ .x }}",
];

/// An edit: where (in thousandths of the text), how many characters are removed, and what is put there.
fn edit() -> impl Strategy<Value = (usize, usize, &'static str)> {
    (0usize..1000, 0usize..8, prop::sample::select(PIECES))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn loading_never_panics(edits in prop::collection::vec(edit(), 1..8), json: bool) {
        let mut text: Vec<char> = TEXT.chars().collect();
        for (at, removed, piece) in edits {
            let at = at * text.len() / 1000;
            let end = (at + removed).min(text.len());
            text.splice(at..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        let (sources, _, diagnostics) = load::from_text(if json { "f.json" } else { "f.yaml" }, &text);
        for diagnostic in diagnostics.list() {
            for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
                let span = label.span;
                prop_assert!(text.get(span.start as usize..span.end as usize).is_some(), "{diagnostic:?}");
            }
        }
        render::text(&diagnostics, &sources, false);
        render::json(&diagnostics, &sources);
    }
}
