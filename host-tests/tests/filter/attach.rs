//! What the ways to attach to a gateway ask of the filter.

use meshgate_engine::policy::{Mirror, Percentage, Policies};

use crate::observe::start_with;
use crate::program::{ProgramBuilder, start};
use crate::{forwarded, get, text};

#[test]
fn mirrors_may_follow_the_cluster_in_its_header() {
    let mirror = |destination| Mirror {
        destination,
        percentage: Percentage::ALL,
    };
    let program = || {
        ProgramBuilder::new("g")
            .forward("/plain", "a", |_| ())
            .forward("/b", "b", |_| ())
            .forward("/copied", "c", |forward| forward.timeout_ms = Some(5))
            .policies(Policies {
                mirrors: vec![mirror(0), mirror(1)],
                ..Policies::default()
            })
    };
    let mut vm = start_with(program(), r#""mirrorsInHeader":true"#);
    let copied = forwarded(&mut vm, get("/copied"));
    assert_eq!(copied.headers.get_all("x-meshgate-cluster"), [b"c,a,b"]);
    assert_eq!(copied.properties.get("meshgate_mirrors"), None);
    let timeout = copied.headers.get("x-envoy-upstream-rq-timeout-ms");
    assert_eq!(text(timeout), "5");
    let plain = forwarded(&mut vm, get("/plain"));
    assert_eq!(plain.headers.get_all("x-meshgate-cluster"), [b"a"]);

    let copied = forwarded(&mut start(program()), get("/copied"));
    assert_eq!(copied.headers.get_all("x-meshgate-cluster"), [b"c"]);
    let mirrors = copied.properties.get("meshgate_mirrors");
    assert_eq!(mirrors, Some(&b"a,b".to_vec()));
}
