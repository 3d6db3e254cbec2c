//! `petrel doctor` on this host.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Place, stdout};

#[test]
fn doctor_needs_no_daemon_and_names_the_cure_of_each_lack() {
    let place = Place::new();
    let all = place.json(&["doctor"]);
    let all = all.as_array().unwrap();
    for check in [
        "data folder",
        "open files",
        "landlock",
        "seccomp",
        "private_tmp",
        "pidns",
        "python",
    ] {
        assert!(all.iter().any(|one| one["check"] == check), "{check}");
    }
    for one in all {
        let is_ok = one["verdict"] == "ok";
        assert_eq!(is_ok, one["cure"] == "", "{one}");
    }
    let table = stdout(&place.petrel(&["doctor"]));
    assert!(table.contains("(p99) of 50"), "{table}");
    assert!(!place.path("data").exists(), "it leaves nothing");
}

#[test]
fn doctor_fails_where_something_needed_is_missing() {
    let place = Place::new();
    let output = place.petrel(&["doctor", "--python", "/no/such/python"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("missing") && text.contains("install Python"),
        "{text}"
    );
}
