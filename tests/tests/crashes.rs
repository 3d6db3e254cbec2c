//! Ends that nobody asked for: each has a record that says why and what to do, and that survives the
//! supervisor.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Petrel, Place, process, stdout, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// A Python sensor whose `setup()` does this.
fn python(place: &Place, class: &str, head: &str, setup: &str) {
    let methods = [
        "cleanup(self)",
        "add_trigger(self, t)",
        "update_trigger(self, t)",
        "remove_trigger(self, t)",
    ];
    let methods: String = methods
        .map(|one| format!("    def {one}:\n        pass\n\n"))
        .concat();
    let program = format!(
        "{head}\nfrom st2reactor.sensor.base import Sensor\n\n\nclass {class}(Sensor):\n    \
        def setup(self):\n        {setup}\n\n    def run(self):\n        import threading\n        \
        threading.Event().wait()\n\n{methods}"
    );
    let file = format!("{}.py", class.to_lowercase());
    place.sensor(&format!("dies.{class}"), &file, &program, "");
}

fn shell(place: &Place, class: &str, body: &str) {
    let file = format!("{}.sh", class.to_lowercase());
    place.sensor(
        &format!("dies.{class}"),
        &file,
        &format!("#!/bin/sh\n{body}\n"),
        "",
    );
}

fn crashes(place: &Place, reference: &str) -> Vec<Value> {
    let found = place.json(&["sensor", "crashes", reference]);
    found.as_array().unwrap().clone()
}

/// The newest crash of a sensor that came after this one, whole.
fn whole(place: &Place, reference: &str, after: u64) -> Value {
    let newest = wait_until("a crash", || {
        let newest = crashes(place, reference).first().cloned()?;
        (newest["id"].as_u64()? > after).then_some(newest)
    });
    place.json(&["sensor", "crashes", reference, &newest["id"].to_string()])
}

/// It ended, and this is what it is taken for.
fn check(place: &Place, petrel: &Petrel, class: &str, word: &str, hint: &str) -> Value {
    let reference = format!("dies.{class}");
    let notice = petrel.wait_kind("sensor.ended", &reference);
    let told = notice["message"].as_str().unwrap();
    assert!(told.contains(&format!("| looks like: {word}; ")), "{told}");
    let crash = whole(place, &reference, 0);
    assert_eq!(crash["class"], word, "{crash}");
    assert!(crash["hint"].as_str().unwrap().contains(hint), "{crash}");
    let last = &place.show(&reference)["last_exit"];
    assert_eq!(last["class"], word);
    crash
}

#[test]
fn every_end_has_its_class_and_its_hint() {
    let place = Place::new();
    python(&place, "Module", "import yamlish_that_is_missing", "pass");
    python(&place, "Known", "import bs4", "pass");
    python(&place, "Memory", "", "a = bytearray(1 << 62)");
    python(&place, "Bug", "", "return {}['items']");
    python(
        &place,
        "Network",
        "import socket",
        "socket.create_connection(('127.0.0.1', 1))",
    );
    shell(&place, "Program", "no-such-program-anywhere");
    shell(&place, "Code", "echo 'W! odd' >&2; exit 3");
    shell(&place, "Config", "echo 'E! token is missing' >&2; exit 78");
    shell(&place, "Zero", "exit 0");
    let petrel = place.start();
    let module = check(
        &place,
        &petrel,
        "Module",
        "missing module",
        "add yamlish_that_is_missing to ",
    );
    assert!(
        module["hint"]
            .as_str()
            .unwrap()
            .ends_with("dies/requirements.txt, then `petrel pack setup dies`")
    );
    if module["reason"].to_string().contains("yamlish") {
        check(
            &place,
            &petrel,
            "Known",
            "missing module",
            "add beautifulsoup4 to ",
        );
    }
    let memory = check(&place, &petrel, "Memory", "memory", "memory");
    assert_eq!(memory["code"].as_str().unwrap().len(), 12);
    let bug = check(
        &place,
        &petrel,
        "Bug",
        "bug",
        "in setup: return {}['items']",
    );
    assert!(
        bug["interpreter"].as_str().unwrap().contains("python"),
        "{bug}"
    );
    let log = bug["log"].as_array().unwrap();
    let trace = log
        .iter()
        .find(|one| one["message"].to_string().contains("Traceback"));
    assert!(
        trace.unwrap()["message"]
            .as_str()
            .unwrap()
            .contains("KeyError: 'items'")
    );
    assert!(
        bug["peak_memory"]["bytes"].as_u64().unwrap() > 4 << 20,
        "{bug}"
    );
    // The conversation: what it said and what it was told.
    let said = bug["said"].as_array().unwrap();
    assert!(
        said[0]["text"].as_str().unwrap().contains("\"hello\""),
        "{bug}"
    );
    let told = bug["told"].as_array().unwrap();
    assert!(
        told[0]["text"]
            .as_str()
            .unwrap()
            .contains("\"sensor\":\"dies.Bug\""),
        "{bug}"
    );
    check(&place, &petrel, "Network", "network", "reached");
    check(&place, &petrel, "Program", "missing program", "PATH");
    let code = check(&place, &petrel, "Code", "unknown", "");
    assert_eq!(
        (&code["code"].is_string(), &code["exit_code"]),
        (&true, &Value::Null)
    );
    assert_eq!(code["text"], "exit code 3");
    assert_eq!(code["log"][0]["level"], "warning");
    check(
        &place,
        &petrel,
        "Config",
        "config",
        "petrel pack config dies",
    );
    let zero = wait_until("a crash", || crashes(&place, "dies.Zero").first().cloned());
    assert_eq!(zero["class"], "ended");
    let listed = stdout(&place.petrel(&["sensor", "crashes", "dies.Bug"]));
    assert!(
        listed.contains("KeyError") && listed.contains("| bug"),
        "{listed}"
    );
    let shown = stdout(&place.petrel(&["sensor", "crashes", "dies.Bug", &bug["id"].to_string()]));
    for part in [
        "class        bug",
        "last of its log",
        "< {",
        "> {",
        "peak memory",
    ] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    let nobody = place.petrel(&["sensor", "crashes", "dies.Nobody"]);
    assert!(!nobody.status.success());
}

