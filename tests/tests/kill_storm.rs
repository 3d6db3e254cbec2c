//! `kill -9` under load, of the supervisor and of everything below it: nothing that was acknowledged
//! is lost, nothing runs twice, nothing lives on.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use petrel_tests::{MARGIN, PATIENCE, Petrel, Place, process, times, wait_until, wait_within};
use rustix::process::Signal;
use serde_json::Value;

const FINAL: [&str; 4] = ["succeeded", "failed", "timeout", "abandoned"];

/// A sensor that dispatches numbers as fast as they are answered, and a rule whose action writes
/// each one down.
fn place(action: &str) -> Place {
    let place = Place::new();
    place.copy_pack("core");
    let policy = "restart: {initial_delay: 0s, limit: {burst: 0}}\n";
    place.sensor("storm.Numbers", "numbers", "", policy);
    let program = place.path("packs/storm/sensors/numbers");
    fs::copy(env!("CARGO_BIN_EXE_petrel-test-sensor"), program).unwrap();
    let done = place.path("packs/storm/done");
    let command = format!(
        "{{cmd: '{action}echo {{{{ trigger.n }}}} >> {}'}}",
        done.display()
    );
    place.rule("storm.write", "core.local", &command);
    place
}

/// From the clock's low digits: no two runs are alike.
fn random(most: u64) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(since.subsec_micros()) % most
}

fn numbers(place: &Place, name: &str) -> Vec<u64> {
    let text = place.read(&format!("packs/storm/{name}"));
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Kills the supervisor; within a second nothing of what it had started is left.
fn kill(place: &Place, petrel: &mut Petrel, round: usize) {
    petrel.kill();
    let what = format!("the end of all children (kill {round})");
    wait_within(Duration::from_secs(1) + MARGIN, &what, || {
        let left = process::of_folder(place.folder(), &[]);
        left.is_empty().then_some(())
    });
}

/// Lets all that is owed be settled, stops, and holds what was answered and done against what is on
/// record.
fn settle(place: &Place, mut petrel: Petrel, kills: usize) {
    let sensor = wait_until("no new numbers", || {
        let sensor = place.show("storm.Numbers")["pid"].as_u64();
        sensor.and_then(|pid| u32::try_from(pid).ok())
    });
    process::signal(sensor, Signal::STOP);
    let executions = wait_within(PATIENCE * 2, "all executions are final", || {
        let all = place.executions();
        let settled = |one: &Value| FINAL.contains(&one["status"].as_str().unwrap());
        all.iter().all(settled).then_some(all)
    });
    let events = place.events();
    process::signal(sensor, Signal::CONT);
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

#[test]
fn a_killed_supervisor_loses_nothing_and_repeats_nothing() {
    let kills = times(20, 1000);
    let place = place("");
    for round in 0..kills {
        let mut petrel = place.start();
        petrel.ready("storm.Numbers");
        std::thread::sleep(Duration::from_millis(random(1500)));
        kill(&place, &mut petrel, round);
    }
    // The last life.
    let petrel = place.start();
    petrel.ready("storm.Numbers");
    settle(&place, petrel, kills);
}

/// What a process of the place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Sensor,
    Wrapper,
    Action,
    Supervisor,
}

fn what_it_is(pid: u32) -> Option<Victim> {
    let arguments = process::arguments(pid);
    let first = arguments.first()?;
    Some(match first {
        first if first.ends_with("/numbers") => Victim::Sensor,
        first if first.ends_with("sensor-wrapper") => Victim::Wrapper,
        _ => Victim::Action,
    })
}

/// Kills one of the processes of a kind, whichever; false when there is none now.
fn kill_one(petrel: &Petrel, kind: Victim) -> bool {
    let mut all = petrel.descendants();
    all.retain(|pid| what_it_is(*pid) == Some(kind));
    let victim = all.get(random(all.len().max(1) as u64) as usize);
    victim.is_some_and(|pid| process::killed_of(petrel.folder(), *pid))
}

#[test]
fn kills_of_sensors_actions_wrappers_and_the_supervisor_lose_nothing() {
    use Victim::{Action, Sensor, Supervisor, Wrapper};
    let kills = times(60, 500);
    // Long enough to be hit in the middle.
    let place = place("sleep 0.05; ");
    let mut petrel = place.start();
    let mut killed: BTreeMap<Victim, usize> = BTreeMap::new();
    for round in 0..kills {
        let kind = [Sensor, Action, Wrapper, Action, Wrapper, Supervisor][round % 6];
        petrel.ready("storm.Numbers");
        std::thread::sleep(Duration::from_millis(random(300)));
        if kind == Supervisor {
            kill(&place, &mut petrel, round);
            petrel = place.start();
        } else {
            wait_until(&format!("a {kind:?} to kill"), || {
                kill_one(&petrel, kind).then_some(())
            });
        }
        *killed.entry(kind).or_default() += 1;
    }
    println!("{killed:?}");
    petrel.ready("storm.Numbers");
    settle(&place, petrel, kills);
}
