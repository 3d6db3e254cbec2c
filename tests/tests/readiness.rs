//! `start.ready: fd:3`: a sensor is ready when it writes a newline to its descriptor 3.
#![allow(clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Petrel, Place, wait_until};
use serde_json::Value;

const FD: &str = "start: {ready: 'fd:3', ready_timeout: 60s}\n";

/// Writes down what descriptors it has, waits for the file `go`, then says on descriptor 3 that it is ready,
/// twice: a second newline does it no harm.
fn script(place: &Place) -> String {
    let go = place.path("go");
    format!(
        "#!/bin/sh\nls /proc/$$/fd > '{}'\nprintf '{{\"open\": true}}\\n'\n\
         printf 'not yet' >&3\nwhile [ ! -e '{}' ]; do sleep 0.05; done\n\
         echo >&3\necho again >&3\nprintf '{{\"after\": true}}\\n'\nexec sleep 1000000\n",
        place.path("open").display(),
        go.display()
    )
}

fn event(petrel: &Petrel, word: &str) -> Value {
    petrel.wait_for(&format!("an event with {word}"), |line| {
        let text = line["message"].as_str().unwrap_or_default();
        line["kind"] == "event" && text.contains(word)
    })
}

fn becomes_ready(place: &Place) {
    let petrel = place.start();
    petrel.up();
    event(&petrel, "open");
    let open = place.read("open");
    // From 10 on they are the shell's own.
    let mut ours: Vec<_> = open.lines().filter(|number| number.len() == 1).collect();
    ours.sort_unstable();
    assert_eq!(ours, ["0", "1", "2", "3"]);
    let shown = place.show("p.S");
    assert_eq!(shown["state"], "starting", "{shown}");
    assert!(shown.to_string().contains("fd:3"), "{shown}");
    place.write("go", "");
    petrel.ready("p.S");
    event(&petrel, "after");
    let shown = place.show("p.S");
    assert_eq!(
        (&shown["state"], &shown["restarts"]),
        (&"ready".into(), &0.into())
    );
}

#[test]
fn a_newline_on_descriptor_3_is_the_proof() {
    let place = Place::new();
    place.sensor("p.S", "s.sh", &script(&place), FD);
    becomes_ready(&place);
}

#[test]
fn so_it_is_for_a_sensor_in_a_process_namespace_and_under_strict() {
    for sandbox in ["{tree: pidns}", "{profile: strict}"] {
        let place = Place::new();
        // Under `strict` it sees its pack, and nothing else of this place.
        let text = script(&place).replace(
            &place.path("go").display().to_string(),
            &place.path("packs/p/go").display().to_string(),
        );
        place.sensor("p.S", "s.sh", &text, &format!("{FD}sandbox: {sandbox}\n"));
        let petrel = place.start();
        petrel.up();
        event(&petrel, "open");
        assert_eq!(place.show("p.S")["state"], "starting");
        place.write("packs/p/go", "");
        petrel.ready("p.S");
    }
}

#[test]
fn who_never_says_so_is_ended_and_tried_again() {
    let place = Place::new();
    let policy = "start: {ready: 'fd:3', ready_timeout: 300ms}\n\
        restart: {initial_delay: 50ms, multiplier: 1, jitter: 0}\n";
    // That it converses, and says `ready` there, does not count.
    let says = "#!/bin/sh\n\
        echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{\"protocol\":1}}'\n\
        echo '{\"jsonrpc\":\"2.0\",\"method\":\"ready\"}'\nexec sleep 1000000\n";
    place.sensor("p.S", "s.sh", says, policy);
    let petrel = place.start();
    petrel.wait_for("it is ended", |line| {
        let text = line["message"].as_str().unwrap_or_default();
        line["subject"] == "p.S" && text.contains("not ready within")
    });
    wait_until("two restarts", || {
        (place.show("p.S")["restarts"].as_u64() >= Some(2)).then_some(())
    });
    assert_eq!(petrel.count("sensor.ready", "p.S"), 0);
}

#[test]
fn an_upgrade_in_the_middle_of_a_start_keeps_the_descriptor() {
    let place = Place::new();
    place.sensor("p.S", "s.sh", &script(&place), FD);
    let petrel = place.start();
    petrel.up();
    event(&petrel, "open");
    let output = place.petrel(&["upgrade"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.show("p.S")["state"], "starting");
    place.write("go", "");
    petrel.ready("p.S");
    assert_eq!(place.show("p.S")["restarts"], 0);
}

#[test]
fn of_a_command_the_first_run_says_so_and_the_later_ones_need_not() {
    let place = Place::new();
    let program = "#!/bin/sh\nif [ -e /proc/$$/fd/3 ]; then\n\
        printf '{\"run\": \"first\"}\\n'; echo >&3\nelse printf '{\"run\": \"later\"}\\n'; fi\n";
    let command = format!("{FD}poll_interval: 1\nmode: command\n");
    place.sensor("p.S", "s.sh", program, &command);
    let petrel = place.start();
    event(&petrel, "first");
    petrel.ready("p.S");
    event(&petrel, "later");
    let shown = place.show("p.S");
    assert_eq!(
        (&shown["state"], &shown["restarts"]),
        (&"ready".into(), &0.into())
    );
}
