//! Which root contexts and streams there are, and which program each stream is decided by.
//!
//! Several root contexts live in one VM: the old and the new configuration during an update, and those of all listeners
//! that share the VM. A stream is decided by the configuration of its root context, from its beginning to its end.
//!
//! A host creates a stream and then hands over its request, mostly at once; and a stream whose response stays as it is
//! needs nothing after that. So the newest stream is kept aside in two numbers, and the table of streams has those that
//! wait for their request while others begin, or have work to do on their response. The host ends every stream, which
//! bounds the table by the number of streams that it has open.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::root::Router;

/// A stream: the configuration that it began with, and what is left to do when the response comes.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) router: Rc<Router>,
    /// What happens to its response.
    pub(crate) response: ResponseChanges,
}

/// What happens to a response, in this order.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseChanges {
    /// Header operations of the route, then of the destination, by their index in the program.
    pub(crate) operations: [Option<u32>; 2],
    /// Headers that policies set.
    pub(crate) headers: Rc<[(&'static str, Vec<u8>)]>,
}

/// What [`delete`] has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deleted {
    Root,
    Stream,
}

struct Contexts {
    /// By the number of the root context. There are few.
    roots: RefCell<Vec<(u32, Rc<Router>)>>,
    /// The stream that was created last, until its request comes, and its root context.
    newest: Cell<Option<(u32, u32)>>,
    streams: RefCell<HashMap<u32, Stream, BuildHasherDefault<IdHasher>>>,
}

thread_local! {
    static CONTEXTS: Contexts = const {
        Contexts {
            roots: RefCell::new(Vec::new()),
            newest: Cell::new(None),
            streams: RefCell::new(HashMap::with_hasher(BuildHasherDefault::new())),
        }
    };
}

/// Takes note of a root context, which has no program yet. `false` if it is there already.
pub(crate) fn create_root(root: u32) -> bool {
    CONTEXTS.with(|contexts| {
        let is_new = !contexts.is_root(root);
        if is_new {
            contexts.roots.borrow_mut().push((root, Rc::default()));
        }
        is_new
    })
}

/// Gives a root context its configuration. `false` if there is no such root context.
pub(crate) fn configure(root: u32, router: Router) -> bool {
    CONTEXTS.with(|contexts| {
        contexts.put_off_newest();
        let mut roots = contexts.roots.borrow_mut();
        let found = roots.iter_mut().find(|(id, _)| *id == root);
        found
            .map(|(_, current)| *current = Rc::new(router))
            .is_some()
    })
}

/// Takes note of a stream.
pub(crate) fn create_stream(stream: u32, root: u32) {
    CONTEXTS.with(|contexts| {
        if contexts.newest.get().is_some() {
            contexts.put_off_newest();
        }
        contexts.newest.set(Some((stream, root)));
    });
}

/// The configuration for the request of a stream; `None` for a stream that was not created.
pub(crate) fn router(stream: u32) -> Option<Rc<Router>> {
    CONTEXTS.with(|contexts| match contexts.newest.get() {
        Some((newest, root)) if newest == stream => {
            contexts.newest.set(None);
            contexts.router(root)
        }
        _ => Some(contexts.streams.borrow_mut().remove(&stream)?.router),
    })
}

/// Keeps what there is to do when the response of a stream comes, until the stream ends.
pub(crate) fn keep(id: u32, stream: Stream) {
    CONTEXTS.with(|contexts| contexts.streams.borrow_mut().insert(id, stream));
}

/// A stream that has been kept.
pub(crate) fn kept(id: u32) -> Option<Stream> {
    CONTEXTS.with(|contexts| {
        let streams = contexts.streams.borrow();
        if streams.is_empty() {
            return None;
        }
        streams.get(&id).cloned()
    })
}

