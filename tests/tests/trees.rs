//! What a sensor starts ends with it: trees of processes that leave their group, ignore SIGTERM, or
//! belong to somebody else.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

use petrel_tests::{MARGIN, Petrel, Place, process, skipped, times, wait_until, wait_within};
use rustix::process::Signal;
use serde_json::Value;

/// Forty of each: in the group, out of it by setsid, deaf to SIGTERM, both, and orphaned grandchildren.
const TREE: &str = "#!/bin/sh\n\
    i=0\n\
    while [ $i -lt 40 ]; do\n\
      sleep 100000 &\n\
      setsid sleep 100000 &\n\
      (trap '' TERM; exec sleep 100000) &\n\
      (trap '' TERM; exec setsid sleep 100000) &\n\
      (setsid sh -c 'sleep 100000 & exit 0' &)\n\
      i=$((i+1))\n\
    done\n\
    exec sleep 100000\n";

const PROCESSES: usize = 200;

/// Living processes of one start of a sensor, by the marker that all of them carry.
fn of_start(place: &Place, reference: &str, generation: u64) -> Vec<u32> {
    let end = format!("/sensor/{reference}/{generation}");
    // Another test beside this one has sensors of the same name.
    let here = format!("TEST_OF_PETREL={}", place.folder().display());
    let is_it = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |fits: &dyn Fn(&[u8]) -> bool| environment.split(|byte| *byte == 0).any(fits);
        has(&|one| one.starts_with(b"PETREL_MARKER=") && one.ends_with(end.as_bytes()))
            && has(&|one| one == here.as_bytes())
    };
    process::all().into_iter().filter(is_it).collect()
}

fn grown(place: &Place, reference: &str, generation: u64) -> Vec<u32> {
    wait_until("the tree is grown", || {
        let found = of_start(place, reference, generation);
        (found.len() > PROCESSES).then_some(found)
    })
}

fn pid_of(place: &Place, reference: &str, generation: u64) -> u32 {
    wait_until("it runs", || {
        let shown = place.show(reference);
        (shown["generation"] == generation).then_some(())?;
        u32::try_from(shown["pid"].as_u64()?).ok()
    })
}

fn ended(petrel: &Petrel, reference: &str, count: usize) {
    wait_until("the end is told", || {
        (petrel.count("sensor.ended", reference) >= count).then_some(())
    });
}

/// Starts of a sensor whose whole tree must be gone whenever its end is told.
fn no_survivor(level: &str) {
    let place = Place::new();
    let reference = format!("{level}.Tree");
    let policy = format!(
        "sandbox: {{tree: {level}}}\nrestart: {{initial_delay: 0s, limit: {{burst: 0}}}}\n\
         stop: {{grace: 1s}}\n"
    );
    place.sensor(&reference, "tree.sh", TREE, &policy);
    let mut petrel = place.start();
    petrel.ready(&reference);
    let shown = wait_until("how it is held", || {
        let shown = place.show(&reference)["isolation"].clone();
        shown.is_object().then_some(shown)
    });
    if shown["tree"] != level || shown["degraded"] != Value::Array(Vec::new()) {
        return skipped(&format!("a tree held by {level}"), &shown.to_string());
    }
    let stops = times(5, 1000);
    for stop in 1..=stops {
        let generation = stop as u64;
        let leader = pid_of(&place, &reference, generation);
        grown(&place, &reference, generation);
        process::signal(leader, Signal::KILL);
        ended(&petrel, &reference, stop);
        // Nothing is waited for here: the end is told when nobody is left.
        assert_eq!(
            of_start(&place, &reference, generation),
            [0; 0],
            "stop {stop}"
        );
    }
    println!("{level}: {stops} stops of {PROCESSES} processes, no survivor");
    let last = stops as u64 + 1;
    grown(&place, &reference, last);
    assert!(petrel.stop().success());
    assert_eq!(
        of_start(&place, &reference, last),
        [0; 0],
        "the ordered stop"
    );
}

#[test]
fn no_survivor_by_group_and_sweep() {
    no_survivor("group");
}

#[test]
fn no_survivor_by_control_group() {
    no_survivor("cgroup");
}

#[test]
fn no_survivor_by_process_namespace() {
    no_survivor("pidns");
}

