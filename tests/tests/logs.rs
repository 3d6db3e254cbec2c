//! Logs of sensors: drained and bounded in a flood, kept in files that turn, followed while they
//! come, without secrets and without anything that a terminal would obey.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use petrel_tests::{MARGIN, Place, process, stdout, wait_until};
use serde_json::Value;

/// A shell sensor `talks.Sensor` that does this and then waits.
fn place(body: &str, petrel_yaml: &str) -> Place {
    let place = Place::new();
    place.healthy();
    let program = format!("#!/bin/sh\n{body}\nexec sleep 1000\n");
    place.sensor("talks.Sensor", "talks.sh", &program, "");
    place.write("petrel.yaml", petrel_yaml);
    place
}

/// `petrel sensor logs --json`, a record a line.
fn records(place: &Place, args: &[&str]) -> Vec<Value> {
    let mut all = vec!["sensor", "logs", "--json"];
    all.extend(args);
    let output = place.petrel(&all);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{all:?}: {errors}");
    let text = stdout(&output);
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn messages(found: &[Value]) -> Vec<&str> {
    found
        .iter()
        .map(|one| one["message"].as_str().unwrap())
        .collect()
}

/// Waits until the log has this record.
fn logged(place: &Place, text: &str) -> Vec<Value> {
    wait_until(text, || {
        let found = records(place, &["talks.Sensor", "-n", "100000"]);
        messages(&found).contains(&text).then_some(found)
    })
}

const TRACEBACK: &str = r#"
from st2reactor.sensor.base import Sensor
import logging
import sys


class Talker(Sensor):
    def setup(self):
        print("printed")
        sys.stderr.write("W! written\n")
        log = self.sensor_service.get_logger("x")
        log.debug("too quiet")
        try:
            {}["key"]
        except KeyError:
            log.exception("it failed")
        log.warning("the password is %s", self.config["password"])
        sys.stderr.write("\x1b[2Jcleared\x07 %s\n" % self.config["password"])
        self.sensor_service.set_value("own", "learnt-by-heart", encrypt=True)
        log.info("now learnt-by-heart is a secret")

    def run(self):
        import threading
        threading.Event().wait()

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        pass

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        pass
"#;

#[test]
fn what_a_python_sensor_logs_comes_with_level_logger_and_traceback_and_without_secrets() {
    let place = Place::new();
    place.sensor("talks.Talker", "talker.py", TRACEBACK, "");
    let schema = "password: {type: string, secret: true, required: true}\n";
    place.write("packs/talks/config.schema.yaml", schema);
    place.write("configs/talks.yaml", "password: hunter2-correct-horse\n");
    let mut petrel = place.start();
    petrel.ready("talks.Talker");
    let found = wait_until("all records", || {
        let found = records(&place, &["talks.Talker"]);
        (found.len() >= 6).then_some(found)
    });
    let one = |part: &str| {
        let is_it = |one: &&Value| one["message"].as_str().unwrap().contains(part);
        found
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no {part}: {found:?}"))
    };
    assert_eq!(one("printed")["level"], "info");
    assert_eq!(one("written")["level"], "warning");
    assert_eq!(one("written")["message"], "written");
    let failed = one("it failed");
    assert_eq!(failed["level"], "error");
    assert!(
        failed["logger"].as_str().unwrap().ends_with(".x"),
        "{failed}"
    );
    let text = failed["message"].as_str().unwrap();
    assert!(
        text.starts_with("it failed\nTraceback (most recent call last):\n"),
        "{text}"
    );
    assert!(text.ends_with("KeyError: 'key'"), "{text}");
    assert_eq!(
        one("the password is")["message"],
        "the password is ********"
    );
    assert_eq!(one("cleared")["message"], "\\x1b[2Jcleared\\x07 ********");
    assert_eq!(one("is a secret")["message"], "now ******** is a secret");
    assert_eq!(failed["ref"], "talks.Talker");
    assert_eq!(failed["generation"], 1);
    let pid = place.show("talks.Talker")["pid"].clone();
    assert_eq!(failed["pid"], pid);
    assert!(!found.iter().any(|one| one["message"] == "too quiet"));
    let warnings = records(&place, &["talks.Talker", "--level", "warning"]);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    petrel.stop();
    let file = place.read("data/logs/talks.Talker/current");
    assert!(file.lines().count() >= 6);
    assert!(
        !file.contains("hunter2") && !file.contains("learnt-by-heart"),
        "{file}"
    );
}

#[test]
fn a_flood_is_drained_and_bounded_and_disturbs_nobody() {
    // 64 MiB as fast as it can, then a word.
    let flood = "head -c 67108864 /dev/zero | tr '\\0' 'x' | fold -w 99 >&2; echo >&2; echo last >&2; : > \"$TEST_OF_PETREL/flooded\"";
    let limits = "sensors:\n  talks.*:\n    limits: {log: {bytes_per_s: 10kB, burst: 100kB}}\n";
    let place = place(flood, limits);
    let started = Instant::now();
    let petrel = place.start();
    petrel.ready("talks.Sensor");
    wait_until("the end of the flood", || {
        place.path("flooded").exists().then_some(())
    });
    println!("64 MiB drained in {:?}", started.elapsed());
    assert!(
        place
            .petrel(&["sensor", "stop", "talks.Sensor"])
            .status
            .success()
    );
    let found = logged(&place, "last");
    let dropped: u64 = messages(&found)
        .iter()
        .filter_map(|text| {
            text.split_once(" lines of its log were dropped (")?
                .0
                .parse::<u64>()
                .ok()
        })
        .sum();
    let told = found
        .iter()
        .filter(|one| one["message"].to_string().contains("dropped"))
        .count();
    // 99 characters a line; each is kept or counted.
    let lines = (64 << 20) / 99 + 1 + 1;
    assert_eq!(dropped + (found.len() - told) as u64, lines);
    let size = fs::metadata(place.path("data/logs/talks.Sensor/current"))
        .unwrap()
        .len();
    assert!(size < 2 << 20, "{size}");
    let mark = petrel.mark();
    petrel.wait_after(mark, "an event of the healthy pack", |line| {
        line["kind"] == "event" && line["subject"] == "healthy.seen"
    });
    let peak = process::peak_memory_kib(petrel.pid()).unwrap();
    println!("peak memory: {} MiB", peak >> 10);
    assert!(peak < 200 << 10, "{peak} KiB");
}

#[test]
fn files_turn_and_are_read_as_one() {
    let body = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo \"I! number $i of a thousand\" >&2; done; echo done >&2";
    let place = place(body, "logs: {max_bytes: 16KiB, keep: 3}\n");
    let mut petrel = place.start();
    petrel.up();
    let found = logged(&place, "done");
    let names = messages(&found);
    let numbers = names
        .iter()
        .filter_map(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let numbers: Vec<u64> = numbers.collect();
    assert_eq!(numbers.last(), Some(&1000));
    assert!(
        numbers.windows(2).all(|two| two[0] + 1 == two[1]),
        "{numbers:?}"
    );
    assert!((100..900).contains(&numbers.len()), "{}", numbers.len());
    let files = fs::read_dir(place.path("data/logs/talks.Sensor")).unwrap();
    let sizes: Vec<u64> = files
        .map(|one| one.unwrap().metadata().unwrap().len())
        .collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= 16 << 10), "{sizes:?}");
    // What was kept is there after a crash of petrel, and the next one goes on.
    petrel.kill();
    let before = found.len();
    let again = place.start();
    again.up();
    wait_until("the second start's records", || {
        let found = records(&place, &["talks.Sensor", "-n", "100000"]);
        (found.last()?["generation"] == 2).then_some(())
    });
    assert!(before > 100);
}

