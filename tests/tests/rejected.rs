//! Dead letters: what sensors said that was refused is kept, shown, given to the rules once more, or
//! dropped.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Place, stdout, wait_until};
use serde_json::Value;

/// A payload that its schema does not allow, one that is no object and one that is far too long.
const SAYS: &str = "#!/bin/sh\necho '{\"n\": \"many\"}'\n\
                    { head -c 6000 /dev/zero | tr '\\0' x; echo; } | sed 's/^/{\"n\": \"/; s/$/\"}/'\n\
                    exec sleep 1000000\n";
const MORE: &str = "    payload_schema: {type: object, properties: {n: {type: KIND}}}\n\
                    limits: {line_bytes: 4096}\n";

fn rejected(place: &Place) -> Vec<Value> {
    let all = place.json(&["event", "rejected", "list"]);
    all.as_array().unwrap().clone()
}

/// The sensor, where `n` is declared to be of this type.
fn says(place: &Place, kind: &str) {
    place.sensor("p.Says", "says.sh", SAYS, &MORE.replace("KIND", kind));
}

fn place() -> Place {
    let place = Place::new();
    place.write("petrel.yaml", "supervisor: {watch: false}\n");
    place.copy_pack("core");
    says(&place, "integer");
    place.rule("p.note", "core.noop", "{}");
    place
}

#[test]
fn what_was_refused_is_kept_shown_retried_and_dropped() {
    let place = place();
    let petrel = place.start();
    petrel.ready("p.Says");
    let all = wait_until("both are refused", || {
        let all = rejected(&place);
        (all.len() == 2).then_some(all)
    });
    let (long, wrong) = (&all[0], &all[1]);
    let id = |one: &Value| one["id"].to_string();
    let shown = place.json(&["event", "rejected", "show", &id(wrong)]);
    assert_eq!(shown["data"], r#"{"n": "many"}"#, "{shown}");
    assert_eq!(shown["trigger"], "p.seen");
    assert!(shown["reason"].as_str().unwrap().contains('n'), "{shown}");

    // It does not fit yet, and stays.
    let refused = place.petrel(&["event", "rejected", "retry", &id(wrong)]);
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("does not fit the schema"), "{why}");
    let refused = place.petrel(&["event", "rejected", "retry", &id(long)]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("too long"), "{why}");
    assert_eq!(rejected(&place).len(), 2);

    says(&place, "string");
    assert!(place.petrel(&["reload"]).status.success());
    let done = place.petrel(&["event", "rejected", "retry", &id(wrong)]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let told = stdout(&done);
    let event = told.split_whitespace().last().unwrap();
    let event = place.json(&["event", "get", event]);
    assert_eq!(
        (&event["payload"]["n"], &event["sensor"]),
        (&"many".into(), &"p.Says".into())
    );
    wait_until("its rule runs its action", || {
        place
            .executions()
            .iter()
            .any(|one| one["rule"]["ref"] == "p.note")
            .then_some(())
    });
    assert!(
        place
            .petrel(&["event", "rejected", "drop", &id(long)])
            .status
            .success()
    );
    assert!(
        !place
            .petrel(&["event", "rejected", "show", &id(wrong)])
            .status
            .success()
    );
    let left = rejected(&place);
    assert!(
        left.iter()
            .all(|one| one["id"] != wrong["id"] && one["id"] != long["id"]),
        "{left:?}"
    );
}
