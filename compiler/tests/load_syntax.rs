//! YAML and JSON: what they mean, what is wrong with them, and how much of them is taken.

use meshgate_compiler::resource::Resources;
use meshgate_compiler::{load, render};

/// Loads a text and compares its diagnostics, one line each, with what is expected.
#[track_caller]
fn check(text: &str, expected: &[&str]) -> Resources {
    let (sources, resources, mut diagnostics) = load::from_text("f", text);
    diagnostics.sort();
    let lines = render::lines(&diagnostics, &sources);
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected, "{text}");
    resources
}

const TABLE: &str =
    "apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: RouteTable\n";

#[test]
fn syntax_errors_cost_one_document() {
    let text =
        format!("a: b: c\n---\n{TABLE}metadata: {{name: t}}\nspec: {{routes: []}}\n---\na: [\n");
    let resources = check(
        &text,
        &[
            "f:1:5: error[E0010]: a `:` is not expected here (help: the line before may lack its `:` or be indented \
             differently; put a text that contains `: ` in quotes)",
            "f:9:1: error[E0010]: a value or a closing bracket is missing here (help: check the lines before)",
        ],
    );
    assert_eq!(resources.route_tables.len(), 1);
}

#[test]
fn tabs_are_named() {
    check(
        "a:\n\tb: 1\n",
        &["f:2:2: error[E0012]: a tab cannot indent YAML (help: replace it with spaces)"],
    );
}

#[test]
fn columns_count_characters() {
    check(
        &format!(
            "# ééé\r\n{TABLE}metadata: {{name: e, annotations: {{ä: x}}}}\r\nspec: {{é: 1}}\r\n"
        ),
        &[
            "f:5:8: error[E0030]: unknown field `é` in `spec` (help: known fields are `options`, `routes` and `weight`)",
        ],
    );
}

#[test]
fn aliases_and_merge_keys_work() {
    let text = format!(
        "{TABLE}metadata: {{name: t}}\nspec:\n  routes:\n  - &a {{name: a, directResponseAction: &r {{status: 200}}}}\n  \
         - {{<<: *a, name: b}}\n  - {{<<: [{{name: c}}, *a]}}\n  - directResponseAction: *r\n"
    );
    let tables = check(&text, &[]).route_tables;
    let names: Vec<_> = tables[0]
        .routes
        .iter()
        .map(|route| route.name.as_ref().map(|name| name.as_str()))
        .collect();
    assert_eq!(names, [Some("a"), Some("b"), Some("c"), None]);
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    check(
        &text,
        &[
            "f:5:45: error[E0015]: aliases add more than 100000 values to this document \
           (help: write the values out, or split the document)",
        ],
    );
}

#[test]
fn surrogate_escapes_work_in_json() {
    let text = r#"{"apiVersion": "networking.enterprise.mesh.gloo.solo.io/v1beta1", "kind": "RouteTable",
        "metadata": {"name": "t"},
        "spec": {"routes": [{"name": "\ud83d\ude00", "directResponseAction": {"status": 200}}]}}"#;
    let tables = check(text, &[]).route_tables;
    let name = tables[0].routes[0].name.as_ref();
    assert_eq!(name.map(|name| name.as_str()), Some("😀"));
}

#[test]
fn json_values_may_follow_one_another() {
    let value = |name| {
        format!(
            r#"{{"apiVersion":"networking.enterprise.mesh.gloo.solo.io/v1beta1","kind":"RouteTable","metadata":{{"name":"{name}"}},"spec":{{}}}}"#
        )
    };
    assert_eq!(
        check(
            &format!("{}{}\n{}", value("a"), value("b"), value("c")),
            &[]
        )
        .route_tables
        .len(),
        3
    );
}

#[test]
fn repeated_keys_are_found_in_large_maps() {
    let labels: Vec<String> = (0..40).map(|label| format!("l{label}: x")).collect();
    check(
        &format!(
            "{TABLE}metadata: {{name: t, labels: {{{}, l0: y, l39: z}}}}\nspec: {{}}\n",
            labels.join(", ")
        ),
        &[
            "f:3:340: error[E0013]: the key `l0` appears twice in this map (help: keep one of them, or merge them)",
            "f:3:347: error[E0013]: the key `l39` appears twice in this map (help: keep one of them, or merge them)",
        ],
    );
}

#[test]
fn nesting_is_limited() {
    let nested =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for text in [
        nested("[", "]"),
        nested("{a: ", "}"),
        nested("{\"a\": ", "}"),
        nested("- ", ""),
        (0..1000)
            .map(|level| format!("{}a:\n", " ".repeat(level)))
            .collect(),
    ] {
        let (_, _, diagnostics) = load::from_text("f", &text);
        let codes: Vec<_> = diagnostics
            .list()
            .iter()
            .map(|diagnostic| diagnostic.code.as_str())
            .collect();
        assert_eq!(codes, ["E0014"], "{}", &text[..20]);
    }
}

#[test]
fn documents_may_have_directives_and_end_marks() {
    let text = format!(
        "%YAML 1.2\n---\n{TABLE}metadata: {{name: a}}\nspec: {{}}\n...\n# between\n---\n{TABLE}metadata: {{name: b}}\n\
         spec: {{}}\n---\n---\n"
    );
    assert_eq!(check(&text, &[]).route_tables.len(), 2);
}

#[test]
fn json_errors_are_named_in_files_that_are_json() {
    for (text, place, message) in [
        ("{\"a\": 1,}", "1:9", "expected a key in double quotes"),
        ("{\"a\" 1}", "1:6", "expected `:`"),
        ("{\"a\": 01}", "1:7", "expected a value"),
        ("{\"a\": [1 2]}", "1:10", "expected `,` or `]`"),
        (
            "{\"a\": \"b\n\"}",
            "1:9",
            "a string cannot contain line breaks or control characters; escape them",
        ),
        (
            "{\"a\": \"\\ud83d\"}",
            "1:7",
            "this string has an escape that JSON does not know",
        ),
        ("{\"a\": \"", "1:7", "this string has no closing quote"),
        ("{\"a\": ", "1:7", "the text ends in the middle of a value"),
    ] {
        let (sources, _, diagnostics) = load::from_text("f.json", text);
        let expected = format!("f.json:{place}: error[E0011]: {message}\n");
        assert_eq!(render::lines(&diagnostics, &sources), expected, "{text}");
    }
}
