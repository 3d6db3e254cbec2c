//! How long the journal keeps what is settled, who waits while it has no room, and what of a trigger
//! type it keeps at all.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Petrel, Place, wait_until};
use serde_json::Value;

/// Says an event of about this many bytes again and again, each with its number.
fn flood(bytes: usize, pause: &str) -> String {
    let pad = "x".repeat(bytes);
    format!(
        "#!/bin/sh\nn=0\nwhile :; do n=$((n+1)); echo \"{{\\\"n\\\": $n, \\\"pad\\\": \\\"{pad}\\\"}}\"; {pause}\ndone\n"
    )
}

fn info(place: &Place) -> Value {
    place.json(&["journal", "info"])
}

fn up(place: &Place) -> Petrel {
    let petrel = place.start();
    petrel.up();
    petrel
}

/// Its place among all that ever were.
fn first_number(place: &Place) -> Option<u64> {
    let oldest = info(place)["oldest"]["id"].as_str()?.to_owned();
    u64::from_str_radix(&oldest[9..], 16).ok()
}

#[test]
fn old_events_go_with_their_executions_and_failed_ones_stay_longer() {
    let place = Place::new();
    place.copy_pack("core");
    place.write(
        "petrel.yaml",
        "journal: {retention: {age: 2s, failed: 1h}}\n",
    );
    let says = "#!/bin/sh\nfor n in 1 2 3; do echo \"{\\\"n\\\": $n}\"; done\nexec sleep 1000\n";
    place.sensor("p.Says", "says.sh", says, "");
    place.rule(
        "p.fails",
        "core.local",
        "{cmd: 'test {{ trigger.n }} -ne 2'}",
    );
    let petrel = up(&place);
    wait_until("all that did not fail is gone", || {
        let executions = place.executions();
        let events = place.events();
        (executions.len() == 1 && events.len() == 1).then_some(())
    });
    let (event, execution) = (&place.events()[0], &place.executions()[0]);
    assert_eq!(
        (&event["payload"]["n"], &execution["status"]),
        (&2.into(), &"failed".into())
    );
    let found = info(&place);
    assert_eq!(found["removed"]["events"], 2, "{found}");
    assert_eq!(found["rule_sets"], 1, "{found}");
    assert!(found["oldest_failed"].is_string(), "{found}");
    // What petrel.yaml says now holds at once.
    place.write(
        "petrel.yaml",
        "journal: {retention: {age: 2s, failed: 2s}}\n",
    );
    assert!(place.petrel(&["reload"]).status.success());
    assert_eq!(info(&place)["retention"]["failed"], "2s");
    wait_until("what failed is gone, too", || {
        (place.executions().is_empty() && place.events().is_empty()).then_some(())
    });
    drop(petrel);
    // Numbers are not used again, though their rows are gone.
    let before = event["id"].as_str().unwrap()[9..].to_owned();
    let petrel = up(&place);
    let next = wait_until("it says three more", || {
        let all = place.events();
        let newest = all.first()?["id"].as_str()?[9..].to_owned();
        (newest > before).then_some(newest)
    });
    assert!(u64::from_str_radix(&next, 16).unwrap() >= 4, "{next}");
    drop(petrel);
}

#[test]
fn the_oldest_go_when_there_is_too_much_and_nobody_waits() {
    let place = Place::new();
    place.write("petrel.yaml", "journal: {retention: {size: 2MiB}}\n");
    place.sensor("p.Flood", "flood.sh", &flood(900, ""), "");
    let petrel = up(&place);
    let first = wait_until("the first ones are gone", || {
        first_number(&place).filter(|first| *first > 3000)
    });
    wait_until("more are gone", || {
        first_number(&place).filter(|more| *more > first + 3000)
    });
    let found = info(&place);
    let used = found["used"].as_u64().unwrap();
    // A flood is cut back by more than it is over, so that there is room for what comes meanwhile.
    assert!((1 << 19..3 << 20).contains(&used), "{found}");
    assert_eq!(found["full"], Value::Null, "{found}");
    assert_eq!(petrel.count("journal.full", "journal"), 0);
    assert_eq!(place.show("p.Flood")["journal"], Value::Null);
    assert!(place.petrel(&["journal", "check"]).status.success());
}

/// An action that is not over until a file is there fills the journal with events that wait.
#[test]
fn what_is_not_settled_stays_and_its_sensors_wait_until_there_is_room() {
    let place = Place::new();
    place.copy_pack("core");
    let config = "journal: {retention: {size: 1MiB}}\nactions: {parallel: 2}\n";
    place.write("petrel.yaml", config);
    place.sensor("p.Flood", "flood.sh", &flood(2000, "sleep 0.002"), "");
    place.healthy();
    let gate = place.path("gate");
    let wait = format!(
        "{{cmd: 'while [ ! -e {} ]; do sleep 0.1; done'}}",
        gate.display()
    );
    place.rule("p.waits", "core.local", &wait);
    let petrel = up(&place);
    let told = petrel.wait_kind("journal.full", "journal");
    let why = told["message"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("p.seen") && why.contains("1MiB"), "{told}");
    let shown = place.show("p.Flood");
    assert!(
        shown["journal"].as_str().unwrap().contains("full"),
        "{shown}"
    );
    assert_eq!(place.show("healthy.Pulse")["journal"], Value::Null);
    let listed = place.petrel(&["sensor", "list"]);
    assert!(petrel_tests::stdout(&listed).contains("waits: the journal is full"));
    let found = info(&place);
    assert_eq!(
        found["waiting_sensors"],
        serde_json::json!(["p.Flood"]),
        "{found}"
    );
    assert!(
        found["unsettled"][0]["events"].as_u64().unwrap() > 100,
        "{found}"
    );
    // It does not go on, and others do; nothing that waits is lost.
    let stands = wait_until("it does not say more", || {
        let before = place.show("p.Flood")["events"].as_u64()?;
        let mark = petrel.mark();
        for _ in 0..3 {
            petrel.wait_after(mark, "the healthy one goes on", |line| {
                line["ref"] == "healthy.seen" || line["subject"] == "healthy.seen"
            });
        }
        (place.show("p.Flood")["events"].as_u64()? == before).then_some(before)
    });
    assert_eq!(place.show("p.Flood")["state"], "ready");
    std::fs::write(&gate, "").unwrap();
    petrel.wait_kind("journal.room", "journal");
    wait_until("it says more", || {
        (place.show("p.Flood")["events"].as_u64()? > stands + 50).then_some(())
    });
    assert!(place.petrel(&["journal", "check"]).status.success());
}

