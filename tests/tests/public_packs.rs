//! Packs of StackStorm's own repository, unmodified, each with a rule and an action.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs::{self, OpenOptions};
use std::io::Write;

use petrel_tests::public::installed;
use petrel_tests::{PATIENCE, Place, wait_within};
use serde_json::Value;

/// A rule of the test in a pack of its own.
fn rule(place: &Place, trigger: &str, action: &str) {
    place.pack("mine");
    let text =
        format!("name: mine\npack: mine\ndescription: A test\nenabled: true\n{trigger}{action}");
    place.write("packs/mine/rules/mine.yaml", &text);
}

/// The first execution of an action, when it has ended.
fn ended(place: &Place, action: &str) -> Value {
    wait_within(PATIENCE * 2, action, || {
        let all = place.executions();
        let mine = |one: &&Value| one["action"]["ref"] == action && !one["end_timestamp"].is_null();
        all.iter().find(mine).cloned()
    })
}

#[test]
fn file_watch_sensor_of_linux() {
    let Some(place) = installed(&["linux"]) else {
        return;
    };
    let watched = place.write("watched.log", "before\n");
    let trigger = format!(
        "trigger:\n  type: linux.file_watch.line\n  parameters:\n    file_path: {}\n",
        watched.display()
    );
    let action = "action:\n  ref: core.local\n  parameters:\n    cmd: echo {{ trigger.line | shell_quote }}\n";
    rule(&place, &trigger, action);
    let mut petrel = place.start();
    petrel.ready("linux.FileWatchSensor");
    let mut file = OpenOptions::new().append(true).open(&watched).unwrap();
    // The sensor looks for the end of the file in a thread of its own, and never says when.
    let mut looks = 0;
    let execution = wait_within(PATIENCE, "an execution", || {
        if looks % 50 == 0 {
            writeln!(file, "hello").unwrap();
        }
        looks += 1;
        let all = place.executions();
        all.iter().find(|one| one["status"] == "succeeded").cloned()
    });
    assert_eq!(execution["result"]["stdout"], "hello", "{execution}");
    assert!(petrel.stop().success());
}

#[test]
fn fibonacci_sensor_of_examples() {
    let Some(place) = installed(&["examples"]) else {
        return;
    };
    let action = "action:\n  ref: core.local\n  parameters:\n    \
                  cmd: echo {{ trigger.count }} {{ trigger.fibonacci }}\n";
    rule(&place, "trigger: {type: examples.fibonacci}\n", action);
    let mut petrel = place.start();
    petrel.ready("examples.FibonacciSensor");
    let execution = ended(&place, "core.local");
    assert_eq!(execution["status"], "succeeded", "{execution}");
    assert_eq!(execution["result"]["stdout"], "2 1", "{execution}");
    assert!(petrel.stop().success());
}

#[test]
fn all_parts_of_hello_st2() {
    let Some(place) = installed(&["hello_st2"]) else {
        return;
    };
    assert!(fs::exists(place.path("packs/hello_st2/rules/rule1.yaml")).unwrap());
    let mut petrel = place.start();
    petrel.ready("hello_st2.HelloSensor");
    let event = wait_within(PATIENCE, "an event", || place.events().into_iter().last());
    assert_eq!(event["trigger"], "hello_st2.event1");
    assert_eq!(event["payload"]["greeting"], "Yo, StackStorm!");
    assert_eq!(event["payload"]["count"], 1);
    let execution = ended(&place, "hello_st2.greet");
    assert_eq!(execution["status"], "succeeded", "{execution}");
    assert!(petrel.stop().success());
}
