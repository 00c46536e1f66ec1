//! Whatever the text, compiling it ends, and what comes of it is a program that the engine takes.

use meshgate_compiler::render;
use meshgate_engine::Program;

use crate::cases::Configuration;

pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let configuration = Configuration::compile(text, 8080);
    for diagnostic in configuration.diagnostics.list() {
        for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
            let (start, end) = (label.span.start as usize, label.span.end as usize);
            assert!(text.get(start..end).is_some(), "{diagnostic:?}");
        }
    }
    render::text(&configuration.diagnostics, &configuration.sources, false);
    render::json(&configuration.diagnostics, &configuration.sources);
    if let Some(program) = configuration.compiled.program {
        let program = Program::new(program);
        assert!(program.is_ok(), "{program:?}");
    }
}
