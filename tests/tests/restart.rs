//! Sensors that die: when they come back, what is shown of it, and what it leaves behind.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use petrel_tests::{MARGIN, PATIENCE, Petrel, Place, process, times, wait_until, wait_within};
use rustix::process::Signal;
use serde_json::Value;

/// Waits for ever, and ends on SIGTERM.
const WAITS: &str = "#!/bin/sh\nexec sleep 1000000\n";

/// Restarts before the first look at what they leave.
const WARM: usize = 50;

/// Most resident memory that any number of restarts may add, KiB.
const MOST_GROWN_KIB: u64 = 2 << 10;

fn pid_of(notice: &Value) -> u32 {
    u32::try_from(notice["pid"].as_u64().expect("a pid")).unwrap()
}

/// Seconds of the day of a notice.
fn second(notice: &Value) -> f64 {
    let time = notice["timestamp"].as_str().unwrap();
    let (_, clock) = time.trim_end_matches('Z').split_once('T').unwrap();
    let parts = clock.split(':').map(|part| part.parse::<f64>().unwrap());
    parts.fold(0.0, |sum, part| sum * 60.0 + part)
}

fn of_kind(petrel: &Petrel, kind: &str, reference: &str) -> Vec<Value> {
    let lines = petrel.lines().into_iter();
    lines
        .filter(|line| line["kind"] == kind && line["subject"] == reference)
        .collect()
}

/// The waits between each end and the start after it, for the first `count` restarts.
fn delays(petrel: &Petrel, reference: &str, count: usize) -> Vec<f64> {
    wait_until(&format!("{count} restarts of {reference}"), || {
        (petrel.count("sensor.ready", reference) > count).then_some(())
    });
    let ends = of_kind(petrel, "sensor.ended", reference);
    let starts = of_kind(petrel, "sensor.ready", reference);
    let pairs = ends.iter().zip(&starts[1..]).take(count);
    // Over midnight the second of the day begins anew.
    pairs
        .map(|(end, start)| (second(start) - second(end)).rem_euclid(86_400.0))
        .collect()
}

