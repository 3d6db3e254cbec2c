//! Sensors that hang: who is seen to, who is left alone, and what their last words mean.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use petrel_tests::{Petrel, Place, process, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// Limits that a test can wait for.
const SHORT: &str = "watchdog: {interval: 200ms, soft_timeout: 1s, timeout: 2s, abort_timeout: 2s}\n\
    restart: {initial_delay: 100ms, jitter: 0}\n";

/// A Python sensor with this body of its class.
fn python(body: &str) -> String {
    format!(
        "import time\nfrom st2reactor.sensor.base import Sensor, PollingSensor\n\n\
         class S({body}\n    \
         def setup(self): pass\n    def cleanup(self): pass\n    \
         def add_trigger(self, trigger): pass\n    def update_trigger(self, trigger): pass\n    \
         def remove_trigger(self, trigger): pass\n"
    )
}

fn sleeper() -> String {
    python("Sensor):\n    def run(self): time.sleep(86400)\n")
}

fn pid_of(notice: &Value) -> u32 {
    u32::try_from(notice["pid"].as_u64().expect("a pid")).unwrap()
}

fn of_kind(petrel: &Petrel, kind: &str) -> Vec<Value> {
    let lines = petrel.lines().into_iter();
    lines.filter(|line| line["kind"] == kind).collect()
}

#[test]
fn a_stopped_sensor_is_seen_ended_and_started_again() {
    let place = Place::new();
    place.sensor("p.S", "s.py", &sleeper(), SHORT);
    let petrel = place.start();
    let first = pid_of(&petrel.ready("p.S"));
    process::signal(first, Signal::STOP);
    petrel.wait_kind("sensor.stalled", "p.S");
    assert_eq!(place.show("p.S")["state"], "stalled");
    let ended = petrel.wait_kind("sensor.ended", "p.S");
    let text = ended["message"].as_str().unwrap();
    assert!(text.contains("no sign of life"), "{text}");
    petrel.wait_for("the next one", |line| {
        line["kind"] == "sensor.ready" && line["pid"] != first
    });
}

#[test]
fn a_stall_that_passes_ends_nothing() {
    let place = Place::new();
    let patient = "watchdog: {interval: 200ms, soft_timeout: 1s, timeout: 60s}\n";
    place.sensor("p.S", "s.py", &sleeper(), patient);
    let petrel = place.start();
    let pid = pid_of(&petrel.ready("p.S"));
    process::signal(pid, Signal::STOP);
    petrel.wait_kind("sensor.stalled", "p.S");
    process::signal(pid, Signal::CONT);
    petrel.wait_for("it moves", |line| {
        line["kind"] == "sensor.ready" && line["message"] == "it moves again"
    });
    assert_eq!(place.show("p.S")["pid"], pid);
}

#[test]
fn a_poll_that_hangs_leaves_its_stack_and_is_ended() {
    let place = Place::new();
    let body = "PollingSensor):\n    def poll(self): self.deep_inside()\n    \
                def deep_inside(self): time.sleep(86400)\n";
    let more = format!("poll_interval: 1\n{SHORT}")
        .replace("watchdog: {", "watchdog: {poll_timeout: 1s, ");
    place.sensor("p.S", "s.py", &python(body), &more);
    let petrel = place.start();
    let ended = petrel.wait_kind("sensor.ended", "p.S");
    let text = ended["message"].as_str().unwrap();
    assert!(text.contains("its poll took too long"), "{text}");
    assert!(text.contains("in deep_inside"), "{text}");
    assert!(petrel.count("sensor.stalled", "p.S") >= 1);
}

/// Ten minutes of the real limits in four seconds of short ones.
#[test]
fn while_petrel_is_stopped_nobody_is_late() {
    let place = Place::new();
    place.sensor("p.S", "s.py", &sleeper(), SHORT);
    let petrel = place.start();
    let pid = pid_of(&petrel.ready("p.S"));
    petrel.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(4));
    petrel.signal(Signal::CONT);
    let begun = std::time::Instant::now();
    // Three limits on, it still beats and lives.
    wait_until("time goes by", || {
        (begun.elapsed() > Duration::from_secs(3)).then_some(())
    });
    assert_eq!(place.show("p.S")["pid"], pid);
    assert_eq!(of_kind(&petrel, "sensor.ended").len(), 0);
}

/// A sensor that only prints never announced heartbeats: it may be silent for a day.
#[test]
fn who_never_announced_heartbeats_may_be_silent() {
    let place = Place::new();
    let program = "#!/bin/sh\nexec sleep 1000000\n";
    place.sensor("p.Quiet", "quiet.sh", program, SHORT);
    place.sensor("q.S", "s.py", &sleeper(), SHORT);
    let petrel = place.start();
    let quiet = pid_of(&petrel.ready("p.Quiet"));
    // The watchdog is at work: it ends another one meanwhile.
    let other = pid_of(&petrel.ready("q.S"));
    process::signal(other, Signal::STOP);
    petrel.wait_kind("sensor.ended", "q.S");
    let shown = place.show("p.Quiet");
    assert_eq!(
        (&shown["pid"], &shown["state"]),
        (&quiet.into(), &"ready".into())
    );
}

