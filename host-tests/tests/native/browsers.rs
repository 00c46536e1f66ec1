//! CORS and CSRF.

use serde_json::json;

use crate::pair::{Differences, Pair, Twin, Twins};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[("browsers/pages", pages)];

const PAGES: [&str; 33] = [
    "",
    "null",
    "http://h",
    "https://h",
    "http://H",
    "h",
    "http://h:80",
    "http://h:81",
    "http://h/",
    "http://h/page?x#y",
    "http://h?x",
    "http://h#x",
    "http://h:",
    "http://h:65536",
    "http://user@h",
    "http://h@evil",
    "http://a@h@evil",
    "http://evil/h",
    "http://evil http://h",
    "http://[::1]",
    "http://[::1]:80/",
    "http://a.com",
    "http://a.com:80",
    "https://a.com",
    "http://x.b.com",
    "http://b.com",
    "https://c12",
    "https://c12:81",
    "https://c12.evil",
    "chrome-extension://h",
    "a+b.1://h",
    "//h",
    "http://h,http://evil",
];

fn twins() -> Twins {
    let ours = json!({
        "corsPolicy": {
            "allowOrigins": [{"exact": "http://a.com"}, {"suffix": ".b.com"}, {"regex": "https://c[0-9]+"}],
            "allowMethods": ["GET", "PUT"],
            "allowHeaders": ["x-a", "x-b"],
            "exposeHeaders": ["x-c"],
            "maxAge": "60s",
            "allowCredentials": true,
        },
        "csrf": {
            "filterEnabled": true,
            "additionalOrigins": [
                {"exact": "a.com"}, {"suffix": ".b.com"}, {"regex": "c[0-9]+(:81)?"}, {"exact": "null"},
            ],
        },
    });
    let cors = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [
            {"exact": "http://a.com"}, {"suffix": ".b.com"}, {"safe_regex": {"regex": "https://c[0-9]+"}},
        ],
        "allow_methods": "GET,PUT",
        "allow_headers": "x-a,x-b",
        "expose_headers": "x-c",
        "max_age": "60",
        "allow_credentials": true,
    });
    let csrf = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.csrf.v3.CsrfPolicy",
        "filter_enabled": {"default_value": {"numerator": 100}},
        "additional_origins": [
            {"exact": "a.com"}, {"suffix": ".b.com"},
            {"safe_regex": {"regex": "c[0-9]+(:81)?"}}, {"exact": "null"},
        ],
    });
    let filter = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"});
    let native = json!({"typed_per_filter_config": {"envoy.filters.http.cors": cors}});
    Twins {
        routes: vec![Twin {
            ours: json!({"options": ours}),
            native,
        }],
        filters: vec![
            ("envoy.filters.http.cors", filter),
            ("envoy.filters.http.csrf", csrf),
        ],
        ..Twins::default()
    }
}

fn pages(tools: &Tools) {
    let pair = Pair::start(tools, &twins());
    let mut statuses = Vec::new();
    let mut differences = Differences::default();
    for method in ["GET", "POST", "DELETE", "OPTIONS"] {
        for authority in ["h", "h:80", "h:81", "H", "[::1]", "h:"] {
            for page in PAGES {
                for header in ["origin", "referer"] {
                    let mut headers =
                        vec![("host", authority), (header, page), ("content-length", "0")];
                    if method == "OPTIONS" {
                        headers.push(("access-control-request-method", "PUT"));
                    }
                    let answers = pair.ask(0, method, "/", &headers);
                    statuses.push(answers[0].status);
                    differences.compare(&answers, || format!("{method} {headers:?}"));
                }
            }
        }
    }
    differences.assert_none();
    assert!(statuses.contains(&200) && statuses.contains(&403));
    pair.assert_unharmed();
}