/// With answers: `n` of those that were taken, and what the answers were.
const ASKS: &str = r#"#!/bin/sh
echo '{"jsonrpc": "2.0", "id": 0, "method": "hello", "params": {"protocol": 1, "name": "asks"}}'
read answer
for n in 1 2 3 4 5 6 7 8 9 10; do
  echo "{\"jsonrpc\": \"2.0\", \"id\": $n, \"method\": \"dispatch\", \"params\": {\"payload\": {\"n\": $n}MORE}}"
  read answer
  echo "$answer" >> "$0.answers"
done
exec sleep 1000
"#;

fn answers(place: &Place, pack: &str) -> Vec<Value> {
    let text = wait_until("ten answers", || {
        let text = place.read(&format!("packs/{pack}/sensors/asks.sh.answers"));
        (text.lines().count() == 10).then_some(text)
    });
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn rule_on_five(place: &Place, pack: &str, more: &str) {
    let rule = format!(
        "name: five\npack: {pack}\nenabled: true\ntrigger: {{type: {pack}.seen}}\n\
         criteria:\n  trigger.n: {{type: equals, pattern: 5}}\n{more}\
         action: {{ref: core.noop}}\n"
    );
    place.write(&format!("packs/{pack}/rules/five.yaml"), &rule);
}

fn numbers(place: &Place, pack: &str) -> Vec<Value> {
    let trigger = format!("{pack}.seen");
    let all = place.events();
    let own = all.iter().filter(|one| one["trigger"] == trigger);
    own.map(|one| one["payload"]["n"].clone()).collect()
}

#[test]
fn what_no_rule_matched_is_only_counted_where_that_is_wanted() {
    let place = Place::new();
    place.copy_pack("core");
    let config = "journal: {keep: counters}\ntriggers:\n  'few.*': {keep: matched}\n  \
        keyed.*: {keep: matched}\n  every.seen: {keep: all}\n";
    place.write("petrel.yaml", config);
    for (pack, more) in [
        ("few", ""),
        ("none", ""),
        ("every", ""),
        ("keyed", r#", \"id\": \"same\""#),
    ] {
        place.sensor(
            &format!("{pack}.Asks"),
            "asks.sh",
            &ASKS.replace("MORE", more),
            "",
        );
        rule_on_five(&place, pack, "");
    }
    let mut petrel = up(&place);
    for pack in ["few", "none"] {
        for (answer, n) in answers(&place, pack).iter().zip(1..) {
            let kept = n == 5;
            assert_eq!(
                answer["result"]["event"].is_string(),
                kept,
                "{pack} {answer}"
            );
            assert_eq!(answer["result"]["kept"] == false, !kept, "{pack} {answer}");
        }
    }
    assert!(
        answers(&place, "every")
            .iter()
            .all(|one| one["result"]["event"].is_string())
    );
    // A key is kept although its event is not.
    let keyed = answers(&place, "keyed");
    assert_eq!(keyed[0]["result"]["kept"], false, "{keyed:?}");
    assert!(
        keyed[1..]
            .iter()
            .all(|one| one["result"]["duplicate"] == true),
        "{keyed:?}"
    );
    assert_eq!(numbers(&place, "few"), [5]);
    assert_eq!(numbers(&place, "none"), [5]);
    assert_eq!(numbers(&place, "every").len(), 10);
    assert!(numbers(&place, "keyed").is_empty());
    assert_eq!(place.show("few.Asks")["events"], 10);
    let kept = place.json(&["trigger", "list", "--pack=few"]);
    assert_eq!(kept[0]["keep"], "matched", "{kept}");
    let counts = |place: &Place| {
        let all = info(place)["counts"].clone();
        let of = |name: &str| {
            let found = all
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["trigger"] == name);
            let found = found.unwrap_or_else(|| panic!("{name} in {all}"));
            ["accepted", "matched", "dropped"].map(|part| found[part].as_u64().unwrap())
        };
        ["few.seen", "none.seen", "every.seen", "keyed.seen"].map(of)
    };
    let wanted = [[10, 1, 9], [10, 1, 9], [10, 1, 0], [1, 0, 1]];
    assert_eq!(counts(&place), wanted);
    petrel.stop();
    for pack in ["few", "none", "every", "keyed"] {
        place.write(
            &format!("packs/{pack}/sensors/asks.sh"),
            "#!/bin/sh\nexec sleep 1000\n",
        );
    }
    let _petrel = up(&place);
    assert_eq!(counts(&place), wanted, "after a start");
}
