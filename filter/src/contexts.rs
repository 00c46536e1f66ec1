//! Which root contexts and streams there are, and which program each stream is decided by.
//!
//! Several root contexts live in one VM: the old and the new configuration during an update, and those of all listeners
//! that share the VM. A stream is decided by the configuration of its root context, from its beginning to its end.
//!
//! A host creates a stream and then hands over its request, mostly at once; and a stream whose response stays as it is
//! needs nothing after that. So the newest stream is kept aside in two numbers, and the table of streams has those whose
//! request is to come while others begin, those that wait, and those that have work to do on their response. The host ends every stream, which
//! bounds the table by the number of streams that it has open.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use meshgate_engine::policy::Stage;

use crate::external::{Change, Question, Token};
use crate::headers::HeaderPairs;
use crate::root::Router;

/// A stream that has something before it.
#[derive(Debug)]
struct Stream {
    origin: Origin,
    todo: Todo,
}

/// Where a stream comes from: its root context, and the configuration that it began with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) root: u32,
    pub(crate) router: Rc<Router>,
    /// What is told of its request besides; mostly nothing.
    pub(crate) watch: Option<Rc<Watch>>,
}

/// What is told of a request besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// When it came, in the host's time, if that is of interest.
    pub(crate) since: Option<u64>,
    /// Whether its response explains what has been decided.
    pub(crate) explains: bool,
}

impl Origin {
    fn new(root: u32, router: Rc<Router>) -> Origin {
        Origin {
            root,
            router,
            watch: None,
        }
    }
}

/// What there is to do for a stream.
#[derive(Debug)]
enum Todo {
    /// Its request is to come.
    Begin,
    /// Its request is decided, from a stage on, when it has waited until then.
    Wait(Waiting),
    /// Its request is decided when a service has answered.
    Ask(HeaderPairs, Question),
    /// Its response is changed.
    Respond(ResponseChanges),
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Its headers as they came.
    pub(crate) pairs: HeaderPairs,
    /// Where to go on.
    pub(crate) stage: Stage,
    /// Until when, in the host's time.
    pub(crate) until: u64,
}

