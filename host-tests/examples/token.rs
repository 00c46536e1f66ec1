//! Prints tokens for examples and cases, signed with the keys of the tests: `token ES256 '{"iss": "…"}'`. Without arguments
//! it prints the keys, as a JWKS.

use std::env;
use std::process::ExitCode;

use meshgate_host_tests::tokens::{TestKey, jwks};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let text = match arguments.as_slice() {
        [] => Some(jwks().to_string()),
        [algorithm, claims] => token(algorithm, claims),
        _ => None,
    };
    match text {
        Some(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("usage: token [RS256|ES256|EdDSA CLAIMS]");
            ExitCode::FAILURE
        }
    }
}

fn token(algorithm: &str, claims: &str) -> Option<String> {
    let claims = serde_json::from_str(claims).ok()?;
    Some(TestKey::of(algorithm)?.token(&claims))
}
