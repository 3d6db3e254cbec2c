//! Rules that keep an order, rules that share the slots, and what an execution writes while it runs.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Output, Stdio};

use petrel_tests::{Place, stdout, wait_until};
use serde_json::json;

/// Sixty events of three hosts, twenty each, at once.
const SENSOR: &str = "#!/bin/sh\nfor n in $(seq 20); do for host in a b c; do\n\
    echo \"{\\\"host\\\": \\\"$host\\\", \\\"n\\\": $n}\"; done; done\nexec sleep 1000\n";

/// Notes its beginning and its end; those with odd numbers take longer.
const NOTE: &str = "name: note\nrunner_type: local-shell-cmd\nparameters:\n  host: {type: string}\n  \
    n: {type: integer}\n  cmd:\n    immutable: true\n    default: >-\n      \
    echo begin {{host}} {{n}} >> $PETREL_DATA/../notes;\n      \
    sleep 0.0{{ 5 * (n|int % 2) }}; echo end {{host}} {{n}} >> $PETREL_DATA/../notes\n";

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn place(order: &str) -> Place {
    let place = Place::new();
    place.sensor("shop.Hosts", "hosts.sh", SENSOR, "");
    place.write("packs/shop/actions/note.yaml", NOTE);
    let rule = format!(
        "name: note\nenabled: true\ntrigger: {{type: shop.seen}}\n{order}\naction:\n  ref: shop.note\n  \
         parameters: {{host: '{{{{trigger.host}}}}', n: '{{{{trigger.n}}}}'}}\n"
    );
    place.write("packs/shop/rules/note.yaml", &rule);
    place.write("petrel.yaml", "actions: {parallel: 6}\n");
    place
}

/// What was noted: begin or end, host, number.
fn notes(place: &Place) -> Vec<(String, String, u32)> {
    let text = place.read("notes");
    let parts = text.lines().map(|line| {
        let parts: Vec<&str> = line.split(' ').collect();
        (parts[0].into(), parts[1].into(), parts[2].parse().unwrap())
    });
    parts.collect()
}

fn all_noted(place: &Place) -> Vec<(String, String, u32)> {
    wait_until("all are over", || {
        let all = notes(place);
        (all.len() == 120).then_some(all)
    })
}

/// Most that were between their beginning and their end.
fn most_at_a_time(notes: &[(String, String, u32)]) -> usize {
    let mut now = 0_usize;
    let steps = notes.iter().map(|(what, ..)| {
        now = if what == "begin" { now + 1 } else { now - 1 };
        now
    });
    steps.max().unwrap_or(0)
}

#[test]
fn in_strict_order_each_begins_when_the_one_before_it_is_over() {
    let place = place("order: strict");
    let petrel = place.start();
    petrel.up();
    let all = all_noted(&place);
    assert_eq!(most_at_a_time(&all), 1);
    let begun: Vec<(u32, &str)> = all
        .iter()
        .filter(|(what, ..)| what == "begin")
        .map(|(_, host, n)| (*n, host.as_str()))
        .collect();
    assert!(begun.is_sorted(), "{begun:?}");
}

#[test]
fn by_key_only_those_of_one_key_wait_for_each_other() {
    let place = place("order_by: '{{ trigger.host }}'");
    let petrel = place.start();
    petrel.up();
    let all = all_noted(&place);
    assert!(most_at_a_time(&all) > 1);
    for host in ["a", "b", "c"] {
        let of_it: Vec<_> = all
            .iter()
            .filter(|(_, one, _)| one == host)
            .cloned()
            .collect();
        assert_eq!(most_at_a_time(&of_it), 1, "{host}");
        let numbers: Vec<u32> = of_it.iter().map(|(_, _, n)| *n).collect();
        assert!(numbers.is_sorted(), "{host}: {numbers:?}");
    }
}

#[test]
fn the_order_outlives_the_supervisor() {
    let place = place("order_by: '{{ trigger.host }}'");
    let sensor = format!("{SENSOR}\n").replace("for n in", "[ -f \"$PETREL_DATA/../said\" ] && exec sleep 1000\n: > \"$PETREL_DATA/../said\"\nfor n in");
    place.write("packs/shop/sensors/hosts.sh", &sensor);
    let mut petrel = place.start();
    petrel.up();
    wait_until("some have begun", || {
        (notes(&place).len() > 20).then_some(())
    });
    petrel.kill();
    let petrel = place.start();
    petrel.up();
    wait_until("all are settled", || {
        let all = place.executions();
        let is_open = |status: &serde_json::Value| *status == "requested" || *status == "running";
        (all.len() == 60 && !all.iter().any(|one| is_open(&one["status"]))).then_some(())
    });
    let mut last: HashMap<String, u32> = HashMap::new();
    for (_, host, n) in notes(&place) {
        let before = last.insert(host.clone(), n).unwrap_or(0);
        assert!(before <= n, "{host}: {n} after {before}");
    }
    drop(petrel);
}