#[test]
fn a_killed_supervisor_leaves_nobody_beyond_its_next_start() {
    let place = Place::new();
    for level in ["group", "cgroup", "pidns"] {
        let policy = format!("sandbox: {{tree: {level}}}\n");
        place.sensor(&format!("{level}.Tree"), "tree.sh", TREE, &policy);
    }
    let references = ["group.Tree", "cgroup.Tree", "pidns.Tree"];
    let mut petrel = place.start();
    for reference in references {
        petrel.ready(reference);
        grown(&place, reference, 1);
    }
    petrel.kill();
    // The kernel ends a namespace with its first process, and that with the supervisor.
    if place.petrel(&["doctor"]).status.success() {
        wait_within(MARGIN, "the namespace is empty", || {
            of_start(&place, "pidns.Tree", 1).is_empty().then_some(())
        });
    }
    let petrel = place.start();
    petrel.up();
    for reference in references {
        pid_of(&place, reference, 2);
        assert_eq!(of_start(&place, reference, 1), [0; 0], "{reference}");
    }
}

#[test]
fn the_init_of_a_namespace_passes_signals_and_codes_on() {
    let place = Place::new();
    let policy = "sandbox: {tree: pidns}\nstop: {request_timeout: 0s}\n";
    let program = "#!/bin/sh\ntrap 'echo heard >> heard; exit 7' TERM\necho up > up\n\
        while :; do sleep 0.05; done\n";
    place.sensor("p.Polite", "polite.sh", program, policy);
    let mut petrel = place.start();
    petrel.ready("p.Polite");
    wait_until("its trap is set", || {
        (place.read("packs/p/up") == "up\n").then_some(())
    });
    assert!(petrel.stop().success());
    assert_eq!(
        place.read("packs/p/heard"),
        "heard\n",
        "once, and not twice"
    );
    let line = petrel.wait_kind("sensor.ended", "p.Polite");
    assert!(
        line["message"].as_str().unwrap().contains("exit code 7"),
        "{line}"
    );
}

/// As with sudo: what it starts becomes root, and may not be signalled by us.
#[test]
fn who_may_not_be_signalled_is_told() {
    let what = "a process of another user in a sensor's tree";
    let Some(place) = Place::without_root(what) else {
        return;
    };
    if !rustix::process::getuid().is_root() {
        return skipped(what, "needs root, to make a program that becomes root");
    }
    // Once: only root could end another one.
    let program = "#!/bin/sh\nif [ ! -e once ]; then touch once\n\
        ./becomes-root --reuid 0 --regid 0 --clear-groups sleep 100000 &\nfi\n\
        sleep 100000 & wait\n";
    let policy = "sandbox: {tree: group}\nrestart: {initial_delay: 0s}\n";
    place.sensor("p.Sudo", "sudo.sh", program, policy);
    place.hand_over();
    let tool = place.path("packs/p/becomes-root");
    fs::copy("/usr/bin/setpriv", &tool).unwrap();
    let made = Command::new("chmod").args(["4755"]).arg(&tool).status();
    assert!(made.unwrap().success());
    let petrel = place.start();
    petrel.ready("p.Sudo");
    let pid = pid_of(&place, "p.Sudo", 1);
    let theirs = wait_within(MARGIN, "it becomes root", || roots_in(pid));
    let Some(theirs) = theirs else {
        return skipped(what, "the test's folder is mounted nosuid");
    };
    process::signal(pid, Signal::KILL);
    let line = petrel.wait_kind("sensor.survivors", "p.Sudo");
    let text = line["message"].as_str().unwrap();
    assert!(text.contains(&format!("sudo kill -9 {theirs}")), "{text}");
    let shown = place.show("p.Sudo");
    assert!(shown["survivors"].as_str().is_some(), "{shown}");
    assert_eq!(shown["generation"], 1, "nothing new is started");
    process::signal(theirs, Signal::KILL);
    pid_of(&place, "p.Sudo", 2);
    assert!(place.show("p.Sudo")["survivors"].is_null());
}

/// A process of root in the group of `leader`; inner none where the mount forbids it.
fn roots_in(leader: u32) -> Option<Option<u32>> {
    let in_group = process::all().into_iter().filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let group = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(2)?.parse().ok());
        group == Some(leader)
    });
    let in_group: Vec<u32> = in_group.collect();
    let is_roots = |pid: &u32| {
        let whose = process::status(*pid, "Uid");
        whose.is_some_and(|ids| ids.split_whitespace().next() == Some("0"))
    };
    match in_group.iter().copied().find(is_roots) {
        Some(pid) => Some(Some(pid)),
        // Only its shell and the one sleep are left: the other did not come up.
        None if in_group.len() == 2 && is_nosuid(Path::new("/tmp")) => Some(None),
        None => None,
    }
}

fn is_nosuid(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let line = mounts
        .lines()
        .find(|line| line.split(' ').nth(1) == path.to_str());
    line.is_some_and(|line| line.contains("nosuid"))
}
