//! Timers in real time, over the death of the supervisor.
#![allow(clippy::unwrap_used, reason = "tests")]

use jiff::{SignedDuration, Timestamp};
use petrel_tests::{Petrel, Place, wait_until};
use serde_json::Value;

/// A rule on a timer that does nothing but leave its events.
fn timer(place: &Place, name: &str, kind: &str, more: &str) {
    let text = format!(
        "name: {name}\nenabled: true\ntrigger: {{type: core.st2.{kind}, {more}}}\naction: {{ref: core.noop}}\n"
    );
    place.write(&format!("packs/t/rules/{name}.yaml"), &text);
}

fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.pack("t");
    place
}

/// One firing, as its event tells it.
#[derive(Debug, PartialEq)]
struct Firing {
    due: Timestamp,
    at: Timestamp,
    missed: u64,
}

/// The firings of a rule's timer, in order.
fn firings(place: &Place, rule: &str) -> Vec<Firing> {
    let enforced = place.json(&["rule-enforcement", "list", "--of", rule, "-n", "100000"]);
    let events = place.json(&["event", "list", "-n", "100000"]);
    let of_rule = |event: &&Value| {
        let all = enforced.as_array().unwrap().iter();
        all.clone()
            .any(|one| one["trigger_instance_id"] == event["id"])
    };
    let mut firings: Vec<Firing> = events
        .as_array()
        .unwrap()
        .iter()
        .filter(of_rule)
        .map(|event| Firing {
            due: event["payload"]["scheduled_for"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap(),
            at: event["occurrence_time"].as_str().unwrap().parse().unwrap(),
            missed: event["payload"]["missed"].as_u64().unwrap(),
        })
        .collect();
    firings.reverse();
    firings
}

fn wait_for_firings(place: &Place, rule: &str, count: usize) -> Vec<Firing> {
    wait_until(&format!("{count} firings of {rule}"), || {
        let found = firings(place, rule);
        (found.len() >= count).then_some(found)
    })
}

/// Seconds between the moments of neighbours.
fn gaps(firings: &[Firing]) -> Vec<i64> {
    let pairs = firings.windows(2);
    pairs
        .map(|pair| pair[1].due.duration_since(pair[0].due).as_secs())
        .collect()
}

/// Until the clock is past a moment.
fn wait_past(moment: Timestamp) {
    while Timestamp::now() < moment {
        std::hint::spin_loop();
    }
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

fn up(place: &Place) -> Petrel {
    let petrel = place.start();
    wait_until("an answer", || {
        let answer = place.petrel(&["event", "list"]);
        answer.status.success().then_some(())
    });
    petrel
}

#[test]
fn timers_fire_at_their_moments() {
    let place = place();
    timer(
        &place,
        "interval",
        "IntervalTimer",
        "parameters: {unit: seconds, delta: 1}",
    );
    timer(
        &place,
        "cron",
        "CronTimer",
        "parameters: {second: '*', timezone: Asia/Tokyo}",
    );
    let date = in_seconds(3);
    timer(
        &place,
        "date",
        "DateTimer",
        &format!("parameters: {{date: '{date}'}}"),
    );
    timer(
        &place,
        "past",
        "DateTimer",
        "parameters: {date: '2001-01-01T00:00:00Z'}",
    );
    let _petrel = up(&place);
    let once = wait_for_firings(&place, "t.date", 1);
    assert_eq!(once[0].due.as_microsecond(), date.as_microsecond());
    for rule in ["t.interval", "t.cron"] {
        let found = wait_for_firings(&place, rule, 5);
        assert!(gaps(&found).iter().all(|gap| *gap == 1), "{found:?}");
        let mut late: Vec<_> = found
            .iter()
            .map(|one| one.at.duration_since(one.due))
            .collect();
        late.sort();
        assert!(late[0] >= SignedDuration::ZERO, "early: {found:?}");
        // The middle one: the machine may be busy now and then.
        let middle = late[late.len() / 2];
        assert!(middle < SignedDuration::from_millis(50), "{rule}: {late:?}");
        println!("{rule}: {:?} late in the middle", middle);
    }
    assert_eq!(firings(&place, "t.date").len(), 1);
    assert!(firings(&place, "t.past").is_empty());
}

#[test]
fn what_was_missed_is_made_up_or_skipped_as_the_rule_says() {
    let place = place();
    let every = "parameters: {unit: seconds, delta: 1}";
    timer(&place, "once", "IntervalTimer", every);
    timer(
        &place,
        "all",
        "IntervalTimer",
        &format!("{every}, missed: all"),
    );
    timer(
        &place,
        "skip",
        "IntervalTimer",
        &format!("{every}, missed: skip"),
    );
    let date = in_seconds(4);
    timer(
        &place,
        "date",
        "DateTimer",
        &format!("parameters: {{date: '{date}'}}"),
    );
    let gone = format!("parameters: {{date: '{date}'}}, missed: skip");
    timer(&place, "gone", "DateTimer", &gone);
    let mut petrel = up(&place);
    wait_for_firings(&place, "t.skip", 1);
    petrel.kill();
    let killed = Timestamp::now();
    wait_past(killed.max(date) + SignedDuration::from_secs(3));
    let mut petrel = up(&place);
    let late = wait_for_firings(&place, "t.date", 1);
    assert!(late[0].at > killed, "{late:?}");
    for (rule, made_up) in [("t.once", 1), ("t.all", 3), ("t.skip", 0)] {
        let found = wait_until("firings again", || {
            let found = firings(&place, rule);
            let again = found.iter().filter(|one| one.due > late[0].at);
            (again.count() >= 2).then_some(found)
        });
        let second = SignedDuration::from_secs(1);
        let behind = found
            .iter()
            .filter(|one| one.at.duration_since(one.due) > second);
        let behind: Vec<_> = behind.collect();
        match rule {
            "t.all" => {
                assert!(behind.len() >= made_up, "{found:?}");
                assert!(gaps(&found).iter().all(|gap| *gap == 1), "{found:?}");
            }
            "t.once" => {
                let marked = found.iter().filter(|one| one.missed > 0);
                assert_eq!(marked.count(), made_up, "{found:?}");
            }
            _ => assert!(behind.is_empty(), "{found:?}"),
        }
        assert!(
            gaps(&found).iter().all(|gap| *gap >= 1),
            "never twice: {found:?}"
        );
    }
    assert!(firings(&place, "t.gone").is_empty());
    petrel.stop();
    let _petrel = up(&place);
    wait_for_firings(&place, "t.all", 3);
    assert_eq!(firings(&place, "t.date").len(), 1, "a date fires once");
}

#[test]
fn no_moment_is_lost_or_fires_twice_however_often_the_supervisor_dies() {
    let place = place();
    let every = "parameters: {second: '*'}, missed: all";
    timer(&place, "all", "CronTimer", every);
    for life in 0..8 {
        let mut petrel = up(&place);
        let before = firings(&place, "t.all").len();
        let last = wait_for_firings(&place, "t.all", before + 1);
        // Around a moment: a little before it, at it, a little after it.
        let around = SignedDuration::from_millis(990 + 3 * life);
        let mut next = last[last.len() - 1].due + around;
        while next < Timestamp::now() {
            next += SignedDuration::from_secs(1);
        }
        wait_past(next);
        petrel.kill();
    }
    let _petrel = up(&place);
    let found = wait_for_firings(&place, "t.all", 12);
    assert!(gaps(&found).iter().all(|gap| *gap == 1), "{found:?}");
}
