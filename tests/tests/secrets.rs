//! A secret on its whole way: from the datastore through a configuration to a sensor, and through a
//! template to an action. It arrives, and lies nowhere on a disk or in the stream in clear.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use petrel_tests::sshd::Server;
use petrel_tests::{Place, repository, wait_until};
use serde_json::json;

const SECRET: &str = "hunter2-correct-horse";

/// Says what it was given as the length of it, so that it never says it.
const SENSOR: &str = r#"
from st2reactor.sensor.base import PollingSensor


class Keeper(PollingSensor):
    def setup(self):
        self.sensor_service.set_value("own", self.config["password"], encrypt=True)

    def poll(self):
        read = self.sensor_service.get_value("own", decrypt=True)
        same = read == self.config["password"]
        self.sensor_service.dispatch("vault.seen", {"length": len(read), "same": same, "port": self.config["port"]})

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        pass

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        pass
"#;

const ACTION: &str = r#"
from st2common.runners.base_action import Action


class Measure(Action):
    def run(self, password, hint):
        return {"length": len(password), "config": len(self.config["password"]), "hint": len(hint)}
"#;

fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.pack("vault");
    place.write(
        "packs/vault/config.schema.yaml",
        "password: {type: string, secret: true, required: true}\nport: {type: integer, required: true}\n",
    );
    place.write(
        "configs/vault.yaml",
        "password: '{{ st2kv.system.pw }}'\nport: '{{ st2kv.system.port }}'\n",
    );
    place.sensor("vault.Keeper", "keeper.py", SENSOR, "poll_interval: 1\n");
    place.write(
        "packs/vault/actions/measure.yaml",
        "name: measure\nrunner_type: python-script\nentry_point: measure.py\nparameters:\n  \
         password: {type: string, secret: true}\n  hint: {type: string}\n",
    );
    place.write("packs/vault/actions/measure.py", ACTION);
    place.rule(
        "vault.r",
        "vault.measure",
        "{password: '{{ st2kv.system.pw | decrypt_kv }}', hint: '{{ st2kv.system.pw | decrypt_kv }}'}",
    );
    place
}

/// Files below a folder that hold the secret.
fn holding(folder: &Path) -> Vec<String> {
    let holds = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        let text = SECRET.as_bytes();
        bytes.windows(text.len()).any(|part| part == text)
    };
    let files = repository::files(folder, "").into_iter();
    files
        .filter(holds)
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn a_secret_arrives_and_is_nowhere_in_clear() {
    let place = place();
    let mut petrel = place.start();
    // Without its value the sensor is parked, and says why.
    let parked = petrel.wait_kind("sensor.ended", "vault.Keeper");
    let why = parked["message"].as_str().unwrap();
    assert!(why.contains("configuration of pack \"vault\""), "{why}");
    assert_eq!(place.show("vault.Keeper")["state"], "parked");
    let set = place.petrel(&["key", "set", "pw", SECRET, "-e"]);
    assert!(set.status.success(), "{set:?}");
    assert!(
        place
            .petrel(&["key", "set", "port", "5432"])
            .status
            .success()
    );
    // The change of the datastore starts it.
    petrel.ready("vault.Keeper");
    let done = wait_until("an action that succeeded", || {
        let all = place.executions();
        all.into_iter().find(|one| one["status"] == "succeeded")
    });
    let length = SECRET.len();
    assert_eq!(
        done["result"]["result"],
        json!({"length": length, "config": length, "hint": length}),
        "{done}"
    );
    let hidden = json!({"password": "********", "hint": "********"});
    assert_eq!(done["parameters"], hidden);
    let event = &place.events()[0];
    assert_eq!(
        event["payload"],
        json!({"length": length, "same": true, "port": 5432})
    );
    assert_eq!(place.json(&["key", "get", "pw", "-d"])["value"], SECRET);
    petrel.kill();
    assert_eq!(holding(&place.path("data")), Vec::<String>::new());
    // What was kept sealed is opened by the next one.
    let again = place.start();
    again.ready("vault.Keeper");
    let mark = done["id"].clone();
    wait_until("another action that succeeded", || {
        let all = place.executions();
        let first = all.into_iter().next()?;
        (first["status"] == "succeeded" && first["id"] != mark).then_some(())
    });
    assert_eq!(holding(&place.path("data")), Vec::<String>::new());
    for petrel in [&petrel, &again] {
        let stream = petrel.lines().into_iter().map(|line| line.to_string());
        assert!(!stream.collect::<String>().contains(SECRET));
        assert!(!petrel.errors().contains(SECRET));
    }
}

/// Prints what it was given, so that the result has to be masked; waits in between.
const SCRIPT: &str = "#!/bin/sh\necho \"$@\"\nwhile [ ! -e go ]; do sleep 0.05; done\nexit 1\n";

