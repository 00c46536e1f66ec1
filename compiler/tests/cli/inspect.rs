//! `meshgate inspect`.

use crate::folder::Folder;

fn compiled() -> Folder {
    let folder = Folder::shop();
    let args = [
        "compile",
        ".",
        "--target",
        "program",
        "--generation",
        "v42",
        "-o",
        "routes.bin",
    ];
    folder.run(&args).ended_with(0);
    folder
}

#[test]
fn the_contents_of_a_program() {
    let folder = compiled();
    let bytes = std::fs::read(folder.path().join("routes.bin")).unwrap();
    let report = folder
        .run(&["inspect", "routes.bin", "--format", "json"])
        .ended_with(0)
        .json();
    assert_eq!(report["format"], 1);
    assert_eq!(report["generation"], "v42");
    assert_eq!(report["bytes"], bytes.len());
    assert_eq!(report["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(report["matchers"], 3);
    assert_eq!(report["bytesPerMatcher"], bytes.len() / 3);
    assert_eq!(
        report["actions"],
        serde_json::json!({"forward": 1, "redirect": 1, "directResponse": 1})
    );
    assert_eq!(
        report["gateways"],
        serde_json::json!([{"namespace": "shop", "name": "www", "port": 8080}])
    );
    assert_eq!(
        report["destinations"][0]["cluster"],
        "outbound|9080||ratings.bookinfo.svc.cluster.local"
    );
    let sections = report["sections"].as_array().unwrap();
    let sum: u64 = sections
        .iter()
        .map(|section| section["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, bytes.len() as u64);

    let text = folder.run(&["inspect", "routes.bin"]).ended_with(0).text();
    for part in [
        "v42",
        "shop/www on port 8080",
        report["sha256"].as_str().unwrap(),
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn files_that_are_no_programs() {
    let folder = compiled();
    folder
        .run(&["inspect", "host.yaml"])
        .ended_with(1)
        .said("not a meshgate routing program");
    folder.write("empty.bin", b"");
    folder
        .run(&["inspect", "empty.bin"])
        .ended_with(1)
        .said("(at offset 0x0)");
    let mut bytes = std::fs::read(folder.path().join("routes.bin")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    folder.write("broken.bin", &bytes);
    folder
        .run(&["inspect", "broken.bin"])
        .ended_with(1)
        .said("checksum");
}
