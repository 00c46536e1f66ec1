//! Generated requests.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::resources::{FIELDS, SEGMENTS, VALUES};

/// A request, and the random number that decides between weighted destinations.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method.
    pub method: &'static str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host, with port or without.
    pub authority: &'static str,
    /// Path with query.
    pub path: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// 0 ≤ r < 1.
    pub random: f64,
}

const AUTHORITIES: &[&str] = &[
    "a.com",
    "A.com:81",
    "b.com",
    "b.a.com:81",
    "[::1]:81",
    "[::1]",
    "x.org",
    "a.com:80",
    "a.c",
    ".com",
    "m",
    "x.a.com",
];

/// A few requests, by the same alphabets as configurations.
pub fn requests(count: usize) -> impl Strategy<Value = Vec<Asked>> {
    vec(request(), count)
}

fn request() -> impl Strategy<Value = Asked> {
    let headers = vec(header(), 0..6);
    let method = select(&["GET", "GET", "POST", "get"][..]);
    let scheme = select(&["http", "https"][..]);
    (
        method,
        scheme,
        select(AUTHORITIES),
        path(),
        headers,
        0..100_u32,
    )
        .prop_map(
            |(method, scheme, authority, path, headers, hundredth)| Asked {
                method,
                scheme,
                authority,
                path,
                headers,
                random: f64::from(hundredth) / 100.0,
            },
        )
}

fn path() -> impl Strategy<Value = String> {
    let tail = select(
        &[
            "",
            "",
            "",
            "?",
            "?q",
            "?q=v1&q=v2",
            "?p=v2&Q=v1",
            "?q=v10",
            "?x&p",
            "?q=/a",
        ][..],
    );
    let segments = vec(select(SEGMENTS), 0..5).prop_map(|parts| parts.concat());
    (segments, tail).prop_map(|(path, tail)| match path.strip_prefix('/') {
        Some(_) => format!("{path}{tail}"),
        None => format!("/{path}{tail}"),
    })
}

fn header() -> impl Strategy<Value = (String, String)> {
    let name = (select(FIELDS), any::<bool>()).prop_map(|(name, upper)| match upper {
        true => name.to_uppercase(),
        false => name.to_owned(),
    });
    let value = prop_oneof![
        4 => select(VALUES).prop_map(str::to_owned),
        1 => select(&["", "v", "v1,v2", "V1", "w", "v1 "][..]).prop_map(str::to_owned),
    ];
    (name, value)
}
