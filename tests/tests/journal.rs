//! `petrel journal`: what it has, whether it is whole, copies of it; with petrel running and without.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Place, stdout, wait_until};
use serde_json::Value;

/// Twenty events, the last of which asks for a secret, then rest.
const SAYS: &str = "#!/bin/sh\nn=0\nwhile [ $n -lt 20 ]; do n=$((n+1)); echo \"{\\\"n\\\": $n}\"; done\n\
    exec sleep 1000\n";

fn place() -> Place {
    let place = Place::new();
    place.write("petrel.yaml", "supervisor: {watch: false}\n");
    place.copy_pack("core");
    place.sensor("p.Says", "says.sh", SAYS, "");
    let action = "name: tell\nrunner_type: local-shell-cmd\nparameters:\n  \
        cmd: {default: 'true'}\n  word: {type: string, secret: true}\n";
    place.write("packs/p/actions/tell.yaml", action);
    place.rule("p.tell", "p.tell", "{word: 'hush {{ trigger.n }}'}");
    place
}

fn settled(place: &Place) {
    wait_until("all executions are over", || {
        let all = place.executions();
        let over = all.iter().filter(|one| one["status"] == "succeeded");
        (over.count() == 20).then_some(())
    });
}

fn exported(place: &Place, args: &[&str]) -> Vec<Value> {
    let mut all = vec!["journal", "export"];
    all.extend(args);
    let output = place.petrel(&all);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = stdout(&output);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn looks_whole(place: &Place) {
    let info = place.json(&["journal", "info"]);
    assert_eq!(info["events"], 20, "{info}");
    assert_eq!(info["executions"]["succeeded"], 21, "{info}");
    assert!(
        info["oldest"]["at"].as_str() <= info["newest"]["at"].as_str(),
        "{info}"
    );
    let checked = place.petrel(&["journal", "check"]);
    assert_eq!(stdout(&checked), "the journal is whole\n", "{checked:?}");
    let all = exported(place, &[]);
    assert_eq!(all.len(), 21);
    for (line, n) in all.iter().zip(1..=20) {
        assert_eq!(line["payload"]["n"], n);
        assert_eq!(line["rules"]["matched"][0], "p.tell");
        assert_eq!(line["executions"][0]["status"], "succeeded");
        assert_eq!(line["executions"][0]["parameters"]["word"], "********");
    }
    let by_hand = &all[20];
    assert_eq!(
        (&by_hand["id"], &by_hand["executions"][0]["action"]["ref"]),
        (&Value::Null, &"core.noop".into())
    );
    assert!(!all.iter().any(|line| line.to_string().contains("hush")));
    assert_eq!(exported(place, &["--trigger", "p.other"]).len(), 0);
    assert_eq!(exported(place, &["--sensor", "p.Says"]).len(), 20);
    assert_eq!(exported(place, &["--until", "1d"]).len(), 0);
    assert_eq!(
        exported(place, &["--since", "1h", "--trigger", "p.seen"]).len(),
        20
    );
}

#[test]
fn it_is_told_exported_and_copied_and_petrel_starts_on_the_copy() {
    let place = place();
    let mut petrel = place.start();
    petrel.ready("p.Says");
    settled(&place);
    assert!(place.petrel(&["run-action", "core.noop"]).status.success());
    looks_whole(&place);
    let info = place.json(&["journal", "info"]);
    assert_eq!(info["retention"]["age"], "7d", "{info}");
    assert_eq!(info["counts"][0]["trigger"], "p.seen");
    assert_eq!(info["counts"][0]["matched"], 20);
    let text = stdout(&place.petrel(&["journal", "info"]));
    for words in [
        "events             20",
        "21 succeeded",
        "age 7d",
        "p.seen: 20 accepted",
    ] {
        assert!(text.contains(words), "{text}");
    }

    let copy = place.path("copy.db");
    let name = copy.to_str().unwrap();
    assert!(place.petrel(&["journal", "backup", name]).status.success());
    let again = place.petrel(&["journal", "backup", name]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
    let compacted = place.petrel(&["journal", "compact"]);
    assert!(stdout(&compacted).contains("given back"), "{compacted:?}");

    petrel.stop();
    looks_whole(&place);
    let second = place.path("second.db");
    let output = place.petrel(&["journal", "backup", second.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let compacted = place.petrel(&["journal", "compact"]);
    assert!(compacted.status.success(), "{compacted:?}");
    looks_whole(&place);

    // The copy, and nothing else of before.
    std::fs::remove_dir_all(place.path("data")).unwrap();
    std::fs::create_dir(place.path("data")).unwrap();
    std::fs::rename(&copy, place.path("data/journal.db")).unwrap();
    place.write("packs/p/sensors/says.sh", "#!/bin/sh\nexec sleep 1000\n");
    let petrel = place.start();
    petrel.ready("p.Says");
    looks_whole(&place);
    drop(petrel);
}

#[test]
fn a_damaged_journal_is_told_with_what_is_wrong() {
    let place = place();
    let output = place.petrel(&["journal", "check"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no journal"));
    let mut petrel = place.start();
    petrel.ready("p.Says");
    settled(&place);
    let db = rusqlite::Connection::open(place.path("data/journal.db")).unwrap();
    db.execute("DELETE FROM events WHERE seq = 7", []).unwrap();
    db.execute("UPDATE executions SET status = 'odd' WHERE seq = 3", [])
        .unwrap();
    for running in [true, false] {
        if !running {
            petrel.stop();
        }
        let output = place.petrel(&["journal", "check"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        for words in [
            "belong to an event that is not there: the first has number 7",
            "number 3",
        ] {
            assert!(told.contains(words), "{told}");
        }
    }
    drop(db);
    let mut bytes = std::fs::read(place.path("data/journal.db")).unwrap();
    let end = bytes.len().min(40_000);
    bytes[4096..end].fill(0xa5);
    std::fs::write(place.path("data/journal.db"), bytes).unwrap();
    let output = place.petrel(&["journal", "check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
