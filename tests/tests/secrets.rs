//! A secret on its whole way: from the datastore through a configuration to a sensor, and through a
//! template to an action. It arrives, and lies nowhere on a disk or in the stream in clear.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

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
