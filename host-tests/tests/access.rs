//! Access policies mean the same here as in Envoy's own filters: `authorization` and RBAC, `jwt` and jwt_authn, the same
//! policies and the same requests, in both versions of Envoy. Where they differ, the difference is written down here, and
//! in `docs/access.md` with its reason.
//!
//! One Envoy has both listeners. A request names the policy that it is for in a header.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};
use meshgate_host_tests::cases::Configuration;
use meshgate_host_tests::envoy::bootstrap::echo_bootstrap;
use meshgate_host_tests::envoy::client::{self, Response, request_head};
use meshgate_host_tests::envoy::{Envoy, Settings, free_ports};
use meshgate_host_tests::tokens::{TestKey, jwks};
use meshgate_host_tests::tools;
use meshgate_host_tests::upstream::Upstreams;
use serde_json::{Value, json};

/// Names the policy that a request is about.
const CHOICE: &str = "x-policy";
const RBAC: &str = "envoy.filters.http.rbac";
const JWT: &str = "envoy.filters.http.jwt_authn";
const TYPES: &str = "type.googleapis.com/envoy.extensions.filters.http";
const ISSUER: &str = "https://issuer.example.com";

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (name, envoy) in [("newest", tools::envoy()), ("oldest", tools::old_envoy())] {
        let tools = envoy.and_then(|envoy| Ok((envoy, tools::filter()?)));
        if let Err(reason) = &tools {
            if tools::envoy_is_required() {
                eprintln!("error: {reason}");
                std::process::exit(2);
            }
            println!("the tests in the {name} Envoy are ignored: {reason}");
        }
        let ignored = tools.is_err();
        let (envoy, filter) = tools.unwrap_or_default();
        let same = move || same_answers(&envoy, &filter);
        trials.push(Trial::test(format!("access [{name} envoy]"), same).with_ignored_flag(ignored));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A policy in both notations.
struct Policy {
    ours: Value,
    /// By the name of the filter.
    native: Vec<(&'static str, Value)>,
}

/// RBAC rules of a route: principals and permissions.
fn rbac(action: &str, rules: &[(Value, Value)]) -> Value {
    let any = json!({"any": true});
    let or_any = |part: &Value| {
        if part.is_null() {
            any.clone()
        } else {
            part.clone()
        }
    };
    let policies: BTreeMap<String, Value> = rules
        .iter()
        .enumerate()
        .map(|(n, (principal, permission))| {
            let policy =
                json!({"principals": [or_any(principal)], "permissions": [or_any(permission)]});
            (n.to_string(), policy)
        })
        .collect();
    json!({
        "@type": format!("{TYPES}.rbac.v3.RBACPerRoute"),
        "rbac": {"rules": {"action": action, "policies": policies}},
    })
}

fn header(name: &str, value: &Value) -> Value {
    json!({"header": {"name": name, "string_match": value}})
}

fn range(kind: &str, prefix: &str, bits: u8) -> Value {
    json!({kind: {"address_prefix": prefix, "prefix_len": bits}})
}

fn path(matcher: &Value) -> Value {
    json!({"url_path": {"path": matcher}})
}

fn and(parts: &[Value]) -> Value {
    json!({"and_rules": {"rules": parts}})
}

fn policies() -> Vec<Policy> {
    let authorization = |rules: Value| json!({"authorization": {"rules": rules}});
    let none = Value::Null;
    let get = header(":method", &json!({"exact": "GET"}));
    let admin = header("x-role", &json!({"safe_regex": {"regex": "admin|root"}}));
    let allow = |rules: &[(Value, Value)]| (RBAC, rbac("ALLOW", rules));
    let deny = |rules: &[(Value, Value)]| ("deny", rbac("DENY", rules));
    let token = json!({
        "@type": format!("{TYPES}.jwt_authn.v3.PerRouteConfig"),
        "requirement_name": "token",
    });
    let maybe = json!({
        "@type": format!("{TYPES}.jwt_authn.v3.PerRouteConfig"),
        "requirement_name": "maybe",
    });
    let jwt = |allow_missing: bool| {
        json!({"jwt": {
            "issuers": [{"issuer": ISSUER, "audiences": ["shop"], "jwks": jwks().to_string()}],
            "allowMissing": allow_missing,
        }})
    };
    vec![
        Policy {
            ours: authorization(json!([{"methods": ["GET"]}])),
            native: vec![allow(&[(none.clone(), get.clone())])],
        },
        Policy {
            ours: authorization(json!([{"action": "DENY", "methods": ["GET"]}])),
            native: vec![deny(&[(none.clone(), get.clone())])],
        },
        Policy {
            ours: authorization(json!([
                {"paths": [{"prefix": "/admin/"}], "methods": ["GET"], "headers": [{"name": "x-role", "value": "admin|root", "regex": true}]},
                {"paths": [{"exact": "/"}]},
                {"action": "DENY", "paths": [{"suffix": "/secret"}, {"regex": "/admin/[0-9]+"}]},
            ])),
            native: vec![
                allow(&[
                    (
                        none.clone(),
                        and(&[path(&json!({"prefix": "/admin/"})), get, admin]),
                    ),
                    (none.clone(), path(&json!({"exact": "/"}))),
                ]),
                deny(&[
                    (none.clone(), path(&json!({"suffix": "/secret"}))),
                    (
                        none.clone(),
                        path(&json!({"safe_regex": {"regex": "/admin/[0-9]+"}})),
                    ),
                ]),
            ],
        },
        Policy {
            ours: authorization(json!([{"from": {"sourceAddresses": ["127.0.0.0/8"]}}])),
            native: vec![allow(&[(
                range("direct_remote_ip", "127.0.0.0", 8),
                none.clone(),
            )])],
        },
        Policy {
            ours: authorization(json!([{"from": {"notSourceAddresses": ["127.0.0.1"]}}])),
            native: vec![allow(&[(
                json!({"not_id": range("direct_remote_ip", "127.0.0.1", 32)}),
                none.clone(),
            )])],
        },
        Policy {
            ours: json!({"authorization": {"trustedHops": 2, "rules": [
                {"from": {"sourceAddresses": ["192.0.2.0/24", "2001:db8::/32"]}},
                {"action": "DENY", "from": {"sourceAddresses": ["192.0.2.66"]}},
            ]}}),
            native: vec![
                allow(&[
                    (range("remote_ip", "192.0.2.0", 24), none.clone()),
                    (range("remote_ip", "2001:db8::", 32), none.clone()),
                ]),
                deny(&[(range("remote_ip", "192.0.2.66", 32), none)]),
            ],
        },
        Policy {
            ours: jwt(false),
            native: vec![(JWT, token)],
        },
        Policy {
            ours: jwt(true),
            native: vec![(JWT, maybe)],
        },
    ]
}

/// Headers of requests, each list with a name.
fn headers() -> Vec<(String, Vec<(&'static str, String)>)> {
    let mut all = vec![("none".to_owned(), Vec::new())];
    for role in ["admin", "root", "user", "administrator", ""] {
        all.push((format!("role {role}"), vec![("x-role", role.to_owned())]));
    }
    for list in [
        "192.0.2.1",
        "192.0.2.66",
        "198.51.100.1",
        "192.0.2.1, 198.51.100.1",
        "198.51.100.1, 192.0.2.1",
        "2001:db8::7",
        "192.0.2.1,nobody",
    ] {
        all.push((
            format!("from {list}"),
            vec![("x-forwarded-for", list.to_owned())],
        ));
    }
    for (name, token) in tokens() {
        let value = format!("Bearer {token}");
        all.push((format!("token {name}"), vec![("authorization", value)]));
    }
    all.push((
        "basic".to_owned(),
        vec![("authorization", "Basic amFuZTpqYW5l".to_owned())],
    ));
    all.push((
        "bearer".to_owned(),
        vec![("authorization", "Bearer ".to_owned())],
    ));
    all
}

fn tokens() -> Vec<(String, String)> {
    let claims = |changes: Value| {
        let mut claims =
            json!({"iss": ISSUER, "aud": "shop", "sub": "jane", "exp": 4_102_444_800_u64});
        for (name, value) in changes.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
    };
    let mut tokens = Vec::new();
    for key in ["RS256", "ES256", "EdDSA"]
        .into_iter()
        .filter_map(TestKey::of)
    {
        let algorithm = key.algorithm();
        let mut add = |name: &str, token| tokens.push((format!("{algorithm} {name}"), token));
        let good = key.token(&claims(json!({})));
        for (name, changes) in [
            ("ended", json!({"exp": 1_577_836_800})),
            ("not begun", json!({"nbf": 4_102_444_800_u64})),
            (
                "of another issuer",
                json!({"iss": "https://evil.example.com"}),
            ),
            ("of nobody", json!({"iss": null})),
            ("for another audience", json!({"aud": "bank"})),
            ("for several audiences", json!({"aud": ["bank", "shop"]})),
            ("of no audience", json!({"aud": null})),
            ("without end", json!({"exp": null})),
        ] {
            let mut claims = claims(changes);
            if let Some(claims) = claims.as_object_mut() {
                claims.retain(|_, value| !value.is_null());
            }
            add(name, key.token(&claims));
        }
        for other in ["none", "HS256", "RS256", "ES256", "EdDSA", "RS512", "es256"] {
            let header = json!({"alg": other, "kid": algorithm.to_ascii_lowercase()});
            if other != algorithm {
                let token = key.token_with(&header.to_string(), &claims(json!({})));
                add(&format!("that says {other}"), token);
            }
        }
        let kid = json!({"alg": algorithm, "kid": "unknown"}).to_string();
        add(
            "of an unknown key",
            key.token_with(&kid, &claims(json!({}))),
        );
        let kid = json!({"alg": algorithm}).to_string();
        add(
            "of no key in particular",
            key.token_with(&kid, &claims(json!({}))),
        );
        let parts: Vec<&str> = good.split('.').collect();
        if let [header, payload, signature] = parts.as_slice() {
            let forged = signature.replace(['a', 'b', 'c'], "d");
            add("forged", format!("{header}.{payload}.{forged}"));
            add("unsigned", format!("{header}.{payload}."));
            add("cut", format!("{header}.{payload}"));
            add("long", format!("{good}.x"));
            add("padded", format!("{good}=="));
        }
        add("good", good);
    }
    tokens
}

/// What is known to differ for a token: Envoy's status and ours.
fn known(headers: &str) -> Option<(u16, u16)> {
    let token = headers.strip_prefix("token ")?;
    let of_other_audience = ["for another audience", "of no audience"];
    let is_elliptic = token.starts_with("ES256") || token.starts_with("EdDSA");
    // Envoy knows the key's type, and does not ask what the token says about it.
    let of_other_type = ["HS256", "RS256", "ES256", "EdDSA", "RS512"];
    let says = token.split_once(" that says ").map(|(_, says)| says);
    if of_other_audience.iter().any(|end| token.ends_with(end)) {
        Some((403, 401))
    } else if token.ends_with(" padded")
        || is_elliptic && says.is_some_and(|says| of_other_type.contains(&says))
    {
        Some((200, 401))
    } else {
        None
    }
}

fn same_answers(envoy: &Path, filter: &Path) -> Result<(), Failed> {
    let policies = policies();
    let first = free_ports(2)?;
    let configuration = Configuration::compile(&resources(&policies).to_string(), first);
    let program = configuration.program()?;
    let upstreams = Upstreams::start(Vec::<String>::new())?;
    let mut bootstrap = echo_bootstrap(&configuration.compiled, program, filter, &upstreams);
    add_native(&mut bootstrap, first + 1, &policies);
    let _envoy = Envoy::start(&Settings {
        binary: envoy,
        bootstrap: &bootstrap.to_string(),
        workers: 1,
    })?;
    let ask =
        |port, request: &[u8]| client::send(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), request);
    let mut differences = String::new();
    let mut counts = BTreeMap::new();
    for (n, policy) in policies.iter().enumerate() {
        // Only rules look at methods and paths.
        let is_token = policy.ours.get("jwt").is_some();
        let paths: &[&str] = match is_token {
            true => &["/"],
            false => &[
                "/",
                "/admin/x?q=/secret",
                "/admin/17",
                "/admin/secret",
                "/admin//17",
                "/admin/%31",
                "/ADMIN/x",
                "/admin",
            ],
        };
        let methods: &[&str] = if is_token { &["GET"] } else { &["GET", "POST"] };
        for (name, headers) in headers() {
            for (path, method) in paths
                .iter()
                .flat_map(|path| methods.iter().map(move |method| (path, method)))
            {
                let choice = n.to_string();
                let own = [("host", "h"), ("connection", "close"), (CHOICE, &choice)];
                let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
                let all = own
                    .into_iter()
                    .chain(headers)
                    .map(|(name, value)| (name, value.as_bytes()));
                let request = request_head(method, path.as_bytes(), all);
                let native = seen(&ask(first + 1, &request)?);
                let ours = seen(&ask(first, &request)?);
                *counts.entry(native.0).or_insert(0) += 1;
                let expected = known(&name)
                    .filter(|_| is_token)
                    .unwrap_or((native.0, native.0));
                let is_same =
                    (native.0, ours.0) == expected && (native.1 == ours.1 || native.0 != ours.0);
                if !is_same {
                    writeln!(
                        differences,
                        "policy {n}, {method} {path}, {name}: Envoy {native:?}, the filter {ours:?}"
                    )?;
                }
            }
        }
    }
    for status in [200, 401, 403] {
        if counts.get(&status).is_none_or(|count| *count < 20) {
            return Err(format!("the test tests little: {counts:?}").into());
        }
    }
    match differences.is_empty() {
        true => Ok(()),
        false => Err(differences.into()),
    }
}

/// Status, and scheme and error of the challenge.
fn seen(response: &Response) -> (u16, Option<(String, bool)>) {
    let challenge = response
        .headers
        .iter()
        .find(|(name, _)| name == "www-authenticate");
    let challenge = challenge.map(|(_, value)| {
        let value = String::from_utf8_lossy(value);
        let scheme = value.split(' ').next().unwrap_or_default();
        (scheme.to_owned(), value.contains("error=\"invalid_token\""))
    });
    (response.status, challenge)
}

fn resources(policies: &[Policy]) -> Value {
    let routes = policies.iter().enumerate().map(|(n, policy)| {
        json!({
            "matchers": [{"headers": [{"name": CHOICE, "value": n.to_string()}]}],
            "options": policy.ours,
            "directResponseAction": {"status": 200},
        })
    });
    let virtual_host = json!({"domains": ["*"], "routes": routes.collect::<Vec<_>>()});
    json!({
        "apiVersion": "networking.enterprise.mesh.gloo.solo.io/v1beta1",
        "kind": "VirtualGateway",
        "metadata": {"name": "gw", "namespace": "test"},
        "spec": {
            "ingressGatewaySelectors": [{"portName": "http2"}],
            "connectionHandlers": [{"http": {"routeConfig": [{"virtualHost": virtual_host}]}}],
        },
    })
}

/// Adds a listener like the first one, but with Envoy's own filters.
fn add_native(bootstrap: &mut Value, port: u16, policies: &[Policy]) {
    let routes = policies.iter().enumerate().map(|(n, policy)| {
        let native: BTreeMap<_, _> = policy.native.iter().cloned().collect();
        json!({
            "match": {"prefix": "/", "headers": [{"name": CHOICE, "string_match": {"exact": n.to_string()}}]},
            "direct_response": {"status": 200},
            "typed_per_filter_config": native,
        })
    });
    let routes: Vec<Value> = routes.collect();
    let mut listener = bootstrap["static_resources"]["listeners"][0].clone();
    listener["name"] = json!("native");
    listener["address"]["socket_address"]["port_value"] = json!(port);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["xff_num_trusted_hops"] = json!(1);
    manager["route_config"] = json!({
        "name": "native",
        "virtual_hosts": [{"name": "native", "domains": ["*"], "routes": routes}],
    });
    let provider = json!({
        "issuer": ISSUER,
        "audiences": ["shop"],
        "local_jwks": {"inline_string": jwks().to_string()},
    });
    let rbac = json!({"@type": format!("{TYPES}.rbac.v3.RBAC")});
    manager["http_filters"] = json!([
        {
            "name": JWT,
            "typed_config": {
                "@type": format!("{TYPES}.jwt_authn.v3.JwtAuthentication"),
                "providers": {"issuer": provider},
                "requirement_map": {
                    "token": {"provider_name": "issuer"},
                    "maybe": {"requires_any": {"requirements": [{"provider_name": "issuer"}, {"allow_missing": {}}]}},
                },
            },
        },
        {"name": "deny", "typed_config": rbac},
        {"name": RBAC, "typed_config": rbac},
        {"name": "envoy.filters.http.router", "typed_config": {"@type": format!("{TYPES}.router.v3.Router")}},
    ]);
    if let Some(listeners) = bootstrap["static_resources"]["listeners"].as_array_mut() {
        listeners.push(listener);
    }
}
