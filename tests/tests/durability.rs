//! The levels at which an event counts as accepted (`journal.durability`).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Petrel, Place, times, wait_until};
use serde_json::Value;

/// Asks for an answer to each event, and notes the number of each that it got, in a file of its own.
const ASKS: &str = r#"#!/bin/sh
echo '{"jsonrpc": "2.0", "id": 0, "method": "hello", "params": {"protocol": 1, "name": "asks"}}'
read answer
n=0
[ -f "$0.acked" ] && n=$(tail -n 1 "$0.acked")
while :; do
  n=$((n + 1))
  echo "{\"jsonrpc\": \"2.0\", \"id\": $n, \"method\": \"dispatch\", \"params\": {\"payload\": {\"n\": $n}}}"
  read answer || exit 0
  case $answer in *'"event"'*) echo $n >> "$0.acked" ;; esac
done
"#;

fn acked(place: &Place, name: &str) -> Vec<u64> {
    let text = place.read(&format!("packs/{name}/sensors/asks.sh.acked"));
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn numbers(place: &Place, name: &str) -> Vec<u64> {
    let trigger = format!("{name}.seen");
    let events = place.events();
    let some = events.iter().filter(|one| one["trigger"] == trigger);
    some.filter_map(|one| one["payload"]["n"].as_u64())
        .collect()
}

fn up(place: &Place, levels: &[&str]) -> Petrel {
    let petrel = place.start();
    for level in levels {
        petrel.ready(&format!("{level}.Asks"));
    }
    petrel
}

#[test]
fn what_was_answered_survives_a_kill_at_every_level_that_promises_it() {
    let levels = ["disk", "process"];
    let place = Place::new();
    for level in levels {
        let knob = format!("journal: {{durability: {level}}}\n");
        place.sensor(&format!("{level}.Asks"), "asks.sh", ASKS, &knob);
        place.write(&format!("packs/{level}/sensors/asks.sh.acked"), "0\n");
    }
    for _ in 0..times(5, 50) {
        let mut petrel = up(&place, &levels);
        let before: Vec<_> = levels
            .iter()
            .map(|level| acked(&place, level).len())
            .collect();
        wait_until("more is answered at both levels", || {
            let now = levels.iter().map(|level| acked(&place, level).len());
            now.zip(&before)
                .all(|(now, before)| now > before + 20)
                .then_some(())
        });
        petrel.kill();
    }
    let _petrel = up(&place, &levels);
    for level in levels {
        let answered = acked(&place, level);
        let kept = numbers(&place, level);
        let lost: Vec<_> = answered
            .iter()
            .filter(|n| **n > 0 && !kept.contains(n))
            .collect();
        assert!(lost.is_empty(), "{level}: {lost:?} of {}", answered.len());
    }
}

/// The disk of another one's transaction holds the journal up; only who does not wait goes on.
#[test]
fn who_waits_for_nothing_is_answered_while_the_journal_cannot_write() {
    let place = Place::new();
    for level in ["none", "disk"] {
        let knob = format!("journal: {{durability: {level}}}\n");
        place.sensor(&format!("{level}.Asks"), "asks.sh", ASKS, &knob);
        place.write(&format!("packs/{level}/sensors/asks.sh.acked"), "0\n");
    }
    let petrel = up(&place, &["none", "disk"]);
    let count = |level: &str| acked(&place, level).len();
    let other = rusqlite::Connection::open(place.path("data/journal.db")).unwrap();
    let patience = std::time::Duration::from_secs(60);
    other.busy_timeout(patience).unwrap();
    let unwritten = count("none");
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let written = count("disk");
    // As far as it may be ahead of what is settled.
    wait_until("the one that waits for nothing is answered", || {
        (count("none") >= unwritten + 4).then_some(())
    });
    // One answer was on its way.
    assert!(count("disk") <= written + 1, "{written}");
    other.execute_batch("ROLLBACK").unwrap();
    wait_until("the other one is answered again", || {
        (count("disk") > written + 3).then_some(())
    });
    let shown: Value = place.show("none.Asks");
    assert_eq!(shown["policy"]["journal"]["durability"], "none", "{shown}");
    drop(petrel);
}
