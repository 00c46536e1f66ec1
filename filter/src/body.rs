//! Bodies of requests that services are asked about with them.
//!
//! Such a request is held while its body comes. The host keeps the whole body and sends it on; what the service gets of it
//! is taken from the host when it is there, and kept here until the service is asked.

use std::cell::RefCell;
use std::collections::BTreeMap;

use meshgate_engine::policy::AuthBody;

use crate::host;

/// What a service gets of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) bytes: Vec<u8>,
    /// Whether there is no more of it.
    pub(crate) is_whole: bool,
}

/// How far a body is.
#[derive(Debug)]
enum Body {
    /// It is coming.
    Coming {
        wanted: AuthBody,
        /// What has come, where the host does not gather it.
        beginning: Vec<u8>,
    },
    /// As much is there as the service gets.
    There(Part),
    /// It is longer than what the service takes.
    TooLong,
    /// The service has been sent it.
    Sent,
}

/// What [`take`] has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The request has none.
    Nothing,
    /// It is coming.
    Coming,
    /// As much as the service gets.
    Part(Part),
    /// It is longer than what the service takes.
    TooLong,
}

/// A piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data {
        /// Bytes that the host gives: of the piece, or of all that it has been told to gather.
        size: usize,
        /// Whether it is the last.
        is_end: bool,
    },
    /// What comes after the last.
    Trailers,
}

/// What becomes of a request after a piece of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Nobody wants its body.
    NotExpected,
    /// The service gets more than that. The host gathers it.
    More,
    /// As much is there now as the service gets, or too much.
    Enough,
    /// The request is held, and the host keeps its body for later.
    Held,
}

thread_local! {
    /// Bodies of requests that are held, by stream.
    static BODIES: RefCell<BTreeMap<u32, Body>> = const { RefCell::new(BTreeMap::new()) };
}

/// The body of a request will come, and a service gets it.
pub(crate) fn expect(stream: u32, wanted: AuthBody) {
    let body = Body::Coming {
        wanted,
        beginning: Vec::new(),
    };
    BODIES.with_borrow_mut(|bodies| bodies.insert(stream, body));
}

/// Whether a service gets the body of a request, which is held for it.
pub(crate) fn is_expected(stream: u32) -> bool {
    BODIES.with_borrow(|bodies| bodies.contains_key(&stream))
}

/// A piece of a body is there.
pub(crate) fn receive(stream: u32, piece: Piece) -> Receipt {
    BODIES.with_borrow_mut(|bodies| {
        let Some(body) = bodies.get_mut(&stream) else {
            return Receipt::NotExpected;
        };
        let Body::Coming { wanted, beginning } = body else {
            return Receipt::Held;
        };
        let most = wanted.max_bytes as usize;
        // One byte more than the service gets tells whether that is all.
        let enough = most.saturating_add(1);
        let is_end = match piece {
            Piece::Data { is_end, .. } => is_end,
            Piece::Trailers => true,
        };
        if wanted.allow_partial {
            // The host hands over each piece for itself, since it refuses what grows beyond its limits when it gathers
            // them. With trailers there is no piece.
            if piece != Piece::Trailers {
                beginning.extend(host::request_body(enough.saturating_sub(beginning.len())));
            }
            if !is_end && beginning.len() < enough {
                return Receipt::Held;
            }
        } else {
            match piece {
                Piece::Data {
                    size,
                    is_end: false,
                } if size < enough => return Receipt::More,
                _ => *beginning = host::request_body(enough),
            }
        }
        let mut bytes = std::mem::take(beginning);
        let is_whole = bytes.len() <= most;
        *body = if is_whole || wanted.allow_partial {
            bytes.truncate(most);
            Body::There(Part { bytes, is_whole })
        } else {
            Body::TooLong
        };
        Receipt::Enough
    })
}

/// Takes what the service gets.
pub(crate) fn take(stream: u32) -> Taken {
    BODIES.with_borrow_mut(|bodies| {
        let Some(body) = bodies.get_mut(&stream) else {
            return Taken::Nothing;
        };
        match body {
            Body::Coming { .. } => Taken::Coming,
            Body::TooLong => Taken::TooLong,
            Body::There(_) | Body::Sent => match std::mem::replace(body, Body::Sent) {
                Body::There(part) => Taken::Part(part),
                _ => Taken::Nothing,
            },
        }
    })
}

/// A request is held no more.
pub(crate) fn forget(stream: u32) {
    BODIES.with_borrow_mut(|bodies| {
        if !bodies.is_empty() {
            bodies.remove(&stream);
        }
    });
}
