//! A hostile sensor tries what it must not be able to do: under `strict` all of it fails, with root and
//! without; under `standard` what the README says that it stops, and no more.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use petrel_tests::{Petrel, Place, skipped, wait_until};
use serde_json::{Value, json};

const HOSTILE: &str = include_str!("../src/hostile.py");
const PYTHON: &str = "/usr/bin/python3";

/// Values that no sensor may find, as the supervisor has them.
const SECRETS: [(&str, &str); 2] = [
    ("PETREL_API_KEY", "a-key-of-the-supervisor"),
    ("PETREL_OTHER_TOKEN", "a-token-of-the-supervisor"),
];
/// A secret of the user who started the supervisor.
const OWN: (&str, &str) = ("MY_CLOUD_PASSWORD", "a-password-of-the-user");

/// A place with the hostile sensor and its victim, and what they need to be there.
struct Arena {
    place: Place,
    tmp: PathBuf,
    name: String,
    /// What it must not find in its environment.
    hidden: Vec<&'static str>,
    _abstract: UnixListener,
    tcp: TcpListener,
}

impl Arena {
    fn new(mut place: Place, profile: &str) -> Self {
        // Two tests of one profile may run at a time.
        let folder = place.folder().file_name().unwrap().to_string_lossy();
        let name = format!("{folder}-hostile-{profile}");
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let policy = format!("sandbox: {{profile: {profile}}}\n");
        place.sensor("p.Hostile", "hostile", HOSTILE, &policy);
        let waits = "#!/bin/sh\nexec sleep 1000000\n";
        place.sensor("q.Victim", "victim.sh", waits, "");
        let schema = "token: {type: string, secret: true, required: true}\n";
        place.write("packs/q/config.schema.yaml", schema);
        place.write("configs/q.yaml", "token: a-secret-of-another-pack\n");
        for (name, value) in SECRETS.iter().chain([&OWN]) {
            place.set(name, value);
        }
        // Under standard it has its user's home.
        place.write("home/there", "");
        place.set("HOME", &place.path("home").to_string_lossy());
        // A library that is not there is told on standard error and does no harm.
        place.set("LD_PETREL_TEST", "1");
        Self {
            place,
            tmp: std::env::temp_dir().join(&name),
            hidden: match profile {
                "strict" => vec![SECRETS[0].1, SECRETS[1].1, OWN.1],
                _ => vec![SECRETS[0].1, SECRETS[1].1],
            },
            _abstract: UnixListener::bind_addr(&address).unwrap(),
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            name,
        }
    }

    /// What came of each attempt: whether it worked, and what it says.
    fn fight(&self) -> (Petrel, BTreeMap<String, (bool, String)>) {
        self.place.hand_over();
        let petrel = self.place.start();
        let victim = petrel.ready("q.Victim");
        petrel.up();
        self.place.write_whole(
            "packs/p/targets.json",
            &self.aim(&petrel, &victim).to_string(),
        );
        let events = wait_until("the hostile sensor has tried everything", || {
            let events = self.place.events();
            let over = |event: &Value| event["payload"]["kind"] == "end";
            events.iter().any(over).then_some(events)
        });
        let told = events.iter().map(|event| {
            let payload = &event["payload"];
            let text = |member: &str| payload[member].as_str().unwrap_or_default().to_owned();
            let worked = payload["worked"] == true;
            (text("name"), (worked, text("outcome")))
        });
        (petrel, told.collect())
    }

    fn aim(&self, petrel: &Petrel, victim: &Value) -> Value {
        json!({
            "data": self.place.path("data"),
            "secret": secret_of(victim),
            "supervisor": petrel.pid(),
            "sibling": victim["pid"],
            "socket": self.place.read("data/socket"),
            "abstract": self.name,
            "other_pack": self.place.path("packs/q"),
            "tmp": self.tmp,
            "port": self.tcp.local_addr().unwrap().port(),
            "secrets": self.hidden,
        })
    }
}

/// The file with the victim's secret, as it finds it itself.
fn secret_of(victim: &Value) -> PathBuf {
    // While its shell becomes something else there is nothing to read.
    let folder = wait_until("it has secrets", || {
        let environment = std::fs::read(format!("/proc/{}/environ", victim["pid"])).ok()?;
        let text = String::from_utf8_lossy(&environment).into_owned();
        let mut all = text.split('\0');
        all.find_map(|one| {
            one.strip_prefix("CREDENTIALS_DIRECTORY=")
                .map(PathBuf::from)
        })
    });
    let file = folder.join("token");
    assert!(file.is_file(), "{}", file.display());
    file
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.tmp);
        let _ = std::fs::remove_file(Path::new("/var/tmp").join(&self.name));
    }
}

fn can_be_tried(what: &str) -> bool {
    let there = Path::new(PYTHON).exists();
    if !there {
        skipped(what, "there is no /usr/bin/python3");
    }
    there && cfg!(target_arch = "x86_64")
}

