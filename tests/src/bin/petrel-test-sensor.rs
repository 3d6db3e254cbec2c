//! Sensors for the tests, one for each name that this program is given:
//!
//! - `probe` notes its process and the time of its first instruction in `starts`, then waits.
//! - `numbers` dispatches numbered events as fast as they are answered, and notes each answered
//!   number in `answered`.
//!
//! Both write into the pack's folder, which is where sensors run.
#![allow(
    clippy::disallowed_methods,
    reason = "a sensor has no supervisor's clock"
)]

use std::fs::{File, OpenOptions, read_to_string};
use std::io::{BufRead, Stdin, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Requests without an answer at a time.
const IN_FLIGHT: u64 = 8;

/// How far `numbers` is ahead of the actions of its start, so that a test comes to its end: what a
/// thousand short starts leave owed is to be done by then, too.
const AHEAD: u64 = 50;

/// Numbers per start; the starts are counted in `epoch`.
const PER_START: u64 = 1_000_000;

fn main() {
    let started = SystemTime::now();
    let name = std::env::args().next().unwrap_or_default();
    match name.ends_with("probe") {
        true => probe(started),
        false => numbers(),
    }
}

fn probe(started: SystemTime) {
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = format!("{} {}\n", std::process::id(), since.as_nanos());
    appended("starts")
        .write_all(line.as_bytes())
        .expect("starts");
    // Until the end of its input, which nobody closes while it is wanted.
    let _ = std::io::stdin().lock().lines().count();
}

fn numbers() {
    let epoch = read_to_string("epoch").ok();
    let epoch = epoch.and_then(|text| text.trim().parse().ok()).unwrap_or(0) + 1;
    // Before the first event, and whole: no number is ever used twice.
    std::fs::write("epoch.new", format!("{epoch}")).expect("epoch.new");
    std::fs::rename("epoch.new", "epoch").expect("epoch");
    let stdin = std::io::stdin();
    say(&json!({"jsonrpc": "2.0", "id": "hello", "method": "hello", "params": {"protocol": 1}}));
    let hello = heard(&stdin);
    assert!(hello["result"].is_object(), "{hello}");
    say(&json!({"jsonrpc": "2.0", "method": "ready"}));
    dispatch_all(&stdin, epoch * PER_START);
}

fn dispatch_all(stdin: &Stdin, base: u64) {
    let (mut sent, mut answered, before) = (0, 0, done());
    let mut notes = appended("answered");
    loop {
        while sent - answered < IN_FLIGHT && sent < AHEAD + done().saturating_sub(before) {
            sent += 1;
            let number = base + sent;
            let params = json!({"trigger": "storm.seen", "payload": {"n": number}});
            say(&json!({"jsonrpc": "2.0", "id": number, "method": "dispatch", "params": params}));
        }
        if sent == answered {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let answer = heard(stdin);
        if answer["result"]["event"].is_string() {
            let line = format!("{}\n", answer["id"]);
            notes.write_all(line.as_bytes()).expect("answered");
            answered += 1;
        } else if answer["method"] == "shutdown" {
            return;
        } else {
            panic!("not an answer: {answer}");
        }
    }
}

/// How many numbers the actions have written down.
fn done() -> u64 {
    let text = std::fs::read("done").unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn say(message: &Value) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{message}")
        .and_then(|()| stdout.flush())
        .expect("a reader");
}

/// The next message; the end of the input is the end of the sensor.
fn heard(stdin: &Stdin) -> Value {
    let mut line = String::new();
    if stdin.lock().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
    serde_json::from_str(&line).expect("JSON")
}

fn appended(name: &str) -> File {
    let opened = OpenOptions::new().create(true).append(true).open(name);
    opened.expect("the pack's folder is writable")
}
