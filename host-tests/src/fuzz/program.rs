//! Whatever the bytes, loading them as a program ends, and a program that was accepted answers every request.

use std::net::Ipv4Addr;

use meshgate_compiler::oracle;
use meshgate_engine::write::{Parts, parts, seal};
use meshgate_engine::{ActionKind, Decision, Match, Program, Request};

/// Most requests that are read from one input.
const MAX_REQUESTS: usize = 16;
/// Separates requests in what follows a program.
const BETWEEN_REQUESTS: u8 = b'\n';
/// Separates method, scheme, authority, path, and names and values of headers.
const BETWEEN_FIELDS: u8 = 0;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The bytes are a program, and requests after it. The checksum is put right, so that the verifier sees the rest.
pub fn run(data: &[u8]) {
    let Ok(program) = Program::new(data.to_vec()) else {
        let Some(Parts { head, index, rest }) = parts(data) else {
            return;
        };
        let sealed = seal(head, index).map(Program::new);
        if let Some(Ok(program)) = sealed {
            decide(&program, rest);
        }
        return;
    };
    decide(&program, b"");
}

/// An input for the fuzzer from a program and requests for it.
pub(super) fn input<'r>(
    program: &[u8],
    requests: impl IntoIterator<Item = &'r oracle::Request>,
) -> Vec<u8> {
    let mut input = program.to_vec();
    for request in requests.into_iter().take(MAX_REQUESTS) {
        let fields = [
            &request.method,
            &request.scheme,
            &request.authority,
            &request.path,
        ];
        let headers = request.headers.iter();
        let headers = headers.flat_map(|(name, value)| [name, value]);
        for field in fields.into_iter().chain(headers) {
            input.extend_from_slice(field.as_bytes());
            input.push(BETWEEN_FIELDS);
        }
        input.push(BETWEEN_REQUESTS);
    }
    input
}

fn decide(program: &Program, requests: &[u8]) {
    let longest = [b"/a".repeat(2000), b"/".to_vec()];
    for path in &longest {
        for authority in [b"".as_slice(), b"a.com:80", b"[::1]:81"] {
            let request = Request {
                method: b"GET",
                scheme: b"http",
                authority,
                path,
                headers: &[][..],
            };
            decide_one(program, &request);
        }
    }
    for line in requests
        .split(|byte| *byte == BETWEEN_REQUESTS)
        .take(MAX_REQUESTS)
    {
        let mut fields = line.split(|byte| *byte == BETWEEN_FIELDS);
        let mut field = || fields.next().unwrap_or_default();
        let (method, scheme, authority, path) = (field(), field(), field(), field());
        let mut headers = Fields::new();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            headers.push((name.to_ascii_lowercase(), value.to_vec()));
        }
        let request = Request {
            method,
            scheme,
            authority,
            path,
            headers: headers.as_slice(),
        };
        decide_one(program, &request);
    }
}

/// Everything that is done with a decision.
fn decide_one(program: &Program, request: &Request<'_, [(Vec<u8>, Vec<u8>)]>) {
    let gateways = program.gateways().len();
    // One more than there are: the proxy may ask for a gateway that the program does not have.
    for gateway in (0..gateways.min(3)).chain([gateways]) {
        if let Decision::Route(found) = program.decide(gateway, request) {
            use_match(&found, request);
        }
    }
}

fn use_match(found: &Match<'_>, request: &Request<'_, [(Vec<u8>, Vec<u8>)]>) {
    let mut name = Vec::new();
    found.append_name(&mut name);
    let (route, virtual_host) = (found.route_name(), found.virtual_host());
    let longest = route
        .map_or(0, |route| route.len())
        .max(virtual_host.map_or(0, |name| name.len()));
    // A broken program may have names that are no UTF-8; what stands for a byte of them is longer than that.
    let name = String::from_utf8_lossy(&name);
    assert!(longest <= name.len(), "the full name has all the others");
    found.headers();
    match &found.action().kind {
        ActionKind::Forward(_) => {
            for random in [0.0, 0.5, 1.0, -1.0, f64::NAN, f64::INFINITY] {
                let source = || Some(Ipv4Addr::LOCALHOST.into());
                let forwarding = found.forward(request, || random, source);
                assert!(forwarding.is_some(), "there is a destination");
            }
        }
        ActionKind::Redirect(redirect) => {
            assert!(
                !found.location(redirect, request).is_empty(),
                "it leads somewhere"
            );
        }
        ActionKind::DirectResponse(_) => {}
    }
}