/// Nothing worked that must not, all worked that must.
fn assert_kept_in(arena: &Arena, told: &BTreeMap<String, (bool, String)>) {
    // It writes to a /tmp of its own, in which the test's folder is one of its own, too.
    let data = arena.place.path("data/hostile");
    for file in [&arena.tmp, &data, &arena.place.path("packs/p/hostile")] {
        assert!(!file.exists(), "{} was written", file.display());
    }
    let mut escaped = Vec::new();
    let mut broken = Vec::new();
    for (name, (worked, outcome)) in told {
        let own_tmp = OF_ITS_OWN.contains(&name.as_str());
        match (is_work(name), worked) {
            (false, true) if !own_tmp => escaped.push(format!("{name}: {outcome}")),
            (true, false) => broken.push(format!("{name}: {outcome}")),
            _ => println!("{name}: {outcome}"),
        }
    }
    assert!(escaped.is_empty(), "it could: {escaped:#?}");
    assert!(broken.is_empty(), "it could not: {broken:#?}");
}

/// What it writes to is not the host's.
const OF_ITS_OWN: [&str; 2] = ["write to /tmp of the host", "write into the data folder"];

const WORK: [&str; 8] = [
    "write its home",
    "make a temporary file",
    "start a thread",
    "start a program",
    "start a pool",
    "connect to a port",
    "resolve a name",
    "all",
];

fn is_work(name: &str) -> bool {
    WORK.contains(&name)
}

/// What this host cannot give is said, and then nothing is claimed.
fn is_degraded(what: &str, place: &Place) -> bool {
    let degraded = place.show("p.Hostile")["isolation"]["degraded"].clone();
    let none = degraded.as_array().is_some_and(Vec::is_empty);
    if !none {
        skipped(what, &format!("this host cannot give {degraded}"));
    }
    !none
}

#[test]
fn strict_keeps_in_as_root() {
    let what = "a hostile sensor under strict, as root";
    if !rustix::process::getuid().is_root() {
        return skipped(what, "needs root");
    }
    if !can_be_tried(what) {
        return;
    }
    let arena = Arena::new(Place::new(), "strict");
    let (_petrel, told) = arena.fight();
    if is_degraded(what, &arena.place) {
        return;
    }
    let user = arena.place.show("p.Hostile")["isolation"]["user"].as_u64();
    assert!(
        user.is_some_and(|uid| (61_184..=65_519).contains(&uid)),
        "{user:?}"
    );
    assert_kept_in(&arena, &told);
}

#[test]
fn strict_keeps_in_without_root() {
    let what = "a hostile sensor under strict, without root";
    let Some(place) = Place::without_root(what) else {
        return;
    };
    if !can_be_tried(what) {
        return;
    }
    let arena = Arena::new(place, "strict");
    let (_petrel, told) = arena.fight();
    if is_degraded(what, &arena.place) {
        return;
    }
    assert_kept_in(&arena, &told);
}

/// The README's list for `standard`, line by line: what it stops, and what it does not.
#[test]
fn standard_is_a_fence_against_accidents() {
    let what = "a hostile sensor under standard";
    if !can_be_tried(what) {
        return;
    }
    let arena = Arena::new(Place::new(), "standard");
    let (petrel, told) = arena.fight();
    for stopped in [
        "find descriptors",
        "find secrets in its environment",
        "find LD_* in its environment",
        "dump core",
    ] {
        let (worked, outcome) = &told[stopped];
        assert!(!worked, "{stopped}: {outcome}");
    }
    for not_stopped in [
        "read the journal",
        "read a secret of another pack",
        "signal the supervisor",
        "signal a sibling",
        "ask the control socket",
        "connect to an abstract socket",
        "write into its pack",
        "write into another pack",
        "write to /tmp of the host",
        "bind a port",
    ] {
        let (worked, outcome) = &told[not_stopped];
        assert!(worked, "{not_stopped}: {outcome}");
    }
    assert!(arena.tmp.exists());
    let pid = arena.place.show("p.Hostile")["pid"].as_u64().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(2)
        .unwrap()
        .to_owned();
    assert_eq!(group, pid.to_string(), "its group is its own");
    drop(petrel);
}

#[test]
fn what_is_required_and_cannot_be_had_fails_the_start_and_says_so() {
    let place = Place::new();
    let policy = "sandbox: {profile: strict, require: [memory]}\nlimits: {memory_max: 1GiB}\n\
        restart: {initial_delay: 1h, jitter: 0}\n";
    place.sensor(
        "p.Needs",
        "needs.sh",
        "#!/bin/sh\nexec sleep 1000000\n",
        policy,
    );
    let petrel = place.start();
    let line = petrel.wait_for("it starts, or says why not", |line| {
        line["subject"] == "p.Needs"
            && (line["kind"] == "sensor.ended" || line["kind"] == "sensor.ready")
    });
    if line["kind"] == "sensor.ready" {
        return skipped("a required feature that is not there", "this host has all");
    }
    let text = line["message"].as_str().unwrap();
    assert!(
        text.contains("sandbox.require: memory cannot be had"),
        "{text}"
    );
}

#[test]
fn a_limit_that_cannot_be_had_is_told_once_and_shown() {
    let place = Place::new();
    let policy = "limits: {memory_max: 1GiB}\n";
    place.sensor(
        "p.Limited",
        "limited.sh",
        "#!/bin/sh\nexec sleep 1000000\n",
        policy,
    );
    let petrel = place.start();
    petrel.ready("p.Limited");
    let degraded = wait_until("it is shown", || {
        let shown = place.show("p.Limited")["isolation"].clone();
        shown["degraded"].as_array().cloned()
    });
    if degraded.is_empty() {
        return skipped(
            "a limit that cannot be had",
            "this host has the memory controller",
        );
    }
    assert_eq!(degraded[0]["feature"], "memory");
    assert_eq!(petrel.count("sensor.degraded", "p.Limited"), 1);
}
