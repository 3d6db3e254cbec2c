//! Where a sensor runs under `strict`, the control socket answers only who can read the data folder:
//! such a sensor may be of our own user, and so may connect.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use petrel_tests::{Place, wait_until};

const WAITS: &str = "#!/bin/sh\nexec sleep 1000000\n";

/// The first line of the answer to a request with these headers, and all of it.
fn asked(place: &Place, headers: &str) -> (String, String) {
    let mut socket = UnixStream::connect(place.read("data/socket").trim()).unwrap();
    let request = format!(
        "GET /v1/sensortypes HTTP/1.1\r\nHost: petrel\r\n{headers}Connection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let first = answer.lines().next().unwrap_or_default().to_owned();
    (first, answer)
}

fn status(place: &Place, headers: &str) -> String {
    asked(place, headers).0
}

#[test]
fn beside_a_strict_sensor_the_socket_asks_for_the_key() {
    let place = Place::new();
    // Whether the host gives all that `strict` is does not matter here.
    place.sensor("p.S", "s.sh", WAITS, "sandbox: {profile: strict}\n");
    let petrel = place.start();
    petrel.up();
    let (first, answer) = asked(&place, "");
    assert!(first.contains(" 401 "), "{answer}");
    assert!(answer.contains("x-petrel-key"), "it says how: {answer}");
    assert!(!answer.contains("p.S"), "{answer}");
    let wrong = format!("x-petrel-key: {}\r\n", "0".repeat(64));
    assert!(status(&place, &wrong).contains(" 401 "));
    let right = format!("x-petrel-key: {}\r\n", place.read("data/socket.key"));
    let (first, answer) = asked(&place, &right);
    assert!(
        first.contains(" 200 ") && answer.contains("p.S"),
        "{answer}"
    );
    // Whoever can read the folder needs to know nothing of this.
    assert_eq!(place.show("p.S")["ref"], "p.S");
}

#[test]
fn the_key_is_asked_for_as_long_as_there_is_such_a_sensor() {
    let place = Place::new();
    place.sensor("p.S", "s.sh", WAITS, "");
    let petrel = place.start();
    petrel.ready("p.S");
    assert!(status(&place, "").contains(" 200 "));
    place.sensor("p.S", "s.sh", WAITS, "sandbox: {profile: strict}\n");
    place.petrel(&["reload"]);
    wait_until("it is asked for", || {
        status(&place, "").contains(" 401 ").then_some(())
    });
    place.sensor("p.S", "s.sh", WAITS, "");
    place.petrel(&["reload"]);
    wait_until("it is not asked for any more", || {
        status(&place, "").contains(" 200 ").then_some(())
    });
}
