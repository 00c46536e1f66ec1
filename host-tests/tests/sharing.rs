//! Routes that are stored once mean the same as routes that stand in each of their places: for generated
//! configurations, the shared tree written out is the tree without sharing, and the program of the one answers like the
//! oracle on the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use meshgate_compiler::code::Code;
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::resolve::{self, ResolveOptions, Sharing};
use meshgate_compiler::source::Span;
use meshgate_compiler::tree::{Entry, Route, Tree, written_out};
use meshgate_compiler::{lint, load, lower, oracle, route};
use meshgate_engine::Program;
use meshgate_host_tests::generate;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const REQUESTS: usize = 40;

fn tree(text: &str, sharing: Sharing) -> (Tree, Diagnostics) {
    let (_, resources, mut diagnostics) = load::from_text("generated.json", text);
    let options = ResolveOptions {
        sharing,
        ..ResolveOptions::default()
    };
    let tree = resolve::resolve(&resources, &options, &mut diagnostics);
    (tree, diagnostics)
}

/// Both kinds of configurations, as text.
fn configurations() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => generate::configuration().prop_map(|configuration| configuration.text()),
        3 => generate::delegating_configuration().prop_map(|configuration| configuration.text()),
    ]
}

/// Everything a route says, with the places where its options are written.
fn show(route: &Route) -> String {
    format!(
        "{} {:?} {:?} {:?} {:?}",
        route.name,
        route.name.leaf(),
        route.matchers,
        route.action,
        *route.options,
    )
}

fn shown(tree: &Tree) -> Vec<String> {
    let hosts = tree.gateways.iter().flat_map(|gateway| &gateway.hosts);
    hosts
        .flat_map(|host| &host.virtual_hosts)
        .flat_map(|virtual_host| written_out(&virtual_host.routes))
        .map(|route| show(&route))
        .collect()
}

/// Findings of the stages before lints, where they are. Which of several prefixes a path is said to repeat depends on
/// the order in which they are met.
fn findings(diagnostics: &Diagnostics) -> BTreeSet<String> {
    let findings = diagnostics.list().iter();
    findings
        .map(|d| format!("{} {:?}", d.code.as_str(), d.primary))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shared_routes_written_out_are_the_routes(text in configurations()) {
        let (plain, plain_findings) = tree(&text, Sharing::Never);
        for sharing in [Sharing::Always, Sharing::WhereItPays] {
            let (shared, shared_findings) = tree(&text, sharing);
            prop_assert_eq!(shown(&shared), shown(&plain), "{}", text);
            prop_assert_eq!(findings(&shared_findings), findings(&plain_findings), "{}", text);
        }
    }

    #[test]
    fn a_program_with_shared_routes_answers_like_the_oracle_without(
        text in configurations(),
        drafts in generate::drafts(REQUESTS),
    ) {
        let (plain, _) = tree(&text, Sharing::Never);
        let (shared, mut diagnostics) = tree(&text, Sharing::Always);
        let bytes = lower::lower(&shared, &lower::Options::default(), &mut diagnostics);
        let program = Program::new(bytes.unwrap_or_default())
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        for draft in &drafts {
            let request = draft.request(&plain);
            let expected = oracle::evaluate(&plain, None, &request);
            let answer = oracle::evaluate(&shared, None, &request);
            prop_assert_eq!(&answer, &expected, "{:?}\n{}", request, text);
            let answer = route::evaluate(&program, &shared, 0, &request);
            prop_assert_eq!(&answer, &expected, "{:?}\n{}", request, text);
            // Where the route and its options are written.
            let leaf = |tree| {
                let found = route::find_route(tree, 0, &expected)?;
                let timeout = found.options.request_timeout.as_ref().map(|option| option.span);
                let headers = found.options.header_manipulation.as_ref();
                Some((found.span, timeout, headers.map(|option| option.span)))
            };
            prop_assert_eq!(leaf(&shared), leaf(&plain), "{}", text);
        }
    }

    #[test]
    fn lints_find_the_same_in_shared_routes(text in configurations()) {
        // Of more conditions the lints try only some combinations; a shared route has fewer than one in its place.
        let (tree_without, _) = tree(&text, Sharing::Never);
        prop_assume!(most_conditions(&tree_without) <= 6);
        let places = |sharing| {
            let (tree, _) = tree(&text, sharing);
            let mut diagnostics = Diagnostics::default();
            lint::lint(&tree, &mut diagnostics);
            let found: BTreeSet<(Code, Option<Span>)> = diagnostics
                .list()
                .iter()
                .map(|d| (d.code, d.primary.as_ref().map(|label| label.span)))
                .collect();
            (found, delegating_routes(&tree))
        };
        let (plain, _) = places(Sharing::Never);
        let (shared, delegating) = places(Sharing::Always);
        // A delegating route that is never reached is reported as such, instead of all the routes below it.
        let (unreached, shared): (BTreeSet<_>, BTreeSet<_>) = shared
            .into_iter()
            .partition(|(_, place)| place.is_some_and(|place| delegating.contains(&place)));
        prop_assert!(shared.is_subset(&plain), "{:?} {:?}\n{}", shared, plain, text);
        if unreached.is_empty() {
            prop_assert_eq!(shared, plain, "{}", text);
        }
    }

    #[test]
    fn a_program_with_shared_routes_does_not_depend_on_the_order_of_the_input(
        configuration in generate::delegating_configuration(),
        seed in any::<u64>(),
    ) {
        let mut resources = configuration.resources();
        let program = |resources: &[serde_json::Value]| {
            let text: String = resources.iter().map(|resource| format!("{resource}\n")).collect();
            let (tree, mut diagnostics) = tree(&text, Sharing::Always);
            lower::lower(&tree, &lower::Options::default(), &mut diagnostics)
        };
        let first = program(&resources);
        let len = resources.len();
        resources.rotate_left(seed as usize % len);
        resources.swap(0, (seed >> 32) as usize % len);
        prop_assert_eq!(program(&resources), first, "{}", configuration.text());
    }
}

