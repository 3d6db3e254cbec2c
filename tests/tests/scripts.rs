//! `local-shell-script`: arguments reach the script as they are, whatever an event puts into them.
#![allow(clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Place, wait_until};
use serde_json::{Value, json};

/// What a shell would take for more than text.
const HOSTILE: [&str; 14] = [
    "it's",
    "say \"hi\"",
    "a b\tc",
    "two\nlines\n",
    "$(touch hacked)",
    "`touch hacked`",
    "; touch hacked",
    "| touch hacked &",
    "$HOME ${PATH}",
    "--flag",
    "*?[a-z]{1,2}",
    "back\\slash\\",
    "{{ 7 * 7 }} {% if %}",
    "日本語 ünï 🦜",
];

/// Prints its arguments as a list of JSON, so that nothing of them is lost.
const SCRIPT: &str = "#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n";

fn place() -> Place {
    let place = Place::new();
    let lines: Vec<String> = HOSTILE
        .iter()
        .map(|text| json!({"text": text}).to_string())
        .collect();
    place.write("lines", &(lines.join("\n") + "\n"));
    let lines = place.path("lines").display().to_string();
    let sensor = format!("#!/bin/sh\ncat {lines}\nsleep 1000\n");
    place.sensor("shop.Feed", "feed.sh", &sensor, "");
    place.write(
        "packs/shop/actions/tell.yaml",
        "name: tell\nrunner_type: local-shell-script\nentry_point: tell.py\nparameters:\n  \
         named: {type: string}\n  flag: {type: boolean}\n  off: {type: boolean}\n  last: {type: string, position: 1}\n  \
         first: {type: array, position: 0}\n",
    );
    // It is not executable, as in many a pack.
    place.write("packs/shop/actions/tell.py", "");
    std::fs::write(place.path("packs/shop/actions/tell.py"), SCRIPT).unwrap();
    place.rule(
        "shop.r",
        "shop.tell",
        "{named: '{{ trigger.text }}', flag: true, off: false, first: [1, true, 'x y'], last: '{{ trigger.text }}'}",
    );
    place
}

#[test]
fn hostile_arguments_arrive_and_do_nothing() {
    let place = place();
    let petrel = place.start();
    petrel.ready("shop.Feed");
    let done = wait_until("all executions", || {
        let all = place.executions();
        let ended = all.iter().all(|one| one["status"] == "succeeded");
        (all.len() == HOSTILE.len() && ended).then_some(all)
    });
    let mut seen: Vec<Value> = done
        .iter()
        .map(|one| one["result"]["stdout"].clone())
        .collect();
    seen.reverse();
    for (seen, text) in seen.iter().zip(HOSTILE) {
        // One newline at the end of a template is dropped, as Jinja does; event data keeps its own.
        let wanted = json!(["--flag", format!("--named={text}"), "1,True,x y", text]);
        let mut sorted: Vec<&Value> = seen.as_array().unwrap().iter().collect();
        sorted[..2].sort_by_key(|one| one.as_str().unwrap().starts_with("--named="));
        assert_eq!(json!(sorted), wanted);
    }
    let hacked = |folder: &std::path::Path| folder.join("hacked").exists();
    assert!(!hacked(place.folder()) && !hacked(&place.path("packs/shop/actions")));
}
