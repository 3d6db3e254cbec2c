//! A load that knows what it was answered, and the oracle: what was answered is on record once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::{PATIENCE, Petrel, Place, process, wait_until, wait_within};

const FINAL: [&str; 4] = ["succeeded", "failed", "timeout", "abandoned"];

/// A sensor that dispatches numbers as fast as they are answered, and a rule whose action writes
/// each one down; `program` is petrel-test-sensor.
///
/// # Panics
/// When it cannot be made.
pub fn place(program: &str, action: &str) -> Place {
    let place = Place::new();
    place.copy_pack("core");
    let policy = "restart: {initial_delay: 0s, limit: {burst: 0}}\n";
    place.sensor("storm.Numbers", "numbers", "", policy);
    let copy = place.path("packs/storm/sensors/numbers");
    fs::copy(Path::new(program), copy).expect("the sensor");
    let done = place.path("packs/storm/done");
    let command = format!(
        "{{cmd: '{action}echo {{{{ trigger.n }}}} >> {}'}}",
        done.display()
    );
    place.rule("storm.write", "core.local", &command);
    place
}

/// The numbers in a file of the pack: `answered`, `done`.
///
/// # Panics
/// When something else is in it.
pub fn numbers(place: &Place, name: &str) -> Vec<u64> {
    let text = place.read(&format!("packs/storm/{name}"));
    text.lines()
        .map(|line| line.parse().expect("a number"))
        .collect()
}

/// Lets all that is owed be settled, stops, and holds what was answered and done against what is on
/// record.
///
/// # Panics
/// When something was lost, or done twice.
pub fn settle(place: &Place, mut petrel: Petrel, kills: usize) {
    let sensor = wait_until("no new numbers", || {
        let sensor = place.show("storm.Numbers")["pid"].as_u64();
        sensor.and_then(|pid| u32::try_from(pid).ok())
    });
    process::signal(sensor, Signal::STOP);
    let owed = Duration::from_secs(kills as u64);
    wait_within(PATIENCE * 2 + owed, "all executions are final", || {
        let open = ["requested", "delayed", "running"];
        let mut left = open.iter().flat_map(|status| {
            let all = place.json(&["execution", "list", "--limit", "1", "--status", status]);
            all.as_array().cloned().expect("a list")
        });
        left.next().is_none().then_some(())
    });
    let executions = place.executions();
    let settled = |one: &Value| FINAL.contains(&one["status"].as_str().expect("as it is shown"));
    assert!(executions.iter().all(settled), "one is open again");
    let events = place.events();
    process::signal(sensor, Signal::CONT);
    assert!(petrel.stop().success());

    let number_of: BTreeMap<&str, u64> = events
        .iter()
        .map(|one| {
            let id = one["id"].as_str().expect("as it is shown");
            (id, one["payload"]["n"].as_u64().expect("as it is shown"))
        })
        .collect();
    let mut recorded: BTreeMap<u64, usize> = BTreeMap::new();
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &executions {
        let event = one["trigger_instance"]["id"]
            .as_str()
            .expect("as it is shown");
        *recorded.entry(number_of[event]).or_default() += 1;
        *by_status
            .entry(one["status"].as_str().expect("as it is shown"))
            .or_default() += 1;
    }
    let answered = numbers(place, "answered");
    let done = numbers(place, "done");
    println!(
        "{kills} kills: {} answered, {} written, {by_status:?}",
        answered.len(),
        done.len()
    );
    assert!(answered.len() > kills * 10, "the load was no load");
    for number in &answered {
        assert_eq!(recorded.get(number), Some(&1), "executions of {number}");
    }
    let distinct: BTreeSet<_> = done.iter().collect();
    assert_eq!(distinct.len(), done.len(), "an action ran twice");
    let succeeded = by_status.get("succeeded").copied().unwrap_or_default();
    assert!(done.len() >= succeeded, "recorded as done, and not done");
}
