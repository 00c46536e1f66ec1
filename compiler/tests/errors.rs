//! `docs/errors.md` describes every code, and its examples are true.

use std::collections::BTreeSet;
use std::path::Path;

use meshgate_compiler::code::Code;
use meshgate_compiler::compile::{CompileOptions, workload_programs};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::manifest::istio::{Attach, IstioOptions, manifests, reach};
use meshgate_compiler::resolve::{self, ResolveOptions};
use meshgate_compiler::source::SourceMap;
use meshgate_compiler::{lint, load, lower, render};

/// Codes whose examples need more than one text: files, command lines, very large input. They have tests elsewhere.
const WITHOUT_EXAMPLE: &[&str] = &[
    "E0001", "E0002", "E0003", "E0004", "E0005", "E0006", "E0039", "E0109", "W0261", "E0262",
    "E0263", "E0357", "E0361", "E0362", "W0363", "E0368", "N0511", "N0513", "N0528", "E0650",
    "E0651", "N0652", "W0710", "W0707", "W0711", "E0713", "E0714", "W0715", "E0716", "E0717",
    "W0718",
];

/// Codes whose examples are attached beside others, or without EnvoyFilter.
const ATTACHED: &[(&str, Attach)] = &[
    ("E0704", Attach::Beside),
    ("W0705", Attach::Beside),
    ("E0706", Attach::Stable),
];

/// A gateway that selects the hosts of its namespace; stands beside every example but those of gateways.
const GATEWAY: &str = "---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: gateway}
spec:
  ingressGatewaySelectors: [{portName: http2}]
  connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]
";

/// A section of the document.
struct Section {
    code: String,
    slug: String,
    /// Info string and text of its code blocks.
    blocks: Vec<(String, String)>,
    text: String,
}

#[test]
fn every_code_is_described() {
    let sections = sections();
    let described: BTreeSet<_> = sections
        .iter()
        .map(|s| (s.code.as_str(), s.slug.as_str()))
        .collect();
    let defined: BTreeSet<_> = Code::ALL
        .iter()
        .map(|code| (code.as_str(), code.slug()))
        .collect();
    let difference: Vec<_> = described.symmetric_difference(&defined).collect();
    assert!(
        difference.is_empty(),
        "in docs/errors.md or in code.rs, but not in both: {difference:?}"
    );
    for section in &sections {
        assert_eq!(
            section.blocks.len(),
            1,
            "{} needs one example",
            section.code
        );
        assert!(
            section.text.contains("Fix: "),
            "{} needs a paragraph `Fix: …`",
            section.code
        );
    }
}

#[test]
fn every_example_yields_its_code() {
    let mut failures = Vec::new();
    for section in sections() {
        for (info, text) in &section.blocks {
            let Some((name, text)) = example(info, text) else {
                assert!(
                    WITHOUT_EXAMPLE.contains(&section.code.as_str()),
                    "{}: example of `{info}`",
                    section.code
                );
                continue;
            };
            let (sources, resources, mut diagnostics) = load::from_text(name, &text);
            let options = ResolveOptions {
                cluster: Some("east".to_owned()),
                ..ResolveOptions::default()
            };
            let tree = resolve::resolve(&resources, &options, &mut diagnostics);
            reach::check(&tree, &resources, Some("east"), &mut diagnostics);
            lint::lint(&tree, &mut diagnostics);
            lower::lower(&tree, &lower::Options::default(), &mut diagnostics);
            if section.code[1..].starts_with("07") {
                diagnostics.append(written_for_istio(&sources, &section.code));
            }
            if !has(&diagnostics, &section.code) {
                failures.push(format!(
                    "{}:\n{}",
                    section.code,
                    render::lines(&diagnostics, &sources)
                ));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "examples that do not yield their code:\n{}",
        failures.join("\n")
    );
}

/// What is said of the objects for Istio.
fn written_for_istio(sources: &SourceMap, code: &str) -> Diagnostics {
    let options = CompileOptions::default();
    let (resources, programs) = workload_programs(sources, &options, &mut Diagnostics::default());
    let attach = ATTACHED.iter().find(|(attached, _)| *attached == code);
    let options = IstioOptions {
        attach: attach.map_or(Attach::Exclusive, |(_, attach)| *attach),
        ..IstioOptions::for_file("/meshgate.wasm")
    };
    manifests(&programs, &resources, &options).diagnostics
}

fn has(diagnostics: &Diagnostics, code: &str) -> bool {
    diagnostics
        .list()
        .iter()
        .any(|diagnostic| diagnostic.code.as_str() == code)
}

/// File name and text of an example, if it is one that can be run.
fn example(info: &str, text: &str) -> Option<(&'static str, String)> {
    let indent = |text: &str| {
        text.lines()
            .map(|line| format!("  {line}\n"))
            .collect::<String>()
    };
    match info {
        "yaml" => Some((
            "example.yaml",
            format!("{text}{}", if text.starts_with('#') { "" } else { GATEWAY }),
        )),
        "json" => Some(("example.json", text.to_owned())),
        "yaml route" => {
            let (routes, objects) = text.split_once("---\n").unwrap_or((text, ""));
            let host = format!(
                "apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: VirtualHost\n\
                 metadata: {{name: example}}\nspec:\n  domains: [example.com]\n  routes:\n{}",
                indent(routes)
            );
            Some(("example.yaml", format!("{host}{GATEWAY}---\n{objects}")))
        }
        "yaml gateway" => {
            let header = "apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: VirtualGateway\n\
                          metadata: {name: example}\nspec:\n";
            Some(("example.yaml", format!("{header}{}", indent(text))))
        }
        _ => None,
    }
}

fn sections() -> Vec<Section> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let document = std::fs::read_to_string(path).expect("docs/errors.md is there");
    let mut sections: Vec<Section> = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in document.lines() {
        if let Some((info, mut block)) = open.take() {
            if line == "```" {
                sections
                    .last_mut()
                    .expect("blocks stand in sections")
                    .blocks
                    .push((info, block));
            } else {
                block.push_str(line);
                block.push('\n');
                open = Some((info, block));
            }
        } else if let Some(heading) = line.strip_prefix("### ") {
            let (code, slug) = heading
                .split_once(' ')
                .expect("a heading is a code and its name");
            sections.push(Section {
                code: code.to_owned(),
                slug: slug.to_owned(),
                blocks: Vec::new(),
                text: String::new(),
            });
        } else if let Some(info) = line.strip_prefix("```") {
            open = Some((info.to_owned(), String::new()));
        } else if let Some(section) = sections.last_mut() {
            section.text.push_str(line);
            section.text.push('\n');
        }
    }
    sections
}
