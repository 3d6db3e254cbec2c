//! `kill -9` of the supervisor under load: nothing that was acknowledged is lost, nothing runs
//! twice, nothing lives on.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use petrel_tests::{MARGIN, PATIENCE, Place, process, times, wait_within};
use rustix::process::Signal;
use serde_json::Value;

const FINAL: [&str; 4] = ["succeeded", "failed", "timeout", "abandoned"];

/// A sensor that dispatches numbers as fast as they are answered, and a rule whose action writes
/// each one down.
fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.sensor("storm.Numbers", "numbers", "", "");
    let program = place.path("packs/storm/sensors/numbers");
    fs::copy(env!("CARGO_BIN_EXE_petrel-test-sensor"), program).unwrap();
    let done = place.path("packs/storm/done");
    let command = format!("{{cmd: 'echo {{{{ trigger.n }}}} >> {}'}}", done.display());
    place.rule("storm.write", "core.local", &command);
    place
}

/// Up to a second and a half, from the clock's low digits: no two runs are alike.
fn random_moment() -> Duration {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    Duration::from_millis(u64::from(nanos / 1000) % 1500)
}

fn numbers(place: &Place, name: &str) -> Vec<u64> {
    let text = place.read(&format!("packs/storm/{name}"));
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_killed_supervisor_loses_nothing_and_repeats_nothing() {
    let kills = times(20, 50);
    let place = place();
    for round in 0..kills {
        let mut petrel = place.start();
        petrel.ready("storm.Numbers");
        std::thread::sleep(random_moment());
        petrel.kill();
        let left = wait_within(
            Duration::from_secs(1) + MARGIN,
            &format!("the end of all children (kill {round})"),
            || {
                let left = process::of_folder(place.folder(), &[]);
                left.is_empty().then_some(left)
            },
        );
        assert!(left.is_empty());
    }
    // The last life: no new numbers, everything owed is settled.
    let mut petrel = place.start();
    let sensor = petrel.ready("storm.Numbers")["pid"].as_u64().unwrap();
    process::signal(u32::try_from(sensor).unwrap(), Signal::STOP);
    let executions = wait_within(PATIENCE * 2, "all executions are final", || {
        let all = place.executions();
        let settled = |one: &Value| FINAL.contains(&one["status"].as_str().unwrap());
        all.iter().all(settled).then_some(all)
    });
    let events = place.events();
    process::signal(u32::try_from(sensor).unwrap(), Signal::CONT);
    assert!(petrel.stop().success());

    let number_of: BTreeMap<&str, u64> = events
        .iter()
        .map(|one| {
            let id = one["id"].as_str().unwrap();
            (id, one["payload"]["n"].as_u64().unwrap())
        })
        .collect();
    let mut recorded: BTreeMap<u64, usize> = BTreeMap::new();
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &executions {
        let event = one["trigger_instance"]["id"].as_str().unwrap();
        *recorded.entry(number_of[event]).or_default() += 1;
        *by_status
            .entry(one["status"].as_str().unwrap())
            .or_default() += 1;
    }
    let answered = numbers(&place, "answered");
    let done = numbers(&place, "done");
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
