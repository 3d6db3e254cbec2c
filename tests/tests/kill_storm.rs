//! `kill -9` under load, of the supervisor and of everything below it: nothing that was acknowledged
//! is lost, nothing runs twice, nothing lives on.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use petrel_tests::{MARGIN, Petrel, Place, process, storm, times, wait_until, wait_within};

const SENSOR: &str = env!("CARGO_BIN_EXE_petrel-test-sensor");

/// From the clock's low digits: no two runs are alike.
fn random(most: u64) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(since.subsec_micros()) % most
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

#[test]
fn a_killed_supervisor_loses_nothing_and_repeats_nothing() {
    let kills = times(20, 1000);
    let place = storm::place(SENSOR, "");
    for round in 0..kills {
        let mut petrel = place.start();
        petrel.ready("storm.Numbers");
        std::thread::sleep(Duration::from_millis(random(1500)));
        kill(&place, &mut petrel, round);
    }
    // The last life.
    let petrel = place.start();
    petrel.ready("storm.Numbers");
    storm::settle(&place, petrel, kills);
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
    let place = storm::place(SENSOR, "sleep 0.05; ");
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
    storm::settle(&place, petrel, kills);
}
