//! What the fuzzers run. Each target takes arbitrary bytes and panics when something is wrong.
//!
//! `fuzz/` holds the programs that feed them; `cargo xtask fuzz` runs those. What they found is kept in
//! `fuzz/crashes/<target>`, and an ordinary test runs it again.

pub mod equivalence;
mod headers;
mod program;
mod seeds;
mod yaml;

pub use equivalence::run as equivalence;
pub use headers::run as headers;
pub use program::run as program;
pub use seeds::seeds;
pub use yaml::run as yaml;

/// A fuzz target: its name and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 4] = [
    ("program", program),
    ("yaml", yaml),
    ("headers", headers),
    ("equivalence", equivalence),
];
