//! Faulty packs, each beside a healthy one: one clear message that names the file, and nothing else
//! stops.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Petrel, Place, process, stdout};
use serde_json::Value;

/// Most memory that the supervisor may ever use, KiB.
const MEMORY_KIB: u64 = 64 << 10;

const PYTHON: &str = "\
from st2reactor.sensor.base import Sensor


class Good(Sensor):
    def setup(self):
        pass

    def run(self):
        pass

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        pass

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        pass
";

fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.healthy();
    place
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

/// The healthy sensor delivers after the fault as it did before.
fn still_delivers(petrel: &Petrel) {
    let mark = petrel.mark();
    petrel.wait_after(mark, "an event of the healthy pack", |line| {
        line["kind"] == "event" && line["subject"] == "healthy.seen"
    });
}

/// Starts it; the stream says all of `words` in one message, and `petrel check` too, and fails.
fn told_at_the_start(place: &Place, words: &[&str]) {
    let checked = place.petrel(&["check"]);
    let text = stdout(&checked);
    assert_eq!(checked.status.code(), Some(1), "{text}");
    for word in words {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    let petrel = place.start();
    petrel.wait_for(&format!("{words:?}"), |line| {
        line["kind"] == "pack.fault" && words.iter().all(|word| message(line).contains(word))
    });
    still_delivers(&petrel);
}

/// Starts it; some notice about `subject` says all of `words`.
fn told_while_it_runs(place: &Place, subject: &str, words: &[&str]) -> Petrel {
    let petrel = place.start();
    petrel.wait_for(&format!("{subject}: {words:?}"), |line| {
        line["subject"] == subject && words.iter().all(|word| message(line).contains(word))
    });
    still_delivers(&petrel);
    petrel
}

#[test]
fn broken_yaml() {
    let place = place();
    place.pack("bad");
    place.write(
        "packs/bad/rules/broken.yaml",
        "name: broken\ntrigger: {type: healthy.seen\naction:\n  ref: core.noop\n",
    );
    told_at_the_start(&place, &["packs/bad/rules/broken.yaml:"]);
}

#[test]
fn an_unknown_key_is_a_warning_that_knows_better() {
    let place = place();
    place.sensor(
        "bad.Typo",
        "typo.sh",
        "#!/bin/sh\nsleep 1000\n",
        "pol_interval: 5\n",
    );
    let checked = place.petrel(&["check"]);
    let text = stdout(&checked);
    assert_eq!(checked.status.code(), Some(0), "{text}");
    for word in [
        "packs/bad/sensors/typo.yaml:",
        "pol_interval",
        "poll_interval",
    ] {
        assert!(text.contains(word), "{text}");
    }
    let petrel = place.start();
    petrel.ready("bad.Typo");
}

#[test]
fn a_missing_entry_point() {
    let place = place();
    place.sensor("bad.Gone", "gone.sh", "#!/bin/sh\n", "");
    std::fs::remove_file(place.path("packs/bad/sensors/gone.sh")).unwrap();
    told_at_the_start(&place, &["packs/bad/sensors/gone.yaml:", "gone.sh"]);
}

#[test]
fn a_class_that_is_not_in_the_file() {
    let place = place();
    place.sensor("bad.Goood", "good.py", PYTHON, "");
    let text = stdout(&place.petrel(&["check"]));
    assert!(text.contains("good.py") && text.contains("Goood"), "{text}");
    let petrel = told_while_it_runs(&place, "bad.Goood", &["good.py", "Goood", "parked"]);
    drop(petrel);
}

#[test]
fn the_articles_printed_listing_is_shown_with_a_caret() {
    let place = place();
    let wrong = PYTHON.replace(
        "def run(self):\n        pass",
        "def run(self):\n        self._sensor_service.dispatch(trigger=\"mypack.changed_file\", payload)",
    );
    place.sensor("bad.Good", "good.py", &wrong, "");
    let checked = place.petrel(&["check"]);
    let text = stdout(&checked);
    assert_eq!(checked.status.code(), Some(1), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains("dispatch(trigger=\"mypack.changed_file\", payload)"));
    let at = at.unwrap_or_else(|| panic!("the line is not shown: {text}"));
    let column = lines[at].find("payload").unwrap();
    assert_eq!(lines[at + 1].find('^'), Some(column), "{text}");
    assert!(text.contains("good.py:9:"), "{text}");
    told_while_it_runs(&place, "bad.Good", &["good.py", "line 9", "parked"]);
}

#[test]
fn an_import_that_fails_names_the_module() {
    let place = place();
    let wrong = format!("import no_such_module_anywhere\n{PYTHON}");
    place.sensor("bad.Good", "good.py", &wrong, "");
    told_while_it_runs(
        &place,
        "bad.Good",
        &["no_such_module_anywhere", "good.py", "next start in"],
    );
}

#[test]
fn garbage_is_log_lines() {
    let place = place();
    let program =
        "#!/bin/sh\nhead -c 200000 /dev/urandom\necho\necho '{\"n\": 1}'\nexec sleep 1000\n";
    place.sensor("bad.Garbage", "garbage.sh", program, "");
    let petrel = told_while_it_runs(&place, "bad.Garbage", &["garbage.sh", "standard output"]);
    petrel.wait_for("the event after the garbage", |line| {
        line["kind"] == "event" && line["subject"] == "bad.seen"
    });
    still_delivers(&petrel);
    assert!(place.show("bad.Garbage")["stdout_noise"].as_u64().unwrap() > 0);
}

#[test]
fn a_line_of_a_gigabyte_is_skipped_in_bounded_memory() {
    let place = place();
    let program = "#!/bin/sh\nprintf '{\"x\": \"'\nhead -c 1073741824 /dev/zero | tr '\\0' x\n\
        echo '\"}'\necho '{\"n\": 2}'\nexec sleep 1000\n";
    place.sensor("bad.Long", "long.sh", program, "");
    let petrel = told_while_it_runs(&place, "bad.Long", &["1073741", "skipped"]);
    petrel.wait_for("the event after the line", |line| {
        line["kind"] == "event" && line["subject"] == "bad.seen"
    });
    let peak = process::peak_memory_kib(petrel.pid()).unwrap();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    assert_eq!(place.show("bad.Long")["rejected"], 1);
}

#[test]
fn invalid_utf8_costs_its_line_only() {
    let place = place();
    let program =
        "#!/bin/sh\nprintf '{\"n\": \"\\377\\376\"}\\n'\necho '{\"n\": 3}'\nexec sleep 1000\n";
    place.sensor("bad.Bytes", "bytes.sh", program, "");
    let petrel = told_while_it_runs(&place, "bad.Bytes", &["bytes.sh", "UTF-8"]);
    petrel.wait_for("the event after the line", |line| {
        line["kind"] == "event" && line["subject"] == "bad.seen"
    });
}

#[test]
fn an_event_that_its_schema_rejects_is_kept_and_told() {
    let place = place();
    let program = "#!/bin/sh\necho '{\"n\": {\"deep\": true}}'\nexec sleep 1000\n";
    place.sensor("bad.Schema", "schema.sh", program, "");
    let yaml = place.read("packs/bad/sensors/schema.yaml").replace(
        "    description: A test\n",
        "    payload_schema: {type: object, properties: {n: {type: integer}}}\n",
    );
    place.write("packs/bad/sensors/schema.yaml", &yaml);
    let petrel = told_while_it_runs(&place, "bad.seen", &["bad.Schema", "refused", "n"]);
    assert_eq!(petrel.count("event", "bad.seen"), 0);
    assert_eq!(place.show("bad.Schema")["rejected"], 1);
}

/// A rule of the healthy pack's trigger, but for what a test replaces.
fn rule(place: &Place, from: &str, to: &str) {
    place.pack("bad");
    let yaml = "name: wrong\nenabled: true\ntrigger: {type: healthy.seen}\n\
        criteria:\n  trigger.n:\n    type: greaterthan\n    pattern: 0\n\
        action:\n  ref: core.noop\n";
    let wrong = yaml.replace(from, to);
    assert_ne!(wrong, yaml);
    place.write("packs/bad/rules/wrong.yaml", &wrong);
}

#[test]
fn an_unknown_operator() {
    let place = place();
    rule(&place, "greaterthan", "greater_than");
    told_at_the_start(
        &place,
        &[
            "packs/bad/rules/wrong.yaml:6:",
            "greater_than",
            "greaterthan",
        ],
    );
}

#[test]
fn an_unknown_trigger() {
    let place = place();
    rule(&place, "healthy.seen", "healthy.sen");
    told_at_the_start(
        &place,
        &[
            "packs/bad/rules/wrong.yaml:3:",
            "healthy.sen",
            "healthy.seen",
        ],
    );
}

#[test]
fn an_unknown_action() {
    let place = place();
    rule(&place, "core.noop", "core.nop");
    told_at_the_start(
        &place,
        &["packs/bad/rules/wrong.yaml:9:", "core.nop", "core.noop"],
    );
}
