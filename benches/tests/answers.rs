//! A benchmark of wrong answers would be worth nothing: the engine and the oracle take the expected route.

use meshgate_benches::{
    Delegated, OwnedRequest, Peer, PeerKind, Table, compile_sources, program, requests, tree,
};
use meshgate_compiler::oracle;
use meshgate_compiler::tree::Tree;
use meshgate_engine::{Decision, Program};

const REQUESTS: usize = 500;

fn route_name(request: &OwnedRequest) -> Option<String> {
    request.expected.map(|n| format!("r{n}"))
}

#[track_caller]
fn engine_agrees(program: &Program, requests: &[OwnedRequest]) {
    for request in requests {
        let found = match program.decide(0, &request.borrow()) {
            Decision::Route(found) => found.route_name(),
            Decision::NotFound => None,
        };
        assert_eq!(found, route_name(request), "{request:?}");
    }
}

#[track_caller]
fn oracle_agrees(tree: &Tree, requests: &[OwnedRequest]) {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    for request in requests {
        let asked = oracle::Request {
            method: "GET".to_owned(),
            scheme: "http".to_owned(),
            authority: request.authority.clone(),
            path: request.path.clone(),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            random: 0.0,
            connection: oracle::Connection::default(),
        };
        let found = oracle::evaluate(tree, None, &asked).route_name;
        assert_eq!(found, route_name(request), "{request:?}");
    }
}

#[test]
fn every_table_is_answered_as_expected() {
    for table in Table::ALL {
        for n in [1, 10, 1_000] {
            engine_agrees(&program(table, n), &requests(table, n, REQUESTS));
        }
        oracle_agrees(&tree(table, 100), &requests(table, 100, REQUESTS));
    }
}

#[test]
fn delegated_trees_are_answered_as_expected() {
    let delegated = Delegated {
        hosts: 30,
        tables: 3,
        routes: 20,
    };
    let requests = delegated.requests(REQUESTS);
    let compiled = compile_sources(&delegated.sources());
    oracle_agrees(&compiled.tree, &requests);
    let bytes = compiled.program.expect("there is a gateway");
    engine_agrees(
        &Program::new(bytes).expect("the compiler writes valid programs"),
        &requests,
    );
}

#[test]
fn peers_answer_as_expected() {
    for table in Table::ALL {
        for kind in PeerKind::ALL {
            let Some(peer) = Peer::new(kind, table, 100) else {
                continue;
            };
            for request in requests(table, 100, REQUESTS) {
                let name = kind.name();
                assert_eq!(peer.find(&request), request.expected, "{name}: {request:?}");
            }
        }
    }
}
