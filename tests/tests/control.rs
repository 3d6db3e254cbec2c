//! Sensors by hand: what people order comes about at once, and what they switch stays switched.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Place, stdout, wait_until};
use serde_json::Value;

const WAITS: &str = "#!/bin/sh\nexec sleep 1000000\n";

/// Runs it, and the state of the first sensor that it names afterwards.
fn order(place: &Place, args: &[&str]) -> Value {
    let mut all = vec!["sensor"];
    all.extend(args);
    place.json(&all)[0]["state"].clone()
}

fn refused(place: &Place, args: &[&str]) -> String {
    let output = place.petrel(args);
    assert!(!output.status.success(), "{args:?}");
    stdout(&output) + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn stop_start_and_restart_come_about_before_the_command_ends() {
    let place = Place::new();
    place.sensor("p.A", "a.sh", WAITS, "");
    let petrel = place.start();
    petrel.ready("p.A");
    let first = place.show("p.A")["pid"].clone();
    assert_eq!(order(&place, &["restart", "p.A"]), "ready");
    let second = place.show("p.A")["pid"].clone();
    assert_ne!(first, second);
    assert_eq!(order(&place, &["stop", "p.A"]), "down");
    assert!(place.show("p.A")["pid"].is_null());
    assert_eq!(order(&place, &["start", "p.A"]), "ready");
}

#[test]
fn a_start_or_stop_does_not_wait_for_a_backoff() {
    let place = Place::new();
    let slow = "restart: {initial_delay: 1h, max_delay: 1h}\n";
    let program = "#!/bin/sh\ntest -e go || exit 1\nexec sleep 1000000\n";
    place.sensor("p.A", "a.sh", program, slow);
    let petrel = place.start();
    petrel.wait_kind("sensor.ended", "p.A");
    assert_eq!(place.show("p.A")["state"], "backoff");
    assert_eq!(order(&place, &["stop", "p.A"]), "down");
    place.write("packs/p/go", "");
    assert_eq!(order(&place, &["start", "p.A"]), "ready");
}

#[test]
fn globs_name_many_and_a_wrong_name_is_told_the_right_one() {
    let place = Place::new();
    for (reference, file) in [("p.A", "a.sh"), ("p.B", "b.sh"), ("q.A", "a.sh")] {
        place.sensor(reference, file, WAITS, "");
    }
    let petrel = place.start();
    for reference in ["p.A", "p.B", "q.A"] {
        petrel.ready(reference);
    }
    place.json(&["sensor", "stop", "p.*"]);
    let states = ["p.A", "p.B", "q.A"].map(|one| place.show(one)["state"].clone());
    assert_eq!(states, ["down", "down", "ready"]);
    let told = refused(&place, &["sensor", "stop", "p.AA"]);
    assert!(told.contains("did you mean \"p.A\""), "{told}");
}

#[test]
fn what_is_switched_is_shown_everywhere_and_outlives_reload_and_restart() {
    let place = Place::new();
    place.sensor("p.A", "a.sh", WAITS, "");
    let mut petrel = place.start();
    petrel.ready("p.A");
    let args = ["disable", "p.A", "--reason", "it floods", "--until", "2h"];
    assert_eq!(order(&place, &args), "disabled");
    let is_so = || {
        let shown = place.show("p.A");
        assert_eq!(shown["enabled"], false, "{shown}");
        assert_eq!(shown["override"]["reason"], "it floods");
        assert!(shown["override"]["until"].is_string());
        let list = stdout(&place.petrel(&["sensor", "list"]));
        assert!(list.contains("it floods"), "{list}");
    };
    is_so();
    let told = refused(&place, &["sensor", "start", "p.A"]);
    assert!(told.contains("petrel sensor enable p.A"), "{told}");
    assert!(place.petrel(&["reload"]).status.success());
    is_so();
    petrel.stop();
    let petrel = place.start();
    petrel.up();
    is_so();
    assert_eq!(order(&place, &["enable", "p.A"]), "ready");
    assert!(place.show("p.A")["override"].is_null());
}

#[test]
fn what_is_switched_for_a_time_is_over_by_itself() {
    let place = Place::new();
    place.sensor("p.A", "a.sh", WAITS, "");
    let petrel = place.start();
    petrel.ready("p.A");
    let mark = petrel.mark();
    assert_eq!(
        order(&place, &["disable", "p.A", "--until", "500ms"]),
        "disabled"
    );
    petrel.wait_after(mark, "it is ready again", |line| {
        line["kind"] == "sensor.ready" && line["subject"] == "p.A"
    });
    assert!(place.show("p.A")["override"].is_null());
}

/// A poller that can rest is told to; what it does is seen in its events.
#[test]
fn pause_resume_and_poll_reach_a_sensor_that_takes_them() {
    let place = Place::new();
    let program = "from st2reactor.sensor.base import PollingSensor\n\n\
        class S(PollingSensor):\n    def setup(self): self.n = 0\n    \
        def poll(self):\n        self.n += 1\n        self.sensor_service.dispatch('p.seen', {'n': self.n})\n    \
        def cleanup(self): pass\n    def add_trigger(self, trigger): pass\n    \
        def update_trigger(self, trigger): pass\n    def remove_trigger(self, trigger): pass\n";
    place.sensor("p.S", "s.py", program, "poll_interval: 86400\n");
    let petrel = place.start();
    petrel.ready("p.S");
    let seen = |count: usize| {
        wait_until("so many events", || {
            (place.events().len() == count).then_some(())
        });
    };
    seen(1);
    assert_eq!(order(&place, &["poll", "p.S"]), "ready");
    seen(2);
    let pid = place.show("p.S")["pid"].clone();
    assert_eq!(order(&place, &["pause", "p.S"]), "paused");
    assert_eq!(place.show("p.S")["pid"], pid);
    assert_eq!(order(&place, &["resume", "p.S"]), "ready");
    seen(3);
    assert_eq!(place.show("p.S")["pid"], pid);
}

#[test]
fn who_cannot_rest_is_stopped_until_it_is_to_go_on() {
    let place = Place::new();
    place.sensor("p.A", "a.sh", WAITS, "");
    let petrel = place.start();
    petrel.ready("p.A");
    assert_eq!(order(&place, &["pause", "p.A"]), "paused");
    assert!(place.show("p.A")["pid"].is_null());
    assert_eq!(order(&place, &["resume", "p.A"]), "ready");
    let told = refused(&place, &["sensor", "poll", "p.A"]);
    assert!(told.contains("be told to poll"), "{told}");
}

/// Ten at once, then fifty a second: nothing is lost, the sensor waits in its own write.
#[test]
fn a_sensor_above_its_rate_waits_and_loses_nothing() {
    let place = Place::new();
    // Long lines: a piece that is read at once, and that the rate judges as one, holds few of them.
    let program = "#!/bin/sh\nn=0\nwhile [ $n -lt 60 ]; do n=$((n+1)); \
                   printf '{\"n\": %d, \"pad\": \"%032768d\"}\\n' $n 0; done\nexec sleep 1000000\n";
    let rate = "limits: {rate: {events_per_s: 50, burst: 10}}\n";
    place.sensor("p.Fast", "fast.sh", program, rate);
    let parks = "limits: {rate: {events_per_s: 1, burst: 10, on_excess: park}}\n";
    place.sensor("q.Faster", "faster.sh", program, parks);
    let begun = std::time::Instant::now();
    let petrel = place.start();
    petrel.wait_kind("sensor.ended", "q.Faster");
    assert_eq!(place.show("q.Faster")["state"], "parked");
    wait_until("all are there", || {
        (place.show("p.Fast")["events"] == 60).then_some(())
    });
    // Pieces that were under way when it became too fast are taken all the same.
    assert!(begun.elapsed().as_secs_f64() > 0.5, "{:?}", begun.elapsed());
}

/// What petrel raises for itself is not what its children get.
#[test]
fn open_files_are_as_they_were_for_children() {
    let place = Place::new();
    place.copy_pack("core");
    let program = "#!/bin/sh\necho \"{\\\"n\\\": $(ulimit -n)}\"\nexec sleep 1000000\n";
    place.sensor("p.Limit", "limit.sh", program, "");
    place.rule("p.note", "core.local", "{cmd: 'ulimit -n'}");
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let own = own.current.expect("a limit").to_string();
    let petrel = place.start();
    let event = petrel.wait_kind("event", "p.seen");
    assert!(event["message"].as_str().unwrap().contains(&own), "{event}");
    let done = wait_until("the action ends", || {
        let all = place.executions();
        all.into_iter().find(|one| one["status"] == "succeeded")
    });
    assert_eq!(done["result"]["stdout"].to_string(), own);
}

#[test]
fn who_is_stopped_or_paused_by_hand_stays_so_over_a_reload_and_an_upgrade() {
    let place = Place::new();
    for (reference, file) in [("p.A", "a.sh"), ("p.B", "b.sh"), ("p.C", "c.sh")] {
        place.sensor(reference, file, WAITS, "");
    }
    let petrel = place.start();
    for reference in ["p.A", "p.B", "p.C"] {
        petrel.ready(reference);
    }
    assert_eq!(order(&place, &["stop", "p.A"]), "down");
    assert_eq!(order(&place, &["pause", "p.B"]), "paused");
    let states = || ["p.A", "p.B", "p.C"].map(|one| place.show(one)["state"].clone());
    // Also where their own files change.
    let changed = format!("{WAITS}# another one\n");
    place.sensor("p.A", "a.sh", &changed, "");
    place.sensor("p.B", "b.sh", &changed, "");
    assert!(place.petrel(&["reload"]).status.success());
    assert_eq!(states(), ["down", "paused", "ready"]);
    assert!(place.petrel(&["upgrade"]).status.success());
    assert!(place.petrel(&["reload"]).status.success());
    assert_eq!(states(), ["down", "paused", "ready"]);
    assert_eq!(order(&place, &["start", "p.A"]), "ready");
    assert_eq!(order(&place, &["resume", "p.B"]), "ready");
}

#[test]
fn what_is_disabled_is_not_paused() {
    let place = Place::new();
    place.sensor("p.A", "a.sh", WAITS, "enabled: false\n");
    let petrel = place.start();
    petrel.up();
    assert!(refused(&place, &["sensor", "pause", "p.A"]).contains("it is disabled"));
    assert_eq!(place.show("p.A")["state"], "disabled");
}