#[test]
fn an_order_that_cannot_be_is_told_with_its_place() {
    for (order, said) in [
        ("order: strikt", "order: strict"),
        ("order_by: '{{ trigger.host '", "order_by"),
        (
            "order_by: '{{ st2kv.system.x | decrypt_kv }}'",
            "must not decrypt",
        ),
        ("order: any\norder_by: '{{ trigger.host }}'", "remove one"),
    ] {
        let place = place(order);
        let output = place.petrel(&["check"]);
        let told = stdout(&output) + &stderr(&output);
        assert!(
            told.contains(said) && told.contains("rules/note.yaml:4"),
            "{order}: {told}"
        );
    }
}

#[test]
fn a_rule_that_asks_for_much_holds_up_no_other() {
    let place = Place::new();
    let flood = "#!/bin/sh\nfor n in $(seq 3000); do echo \"{\\\"n\\\": $n}\"; done\n\
        while [ ! -f \"$PETREL_DATA/../go\" ]; do sleep 0.05; done\n\
        echo '{\"rare\": true}'\nexec sleep 1000\n";
    place.sensor("shop.Flood", "flood.sh", flood, "");
    let action = |name: &str, cmd: &str| {
        let text = format!(
            "name: {name}\nrunner_type: local-shell-cmd\nparameters:\n  \
             cmd: {{immutable: true, default: {cmd}}}\n"
        );
        place.write(&format!("packs/shop/actions/{name}.yaml"), &text);
    };
    action("slow", "sleep 0.2");
    action("quick", "'true'");
    let rule = |name: &str, criterion: &str| {
        let text = format!(
            "name: {name}\nenabled: true\ntrigger: {{type: shop.seen}}\n\
             criteria: {{trigger.rare: {{type: {criterion}, pattern: true}}}}\n\
             action: {{ref: shop.{name}}}\n"
        );
        place.write(&format!("packs/shop/rules/{name}.yaml"), &text);
    };
    rule("slow", "nexists");
    rule("quick", "exists");
    place.write("petrel.yaml", "actions: {parallel: 2}\n");
    let petrel = place.start();
    petrel.up();
    wait_until("all are accepted", || {
        let all = place.json(&["event", "list", "--limit", "1"]);
        all[0]["payload"]["n"].as_u64().filter(|n| *n == 3000)
    });
    place.write("go", "");
    wait_until("the other rule's runs", || {
        let all = place.json(&["execution", "list", "--of", "shop.quick"]);
        (all[0]["status"] == "succeeded").then_some(())
    });
    let done = place.json(&[
        "execution",
        "list",
        "--status",
        "succeeded",
        "--limit",
        "100000",
    ]);
    assert!(
        done.as_array().unwrap().len() < 2000,
        "it waited for the flood"
    );
}

#[test]
fn what_an_execution_writes_is_seen_while_it_runs() {
    let place = Place::new();
    place.pack("shop");
    let cmd = "echo one; echo the {{ word }} >&2; \
        while [ ! -f $PETREL_DATA/../go ]; do sleep 0.05; done; echo two";
    let text = format!(
        "name: talk\nrunner_type: local-shell-cmd\nparameters:\n  word: {{type: string, secret: true}}\n  \
         cmd: {{immutable: true, default: {}}}\n",
        json!(cmd)
    );
    place.write("packs/shop/actions/talk.yaml", &text);
    let steps = "chain:\n  - {name: first, ref: shop.talk, parameters: {word: hushhush}, on-success: then}\n  \
        - {name: then, ref: shop.talk, parameters: {word: hushhush}}\n";
    place.write("packs/shop/actions/chains/steps.yaml", steps);
    let text = "name: steps\nrunner_type: action-chain\nentry_point: chains/steps.yaml\n";
    place.write("packs/shop/actions/steps.yaml", text);
    let petrel = place.start();
    petrel.up();
    let asked = place.petrel(&["run-action", "--async", "shop.talk", "word=hushhush"]);
    assert!(asked.status.success(), "{}", stderr(&asked));
    let mut tail = place.command(&["execution", "tail"]);
    let mut tail = tail
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(tail.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n", "it still runs");
    place.write("go", "");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let mut told = String::new();
    tail.stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(rest, "two\n");
    assert!(tail.wait().unwrap().success());
    assert!(
        told.contains("the ********") && !told.contains("hushhush"),
        "{told}"
    );
    assert!(told.contains("succeeded"), "{told}");
    // Of one that is over, and of the tasks of a chain.
    let over = place.petrel(&["execution", "tail", "last"]);
    assert_eq!(stdout(&over), "one\ntwo\n");
    assert!(place.petrel(&["run-action", "shop.steps"]).status.success());
    let newest = place.executions();
    let chain = newest
        .iter()
        .find(|one| one["action"]["ref"] == "shop.steps");
    let id = chain.unwrap()["id"].as_str().unwrap().to_owned();
    let over = place.petrel(&["execution", "tail", &id]);
    assert_eq!(stdout(&over), "one\ntwo\none\ntwo\n");
    assert!(stderr(&over).contains("(task then)"), "{}", stderr(&over));
}
