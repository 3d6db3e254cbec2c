//! Many sensors on one machine: all come, all come back, all go; and when all of them miss the same
//! thing, they do not ask for it in step.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use petrel_tests::{MARGIN, PATIENCE, Petrel, Place, process, times, wait_until, wait_within};
use rustix::process::Signal;
use serde_json::Value;

/// So many sensors `many.S…` that run one program, with `more` in their YAML.
fn place(count: usize, program: &str, more: &str) -> Place {
    let place = Place::new();
    place.pack("many");
    for number in 0..count {
        let yaml = format!(
            "class_name: S{number:04}\nentry_point: program\ndescription: One of many\n\
            trigger_types:\n  - name: seen\n    description: Never\n{more}"
        );
        place.write(&format!("packs/many/sensors/s{number:04}.yaml"), &yaml);
    }
    fs::copy(program, place.path("packs/many/sensors/program")).unwrap();
    place
}

/// Notices of a kind so far.
fn of_kind(petrel: &Petrel, kind: &str) -> Vec<Value> {
    let lines = petrel.lines().into_iter();
    lines.filter(|line| line["kind"] == kind).collect()
}

/// The process of every sensor that is ready, by reference.
fn ready(petrel: &Petrel) -> BTreeMap<String, u32> {
    let notices = of_kind(petrel, "sensor.ready").into_iter();
    notices
        .map(|line| {
            let pid = u32::try_from(line["pid"].as_u64().unwrap()).unwrap();
            (line["subject"].as_str().unwrap().to_owned(), pid)
        })
        .collect()
}

#[test]
fn all_come_and_come_back_and_go() {
    let count = times(200, 1000);
    let quiet = env!("CARGO_BIN_EXE_petrel-test-quiet");
    let soon = "restart: {initial_delay: 0s, limit: {burst: 0}}\n";
    let place = place(count, quiet, soon);
    let started = Instant::now();
    let mut petrel = place.start();
    let sensors = wait_within(PATIENCE * 2, "all are ready", || {
        let sensors = ready(&petrel);
        (sensors.len() == count).then_some(sensors)
    });
    println!("{count} sensors: ready after {:.1?}", started.elapsed());

    let victims: BTreeMap<_, _> = sensors.iter().step_by(count / 20).collect();
    for pid in victims.values() {
        process::signal(**pid, Signal::KILL);
    }
    wait_until("the killed are back", || {
        let now = ready(&petrel);
        let back = |(name, pid): (&&String, &&u32)| now[name.as_str()] != **pid;
        victims.iter().all(back).then_some(())
    });
    assert_eq!(of_kind(&petrel, "sensor.ended").len(), victims.len());
    assert_eq!(process::zombies(petrel.pid()), [0; 0]);
    let now = ready(&petrel);
    let mut others = sensors
        .iter()
        .filter(|(name, _)| !victims.contains_key(name));
    assert!(others.all(|(name, pid)| now[name] == *pid));
    println!(
        "{count} sensors: peak memory {} KiB, {} descriptors",
        process::peak_memory_kib(petrel.pid()).unwrap(),
        process::descriptors(petrel.pid())
    );

    let stopping = Instant::now();
    assert!(petrel.stop().success());
    println!("{count} sensors: stopped after {:.1?}", stopping.elapsed());
    assert!(stopping.elapsed() < Duration::from_secs(1) + MARGIN);
    assert_eq!(petrel.descendants(), [0; 0]);
}

/// Seconds of the day of a notice.
fn second(notice: &Value) -> f64 {
    let time = notice["timestamp"].as_str().unwrap();
    let (_, clock) = time.trim_end_matches('Z').split_once('T').unwrap();
    let parts = clock.split(':').map(|part| part.parse::<f64>().unwrap());
    parts.fold(0.0, |sum, part| sum * 60.0 + part)
}

/// Delays grow to eight units and chance takes away up to half. In step, five rounds of eight units
/// would be in one unit each: 20 % of all. A busy machine bunches what it delays, so the short run
/// allows more than what is promised.
#[test]
fn a_dead_dependency_is_not_asked_by_all_at_once() {
    let count = times(100, 1000);
    let unit = Duration::from_millis(times(400, 1000) as u64);
    let window = 40;
    let policy = format!(
        "restart: {{initial_delay: {}ms, max_delay: {}ms, limit: {{burst: 0}}}}\n",
        unit.as_millis(),
        (8 * unit).as_millis()
    );
    let place = place(count, "/bin/false", &policy);
    let petrel = place.start();
    // Once every sensor waits its longest, the machine's own pace of the first starts is over.
    wait_within(PATIENCE * 2, "five restarts of each", || {
        let mut starts: BTreeMap<String, usize> = BTreeMap::new();
        for line in of_kind(&petrel, "sensor.ended") {
            *starts.entry(line["subject"].to_string()).or_default() += 1;
        }
        let all = starts.len() == count && starts.values().all(|starts| *starts > 5);
        all.then_some(())
    });
    let mark = petrel.mark();
    std::thread::sleep(unit * window);
    let ends = petrel.lines().split_off(mark).into_iter();
    let ends: Vec<f64> = ends
        .filter(|line| line["kind"] == "sensor.ended")
        .map(|line| second(&line))
        .collect();
    let mut units: BTreeMap<u64, usize> = BTreeMap::new();
    for end in &ends {
        // Over midnight the second of the day begins anew.
        let since = (end - ends[0]).rem_euclid(86_400.0);
        *units
            .entry((since / unit.as_secs_f64()) as u64)
            .or_default() += 1;
    }
    let most = units.values().copied().max().unwrap();
    let share = 100.0 * most as f64 / ends.len() as f64;
    println!(
        "{count} sensors: {} restarts in {window} times {unit:?}, at most {share:.1} % in one",
        ends.len()
    );
    assert!(ends.len() > count * 3, "{} restarts", ends.len());
    let most = times(10, 5) as f64;
    assert!(share <= most, "{share} % of the restarts within {unit:?}");
}