fn most_conditions(tree: &Tree) -> usize {
    let hosts = tree.gateways.iter().flat_map(|gateway| &gateway.hosts);
    let routes = hosts
        .flat_map(|host| &host.virtual_hosts)
        .flat_map(|virtual_host| written_out(&virtual_host.routes));
    routes
        .flat_map(|route| route.matchers.clone())
        .map(|matcher| matcher.headers.len() + matcher.query.len() + 1)
        .max()
        .unwrap_or(0)
}

/// Places of the delegating routes that are left in a tree.
fn delegating_routes(tree: &Tree) -> BTreeSet<Span> {
    fn add(entries: &[Entry], places: &mut BTreeSet<Span>) {
        for entry in entries {
            if let Entry::Delegation(delegation) = entry {
                places.insert(delegation.route);
                add(&delegation.shared.entries, places);
            }
        }
    }
    let mut places = BTreeSet::new();
    for host in tree.gateways.iter().flat_map(|gateway| &gateway.hosts) {
        for virtual_host in &host.virtual_hosts {
            add(&virtual_host.routes, &mut places);
        }
    }
    places
}

/// Counts references by how deep they are nested.
fn count(entries: &[Entry], depth: usize, counts: &mut [usize]) {
    for entry in entries {
        if let Entry::Delegation(delegation) = entry {
            counts[depth] += 1;
            count(&delegation.shared.entries, depth + 1, counts);
        }
    }
}

#[test]
fn generated_configurations_share_routes() {
    let mut runner = TestRunner::deterministic();
    let (mut counts, mut several) = ([0; 4], 0);
    for _ in 0..100 {
        let configuration = generate::delegating_configuration().new_tree(&mut runner);
        let text = configuration.map(|tree| tree.current().text());
        let (tree, _) = tree(&text.unwrap_or_default(), Sharing::Always);
        let mut shared = Vec::new();
        for host in tree.gateways.iter().flat_map(|gateway| &gateway.hosts) {
            for virtual_host in &host.virtual_hosts {
                count(&virtual_host.routes, 0, &mut counts);
                shared.extend(virtual_host.routes.iter().filter_map(|entry| match entry {
                    Entry::Delegation(delegation) => Some(Arc::as_ptr(&delegation.shared)),
                    Entry::Route(_) => None,
                }));
            }
        }
        let all = shared.len();
        shared.sort_unstable();
        shared.dedup();
        several += all - shared.len();
    }
    assert!(counts[..3].iter().all(|&count| count >= 50), "{counts:?}");
    assert_eq!(counts[3], 0, "references are nested three deep at most");
    assert!(
        several >= 50,
        "{several} references to routes that have another one"
    );
}