/// What happens to a response, in this order.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseChanges {
    /// Header operations of the route, then of the destination, by their index in the program.
    pub(crate) operations: [Option<u32>; 2],
    /// Headers that policies set.
    pub(crate) headers: Rc<[(&'static str, Vec<u8>)]>,
    /// What services want.
    pub(crate) changes: Rc<[Change]>,
    /// Cookies that the client is given, beside those of the destination.
    pub(crate) cookies: Rc<[Vec<u8>]>,
    /// What has been decided, for `x-meshgate-explain`.
    pub(crate) explanation: Option<Rc<[u8]>>,
    /// Histogram for the time until the response.
    pub(crate) durations: Option<u32>,
    /// The gateway makes the response.
    pub(crate) is_own: bool,
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
    /// Root context, time and number of each stream that waits.
    waiting: RefCell<BTreeSet<(u32, u64, u32)>>,
    /// The stream behind each question that is not answered yet.
    asked: RefCell<BTreeMap<Token, u32>>,
}

thread_local! {
    static CONTEXTS: Contexts = const {
        Contexts {
            roots: RefCell::new(Vec::new()),
            newest: Cell::new(None),
            streams: RefCell::new(HashMap::with_hasher(BuildHasherDefault::new())),
            waiting: RefCell::new(BTreeSet::new()),
            asked: RefCell::new(BTreeMap::new()),
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

/// Gives a root context, which was created before, its configuration.
pub(crate) fn configure(root: u32, router: Router) {
    CONTEXTS.with(|contexts| {
        contexts.put_off_newest();
        let mut roots = contexts.roots.borrow_mut();
        if let Some((_, current)) = roots.iter_mut().find(|(id, _)| *id == root) {
            *current = Rc::new(router);
        }
    });
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

/// Where a stream whose request has come is from; `None` for a stream that was not created.
pub(crate) fn origin(stream: u32) -> Option<Origin> {
    CONTEXTS.with(|contexts| match contexts.newest.get() {
        Some((newest, root)) if newest == stream => {
            contexts.newest.set(None);
            let router = contexts.router(root)?;
            Some(Origin::new(root, router))
        }
        _ => Some(contexts.streams.borrow_mut().remove(&stream)?.origin),
    })
}

/// Keeps what happens to the response of a stream until it comes, or the stream ends.
pub(crate) fn keep(id: u32, origin: &Origin, response: ResponseChanges) {
    let origin = origin.clone();
    let todo = Todo::Respond(response);
    CONTEXTS.with(|contexts| {
        contexts
            .streams
            .borrow_mut()
            .insert(id, Stream { origin, todo })
    });
}

/// Keeps what has been decided about a stream, and a histogram for the time until its response.
#[cold]
pub(crate) fn watch(
    id: u32,
    origin: &Origin,
    explanation: Option<Rc<[u8]>>,
    durations: Option<u32>,
) {
    CONTEXTS.with(|contexts| {
        let mut streams = contexts.streams.borrow_mut();
        let stream = streams.entry(id).or_insert_with(|| Stream {
            origin: origin.clone(),
            todo: Todo::Respond(ResponseChanges::default()),
        });
        if let Todo::Respond(response) = &mut stream.todo {
            response.explanation = explanation;
            response.durations = durations;
        }
    });
}

/// What happens to the response of a stream, if anything.
pub(crate) fn kept(id: u32) -> Option<(Origin, ResponseChanges)> {
    CONTEXTS.with(|contexts| {
        let streams = contexts.streams.borrow();
        if streams.is_empty() {
            return None;
        }
        let Stream { origin, todo } = streams.get(&id)?;
        match todo {
            Todo::Respond(response) => Some((origin.clone(), response.clone())),
            Todo::Begin | Todo::Wait(_) | Todo::Ask(..) => None,
        }
    })
}

/// Keeps a request that waits.
pub(crate) fn wait(id: u32, origin: Origin, waiting: Waiting) {
    CONTEXTS.with(|contexts| {
        let mut times = contexts.waiting.borrow_mut();
        times.insert((origin.root, waiting.until, id));
        let todo = Todo::Wait(waiting);
        contexts
            .streams
            .borrow_mut()
            .insert(id, Stream { origin, todo });
    });
}

/// Keeps a request that a service is asked about.
pub(crate) fn ask(id: u32, origin: Origin, pairs: HeaderPairs, question: Question) {
    CONTEXTS.with(|contexts| {
        contexts.asked.borrow_mut().insert(question.token, id);
        let todo = Todo::Ask(pairs, question);
        let mut streams = contexts.streams.borrow_mut();
        streams.insert(id, Stream { origin, todo });
    });
}

/// Takes the stream whose question is answered. The host gives answers to the root context, also for streams that have
/// ended meanwhile.
pub(crate) fn take_asked(token: Token) -> Option<(u32, Origin, HeaderPairs, Question)> {
    CONTEXTS.with(|contexts| {
        let id = contexts.asked.borrow_mut().remove(&token)?;
        let Stream { origin, todo } = contexts.streams.borrow_mut().remove(&id)?;
        match todo {
            Todo::Ask(pairs, question) => Some((id, origin, pairs, question)),
            Todo::Begin | Todo::Wait(_) | Todo::Respond(_) => None,
        }
    })
}

/// The time of the first request of a root context that waits.
pub(crate) fn next_time(root: u32) -> Option<u64> {
    CONTEXTS.with(|contexts| {
        let times = contexts.waiting.borrow();
        let mut times = times.range((root, 0, 0)..=(root, u64::MAX, u32::MAX));
        times.next().map(|(_, until, _)| *until)
    })
}

/// Takes the next request of a root context that has waited long enough.
pub(crate) fn take_waiting(root: u32, now: u64) -> Option<(u32, Origin, Waiting)> {
    CONTEXTS.with(|contexts| {
        let mut times = contexts.waiting.borrow_mut();
        let next = *times.range((root, 0, 0)..=(root, now, u32::MAX)).next()?;
        times.remove(&next);
        let (_, _, id) = next;
        let Stream { origin, todo } = contexts.streams.borrow_mut().remove(&id)?;
        match todo {
            Todo::Wait(waiting) => Some((id, origin, waiting)),
            Todo::Begin | Todo::Ask(..) | Todo::Respond(_) => None,
        }
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
        if !streams.is_empty()
            && let Some(Stream { origin, todo }) = streams.remove(&context)
        {
            match todo {
                Todo::Wait(waiting) => {
                    let mut times = contexts.waiting.borrow_mut();
                    times.remove(&(origin.root, waiting.until, context));
                }
                Todo::Ask(_, question) => {
                    contexts.asked.borrow_mut().remove(&question.token);
                }
                Todo::Begin | Todo::Respond(_) => {}
            }
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
            let origin = Origin::new(root, router);
            let todo = Todo::Begin;
            let mut streams = self.streams.borrow_mut();
            streams.insert(stream, Stream { origin, todo });
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
        configure(id, Router::default());
        current(id)
    }

    fn current(root: u32) -> *const Router {
        CONTEXTS.with(|contexts| Rc::as_ptr(&contexts.router(root).expect("there is one")))
    }

    #[track_caller]
    fn check(stream: u32, expected: Option<*const Router>) {
        let router = origin(stream).map(|origin| Rc::as_ptr(&origin.router));
        assert_eq!(router, expected);
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
        configure(1, Router::default());
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
        let response = ResponseChanges {
            operations: [Some(7), None],
            ..ResponseChanges::default()
        };
        keep(10, &Origin::default(), response.clone());
        keep(11, &Origin::default(), response);
        let operations = kept(10).map(|(_, response)| response.operations);
        assert_eq!(operations, Some([Some(7), None]));
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
    fn a_root_context_is_created_once() {
        assert!(create_root(1));
        assert!(!create_root(1));
        // Only what was created is configured.
        configure(2, Router::default());
        assert!(create_root(2));
    }
}
