//! The programs under test: one for each number, all for the same shop.

use meshgate_compiler::compile::{CompileOptions, Compiled, compile};
use meshgate_compiler::diagnostic::{Diagnostics, Severity};
use meshgate_compiler::render;
use meshgate_compiler::source::SourceMap;

/// What tells the programs apart. It is the generation, and in everything that a program has a say in.
pub(crate) fn name(number: u64) -> String {
    format!("p{number}")
}

/// Programs with odd and even numbers do not have the same destinations and routes.
pub(crate) fn parity(number: u64) -> &'static str {
    if number % 2 == 1 { "odd" } else { "even" }
}

/// Name of the cluster of a service. The upstream behind it has the same.
pub(crate) fn cluster(service: &str) -> String {
    format!("outbound|9080||{service}.platform.svc.cluster.local")
}

/// The configuration with a number.
pub(crate) fn compiled(number: u64) -> Compiled {
    compile_all(&resources(number), number)
}

/// The program with a number.
pub(crate) fn program(number: u64) -> Vec<u8> {
    compiled(number).program.unwrap()
}

/// The program with a number, and as many more routes as asked for.
pub(crate) fn large_program(number: u64, routes: usize) -> Vec<u8> {
    let more: String = (0..routes)
        .map(|route| {
            format!(
                "  - name: more-{route}\n    matchers: [{{uri: {{prefix: /more/{route}/}}}}]\n    \
                 directResponseAction: {{status: 200}}\n"
            )
        })
        .collect();
    let resources = resources(number).replacen("  routes:\n", &format!("  routes:\n{more}"), 1);
    compile_all(&resources, number).program.unwrap()
}

fn resources(number: u64) -> String {
    include_str!("resources.yaml")
        .replace("NUMBER", &name(number))
        .replace("PARITY", parity(number))
}

#[track_caller]
fn compile_all(resources: &str, number: u64) -> Compiled {
    let mut sources = SourceMap::default();
    sources.add("resources.yaml".to_owned(), resources.to_owned());
    let options = CompileOptions {
        generation: Some(name(number)),
        ..CompileOptions::default()
    };
    let mut diagnostics = Diagnostics::default();
    let compiled = compile(&sources, &options, &mut diagnostics);
    let mut findings = diagnostics.list().iter();
    let clean = findings.all(|finding| finding.severity == Severity::Note);
    assert!(clean, "{}", render::lines(&diagnostics, &sources));
    compiled
}