/// Answers each request with the request itself, once the file is there.
fn echo_server(go: std::path::PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let mut said = String::new();
            while reader.read_line(&mut said).is_ok_and(|count| count > 2) {}
            wait_until("the others are looked at", || go.exists().then_some(()));
            let body = json!({ "said": said }).to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let _ = write!(
                &stream,
                "{head}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    port
}

/// Processes that have the text among their arguments or variables.
fn seen_in_proc(text: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter(|one| one.file_name().to_string_lossy().parse::<u32>().is_ok());
    pids.filter_map(|one| {
        let read = |name: &str| fs::read(one.path().join(name)).unwrap_or_default();
        let [command, variables] = ["cmdline", "environ"]
            .map(|name| String::from_utf8_lossy(&read(name)).replace('\0', " "));
        let found = command.contains(text) || variables.contains(text);
        found.then_some(command)
    })
    .collect()
}

#[test]
fn secrets_of_every_runner_are_seen_by_nobody_else() {
    let place = Place::new();
    place.copy_pack("core");
    let here = place.folder().display().to_string();
    place.sensor(
        "vault.Feed",
        "feed.sh",
        &format!(
            "#!/bin/sh\nwhile [ ! -e '{here}/set' ]; do sleep 0.05; done\necho '{{}}'\nsleep 1000\n"
        ),
        "",
    );
    let cwd = format!("cwd: {{default: '{here}'}}");
    let secret = "{type: string, secret: true}";
    let action = |name: &str, runner: &str, entry: &str, more: &str| {
        let text = format!(
            "name: {name}\nrunner_type: {runner}\nentry_point: '{entry}'\nparameters: {{{more}}}\n"
        );
        place.write(&format!("packs/vault/actions/{name}.yaml"), &text);
    };
    place.write("packs/vault/actions/tell.sh", SCRIPT);
    action(
        "script",
        "local-shell-script",
        "tell.sh",
        &format!("token: {secret}, {cwd}"),
    );
    let wait = "echo {{ token }}; while [ ! -e go ]; do sleep 0.05; done; exit 1";
    let cmd = format!("token: {secret}, cmd: {{default: '{wait}'}}, {cwd}");
    action("cmd", "local-shell-cmd", "", &cmd);
    action(
        "chain",
        "action-chain",
        "chains/chain.yaml",
        &format!("key: {secret}"),
    );
    place.write(
        "packs/vault/actions/chains/chain.yaml",
        "chain:\n- {name: a, ref: vault.script, parameters: {token: '{{ key }}'}}\n",
    );
    let retry = "{retry_on: failure, max_retry_count: 1, delay: 0}";
    place.write(
        "packs/vault/policies/p.yaml",
        &format!(
            "name: p\nresource_ref: vault.cmd\npolicy_type: action.retry\nparameters: {retry}\n"
        ),
    );
    let word = "{{ st2kv.system.pw | decrypt_kv }}";
    let port = echo_server(place.path("go"));
    let url = format!("http://127.0.0.1:{port}/");
    place.rule(
        "vault.script",
        "vault.script",
        &json!({"token": word}).to_string(),
    );
    place.rule(
        "vault.cmd",
        "vault.cmd",
        &json!({"token": word}).to_string(),
    );
    place.rule(
        "vault.chain",
        "vault.chain",
        &json!({"key": word}).to_string(),
    );
    let http = json!({"url": url, "headers": {"X-Token": word}, "timeout": 100});
    place.rule("vault.http", "core.http", &http.to_string());
    let server = Server::start("secrets of the remote runners");
    if let Some(server) = &server {
        action(
            "far",
            "remote-shell-script",
            "tell.sh",
            &format!("token: {secret}"),
        );
        let far = json!({
            "hosts": format!("127.0.0.1:{}", server.port), "token": word, "cwd": here,
            "private_key": server.files.read("ssh/id"),
        });
        place.rule("vault.far", "vault.far", &far.to_string());
    }
    place.write("petrel.yaml", "actions: {parallel: 8}\n");
    // Rules, the chain's task, and the second try.
    let count = 4 + usize::from(server.is_some()) + 2;
    let mut petrel = place.start();
    petrel.up();
    let set = place.petrel(&["key", "set", "pw", SECRET, "-e"]);
    assert!(set.status.success(), "{set:?}");
    place.write("set", "");
    wait_until("all run", || {
        let all = place.executions();
        let running = all.iter().filter(|one| one["status"] == "running").count();
        (running == count - 1).then_some(())
    });
    for command in wait_until("the scripts run", || {
        let found = seen_in_proc(SECRET);
        // Its own arguments are what a script is given them by.
        let scripts = found.iter().filter(|one| one.contains("tell.sh")).count();
        (scripts >= 2 + usize::from(server.is_some())).then_some(found)
    }) {
        let words: Vec<_> = command.split(' ').collect();
        assert!(
            words[0] == "/bin/sh" && words[1].ends_with("tell.sh"),
            "{command}"
        );
    }
    place.write("go", "");
    let all = wait_until("all have ended", || {
        let all = place.executions();
        let over = all.iter().all(|one| !one["end_timestamp"].is_null());
        (over && all.len() >= count).then_some(all)
    });
    let shown = json!(all).to_string();
    assert!(
        shown.contains("********") && !shown.contains(SECRET),
        "{shown}"
    );
    for list in [
        &["event", "list"][..],
        &["rule", "list"],
        &["rule-enforcement", "list"],
        &["action", "list"],
        &["key", "list"],
    ] {
        let shown = place.json(list).to_string();
        assert!(!shown.contains(SECRET), "{list:?}: {shown}");
    }
    petrel.stop();
    assert!(!petrel.output().contains(SECRET));
    assert_eq!(holding(&place.path("data")), Vec::<String>::new());
}