#[test]
fn who_does_not_become_ready_in_time_is_ended() {
    let place = Place::new();
    let program = "#!/bin/sh\nexec sleep 1000000\n";
    let policy = "start: {ready: hello, ready_timeout: 500ms}\nrestart: {initial_delay: 1h}\n";
    place.sensor("p.Mute", "mute.sh", program, policy);
    let petrel = place.start();
    let ended = petrel.wait_kind("sensor.ended", "p.Mute");
    let text = ended["message"].as_str().unwrap();
    assert!(text.contains("not ready in time"), "{text}");
    assert_eq!(place.show("p.Mute")["state"], "backoff");
}

#[test]
fn exit_codes_and_last_words_have_their_meaning() {
    let place = Place::new();
    let says = |kind: &str| {
        format!(
            "#!/bin/sh\necho '{{\"jsonrpc\":\"2.0\",\"method\":\"fail\",\"params\":\
             {{\"kind\":\"{kind}\",\"message\":\"no luck\",\"retry_after\":3600}}}}'\nexit 1\n"
        )
    };
    let exits = |code: u8| format!("#!/bin/sh\nexit {code}\n");
    let cases = [
        ("p.Config", "config.sh", exits(78), "parked"),
        ("p.Temp", "temp.sh", exits(75), "backoff"),
        ("p.Hopeless", "hopeless.sh", exits(125), "parked"),
        ("p.SaysConfig", "sconfig.sh", says("config"), "parked"),
        (
            "p.SaysTransient",
            "stransient.sh",
            says("transient"),
            "backoff",
        ),
    ];
    for (reference, file, program, _) in &cases {
        let slow = "restart: {initial_delay: 1h, max_delay: 1h}\n";
        place.sensor(reference, file, program, slow);
    }
    let petrel = place.start();
    for (reference, _, _, state) in &cases {
        petrel.wait_kind("sensor.ended", reference);
        let shown = place.show(reference);
        assert_eq!(shown["state"], *state, "{reference}: {shown}");
        let counted = shown["attempts"].as_u64().unwrap();
        assert_eq!(counted, 0, "{reference}");
    }
}

#[test]
fn a_program_that_cannot_be_started_is_parked_after_three_times() {
    let place = Place::new();
    let policy = "restart: {initial_delay: 50ms, jitter: 0}\n";
    place.sensor("p.Gone", "gone.sh", "#!/nowhere/at/all\n", policy);
    let petrel = place.start();
    petrel.up();
    wait_until("it is parked", || {
        (place.show("p.Gone")["state"] == "parked").then_some(())
    });
    // The last one is told once it is on disk.
    wait_until("three ends", || {
        (petrel.count("sensor.ended", "p.Gone") >= 3).then_some(())
    });
    assert_eq!(petrel.count("sensor.ended", "p.Gone"), 3);
    // Its code changes: it starts by itself.
    place.write("packs/p/sensors/gone.sh", "#!/bin/sh\nexec sleep 1000000\n");
    petrel.ready("p.Gone");
}

#[test]
fn one_that_fails_for_good_may_stop_petrel() {
    let place = Place::new();
    let policy = "restart: {initial_delay: 0s, limit: {burst: 2, on_limit: escalate}}\n";
    place.sensor("p.Bad", "bad.sh", "#!/bin/sh\nexit 1\n", policy);
    place.healthy();
    let mut petrel = place.start();
    let ended = petrel.wait_end(Duration::from_secs(60));
    assert_eq!(ended.code(), Some(3));
    assert_eq!(petrel.count("sensor.escalated", "p.Bad"), 1);
}

#[test]
fn those_of_a_group_share_a_crash() {
    let place = Place::new();
    let waits = "#!/bin/sh\nexec sleep 1000000\n";
    let all = "restart: {group: one_for_all, initial_delay: 50ms}\n";
    for (reference, file) in [("p.A", "a.sh"), ("p.B", "b.sh"), ("p.C", "c.sh")] {
        place.sensor(reference, file, waits, all);
    }
    place.healthy();
    let petrel = place.start();
    let pids = ["p.A", "p.B", "p.C", "healthy.Pulse"].map(|one| pid_of(&petrel.ready(one)));
    process::signal(pids[1], Signal::KILL);
    for (reference, old) in [("p.A", pids[0]), ("p.B", pids[1]), ("p.C", pids[2])] {
        petrel.wait_for("a new one", |line| {
            line["kind"] == "sensor.ready" && line["subject"] == reference && line["pid"] != old
        });
    }
    assert_eq!(place.show("healthy.Pulse")["pid"], pids[3]);
}
