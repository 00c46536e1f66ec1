//! For generated configurations and requests, the oracle, the engine and the filter in wasmtime give the same answer.
//!
//! `PROPTEST_CASES` sets the number of configurations; each is asked [`equivalence::REQUESTS`] requests.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use meshgate_compiler::answer::{Answer, Options, Outcome, Response};
use meshgate_compiler::oracle;
use meshgate_host_tests::cases::{
    Configuration, Executor, Group, Request, UpstreamResponse, Wasmtime,
};
use meshgate_host_tests::fuzz::equivalence;
use meshgate_host_tests::generate;
use meshgate_host_tests::tools;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseResult, TestRunner};

static FILTER: LazyLock<Result<Wasmtime, String>> =
    LazyLock::new(|| tools::filter().and_then(|path| Wasmtime::new(&path)));

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_answers_like_the_oracle(
        configuration in generate::any_configuration(),
        drafts in generate::drafts(equivalence::REQUESTS),
    ) {
        equivalence::check(&configuration, &drafts).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_filter_answers_like_the_oracle(
        configuration in generate::any_configuration(),
        drafts in generate::drafts(equivalence::REQUESTS),
    ) {
        let filter = FILTER.as_ref().map_err(|error| TestCaseError::fail(error.clone()))?;
        let text = configuration.text();
        let group = Group::new("generated", text.clone());
        let configuration = Configuration::compile(&text, 8080);
        let tree = &configuration.compiled.tree;
        let mut session = filter.load(&group).map_err(TestCaseError::fail)?;
        for draft in &drafts {
            let request = draft.request(tree);
            let sent = for_filter(&request);
            let answer = session.answer(&sent, &UpstreamResponse::default());
            let mut answer = answer.map_err(TestCaseError::fail)?.answer;
            // The filter draws its own random number: one of these leads to the destination it chose.
            let mut expected = [0.0, 0.2, 0.5].map(|random| {
                oracle::evaluate(tree, None, &oracle::Request { random, ..request.clone() })
            });
            if is_grpc(&request) {
                // The proxy makes answers of its own from those of the filter.
                answer.response = None;
                expected.iter_mut().for_each(|expected| expected.response = None);
            }
            let expected = expected.iter().find(|e| e.destination == answer.destination);
            let context = format!("{sent}\n{text}");
            prop_assert!(expected.is_some(), "another destination: {:?}\n{}", answer, context);
            if let Some(expected) = expected {
                check_seen(&answer, expected, &context)?;
            }
        }
    }

    #[test]
    fn a_program_does_not_depend_on_the_order_of_the_input(
        configuration in generate::any_configuration(),
        seed in any::<u64>(),
    ) {
        let mut resources = configuration.resources();
        let program = |resources: &[serde_json::Value]| {
            let text: String = resources.iter().map(|resource| format!("{resource}\n")).collect();
            Configuration::compile(&text, 8080).program().map(<[u8]>::to_vec)
        };
        let first = program(&resources);
        let len = resources.len();
        resources.rotate_left(seed as usize % len);
        resources.swap(0, (seed >> 32) as usize % len);
        prop_assert_eq!(program(&resources), first, "{}", configuration.text());
    }
}

