//! What the schema has for routes is shown by an example, and described.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Object, Type, auth_config, gateway, policy, route};

/// What no example shows: what is refused, and what has no effect.
const NOT_SHOWN: &[&[&str]] = &[
    // Errors.
    &["clusterHeader"],
    &[
        "apr",
        "booleanExpr",
        "hmacAuth",
        "ldap",
        "oauth",
        "oauth2",
        "opaAuth",
        "opaServerAuth",
        "passThroughAuth",
        "pluginAuth",
        "portalAuth",
    ],
    // The standard rate limit server has nothing like them.
    &["alwaysApply", "setDescriptors"],
    // Without effect in gateways.
    &[
        "clearRouteCache",
        "statPrefix",
        "httpRequestMatchers",
        "sourceSelector",
        "kubeWorkloadMatcher",
    ],
];

/// What no page describes: errors that stand for themselves, and traffic inside the mesh.
const NOT_DESCRIBED: &[&str] = &[
    "hmacAuth",
    "oauth",
    "opaServerAuth",
    "pluginAuth",
    "portalAuth",
    "kubeWorkloadMatcher",
];

/// Names of all fields in an object and below.
fn fields(
    object: &'static Object,
    seen: &mut Vec<*const Object>,
    names: &mut BTreeSet<&'static str>,
) {
    if seen.contains(&std::ptr::from_ref(object)) {
        return;
    }
    seen.push(object);
    for field in object.fields {
        names.insert(field.name);
        let mut ty = field.ty;
        while let Type::List(inner) | Type::Map(inner) | Type::Nullable(inner) = ty {
            ty = *inner;
        }
        if let Type::Object(inner) = ty {
            fields(inner, seen, names);
        }
    }
}

/// The text of all files in a folder and below.
fn text(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("a readable folder");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    let texts = paths.map(|path| match path.is_dir() {
        true => text(&path),
        false => fs::read_to_string(&path).expect("a text"),
    });
    texts.collect()
}

/// Names of all fields that can be written about routes.
fn names() -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    let mut seen = Vec::new();
    for object in [
        &route::VIRTUAL_HOST,
        &route::ROUTE_TABLE,
        &gateway::ROUTE_OPTIONS,
        &policy::TRAFFIC_POLICY,
        &policy::RATE_LIMIT_CLIENT_CONFIG,
        &policy::RATE_LIMIT_SERVER_CONFIG,
        &auth_config::AUTH_CONFIG,
    ] {
        fields(object, &mut seen, &mut names);
    }
    assert!(names.len() > 150, "{}", names.len());
    names
}

/// Names that are not among the words of a text, nor excepted.
fn missing<'t>(words: impl Iterator<Item = &'t str>, except: &[&str]) -> Vec<&'static str> {
    let words: BTreeSet<&str> = words.collect();
    let mut names = names();
    names.retain(|name| !words.contains(name) && !except.contains(name));
    names.into_iter().collect()
}

#[test]
fn every_option_has_an_example() {
    let examples = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples"));
    let words = examples.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    let keys = words.filter_map(|word| word.strip_suffix(':'));
    assert_eq!(missing(keys, &NOT_SHOWN.concat()), [""; 0], "in no example");
}

#[test]
fn every_option_is_described() {
    let docs = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs"));
    let words = docs.split(|c: char| !c.is_ascii_alphanumeric());
    assert_eq!(missing(words, NOT_DESCRIBED), [""; 0], "on no page");
}
