//! Programs in the making.

use meshgate_engine::write::{
    Automaton, ClauseName, Entry, Hosts, PathTries, Predicate, TrieEntry, Writer,
};
use meshgate_engine::{Action, ActionKind, DirectResponse, Gateway, Head, SegmentKind};

/// A program in the making, with a name that routes are called by.
pub(crate) struct Builder {
    pub(crate) writer: Writer,
    pub(crate) head: Head,
    pub(crate) host: u32,
}

impl Builder {
    pub(crate) fn new(gateways: &[&str]) -> Self {
        let gateways = gateways.iter().zip(8080..).map(|(name, port)| Gateway {
            namespace: "edge".to_owned(),
            name: (*name).to_owned(),
            port,
            ..Gateway::default()
        });
        let mut writer = Writer::default();
        let host = writer.name(None, SegmentKind::Object, "shop.www");
        Self {
            head: Head {
                generation: "golden".to_owned(),
                gateways: gateways.collect(),
                ..Head::default()
            },
            writer,
            host,
        }
    }

    pub(crate) fn clause(&mut self, name: &str, kind: ActionKind, headers: Option<u32>) -> u32 {
        let action = self.head.actions.len() as u32;
        self.head.actions.push(Action {
            kind,
            headers,
            policies: None,
        });
        let name = ClauseName {
            below: Some(self.host),
            kind: SegmentKind::Route,
            text: name,
        };
        self.writer.clause(action, Some(name)).unwrap()
    }

    /// A clause that answers with its own name.
    pub(crate) fn answer(&mut self, name: &str) -> u32 {
        let response = DirectResponse {
            status: 200,
            body: name.to_owned(),
        };
        self.clause(name, ActionKind::DirectResponse(response), None)
    }

    pub(crate) fn entry(
        &mut self,
        name: &str,
        tail: Option<u32>,
        predicates: &[Predicate<'_>],
    ) -> Entry {
        let clause = self.answer(name);
        let predicates = predicates
            .iter()
            .map(|predicate| self.writer.predicate(predicate).unwrap());
        Entry {
            clause,
            tail,
            predicates: predicates.collect(),
        }
    }

    pub(crate) fn set(&mut self, entries: &[Entry]) -> u32 {
        self.writer.rule_set(entries).unwrap()
    }

    pub(crate) fn always(&mut self, clause: u32) -> u32 {
        self.set(&[Entry {
            clause,
            tail: None,
            predicates: Vec::new(),
        }])
    }

    /// A trie from keys, each with a set for the whole path and one for what begins with it.
    pub(crate) fn trie(&mut self, entries: &[(&str, Option<u32>, Option<u32>)]) -> Option<u32> {
        let entries = entries.iter().map(|&(key, end, prefix)| TrieEntry {
            key: key.into(),
            end,
            prefix,
        });
        self.writer.path_trie(entries.collect()).unwrap()
    }

    pub(crate) fn virtual_host(&mut self, entries: &[(&str, Option<u32>, Option<u32>)]) -> u32 {
        let forward = self.trie(entries);
        self.writer.virtual_host(PathTries {
            forward,
            ..PathTries::default()
        })
    }

    pub(crate) fn gateway(&mut self, hosts: Hosts) {
        self.writer.gateway(hosts).unwrap();
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.writer.finish(&self.head).unwrap()
    }
}

/// Accepts one or more of the bytes.
pub(crate) fn some_of(bytes: &[u8]) -> Automaton {
    let mut classes = Box::new([0; 256]);
    for byte in bytes {
        classes[usize::from(*byte)] = 1;
    }
    Automaton {
        classes,
        stride: 2,
        start: 1,
        table: vec![0, 0, 0, 2, 0, 2],
        accept: vec![false, false, true],
    }
}

pub(crate) fn text(bytes: &str) -> Vec<u8> {
    bytes.as_bytes().to_vec()
}

pub(crate) fn reversed(text: &str) -> Vec<u8> {
    text.bytes().rev().collect()
}
