//! Options: every mistake in one is reported.

use meshgate_compiler::load;

use super::{TABLE, check_options};

#[test]
fn durations() {
    for good in [
        "1h", "1m30s", "5s", "100ms", "0s", "0", "0h0ms", "1.5h", "+2s", ".5s", "1000us", "1000µs",
        "1ms1ns", "3000h",
    ] {
        assert!(
            check_options(&format!("{{requestTimeout: '{good}'}}"), &[]),
            "{good}"
        );
    }
    for bad in ["", "5", "s", "5 s", "5d", "1m-30s", "1h30", "∞", "5S"] {
        let expected = format!(
            "1:28: error[E0401]: `requestTimeout` is not a duration: `{bad}` \
             (help: write numbers with units (h, m, s, ms, us, ns), such as `1m30s` or `100ms`)"
        );
        assert!(
            !check_options(&format!("{{requestTimeout: '{bad}'}}"), &[&expected]),
            "{bad}"
        );
    }
    assert!(!check_options(
        "{requestTimeout: 999999ns}",
        &[
            "1:28: error[E0401]: `requestTimeout` must be at least 1ms, but is `999999ns` \
             (help: write numbers with units (h, m, s, ms, us, ns), such as `1m30s` or `100ms`)"
        ],
    ));
    for (timeout, reason) in [
        ("999us", "must be at least 1ms, but is `999us`"),
        ("-1s", "cannot be negative, but is `-1s`"),
        ("9999999h", "is too long: `9999999h`"),
        (
            "99999999999999999999s",
            "is too long: `99999999999999999999s`",
        ),
    ] {
        let expected = format!(
            "1:50: error[E0401]: `perTryTimeout` {reason} \
             (help: write numbers with units (h, m, s, ms, us, ns), such as `1m30s` or `100ms`)"
        );
        assert!(!check_options(
            &format!("{{retries: {{attempts: 1, perTryTimeout: {timeout}}}}}"),
            &[&expected]
        ));
    }
}

#[test]
fn conditions_for_retries() {
    for good in [
        "retryOn: 5xx",
        "retryOn: ' reset , unavailable '",
        "retryOn: [reset, 'connect-failure,internal'], retriableStatusCodes: [100, 599]",
        "retryOn: [retriable-status-codes], retriableStatusCodes: [404]",
        "retriableStatusCodes: []",
    ] {
        let options = format!("{{retries: {{attempts: 1, {good}}}}}");
        assert!(check_options(&options, &[]), "{good}");
    }
    for (bad, expected) in [
        (
            "retryOn: 'reset,gateway_errors'",
            "error[E0406]: `gateway_errors` is not a condition for retries (help: did you mean `gateway-error`?)",
        ),
        (
            "retryOn: 5XX",
            "error[E0406]: `5XX` is not a condition for retries (help: did you mean `5xx`?)",
        ),
        (
            "retryOn: [503]",
            "error[E0406]: `503` is not a condition for retries (help: write `retriableStatusCodes: [503]` for a status)",
        ),
        (
            "retryOn: 'reset,503'",
            "error[E0406]: `503` is not a condition for retries (help: write `retriableStatusCodes: [503]` for a status)",
        ),
        (
            "retryOn: retriable-headers",
            "error[E0406]: `retriable-headers` is not a condition for retries (help: retries because of a response \
             header are not supported; use another condition)",
        ),
        (
            "retryOn: ''",
            "error[E0406]: `retryOn` has no condition (help: write `attempts: 0` for no retries, or leave `retryOn` \
             out for the usual ones)",
        ),
        (
            "retryOn: []",
            "error[E0406]: `retryOn` has no condition (help: write `attempts: 0` for no retries, or leave `retryOn` \
             out for the usual ones)",
        ),
        (
            "retryOn: {a: b}",
            "error[E0034]: expected the name of a condition for retries (help: write a list of names, or one text \
             with commas between them)",
        ),
        (
            "retryOn: retriable-status-codes",
            "error[E0037]: the condition `retriable-status-codes` needs `retriableStatusCodes`",
        ),
    ] {
        let options = format!("{{retries: {{attempts: 1, {bad}}}}}");
        // An element of a list stands in its brackets.
        let column = if bad == "retryOn: [503]" { 45 } else { 44 };
        let expected = format!("1:{column}: {expected}");
        assert!(!check_options(&options, &[&expected]), "{bad}");
    }
    for status in [99, 600] {
        let expected = format!(
            "1:58: error[E0038]: a status to retry on must be between 100 and 599, but is {status}"
        );
        let options = format!("{{retries: {{attempts: 1, retriableStatusCodes: [{status}]}}}}");
        assert!(!check_options(&options, &[&expected]));
    }
}