fn assert_delays(found: &[f64], expected: &[f64]) {
    for (found, expected) in found.iter().zip(expected) {
        let late = expected + MARGIN.as_secs_f64();
        // The clock of the stream and the one of the timers differ by less than this.
        assert!(
            (expected - 0.05..late).contains(found),
            "{found} s for {expected} s"
        );
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn always_restarts_with_growing_delays() {
    let place = Place::new();
    let policy = "restart: {policy: always, initial_delay: 300ms, multiplier: 2, max_delay: 1s, jitter: 0}\n";
    place.sensor("p.Ends", "ends.sh", "#!/bin/sh\nexit 0\n", policy);
    let petrel = place.start();
    assert_delays(&delays(&petrel, "p.Ends", 4), &[0.3, 0.6, 1.0, 1.0]);
}

#[test]
fn on_failure_restarts_a_crash_and_completes_at_a_planned_end() {
    let place = Place::new();
    let policy = "restart: {policy: on-failure, initial_delay: 200ms, multiplier: 1, jitter: 0}\n";
    let program = "#!/bin/sh\ntest -e again && exit 0\ntouch again\nexit 3\n";
    place.sensor("p.Once", "once.sh", program, policy);
    place.sensor(
        "p.Never",
        "never.sh",
        "#!/bin/sh\nexit 3\n",
        "restart: {policy: never}\n",
    );
    let petrel = place.start();
    petrel.wait_kind("sensor.ended", "p.Once");
    assert_delays(&delays(&petrel, "p.Once", 1), &[0.2]);
    for reference in ["p.Once", "p.Never"] {
        wait_until("the end", || {
            (place.show(reference)["state"] == "completed").then_some(())
        });
    }
    let once = place.show("p.Once");
    assert_eq!(once["restarts"], 1);
    assert_eq!(once["last_exit"]["code"], 0);
    assert!(
        once["pid"].is_null() && once["next_start"].is_null(),
        "{once}"
    );
    assert_eq!(place.show("p.Never")["last_exit"]["code"], 3);
    assert_eq!(petrel.count("sensor.ready", "p.Never"), 1);
}

#[test]
fn a_crash_loop_ends_in_cooldown_with_one_probe_start_per_period() {
    let place = Place::new();
    let policy = "restart:\n  initial_delay: 100ms\n  multiplier: 1\n  jitter: 0\n  \
        limit: {burst: 2, interval: 10m, on_limit: cooldown, cooldown: 2s}\n";
    place.sensor(
        "p.Loop",
        "loop.sh",
        "#!/bin/sh\necho 'E! no luck' >&2\nexit 1\n",
        policy,
    );
    let petrel = place.start();
    petrel.wait_kind("sensor.ended", "p.Loop");
    let shown = wait_until("cooldown", || {
        let shown = place.show("p.Loop");
        (shown["state"] == "cooldown").then_some(shown)
    });
    assert!(shown["next_start"].is_string(), "{shown}");
    assert!(
        shown["last_exit"]["reason"]
            .as_str()
            .unwrap()
            .contains("no luck"),
        "{shown}"
    );
    petrel.wait_for("it says that it gives up", |line| {
        line["subject"] == "p.Loop" && line["message"].as_str().unwrap().contains("cooldown")
    });
    assert_delays(&delays(&petrel, "p.Loop", 4), &[0.1, 0.1, 2.0, 2.0]);
}

#[test]
fn a_killed_sensor_is_shown_and_restarted_and_no_other_notices() {
    let place = Place::new();
    let policy = "restart: {policy: always, initial_delay: 30s, jitter: 0}\n";
    place.sensor("p.Victim", "victim.sh", WAITS, policy);
    let others = ["p.One", "p.Two", "q.Three"];
    for other in others {
        let file = format!("{}.sh", other[2..].to_lowercase());
        place.sensor(other, &file, WAITS, "");
    }
    let petrel = place.start();
    let before: Vec<_> = others
        .iter()
        .map(|other| pid_of(&petrel.ready(other)))
        .collect();
    let victim = pid_of(&petrel.ready("p.Victim"));
    let shown = place.show("p.Victim");
    assert_eq!(
        (&shown["state"], &shown["pid"]),
        (&"ready".into(), &victim.into())
    );
    assert_eq!(shown["restarts"], 0);
    assert!(shown["last_exit"].is_null());

    let killed = Instant::now();
    process::signal(victim, Signal::KILL);
    let ended = petrel.wait_kind("sensor.ended", "p.Victim");
    println!("seen after {:.1?}", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(1) + MARGIN);
    assert!(
        ended["message"].as_str().unwrap().contains("SIGKILL"),
        "{ended}"
    );

    let shown = place.show("p.Victim");
    assert_eq!(shown["state"], "backoff");
    assert!(shown["pid"].is_null());
    assert_eq!(shown["last_exit"]["signal"], 9);
    assert!(shown["last_exit"]["code"].is_null());
    assert!(shown["last_exit"]["at"].is_string());
    assert!(shown["next_start"].as_str().unwrap() > shown["last_exit"]["at"].as_str().unwrap());
    let restart = &shown["policy"]["restart"];
    assert_eq!(restart["initial_delay"], "30s");
    assert_eq!(restart["policy"], "always");
    assert_eq!(restart["limit"]["on_limit"], "cooldown");

    for (other, pid) in others.iter().zip(before) {
        let shown = place.show(other);
        assert_eq!(
            (&shown["pid"], &shown["restarts"]),
            (&pid.into(), &0.into()),
            "{shown}"
        );
    }
}

#[test]
fn petrel_yaml_is_above_the_sensors_own_policy_and_defaults_are_below() {
    let place = Place::new();
    place.sensor(
        "p.Own",
        "own.sh",
        WAITS,
        "restart: {initial_delay: 7s, jitter: 0.25}\n",
    );
    let settings = "defaults:\n  restart: {initial_delay: 5s, max_delay: 1m}\n\
        sensors:\n  'p.*':\n    restart: {jitter: 0.75}\n";
    place.write("petrel.yaml", settings);
    let petrel = place.start();
    petrel.ready("p.Own");
    let restart = place.show("p.Own")["policy"]["restart"].clone();
    assert_eq!(restart["jitter"], 0.75);
    assert_eq!(restart["initial_delay"], "7s");
    assert_eq!(restart["max_delay"], "1m");
    assert_eq!(restart["multiplier"], 2.0);
}

#[test]
fn thousands_of_kills_leave_nothing_behind() {
    let kills = times(500, 10_000);
    let place = Place::new();
    let policy = "restart: {policy: always, initial_delay: 0s, limit: {burst: 0}}\n";
    place.sensor("p.Probe", "probe", "", policy);
    let file = place.path("packs/p/sensors/probe");
    fs::copy(env!("CARGO_BIN_EXE_petrel-test-sensor"), file).unwrap();
    let mut petrel = place.start();
    petrel.ready("p.Probe");
    // What is made on first use is made by the first few.
    let mut starts = Starts::default();
    for _ in 0..WARM {
        starts.kill_one(&place);
    }
    let before = settled_descriptors(petrel.pid());
    let (threads, memory) = (threads(&petrel), resident_kib(&petrel));

    let mut waits: Vec<u64> = (0..kills).map(|_| starts.kill_one(&place)).collect();
    waits.sort_unstable();
    let shown = |share: usize| waits[(waits.len() - 1) * share / 100] as f64 / 1e6;
    let (median, p99) = (shown(50), shown(99));
    println!(
        "{kills} kills: death to the next first instruction: median {median:.2} ms, 99 % {p99:.2} ms"
    );

    assert_eq!(process::zombies(petrel.pid()), [0; 0]);
    wait_within(
        MARGIN,
        &format!("no more than {before} descriptors"),
        || (process::descriptors(petrel.pid()) <= before).then_some(()),
    );
    let grown = resident_kib(&petrel).saturating_sub(memory);
    println!(
        "{kills} kills: {before} descriptors, {threads} threads, {memory} KiB and {grown} more"
    );
    assert!(grown <= MOST_GROWN_KIB, "{grown} KiB more than {memory}");
    // A thread that read something for the API goes when nobody has asked for a while.
    wait_within(PATIENCE, &format!("no more than {threads} threads"), || {
        (self::threads(&petrel) <= threads).then_some(())
    });
    let count = (kills + WARM) as u64;
    let restarts = |shown: &Value| shown["restarts"].as_u64();
    wait_within(PATIENCE, "all restarts are counted", || {
        (restarts(&place.show("p.Probe")) == Some(count)).then_some(())
    });
    assert!(petrel.stop().success());
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// The starts that the probe notes, read on from where the last look ended.
#[derive(Default)]
struct Starts {
    at: usize,
}

impl Starts {
    /// Kills the newest start; nanoseconds until the first instruction of the next.
    fn kill_one(&mut self, place: &Place) -> u64 {
        let (pid, _) = self.next(place, false);
        let killed = now();
        process::signal(pid, Signal::KILL);
        let (_, started) = self.next(place, true);
        started - killed
    }

    /// Process and time of the start that was noted last, or of the one after it.
    fn next(&mut self, place: &Place, after: bool) -> (u32, u64) {
        let line = wait_until("the next start", || {
            let text = place.read("packs/p/starts");
            // Only whole lines.
            let (whole, _) = text.rsplit_once('\n')?;
            let lines: Vec<&str> = whole.lines().collect();
            let wanted = lines.get(self.at + usize::from(after))?;
            Some((*wanted).to_owned())
        });
        self.at += usize::from(after);
        let (pid, time) = line.split_once(' ').unwrap();
        (pid.parse().unwrap(), time.parse().unwrap())
    }
}

fn threads(petrel: &Petrel) -> usize {
    let count = process::status(petrel.pid(), "Threads").unwrap();
    count.parse().unwrap()
}

fn resident_kib(petrel: &Petrel) -> u64 {
    let size = process::status(petrel.pid(), "VmRSS").unwrap();
    size.split(' ').next().unwrap().parse().unwrap()
}

/// Descriptors once nobody asks the API any more: the least of some looks.
fn settled_descriptors(pid: u32) -> usize {
    let mut last = process::descriptors(pid);
    wait_until("steady descriptors", || {
        let now = process::descriptors(pid);
        let steady = now == last;
        last = now;
        steady.then_some(now)
    })
}
