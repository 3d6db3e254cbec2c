//! `petrel run`: where it finds things, how it stops, what sensors of each rung and actions of each
//! runner get from it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::process::Command;
use std::time::{Duration, Instant};

use petrel_tests::{
    MARGIN, PATIENCE, Petrel, Place, process, repository, skipped, wait_until, wait_within,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A Python sensor of rung 2 whose `run` is given.
fn python(run: &str) -> String {
    let body: String = run
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    format!(
        "import os\nimport time\n\nfrom st2reactor.sensor.base import Sensor\n\n\n\
        class Talks(Sensor):\n    def setup(self):\n        self.service = self.sensor_service\n\n\
        \x20   def run(self):\n{body}\n\
        \x20   def cleanup(self):\n        open('cleaned', 'a').write('cleaned\\n')\n\n\
        \x20   def add_trigger(self, trigger):\n        pass\n\n\
        \x20   def update_trigger(self, trigger):\n        pass\n\n\
        \x20   def remove_trigger(self, trigger):\n        pass\n"
    )
}

fn payload(event: &Value) -> Value {
    serde_json::from_str(event["message"].as_str().unwrap()).unwrap()
}

/// The payload of the first event of `pack.seen` after `mark`.
fn seen(petrel: &Petrel, mark: usize, trigger: &str) -> Value {
    let event = petrel.wait_after(mark, trigger, |line| {
        line["kind"] == "event" && line["subject"] == trigger
    });
    payload(&event)
}

#[test]
fn flags_and_variables_name_the_same_places() {
    let place = Place::new();
    place.sensor("p.Waits", "waits.sh", "#!/bin/sh\nexec sleep 1000\n", "");
    let by_variables = place.start();
    by_variables.ready("p.Waits");
    drop(by_variables);
    let packs = place.path("packs");
    let mut flags = Command::new(repository::binary("petrel"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PETREL_") {
            flags.env_remove(name);
        }
    }
    let data = place.path("elsewhere");
    let output = flags
        .args(["check", "--packs"])
        .arg(&packs)
        .args(["--configs", "/nowhere", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("1 packs: 0 errors"));
}

#[test]
fn a_second_run_on_the_same_data_is_refused_with_the_first_ones_pid() {
    let place = Place::new();
    let petrel = place.start();
    petrel.wait_for("the start", |line| line["kind"] == "petrel.start");
    let second = place.petrel(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(told.contains(&format!("pid {}", petrel.pid())), "{told}");
}

#[test]
fn a_client_without_a_supervisor_says_how_to_start_one() {
    let place = Place::new();
    let output = place.petrel(&["sensor", "list"]);
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("petrel run"), "{told}");
}

#[test]
fn an_ordered_stop_cleans_up_and_every_line_is_json() {
    let place = Place::new();
    place.sensor(
        "p.Talks",
        "talks.py",
        &python("while True:\n    time.sleep(1000)"),
        "",
    );
    for signal in [Signal::INT, Signal::TERM] {
        let mut petrel = place.start();
        petrel.ready("p.Talks");
        petrel.signal(signal);
        assert!(petrel.wait_end(PATIENCE).success());
        assert!(
            petrel.lines().iter().all(Value::is_object),
            "{:?}",
            petrel.lines()
        );
    }
    let cleaned = wait_until("cleanup", || {
        let text = place.read("cleaned") + &place.read("packs/p/cleaned");
        (!text.is_empty()).then_some(text)
    });
    assert_eq!(cleaned.lines().count(), 2);
}

#[test]
fn a_second_signal_stops_at_once_what_does_not_want_to() {
    let place = Place::new();
    let program = "#!/bin/sh\ntrap '' TERM\necho '{\"n\": 1}'\nwhile :; do sleep 0.1; done\n";
    place.sensor("p.Stubborn", "stubborn.sh", program, "");
    let mut petrel = place.start();
    petrel.wait_kind("event", "p.seen");
    petrel.signal(Signal::TERM);
    petrel.wait_for("the first", |line| line["kind"] == "petrel.stop");
    let asked = Instant::now();
    petrel.signal(Signal::TERM);
    assert!(petrel.wait_end(PATIENCE).success());
    // Its grace is ten seconds.
    assert!(
        asked.elapsed() < Duration::from_secs(9),
        "{:?}",
        asked.elapsed()
    );
}

#[test]
fn each_rung_delivers() {
    let place = Place::new();
    let zero = "#!/bin/sh\necho 'just text'\necho '{\"n\": 0}'\necho '[{\"n\": 1}, {\"n\": 2}]'\nexec sleep 1000\n";
    place.sensor("zero.S", "s.sh", zero, "");
    let one = "#!/bin/sh\necho '{\"jsonrpc\":\"2.0\",\"method\":\"dispatch\",\"params\":{\"trigger\":\"one.seen\",\"payload\":{\"n\":3}}}'\nexec sleep 1000\n";
    place.sensor("one.S", "s.sh", one, "");
    let two = python("self.service.dispatch('two.seen', {'n': 4})\ntime.sleep(1000)");
    place.sensor("two.Talks", "talks.py", &two, "");
    let petrel = place.start();
    wait_until("three events", || {
        (petrel.count("event", "zero.seen") == 3).then_some(())
    });
    assert_eq!(seen(&petrel, 0, "one.seen"), json!({"n": 3}));
    assert_eq!(seen(&petrel, 0, "two.seen"), json!({"n": 4}));
}

#[test]
fn the_examples_run() {
    let place = Place::new();
    place.copy_pack("core");
    place.copy_pack("examples");
    let has_node = Command::new("node").arg("--version").output().is_ok();
    let yaml = "packs/examples/sensors/node_clock.yaml";
    if has_node {
        let text = place.read(yaml);
        place.write(yaml, &text.replace("enabled: false", "enabled: true"));
    } else {
        skipped("the Node example", "there is no node");
    }
    let mut petrel = place.start();
    let mut triggers = vec!["examples.load_average", "examples.disk_usage"];
    if has_node {
        triggers.push("examples.node_tick");
    }
    for trigger in triggers {
        let event = petrel.wait_for(trigger, |line| {
            line["kind"] == "event" && line["subject"].as_str().unwrap_or("").starts_with(trigger)
        });
        assert!(payload(&event).is_object());
    }
    assert!(petrel.stop().success());
}

#[test]
fn a_cursor_and_the_datastore_outlive_the_supervisor() {
    let place = Place::new();
    let run = "n = (self.service.state or {}).get('n', 0) + 1\n\
        self.service.set_value('k', 'v%d' % n)\n\
        kept = self.service.get_value('k')\n\
        self.service.dispatch('p.seen', {'n': n, 'kept': kept}, state={'n': n}, wait=True)\n\
        time.sleep(1000)";
    place.sensor("p.Talks", "talks.py", &python(run), "");
    for n in 1..=2 {
        let mut petrel = place.start();
        let payload = seen(&petrel, 0, "p.seen");
        assert_eq!(payload, json!({"n": n, "kept": format!("v{n}")}));
        match n {
            1 => petrel.kill(),
            _ => assert!(petrel.stop().success()),
        }
    }
}

#[test]
fn an_event_with_a_known_key_is_answered_and_not_judged_again() {
    let place = Place::new();
    place.copy_pack("core");
    let run = "for n in range(3):\n    self.service.dispatch('p.seen', {'n': n}, id='same', wait=True)\n\
        self.service.dispatch('p.seen', {'n': 9}, wait=True)\ntime.sleep(1000)";
    place.sensor("p.Talks", "talks.py", &python(run), "");
    place.rule("p.r", "core.noop", "{}");
    let petrel = place.start();
    petrel.wait_for("the last event", |line| {
        line["kind"] == "event" && payload_is(line, &json!({"n": 9}))
    });
    wait_until("two executions", || {
        (petrel.count("execution.ended", "core.noop") == 2).then_some(())
    });
    assert_eq!(place.events().len(), 2);
    assert_eq!(place.executions().len(), 2);
}

fn payload_is(line: &Value, expected: &Value) -> bool {
    line["message"]
        .as_str()
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .as_ref()
        == Some(expected)
}

/// Runs `action` once for each line that a sensor prints, and returns the executions, oldest first.
fn executions_of(place: &Place, count: usize) -> Vec<Value> {
    let petrel = place.start();
    petrel.wait_for("the start", |line| line["kind"] == "petrel.start");
    let mut all = wait_within(PATIENCE, "settled executions", || {
        let all = place.executions();
        let open = |one: &Value| one["end_timestamp"].is_null();
        (all.len() == count && !all.iter().any(open)).then_some(all)
    });
    all.reverse();
    all
}

fn once(place: &Place, action: &str, parameters: &str) -> Value {
    place.copy_pack("core");
    let program = "#!/bin/sh\necho '{\"n\": 1}'\nexec sleep 1000\n";
    place.sensor("p.Once", "once.sh", program, "");
    place.rule("p.r", action, parameters);
    executions_of(place, 1).remove(0)
}

#[test]
fn a_shell_command_has_stackstorms_result() {
    let place = Place::new();
    let one = once(&place, "core.local", "{cmd: 'echo 5; echo oh >&2; exit 3'}");
    assert_eq!(one["status"], "failed");
    let expected = json!({
        "succeeded": false, "failed": true, "return_code": 3, "stdout": 5, "stderr": "oh",
    });
    assert_eq!(one["result"], expected);
}

#[test]
fn noop_succeeds() {
    let one = once(&Place::new(), "core.noop", "{}");
    assert_eq!(one["status"], "succeeded");
}

#[test]
fn an_action_that_takes_too_long_is_stopped() {
    let place = Place::new();
    let started = Instant::now();
    let one = once(&place, "core.local", "{cmd: 'sleep 600', timeout: 1}");
    assert_eq!(one["status"], "timeout");
    let error = one["result"]["error"].as_str().unwrap();
    assert!(error.contains("1 seconds"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10) + MARGIN);
}

#[test]
fn python_actions_fail_in_three_ways_and_say_how() {
    let place = Place::new();
    place.copy_pack("core");
    let program = "#!/bin/sh\nfor how in told raised gone; do echo \"{\\\"how\\\": \\\"$how\\\"}\"; done\nexec sleep 1000\n";
    place.sensor("p.Three", "three.sh", program, "");
    place.rule("p.r", "p.act", "{how: '{{ trigger.how }}'}");
    place.write(
        "packs/p/actions/act.yaml",
        "name: act\nrunner_type: python-script\nentry_point: act.py\nparameters:\n  how: {type: string}\n",
    );
    place.write(
        "packs/p/actions/act.py",
        "import os\nfrom st2common.runners.base_action import Action\n\n\n\
        class Act(Action):\n    def run(self, how):\n        print('how: ' + how)\n\
        \x20       if how == 'told':\n            return (False, {'why': 'asked to'})\n\
        \x20       if how == 'raised':\n            raise ValueError('no luck')\n\
        \x20       os._exit(7)\n",
    );
    let all = executions_of(&place, 3);
    for one in &all {
        assert_eq!(one["status"], "failed", "{one}");
    }
    let of = |how: &str| {
        let found = all.iter().find(|one| one["parameters"]["how"] == how);
        found.unwrap()["result"].clone()
    };
    assert_eq!(of("told")["result"], json!({"why": "asked to"}));
    assert_eq!(of("told")["stdout"], "how: told\n");
    assert!(
        of("raised")["stderr"]
            .as_str()
            .unwrap()
            .contains("ValueError: no luck")
    );
    assert_eq!(
        (&of("raised")["exit_code"], &of("raised")["result"]),
        (&json!(1), &json!("None"))
    );
    assert_eq!(of("gone")["exit_code"], 7);
}

#[test]
fn no_more_actions_run_at_a_time_than_are_allowed() {
    let place = Place::new();
    place.copy_pack("core");
    place.write("petrel.yaml", "actions: {parallel: 3}\n");
    let program = "#!/bin/sh\nseq 1 20 | sed 's/.*/{\"n\": &}/'\nexec sleep 1000\n";
    place.sensor("p.Many", "many.sh", program, "");
    let running = place.path("running");
    std::fs::create_dir(&running).unwrap();
    let most = place.path("most");
    let command = format!(
        "{{cmd: 'touch {0}/{{{{trigger.n}}}}; ls {0} | wc -l >> {1}; sleep 0.1; rm {0}/{{{{trigger.n}}}}'}}",
        running.display(),
        most.display()
    );
    place.rule("p.r", "core.local", &command);
    let all = executions_of(&place, 20);
    assert!(all.iter().all(|one| one["status"] == "succeeded"));
    let counts: Vec<u32> = place
        .read("most")
        .lines()
        .map(|n| n.trim().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), 20);
    assert_eq!(counts.iter().max(), Some(&3), "{counts:?}");
}

#[test]
fn a_sensor_ends_with_all_that_it_started() {
    let place = Place::new();
    let program = "#!/bin/sh\nsleep 100000 &\necho \"{\\\"child\\\": $!}\"\nwait\n";
    place.sensor(
        "p.Parent",
        "parent.sh",
        program,
        "restart: {policy: never}\n",
    );
    let petrel = place.start();
    let child = seen(&petrel, 0, "p.seen")["child"].as_u64().unwrap();
    let pid = petrel.ready("p.Parent")["pid"].as_u64().unwrap();
    process::signal(u32::try_from(pid).unwrap(), Signal::KILL);
    petrel.wait_kind("sensor.ended", "p.Parent");
    let state = process::status(u32::try_from(child).unwrap(), "State");
    assert!(
        state.is_none_or(|state| state.starts_with('Z')),
        "it lives on"
    );
}
