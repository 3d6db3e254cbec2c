//! A sensor that misbehaves in every way that `petrel-test-misbehave` knows, each beside a healthy
//! one: what is seen of it, and that nothing else is.
//!
//! Every row ends with the ordered stop of everything: nothing that a sensor started may be left.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use petrel_tests::{MARGIN, Petrel, Place, process, wait_until, wait_within};
use serde_json::Value;

/// Most memory that the supervisor may ever use, KiB.
const MEMORY_KIB: u64 = 64 << 10;

/// The sensor that misbehaves.
const BAD: &str = "bad.Sensor";

/// Restarts soon and steadily.
const SOON: &str = "restart: {initial_delay: 50ms, multiplier: 1, jitter: 0, limit: {burst: 0}}\n";

/// A place with a healthy sensor and one that does `what`, with `more` in its YAML.
fn place(what: &str, more: &str) -> Place {
    let place = Place::new();
    place.healthy();
    let program = env!("CARGO_BIN_EXE_petrel-test-misbehave");
    let starts = place.path("starts");
    let script = format!(
        "#!/bin/sh\nexport MISBEHAVE_STARTS='{}'\nexec '{program}' {what}\n",
        starts.display()
    );
    place.sensor(BAD, "sensor.sh", &script, more);
    place
}

/// Starts it, and waits until it answers.
fn start(place: &Place) -> Petrel {
    let petrel = place.start();
    petrel.up();
    petrel
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

/// Waits for a line about the sensor with all of these words.
fn said(petrel: &Petrel, words: &[&str]) -> Value {
    petrel.wait_for(&format!("{BAD}: {words:?}"), |line| {
        line["subject"] == BAD && words.iter().all(|word| message(line).contains(word))
    })
}

/// Waits until `petrel sensor show` fits.
fn shown(place: &Place, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, || {
        let shown = place.show(BAD);
        fits(&shown).then_some(shown)
    })
}

fn in_state(place: &Place, state: &str) -> Value {
    shown(place, state, |shown| shown["state"] == state)
}

/// Waits for an event of the sensor.
fn event(petrel: &Petrel, number: u64) {
    let wanted = format!("\"n\":{number}");
    petrel.wait_for(&format!("an event with {wanted}"), |line| {
        let text = message(line).replace(' ', "");
        line["kind"] == "event" && line["subject"] == "bad.seen" && text.contains(&wanted)
    });
}

/// What holds in every row: the healthy sensor delivers, memory is bounded, all is stopped in order.
fn others_do_not_notice(petrel: &mut Petrel) {
    let mark = petrel.mark();
    petrel.wait_after(mark, "an event of the healthy pack", |line| {
        line["kind"] == "event" && line["subject"] == "healthy.seen"
    });
    let peak = process::peak_memory_kib(petrel.pid()).unwrap();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    assert_eq!(petrel.count("sensor.ended", "healthy.Pulse"), 0);
    assert!(petrel.stop().success());
}

fn pid(shown: &Value) -> u32 {
    u32::try_from(shown["pid"].as_u64().unwrap()).unwrap()
}