/// What is generated meets every policy that refuses, and passes every one of them.
#[test]
fn generated_requests_pass_and_are_refused() {
    let mut runner = TestRunner::deterministic();
    let (mut refusals, mut of_jane) = (BTreeMap::new(), 0);
    let (mut authorized, mut descriptors) = (0, BTreeMap::new());
    for _ in 0..200 {
        let strategy = (
            generate::any_configuration(),
            generate::drafts(equivalence::REQUESTS),
        );
        let generated = strategy.new_tree(&mut runner).expect("a configuration");
        let (configuration, drafts) = generated.current();
        let configuration = Configuration::compile(&configuration.text(), 8080);
        let tree = &configuration.compiled.tree;
        for draft in drafts {
            let answer = oracle::evaluate(tree, None, &draft.request(tree));
            if let (Outcome::Rejected, Some(response)) = (answer.outcome, answer.response) {
                *refusals.entry(response.body).or_insert(0) += 1;
            }
            authorized += u32::from(answer.asks.extauth.is_some());
            for entry in answer.asks.rate_limit.into_iter().flatten() {
                *descriptors.entry(entry.key).or_insert(0) += 1;
            }
            let headers = answer
                .request
                .into_iter()
                .flat_map(|request| request.headers);
            of_jane += headers
                .filter(|(name, value)| name == "x-3" && value == "jane")
                .count();
        }
    }
    assert!(of_jane > 5, "{of_jane}");
    assert!(authorized > 20, "{authorized}");
    for key in [
        "generic_key",
        "user",
        "destination_cluster",
        "remote_address",
        "header_match",
    ] {
        let count = descriptors.get(key).copied().unwrap_or_default();
        assert!(count > 5, "{count} times `{key}`");
    }
    for body in [
        "RBAC: access denied",
        "Invalid origin",
        "fault filter abort",
        "Jwt verification fails",
        // Without an API key.
        "",
    ] {
        let count = refusals.get(body).copied().unwrap_or_default();
        assert!(count > 20, "{count} times `{body}`");
    }
}

fn is_grpc(request: &oracle::Request) -> bool {
    let mut headers = request.headers.iter();
    headers.any(|(name, value)| {
        name.eq_ignore_ascii_case("content-type") && value.starts_with("application/grpc")
    })
}

fn for_filter(request: &oracle::Request) -> Request {
    let oracle::Request {
        method,
        scheme,
        authority,
        path,
        headers,
        ..
    } = request;
    Request {
        headers: headers.clone(),
        ..Request::new(method, scheme, authority, path)
    }
}

/// Compares the parts of an answer that show from outside.
fn check_seen(answer: &Answer, expected: &Answer, context: &str) -> TestCaseResult {
    prop_assert_eq!(answer.outcome, expected.outcome, "{}", context);
    prop_assert_eq!(&answer.route, &expected.route, "{}", context);
    prop_assert_eq!(&answer.route_name, &expected.route_name, "{}", context);
    prop_assert_eq!(&answer.asks, &expected.asks, "{}", context);
    if let (Some(request), Some(expected)) = (&answer.request, &expected.request) {
        prop_assert_eq!(&request.method, &expected.method, "{}", context);
        prop_assert_eq!(&request.authority, &expected.authority, "{}", context);
        prop_assert_eq!(&request.path, &expected.path, "{}", context);
        prop_assert_eq!(
            sorted(&request.headers),
            sorted(&expected.headers),
            "{}",
            context
        );
    }
    // How long it waited does not show, and whom it concerned only in what was asked.
    let expected_options = expected.options.clone().map(|options| Options {
        delay: None,
        extauth: false,
        rate_limit: false,
        ..options
    });
    prop_assert_eq!(&answer.options, &expected_options, "{}", context);
    prop_assert_eq!(
        answer.request.is_some(),
        expected.request.is_some(),
        "{}",
        context
    );
    match (&answer.response, &expected.response) {
        (Some(response), Some(expected)) => check_response(response, expected, context),
        (None, None) => Ok(()),
        _ => Err(TestCaseError::fail(format!(
            "{:?} is not {:?}\n{context}",
            answer.response, expected.response
        ))),
    }
}

/// The proxy adds headers of its own, such as the length of the body.
fn check_response(response: &Response, expected: &Response, context: &str) -> TestCaseResult {
    prop_assert_eq!(response.status, expected.status, "{}", context);
    prop_assert_eq!(&response.body, &expected.body, "{}", context);
    let headers = sorted(&response.headers);
    for header in sorted(&expected.headers) {
        prop_assert!(
            headers.contains(&header),
            "{:?} is not in {:?}\n{}",
            header,
            headers,
            context
        );
    }
    Ok(())
}

fn sorted(headers: &[(String, String)]) -> Vec<(String, String)> {
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let mut headers: Vec<_> = headers.iter().map(lower).collect();
    // The proxy adds them.
    headers.retain(|(name, _)| !matches!(name.as_str(), "x-forwarded-for" | "x-forwarded-proto"));
    headers.sort();
    headers
}