#[test]
fn a_kill_from_outside_is_told_and_an_ordered_stop_is_no_crash() {
    let place = Place::new();
    shell(&place, "Idle", "echo up >&2; exec sleep 1000");
    place.write(
        "packs/dies/rules/told.yaml",
        "name: told\nenabled: true\ntrigger: {type: core.st2.sensor.process_exit}\ncriteria:\n  \
         trigger.class: {type: eq, pattern: killed from outside}\naction: {ref: core.noop}\n",
    );
    place.copy_pack("core");
    let mut petrel = place.start();
    petrel.ready("dies.Idle");
    let pid = place.show("dies.Idle")["pid"].as_u64().unwrap();
    process::signal(u32::try_from(pid).unwrap(), Signal::KILL);
    let crash = check(&place, &petrel, "Idle", "killed from outside", "SIGKILL");
    assert_eq!(crash["signal"], 9);
    assert_eq!(crash["pid"], pid);
    assert_eq!(crash["log"][0]["message"], "up");
    petrel.wait_kind("rule.matched", "dies.told");
    let event = wait_until("the event", || {
        place
            .events()
            .into_iter()
            .find(|one| one["trigger"].to_string().contains("process_exit"))
    });
    assert_eq!(event["payload"]["class"], "killed from outside");
    // Killed with petrel right after it: the record is there at the next start.
    petrel.kill();
    let again = place.start();
    again.ready("dies.Idle");
    let before = crashes(&place, "dies.Idle");
    assert_eq!(before[0]["id"], crash["id"]);
    assert_eq!(
        place.show("dies.Idle")["last_exit"]["class"],
        "killed from outside"
    );
    assert!(
        place
            .petrel(&["sensor", "restart", "dies.Idle"])
            .status
            .success()
    );
    assert!(
        place
            .petrel(&["sensor", "stop", "dies.Idle"])
            .status
            .success()
    );
    assert_eq!(crashes(&place, "dies.Idle").len(), before.len());
    assert_eq!(place.show("dies.Idle")["last_exit"]["class"], Value::Null);
}

#[test]
fn a_sensor_that_hangs_leaves_the_place_where() {
    let place = Place::new();
    python(&place, "Hang", "", "pass");
    let hang = "\n    def run(self):\n        import ctypes\n        self.hang(ctypes, ctypes.PyDLL(None))\n\n    \
        def hang(self, ctypes, native):\n        lock = ctypes.create_string_buffer(64)\n        native.pthread_mutex_lock(lock)\n        native.pthread_mutex_lock(lock)\n";
    let file = "packs/dies/sensors/hang.py";
    let text = place.read(file) + hang;
    place.write(file, &text);
    place.write(
        "petrel.yaml",
        "defaults:\n  watchdog: {interval: 200ms, soft_timeout: 2s, timeout: 3s, abort_timeout: 1s}\n",
    );
    let petrel = place.start();
    petrel.wait_kind("sensor.stalled", "dies.Hang");
    let crash = check(&place, &petrel, "Hang", "stalled", "in hang");
    assert!(
        crash["hint"].as_str().unwrap().contains("hang.py:"),
        "{crash}"
    );
    assert_eq!(crash["ended_by"], "it gave no sign of life");
    let log = crash["log"].to_string();
    assert!(log.contains("most recent call first"), "{log}");
}

#[test]
fn a_crash_shows_no_secret() {
    let place = Place::new();
    let setup = "self.sensor_service.set_value('own', 'learnt-by-heart', encrypt=True); \
        self.sensor_service.get_value('own', decrypt=True); \
        raise ValueError('no %s %s' % (self.config['password'], 'learnt-by-heart'))";
    python(&place, "Secret", "", setup);
    let schema = "password: {type: string, secret: true, required: true}\nport: {type: integer}\n";
    place.write("packs/dies/config.schema.yaml", schema);
    place.write(
        "configs/dies.yaml",
        "password: hunter2-correct-horse\nport: 7\n",
    );
    let mut petrel = place.start();
    let crash = check(
        &place,
        &petrel,
        "Secret",
        "bug",
        "ValueError: no ******** ********",
    );
    let text = crash.to_string();
    assert!(
        text.contains("********") && text.contains("kv.set"),
        "{text}"
    );
    assert!(
        !text.contains("hunter2") && !text.contains("learnt-by-heart"),
        "{text}"
    );
    // A secret does not show in the hash, anything else does.
    let hash = crash["config"].clone();
    petrel.stop();
    let with = |text: &str, after: &Value| {
        place.write("configs/dies.yaml", text);
        let mut petrel = place.start();
        petrel.up();
        let crash = whole(&place, "dies.Secret", after["id"].as_u64().unwrap());
        petrel.stop();
        crash
    };
    let second = with("password: another-one-altogether\nport: 7\n", &crash);
    assert_eq!(second["config"], hash);
    let third = with("password: another-one-altogether\nport: 8\n", &second);
    assert_ne!(third["config"], hash);
}