/// The sensor and all that descend from it, as long as they have not left it.
fn family(top: u32) -> Vec<u32> {
    let all = process::all();
    let parent = |pid: u32| process::status(pid, "PPid").and_then(|ppid| ppid.parse().ok());
    let above: Vec<(u32, Option<u32>)> = all.iter().map(|pid| (*pid, parent(*pid))).collect();
    let mut found = vec![top];
    let mut at = 0;
    while let Some(&one) = found.get(at) {
        let below = above.iter().filter(|(_, parent)| *parent == Some(one));
        found.extend(below.map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

#[test]
fn a_crash_loop_comes_to_rest_in_cooldown() {
    let policy = "restart: {initial_delay: 20ms, multiplier: 1, jitter: 0, \
        limit: {burst: 5, cooldown: 1h}}\n";
    let place = place("exit 3 5", policy);
    let mut petrel = start(&place);
    said(&petrel, &["crashed", "exit code 3"]);
    let shown = in_state(&place, "cooldown");
    assert_eq!(shown["restarts"], 5, "{shown}");
    assert_eq!(shown["last_exit"]["code"], 3, "{shown}");
    assert!(shown["next_start"].is_string(), "{shown}");
    assert_eq!(place.read("starts").lines().count(), 6);
    others_do_not_notice(&mut petrel);
}

#[test]
fn a_planned_end_is_no_crash() {
    let place = place("exit 0", SOON);
    let mut petrel = start(&place);
    let ended = petrel.wait_kind("sensor.ended", BAD);
    assert_eq!(ended["level"], "INFO", "{ended}");
    assert!(message(&ended).starts_with("ended after"), "{ended}");
    shown(&place, "five restarts", |shown| {
        shown["restarts"].as_u64() >= Some(5)
    });
    others_do_not_notice(&mut petrel);
}

#[test]
fn silence_on_rung_0_is_no_fault() {
    // Knobs that would end a sensor that converses.
    let place = place("silent", "start: {ready_timeout: 100ms}\n");
    let mut petrel = start(&place);
    let before = pid(&petrel.ready(BAD));
    others_have_come_and_gone(&place, &petrel, 10);
    let shown = place.show(BAD);
    assert_eq!((&shown["state"], pid(&shown)), (&"ready".into(), before));
    others_do_not_notice(&mut petrel);
}

/// So many events of the healthy sensor, which delivers five a second.
fn others_have_come_and_gone(place: &Place, petrel: &Petrel, count: u64) {
    petrel.ready("healthy.Pulse");
    wait_until(&format!("{count} events of the healthy sensor"), || {
        let events = place.show("healthy.Pulse")["events"].as_u64();
        (events >= Some(count)).then_some(())
    });
}

#[test]
fn a_sensor_that_is_never_ready_is_ended_and_tried_again() {
    let place = place(
        "never-ready",
        &format!("{SOON}start: {{ready_timeout: 300ms}}\n"),
    );
    let mut petrel = start(&place);
    shown(&place, "three restarts", |shown| {
        shown["restarts"].as_u64() >= Some(3)
    });
    assert_eq!(place.show(BAD)["last_exit"]["signal"], 9);
    others_do_not_notice(&mut petrel);
}

#[test]
fn a_configuration_fault_parks_it() {
    for (what, reason) in [
        ("exit 78", "configuration"),
        (
            "fail config 'no such host: db9' 'set host'",
            "no such host: db9",
        ),
    ] {
        let place = place(what, SOON);
        let mut petrel = start(&place);
        said(&petrel, &["parked", "configuration"]);
        let shown = in_state(&place, "parked");
        assert_eq!(shown["restarts"], 0, "{shown}");
        let told = shown["last_exit"]["reason"].as_str().unwrap_or_default();
        assert!(what == "exit 78" || told.contains(reason), "{shown}");
        assert!(what == "exit 78" || told.contains("set host"), "{shown}");
        others_do_not_notice(&mut petrel);
    }
}

#[test]
fn other_last_words_are_kept_and_it_is_tried_again() {
    for kind in ["transient", "bug"] {
        let place = place(&format!("fail {kind} 'the queue is gone'"), SOON);
        let mut petrel = start(&place);
        said(&petrel, &["crashed", "the queue is gone"]);
        shown(&place, "two restarts", |shown| {
            shown["restarts"].as_u64() >= Some(2)
        });
        others_do_not_notice(&mut petrel);
    }
}

#[test]
fn noise_is_told_and_events_after_it_arrive() {
    let place = place("noise", "");
    let mut petrel = start(&place);
    event(&petrel, 1);
    assert_eq!(place.show(BAD)["stdout_noise"], 2);
    assert_eq!(petrel.count("sensor.noise", BAD), 1);
    others_do_not_notice(&mut petrel);
}

#[test]
fn floods_of_output_hold_up_nobody_else() {
    for what in ["flood noise", "flood events"] {
        let place = place(what, "");
        let mut petrel = start(&place);
        let key = match what {
            "flood events" => "events",
            _ => "stdout_noise",
        };
        shown(&place, "thousands of lines", |shown| {
            shown[key].as_u64() >= Some(5000)
        });
        others_do_not_notice(&mut petrel);
    }
}

#[test]
fn a_flood_of_log_is_bounded_and_what_was_dropped_is_counted() {
    let place = place("flood-log", "");
    let mut petrel = start(&place);
    said(&petrel, &["lines of its log were dropped"]);
    others_do_not_notice(&mut petrel);
}

#[test]
fn a_line_of_a_gibibyte_is_skipped() {
    // Without optimisation a GiB takes a minute.
    let mib: usize = if cfg!(debug_assertions) { 64 } else { 1024 };
    let place = place(&format!("long-line {mib}"), "");
    let mut petrel = start(&place);
    let bytes = (mib << 20).to_string();
    said(&petrel, &[&bytes, "was skipped"]);
    event(&petrel, 1);
    others_do_not_notice(&mut petrel);
}

#[test]
fn half_a_line_at_death_is_no_event() {
    let policy = "restart: {policy: never}\n";
    let place = place("half-line", policy);
    let mut petrel = start(&place);
    event(&petrel, 1);
    let shown = in_state(&place, "completed");
    assert_eq!(shown["last_exit"]["signal"], 9, "{shown}");
    let shown = self::shown(&place, "the half line", |shown| shown["stdout_noise"] == 1);
    assert_eq!(shown["events"], 1, "{shown}");
    others_do_not_notice(&mut petrel);
}

#[test]
fn who_hears_no_sigterm_is_ended_after_the_grace() {
    let place = place("deaf-to-term", "stop: {grace: 300ms}\n");
    let mut petrel = start(&place);
    event(&petrel, 1);
    let started = Instant::now();
    others_do_not_notice(&mut petrel);
    assert!(started.elapsed() < MARGIN, "{:?}", started.elapsed());
    said(&petrel, &["stopped", "SIGKILL"]);
}

#[test]
fn who_never_reads_is_not_read_any_more() {
    let place = place("deaf", "stop: {request_timeout: 200ms, grace: 200ms}\n");
    let mut petrel = start(&place);
    petrel.ready(BAD);
    let pid = pid(&place.show(BAD));
    // Its pipe is full, and it waits in its own write.
    wait_until("it waits", || {
        let call = std::fs::read_to_string(format!("/proc/{pid}/wchan")).ok()?;
        call.contains("pipe").then_some(())
    });
    others_do_not_notice(&mut petrel);
}

#[test]
fn a_storm_of_processes_is_ended_with_it() {
    let place = place("storm 200", "stop: {grace: 300ms}\n");
    let mut petrel = start(&place);
    let pid = pid(&petrel.ready(BAD));
    wait_until("all processes", || (family(pid).len() >= 200).then_some(()));
    let started = Instant::now();
    others_do_not_notice(&mut petrel);
    assert!(started.elapsed() < MARGIN, "{:?}", started.elapsed());
}

#[test]
fn a_hog_of_memory_is_not_the_supervisors() {
    let place = place("memory 256", "");
    let mut petrel = start(&place);
    event(&petrel, 256);
    others_do_not_notice(&mut petrel);
}

#[test]
fn a_hog_of_descriptors_has_its_own() {
    let place = place("descriptors 4096", "");
    let mut petrel = start(&place);
    petrel.wait_for("what it got", |line| {
        line["kind"] == "event" && line["subject"] == "bad.seen"
    });
    let bound = 60;
    wait_within(MARGIN, "the supervisor's descriptors", || {
        (process::descriptors(petrel.pid()) < bound).then_some(())
    });
    others_do_not_notice(&mut petrel);
}

/// Limits of the watchdog that a test can wait for.
const WATCHED: &str =
    "watchdog: {interval: 200ms, soft_timeout: 500ms, timeout: 1s, abort_timeout: 500ms}\n";

#[test]
fn who_beats_and_then_hangs_is_seen_ended_and_started_again() {
    for what in ["stopped", "hang-in-poll"] {
        let place = place(what, &format!("{SOON}{WATCHED}"));
        let mut petrel = start(&place);
        said(&petrel, &["stalled", "no sign of life"]);
        said(&petrel, &["crashed", "no sign of life"]);
        let shown = shown(&place, "two restarts", |shown| {
            shown["restarts"].as_u64() >= Some(2)
        });
        assert_eq!(shown["last_exit"]["signal"], 6, "{what}: {shown}");
        others_do_not_notice(&mut petrel);
    }
}

#[test]
fn a_passing_trouble_is_no_attempt() {
    // Any other code would be in cooldown after two.
    let policy = "restart: {initial_delay: 20ms, multiplier: 1, jitter: 0, \
        limit: {burst: 2, cooldown: 1h}}\n";
    let place = place("exit 75", policy);
    let mut petrel = start(&place);
    said(&petrel, &["crashed", "exit code 75"]);
    let shown = shown(&place, "seven restarts", |shown| {
        shown["restarts"].as_u64() >= Some(7)
    });
    assert_eq!(shown["last_exit"]["code"], 75, "{shown}");
    assert_eq!(shown["attempts"], 0, "{shown}");
    let cooled = petrel
        .lines()
        .into_iter()
        .find(|line| line["subject"] == BAD && message(line).contains("cooldown"));
    assert_eq!(cooled, None);
    others_do_not_notice(&mut petrel);
}

/// Living processes of the sensor that do this, in whatever session they are.
fn doing(place: &Place, what: &str) -> Vec<u32> {
    let all = process::of_folder(place.folder(), &[]);
    let does = |pid: &u32| process::arguments(*pid).iter().any(|one| one == what);
    all.into_iter().filter(does).collect()
}

#[test]
fn a_daemon_that_outlives_its_parent_is_ended_before_the_next_start() {
    let place = place("daemon-and-gone", SOON);
    let mut petrel = start(&place);
    let mut before = Vec::new();
    for restarts in 1..=5 {
        shown(&place, "a restart", |shown| {
            shown["restarts"].as_u64() >= Some(restarts)
        });
        let now = doing(&place, "deaf-to-term-quietly");
        // One of the present start at most, and nobody of an earlier one: those were killed while
        // nobody had begun anew.
        assert!(now.len() <= 1, "{now:?}");
        before.extend(now);
    }
    others_do_not_notice(&mut petrel);
    assert_eq!(doing(&place, "deaf-to-term-quietly"), [0; 0], "{before:?}");
}

#[test]
fn a_tree_that_hears_no_sigterm_is_ended_with_its_root() {
    let place = place("tree 12", "stop: {grace: 300ms}\n");
    let mut petrel = start(&place);
    event(&petrel, 12);
    let deaf = || doing(&place, "deaf-to-term-quietly").len();
    let leaves = || doing(&place, "leaf").len();
    wait_until("the tree", || (deaf() == 6 && leaves() == 6).then_some(()));
    let started = Instant::now();
    let answer = place.petrel(&["sensor", "stop", BAD]);
    assert!(answer.status.success(), "{answer:?}");
    in_state(&place, "down");
    assert!(started.elapsed() < MARGIN, "{:?}", started.elapsed());
    // Nothing is waited for here: the end is told when nobody is left.
    assert_eq!((deaf(), leaves()), (0, 0));
    others_do_not_notice(&mut petrel);
}