#[test]
fn logs_are_followed_and_read_of_what_is_down() {
    let body = "echo 'I! before' >&2; while [ ! -e \"$TEST_OF_PETREL/go\" ]; do sleep 0.05; done; echo 'E! after' >&2; echo 'D! detail' >&2";
    let place = place(body, "");
    let mut petrel = place.start();
    petrel.up();
    logged(&place, "before");
    let mut follower = place
        .command(&["sensor", "logs", "talks.*", "-f", "--level", "info"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.ends_with(" INFO    talks.Sensor  before"), "{first}");
    place.write("go", "");
    let second = lines.next().unwrap().unwrap();
    assert!(second.ends_with(" ERROR   talks.Sensor  after"), "{second}");
    assert!(
        place
            .petrel(&["sensor", "stop", "talks.Sensor"])
            .status
            .success()
    );
    assert!(
        place
            .petrel(&["sensor", "start", "talks.Sensor"])
            .status
            .success()
    );
    // Of the next start too.
    let third = lines.next().unwrap().unwrap();
    assert!(third.ends_with("  before"), "{third}");
    assert!(
        place
            .petrel(&["sensor", "stop", "talks.Sensor"])
            .status
            .success()
    );
    let started = Instant::now();
    let last = records(
        &place,
        &[
            "talks.Sensor",
            "-n",
            "1",
            "--since",
            "10m",
            "--level",
            "error",
        ],
    );
    assert_eq!(messages(&last), ["after"]);
    assert!(started.elapsed() < MARGIN);
    assert!(records(&place, &["talks.Sensor", "--since", "2999-01-01T00:00Z"]).is_empty());
    let wrong = place.petrel(&["sensor", "logs", "talks.Sensr"]);
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        told.contains("talks.Sensor") && !wrong.status.success(),
        "{told}"
    );
    // The next supervisor is followed, too; when there is none any more, that is told.
    petrel.stop();
    let mut again = place.start();
    let next = lines.by_ref().map(Result::unwrap);
    let mut next = next.skip_while(|line| line.ends_with("  after"));
    let fourth = next.next().unwrap();
    assert!(fourth.ends_with("  before"), "{fourth}");
    again.stop();
    assert!(follower.wait().unwrap().success());
}