/// Ends a context. What is not a root context is a stream, of which there may be no note any more.
pub(crate) fn delete(context: u32) -> Deleted {
    CONTEXTS.with(|contexts| {
        if contexts.is_root(context) {
            contexts.put_off_newest();
            contexts.roots.borrow_mut().retain(|(id, _)| *id != context);
            return Deleted::Root;
        }
        if matches!(contexts.newest.get(), Some((newest, _)) if newest == context) {
            contexts.newest.set(None);
        }
        let mut streams = contexts.streams.borrow_mut();
        if !streams.is_empty() {
            streams.remove(&context);
        }
        Deleted::Stream
    })
}

impl Contexts {
    fn is_root(&self, context: u32) -> bool {
        self.roots.borrow().iter().any(|(id, _)| *id == context)
    }

    fn router(&self, root: u32) -> Option<Rc<Router>> {
        let roots = self.roots.borrow();
        let (_, router) = roots.iter().find(|(id, _)| *id == root)?;
        Some(Rc::clone(router))
    }

    /// Something else begins or ends before the request of the newest stream comes. It keeps its configuration.
    #[cold]
    fn put_off_newest(&self) {
        if let Some((stream, root)) = self.newest.take()
            && let Some(router) = self.router(root)
        {
            let waiting = Stream {
                router,
                response: ResponseChanges::default(),
            };
            self.streams.borrow_mut().insert(stream, waiting);
        }
    }
}

/// Spreads context numbers, which count up, over a hash table. The host chooses them, so nobody makes them collide.
#[derive(Default)]
struct IdHasher {
    hash: u64,
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        let mixed = (self.hash ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root context with a configuration, which is known by its address.
    fn root(id: u32) -> *const Router {
        assert!(create_root(id));
        assert!(configure(id, Router::default()));
        current(id)
    }

    fn current(root: u32) -> *const Router {
        CONTEXTS.with(|contexts| Rc::as_ptr(&contexts.router(root).expect("there is one")))
    }

    #[track_caller]
    fn check(stream: u32, expected: Option<*const Router>) {
        assert_eq!(router(stream).map(|router| Rc::as_ptr(&router)), expected);
    }

    #[test]
    fn streams_belong_to_their_root_context_in_any_order() {
        let (old, new) = (root(1), root(2));
        create_stream(10, 1);
        check(10, Some(old));
        create_stream(11, 2);
        create_stream(12, 1);
        create_stream(13, 2);
        check(12, Some(old));
        check(11, Some(new));
        check(13, Some(new));
        check(14, None);
    }

    #[test]
    fn a_stream_keeps_its_configuration() {
        let first = root(1);
        create_stream(10, 1);
        // Another reference keeps the address from being used again.
        let kept_alive = CONTEXTS.with(|contexts| contexts.router(1));
        assert!(configure(1, Router::default()));
        assert_ne!(current(1), first);
        check(10, Some(first));
        drop(kept_alive);

        let second = current(1);
        create_stream(11, 1);
        assert_eq!(delete(1), Deleted::Root);
        check(11, Some(second));
        create_stream(12, 1);
        check(12, None);
    }

    #[test]
    fn nothing_is_left_of_what_has_ended() {
        root(1);
        let stream = || Stream {
            router: Rc::default(),
            response: ResponseChanges {
                operations: [Some(7), None],
                ..ResponseChanges::default()
            },
        };
        keep(10, stream());
        keep(11, stream());
        assert_eq!(
            kept(10).map(|kept| kept.response.operations),
            Some([Some(7), None])
        );
        assert_eq!(delete(10), Deleted::Stream);
        assert!(kept(10).is_none());
        assert!(kept(11).is_some());
        create_stream(12, 1);
        create_stream(13, 1);
        for id in [11, 12, 13, 14] {
            assert_eq!(delete(id), Deleted::Stream);
        }
        assert_eq!(delete(1), Deleted::Root);
        check(13, None);
        CONTEXTS.with(|contexts| {
            assert!(contexts.streams.borrow().is_empty());
            assert!(contexts.roots.borrow().is_empty());
        });
    }

    #[test]
    fn a_root_context_is_created_once_and_configured_after_that() {
        assert!(!configure(1, Router::default()));
        assert!(create_root(1));
        assert!(!create_root(1));
        assert!(configure(1, Router::default()));
    }
}
