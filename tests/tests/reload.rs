//! Files that change while all runs: what they change is applied, and nothing else is touched.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Petrel, Place, times, wait_until};
use serde_json::Value;

const WAITS: &str = "#!/bin/sh\nexec sleep 1000000\n";

/// A Python sensor that says a word, once.
fn says(word: &str) -> String {
    format!(
        "import time\nfrom st2reactor.sensor.base import Sensor\n\n\
         class S(Sensor):\n    def setup(self): pass\n    def run(self):\n        \
         self.sensor_service.dispatch('p.seen', {{'word': '{word}'}})\n        time.sleep(86400)\n    \
         def cleanup(self): pass\n    def add_trigger(self, trigger): pass\n    \
         def update_trigger(self, trigger): pass\n    def remove_trigger(self, trigger): pass\n"
    )
}

fn pids(place: &Place, references: &[String]) -> Vec<Value> {
    let shown = references.iter().map(|one| place.show(one)["pid"].clone());
    shown.collect()
}

fn heard(petrel: &Petrel, word: &str) {
    petrel.wait_for("its word", |line| {
        let text = line["message"].as_str().unwrap_or_default();
        line["kind"] == "event" && text.contains(&format!("\"{word}\""))
    });
}

/// One of many changes: one restart.
#[test]
fn a_saved_sensor_is_replaced_and_no_other_is_touched() {
    let place = Place::new();
    place.sensor("p.S", "s.py", &says("one"), "");
    let count = times(20, 999);
    let others: Vec<String> = (0..count).map(|n| format!("q.A{n}")).collect();
    for (n, reference) in others.iter().enumerate() {
        place.sensor(reference, &format!("a{n}.sh"), WAITS, "");
    }
    let petrel = place.start();
    heard(&petrel, "one");
    for reference in &others {
        petrel.ready(reference);
    }
    let before = pids(&place, &others);
    place.sensor("p.S", "s.py", &says("two"), "");
    heard(&petrel, "two");
    assert_eq!(pids(&place, &others), before);
    assert_eq!(place.show("p.S")["restarts"], 1);
    let all = place.json(&["sensor", "list"]);
    let restarts = all.as_array().unwrap().iter();
    let restarts: u64 = restarts.map(|one| one["restarts"].as_u64().unwrap()).sum();
    assert_eq!(restarts, 1);
}

#[test]
fn a_broken_sensor_leaves_the_old_one_running_and_says_why() {
    let place = Place::new();
    place.sensor("p.S", "s.py", &says("one"), "");
    let petrel = place.start();
    heard(&petrel, "one");
    let before = place.show("p.S")["pid"].clone();
    for (broken, says_why) in [
        ("class S(\n", "was never closed"),
        ("import no_such_module_at_all\n", "no_such_module_at_all"),
        ("class Other: pass\n", "missing a class with name"),
    ] {
        let mark = petrel.mark();
        place.write("packs/p/sensors/s.py", broken);
        let told = petrel.wait_after(mark, "why", |line| line["kind"] == "sensor.refused");
        let text = told["message"].as_str().unwrap();
        assert!(text.contains(says_why), "{text}");
        let shown = place.show("p.S");
        assert_eq!((&shown["pid"], &shown["state"]), (&before, &"ready".into()));
    }
    place.write("packs/p/sensors/s.py", &says("healed"));
    heard(&petrel, "healed");
}

#[test]
fn what_is_removed_goes_and_what_is_new_comes() {
    let place = Place::new();
    place.sensor("p.A", "a.sh", WAITS, "");
    place.sensor("p.B", "b.sh", WAITS, "");
    let petrel = place.start();
    petrel.ready("p.A");
    petrel.ready("p.B");
    std::fs::remove_file(place.path("packs/p/sensors/a.yaml")).unwrap();
    petrel.wait_kind("sensor.removed", "p.A");
    wait_until("its process is gone", || {
        (petrel.count("sensor.ended", "p.A") == 1).then_some(())
    });
    assert!(!place.petrel(&["sensor", "show", "p.A"]).status.success());
    place.sensor("new.C", "c.sh", WAITS, "");
    petrel.ready("new.C");
    assert_eq!(petrel.count("sensor.ended", "p.B"), 0);
}

#[test]
fn a_rule_is_swapped_without_a_sensor_noticing() {
    let place = Place::new();
    place.copy_pack("core");
    place.healthy();
    let petrel = place.start();
    petrel.ready("healthy.Pulse");
    let pid = place.show("healthy.Pulse")["pid"].clone();
    place.rule("healthy.note", "core.noop", "{}");
    petrel.wait_kind("rule.matched", "healthy.note");
    let rule = place.path("packs/healthy/rules/note.yaml");
    std::fs::remove_file(rule).unwrap();
    wait_until("it is gone", || {
        let rules = place.json(&["rule", "list"]);
        rules.as_array().unwrap().is_empty().then_some(())
    });
    assert_eq!(place.show("healthy.Pulse")["pid"], pid);
}

