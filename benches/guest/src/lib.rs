//! The engine in wasm without a proxy: a program and requests come in through memory, and a call decides them all.
//!
//! The host calls [`reserve`], writes into the memory at the address it gets, and then calls [`load`] or [`requests`],
//! which take what was written.
#![expect(
    unsafe_code,
    reason = "exporting a function under its own name counts as unsafe; there is no unsafe block"
)]

use std::cell::RefCell;
use std::hint::black_box;

use meshgate_engine::{Decision, Program, Request};

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    program: Option<Program>,
    requests: Vec<OwnedRequest>,
}

/// A request that owns its parts, as in the native benchmarks.
struct OwnedRequest {
    authority: Vec<u8>,
    path: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl OwnedRequest {
    fn borrow(&self) -> Request<'_, [(Vec<u8>, Vec<u8>)]> {
        Request {
            method: b"GET",
            scheme: b"http",
            authority: &self.authority,
            path: &self.path,
            headers: &self.headers,
        }
    }
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Makes room for `len` bytes and returns their address. The program loaded before is gone.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(len: usize) -> *const u8 {
    STATE.with_borrow_mut(|state| {
        state.program = None;
        state.buffer = vec![0; len];
        state.buffer.as_ptr()
    })
}

/// Verifies the program that was written. Returns whether it is one.
#[unsafe(no_mangle)]
pub extern "C" fn load() -> u32 {
    STATE.with_borrow_mut(|state| {
        state.program = Program::new(std::mem::take(&mut state.buffer)).ok();
        u32::from(state.program.is_some())
    })
}

/// Reads the requests that were written: for each the number of its texts, then each text after its length. The texts
/// are the authority, the path, and names and values of headers. Returns the number of requests.
#[unsafe(no_mangle)]
pub extern "C" fn requests() -> usize {
    STATE.with_borrow_mut(|state| {
        let buffer = std::mem::take(&mut state.buffer);
        state.requests.clear();
        let mut rest = buffer.as_slice();
        while let Some(request) = read_request(&mut rest) {
            state.requests.push(request);
        }
        state.requests.len()
    })
}

/// Decides all requests. Returns how many have a route.
#[unsafe(no_mangle)]
pub extern "C" fn decide() -> usize {
    STATE.with_borrow(|state| {
        let Some(program) = &state.program else {
            return 0;
        };
        let found = state.requests.iter().filter(|request| {
            let decision = black_box(program.decide(0, &request.borrow()));
            matches!(decision, Decision::Route(_))
        });
        found.count()
    })
}

/// The number in the name of the route that takes a request, such as 17 of `r17`; -1 for none.
#[unsafe(no_mangle)]
pub extern "C" fn answer(n: usize) -> i32 {
    let number = STATE.with_borrow(|state| {
        let request = state.requests.get(n)?;
        match state.program.as_ref()?.decide(0, &request.borrow()) {
            Decision::Route(found) => found.route_name()?.strip_prefix('r')?.parse().ok(),
            Decision::NotFound => None,
        }
    });
    number.unwrap_or(-1)
}

fn read_request(rest: &mut &[u8]) -> Option<OwnedRequest> {
    let texts = read_number(rest)?;
    let authority = read_text(rest)?;
    let path = read_text(rest)?;
    let headers = (2..texts)
        .step_by(2)
        .map(|_| Some((read_text(rest)?, read_text(rest)?)))
        .collect::<Option<_>>()?;
    Some(OwnedRequest {
        authority,
        path,
        headers,
    })
}

fn read_text(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let len = read_number(rest)? as usize;
    let (text, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(text.to_vec())
}

fn read_number(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_le_bytes(*number))
}
