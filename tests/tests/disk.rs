//! A disk that fails: the supervisor dies at each write in turn, syncs fail or are slow, there is no
//! room. What was answered stays, and is on record once.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::process::Command;

use petrel_tests::{Petrel, Place, repository, storm, times, wait_until};

const SENSOR: &str = env!("CARGO_BIN_EXE_petrel-test-sensor");

/// Writes and syncs of one life in which every one is made the last one in turn: more than those of
/// the start.
const OPERATIONS: usize = 240;

struct Disk {
    place: Place,
    library: String,
}

impl Disk {
    fn new() -> Self {
        let place = storm::place(SENSOR, "");
        let library = place.path("faulty.so").display().to_string();
        let source = repository::root().join("tests/fakes/faulty.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o", &library])
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(built.unwrap().success(), "tests/run asks for cc");
        Self { place, library }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// A supervisor whose disk fails when the files of these names are there, or at an operation.
    fn start(&self, more: &[(&str, &str)]) -> Petrel {
        let path = |name: &str| self.file(name).display().to_string();
        let (eio, full, slow, notes) = (path("eio"), path("full"), path("slow"), path("notes"));
        let mut env = vec![
            ("LD_PRELOAD", self.library.as_str()),
            ("FAULTY_EIO", &eio),
            ("FAULTY_FULL", &full),
            ("FAULTY_SLOW", &slow),
            ("FAULTY_NOTES", &notes),
        ];
        env.extend(more);
        Petrel::start_with(&self.place, &[], &env)
    }

    fn answered(&self) -> usize {
        storm::numbers(&self.place, "answered").len()
    }

    /// One that fails at once after its start gives up.
    fn is_up_for_long(&self) {
        wait_until("six seconds", || {
            let stats = self.place.json(&["stats"]);
            stats["uptime_s"].as_f64().filter(|uptime| *uptime > 6.0)
        });
    }

    fn goes_on(&self, what: &str) {
        let before = self.answered();
        wait_until(what, || (self.answered() > before + 20).then_some(()));
    }
}

#[test]
fn death_at_any_write_loses_nothing() {
    let disk = Disk::new();
    let step = times(12, 1);
    let mut deaths = 0;
    for how in ["kill", "torn"] {
        for at in (1..=OPERATIONS).step_by(step) {
            // Another one each day, so that in time all have their turn.
            let at = (at + std::process::id() as usize % step).to_string();
            let mut petrel = disk.start(&[("FAULTY_AT", &at), ("FAULTY_HOW", how)]);
            let ended = petrel.wait_end(petrel_tests::PATIENCE);
            assert!(!ended.success(), "{how} at {at}");
            deaths += 1;
        }
    }
    let noted = disk.place.read("notes").lines().count();
    assert_eq!(noted, deaths, "{}", disk.place.read("stderr"));
    let petrel = disk.place.start();
    petrel.ready("storm.Numbers");
    disk.goes_on("the last life");
    // Lives that ended before their sensor was there answered nothing.
    storm::settle(&disk.place, petrel, 1);
}

#[test]
fn a_sync_that_fails_has_the_supervisor_begin_anew_from_what_is_on_disk() {
    let disk = Disk::new();
    let petrel = disk.start(&[]);
    let pid = petrel.pid();
    petrel.ready("storm.Numbers");
    for _ in 0..2 {
        disk.is_up_for_long();
        disk.goes_on("before");
        let mark = petrel.mark();
        disk.place.write("eio", "");
        petrel.wait_after(mark, "it says so", |line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.contains("begins anew"))
        });
        petrel.wait_after(mark, "the sensor is there again", |line| {
            line["kind"] == "sensor.ready"
        });
        disk.goes_on("after");
    }
    assert_eq!(petrel.pid(), pid);
    let left = petrel_tests::process::zombies(pid);
    assert!(left.is_empty(), "children that nobody reaps: {left:?}");
    storm::settle(&disk.place, petrel, 1);
}

#[test]
fn a_disk_without_room_holds_everything_up_until_there_is_some() {
    let disk = Disk::new();
    let petrel = disk.start(&[]);
    petrel.ready("storm.Numbers");
    disk.goes_on("before");
    disk.place.write("full", "");
    petrel.wait_for("it says so", |line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("cannot write"))
    });
    let trouble = &disk.place.show("storm.Numbers")["journal"];
    assert!(trouble.is_string(), "every status says so");
    let held = disk.answered();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(disk.answered(), held, "nobody is answered");
    std::fs::remove_file(disk.file("full")).unwrap();
    disk.goes_on("room again");
    storm::settle(&disk.place, petrel, 1);
}

#[test]
fn a_slow_disk_costs_time_and_nothing_else() {
    let disk = Disk::new();
    let petrel = disk.start(&[]);
    petrel.ready("storm.Numbers");
    disk.goes_on("before");
    disk.place.write("slow", "");
    disk.goes_on("with half a second for each sync");
    assert_eq!(disk.place.show("storm.Numbers")["restarts"], 0);
    std::fs::remove_file(disk.file("slow")).unwrap();
    disk.goes_on("after");
    storm::settle(&disk.place, petrel, 1);
}