#[test]
fn a_faulty_pack_stays_as_it_was_and_the_others_go_on() {
    let place = Place::new();
    place.write("petrel.yaml", "supervisor: {watch: false}\n");
    place.copy_pack("core");
    place.healthy();
    place.sensor("p.A", "a.sh", WAITS, "");
    place.rule("p.r", "core.noop", "{}");
    let petrel = place.start();
    petrel.ready("p.A");
    let pid = place.show("p.A")["pid"].clone();
    place.write("packs/p/rules/r.yaml", "name: r\n  trigger: {\n");
    std::fs::remove_file(place.path("packs/p/sensors/a.yaml")).unwrap();
    place.rule("healthy.note", "core.noop", "{}");
    let output = place.petrel(&["reload"]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("p stays as it was"), "{told}");
    assert!(told.contains("rules/r.yaml:2"), "{told}");
    petrel.wait_kind("rule.matched", "healthy.note");
    // What was refused once is refused again.
    assert!(!place.petrel(&["reload"]).status.success());
    assert_eq!(place.show("p.A")["pid"], pid);
    let rules = place.json(&["rule", "list", "--pack=p"]);
    assert_eq!(rules[0]["ref"], "p.r");
}

#[test]
fn a_policy_holds_at_once_and_a_wrong_one_changes_nothing() {
    let place = Place::new();
    place.write(
        "petrel.yaml",
        "sensors: {'p.*': {restart: {initial_delay: 1s}}}\n",
    );
    place.sensor("p.A", "a.sh", WAITS, "");
    let petrel = place.start();
    let pid = petrel.ready("p.A")["pid"].clone();
    let delay = || place.show("p.A")["policy"]["restart"]["initial_delay"].clone();
    assert_eq!(delay(), "1s");
    place.write(
        "petrel.yaml",
        "sensors: {'p.*': {restart: {initial_delay: 7s}}}\n",
    );
    wait_until("the new one holds", || (delay() == "7s").then_some(()));
    let mark = petrel.mark();
    place.write(
        "petrel.yaml",
        "sensors: {'p.*': {restart: {initial_dely: 9s}}}\n",
    );
    let fault = petrel.wait_after(mark, "why not", |line| line["kind"] == "pack.fault");
    let text = fault["message"].as_str().unwrap();
    assert!(text.contains("initial_delay"), "{text}");
    assert_eq!(delay(), "7s");
    assert_eq!(place.show("p.A")["pid"], pid);
}

#[test]
fn an_overlap_has_no_gap() {
    let place = Place::new();
    place.sensor("p.S", "s.py", &says("one"), "reload: overlap\n");
    let petrel = place.start();
    heard(&petrel, "one");
    place.write("packs/p/sensors/s.py", &says("two"));
    heard(&petrel, "two");
    wait_until("the old one ends", || {
        (petrel.count("sensor.ended", "p.S") == 1).then_some(())
    });
    let order: Vec<_> = petrel
        .lines()
        .into_iter()
        .filter(|line| line["subject"] == "p.S")
        .filter(|line| line["kind"] == "sensor.ready" || line["kind"] == "sensor.ended")
        .map(|line| line["kind"].clone())
        .collect();
    assert_eq!(order, ["sensor.ready", "sensor.ready", "sensor.ended"]);
    assert_eq!(place.show("p.S")["state"], "ready");
}

#[test]
fn several_of_one_sensor_have_a_configuration_each() {
    let place = Place::new();
    let program = says("x").replace("{'word': 'x'}", "{'word': self.config['word']}");
    place.sensor("p.S", "s.py", &program, "");
    place.write(
        "packs/p/config.schema.yaml",
        "word: {type: string, required: true}\n",
    );
    place.write("configs/p.yaml", "word: all\n");
    let several = "instances:\n  p.S:\n    - {name: a, config: {word: first}}\n    - {name: b}\n";
    place.write("petrel.yaml", several);
    let petrel = place.start();
    heard(&petrel, "first");
    heard(&petrel, "all");
    let first = place.show("p.S@a")["pid"].clone();
    // One more, and another configuration of one: the other is not touched.
    let more = "instances:\n  p.S:\n    - {name: a, config: {word: first}}\n    \
                - {name: b, config: {word: second}}\n    - {name: c, config: {word: third}}\n";
    place.write("petrel.yaml", more);
    heard(&petrel, "second");
    heard(&petrel, "third");
    assert_eq!(place.show("p.S@a")["pid"], first);
}

/// Whoever asked first is answered, though what was tried for it is not wanted any more.
#[test]
fn a_reload_that_another_one_overtakes_is_answered() {
    let place = Place::new();
    place.write("petrel.yaml", "supervisor: {watch: false}\n");
    place.sensor("p.S", "s.py", &says("one"), "");
    let petrel = place.start();
    heard(&petrel, "one");
    let pid = place.show("p.S")["pid"].clone();
    let slow = format!("import time\ntime.sleep(5)\n{}", says("two"));
    place.write("packs/p/sensors/s.py", &slow);
    let mut first = place.command(&["reload"]).spawn().unwrap();
    petrel.wait_for("the first reload", |line| line["kind"] == "reload");
    place.write("packs/p/sensors/s.py", &says("one"));
    assert!(place.petrel(&["reload"]).status.success());
    let ended = wait_until("the first one is answered", || first.try_wait().unwrap());
    assert!(ended.success());
    assert_eq!(place.show("p.S")["pid"], pid);
}