/// A length that is not the body's would make the rest of it the next request of somebody else.
#[test]
fn headers_of_messages_are_the_proxys() {
    for options in [
        "{headerManipulation: {setRequestHeaders: {Content-Length: '0'}}}",
        "{headerManipulation: {appendRequestHeaders: {transfer-encoding: x}}}",
        "{headerManipulation: {setResponseHeaders: {connection: upgrade}}}",
        "{headerManipulation: {appendResponseHeaders: {upgrade: x}}}",
    ] {
        let at = options.find("s: {").expect("a map") + 4;
        let (name, _) = options[at..].split_once(':').expect("a header");
        let finding = format!(
            "1:{}: error[E0403]: the header `{name}` cannot be added or set: the proxy says where messages end (help: leave it out)",
            at + 11
        );
        assert!(!check_options(options, &[&finding]));
    }
    assert!(check_options(
        "{headerManipulation: {removeResponseHeaders: [connection, content-length]}}",
        &[]
    ));
}

#[test]
fn requests_keep_the_header_that_envoy_cannot_do_without() {
    let finding = |at: &str, what: &str| {
        format!(
            "1:{at}: error[E0403]: the header `x-forwarded-proto` cannot be {what}: Envoy does not route requests \
             without it (help: set it to `http` or `https`)"
        )
    };
    assert!(!check_options(
        "{headerManipulation: {removeRequestHeaders: [x-a, X-Forwarded-Proto]}}",
        &[&finding("61", "removed")]
    ));
    assert!(!check_options(
        "{headerManipulation: {setRequestHeaders: {x-forwarded-proto: ''}}}",
        &[&finding("53", "emptied")]
    ));
    assert!(check_options(
        "{headerManipulation: {setRequestHeaders: {x-forwarded-proto: https}, removeResponseHeaders: [x-forwarded-proto]}}",
        &[]
    ));
}

#[test]
fn a_header_is_set_once() {
    let options = "{headerManipulation: {setResponseHeaders: {x-a: '1', b: '', X-A: '2'}}}";
    let finding = "1:71: error[E0013]: the header `x-a` is set twice; the case of letters does not count (help: keep one of them)";
    assert!(!check_options(options, &[finding]));
    // But it can be given two values, in either order.
    let headers = ["{X-A: '2', x-a: '1'}", "{x-a: '1', X-A: '2'}"].map(|headers| {
        let (_, resources, diagnostics) = load::from_text(
            "f",
            &format!(
                "{TABLE}metadata: {{name: t}}\nspec: {{routes: [{{directResponseAction: {{status: 200}}, options: \
                 {{headerManipulation: {{appendRequestHeaders: {headers}}}}}}}]}}"
            ),
        );
        assert!(!diagnostics.has_errors());
        let options = &resources.route_tables[0].routes[0].options.plain;
        let headers = options.header_manipulation.as_ref().expect("headers");
        headers.append_request.clone()
    });
    let [first, second] = headers;
    assert_eq!(first, second);
    assert_eq!(first.len(), 2);
}

#[test]
fn header_operations() {
    let (_, resources, _) = load::from_text(
        "f",
        &format!(
            "{TABLE}metadata: {{name: t}}\nspec: {{routes: [{{directResponseAction: {{status: 200}}, options: \
             {{headerManipulation: {{removeRequestHeaders: [X-B, X-A]}}}}}}]}}"
        ),
    );
    let headers = resources.route_tables[0].routes[0]
        .options
        .plain
        .header_manipulation
        .as_ref()
        .expect("headers");
    assert_eq!(
        headers
            .remove_request
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>(),
        ["x-b", "x-a"]
    );
    assert!(!check_options(
        "{headerManipulation: {removeRequestHeaders: [Host, ':path', 'a b']}}",
        &[
            "1:56: error[E0403]: the header `Host` cannot be added, set or removed",
            "1:62: error[E0403]: the header `:path` cannot be added, set or removed",
            "1:71: error[E0402]: `a b` is not a legal header name (help: header names consist of letters, digits and \
             the characters !#$%&'*+-.^_`|~)",
        ],
    ));
    assert!(!check_options(
        r#"{headerManipulation: {appendResponseHeaders: {x: "a\nb"}}}"#,
        &[
            "1:60: error[E0305]: the value of this header contains the control character `\\n` \
           (help: it would end up in a header, where it could inject further headers; remove it)"
        ],
    ));
    assert!(check_options(
        "{headerManipulation: {appendRequestHeaders: {a: '100%', b: 'x %REQ(:path)% y', c: '%ENV%', d: '%a%'}}}",
        &[
            "1:70: warning[W0404]: `%REQ(:path)%` is sent as it stands, not replaced \
             (help: values of headers are literal text)",
            "1:93: warning[W0404]: `%ENV%` is sent as it stands, not replaced (help: values of headers are literal text)",
        ],
    ));
}

#[test]
fn values_of_options_are_checked() {
    assert!(!check_options(
        "{faultInjection: {percentage: 101}, mirror: {percentage: 5}}",
        &[
            "1:28: error[E0037]: `faultInjection` needs `fixedDelay` or `abort`",
            "1:41: error[E0038]: a percentage must be between 0 and 100, but is 101",
            "1:55: error[E0037]: `mirror` needs `kubeService`",
        ],
    ));
}
