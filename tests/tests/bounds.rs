//! What keeps executions in bounds: policies, retries over a restart, circles, schemas of results.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Place, repository, wait_until};
use serde_json::{Value, json};

/// A place with a pack `shop` and an action that runs this command.
fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.pack("shop");
    place
}

fn command(place: &Place, name: &str, cmd: &str) {
    let (cmd, here) = (json!(cmd), place.folder().display());
    let text = format!(
        "name: {name}\nrunner_type: local-shell-cmd\nparameters:\n  cwd: {{default: '{here}'}}\n  \
         cmd: {{immutable: true, default: {cmd}}}\n"
    );
    place.write(&format!("packs/shop/actions/{name}.yaml"), &text);
}

fn rule(place: &Place, name: &str, trigger: &str, action: &str, parameters: &str) {
    let text = format!(
        "name: {name}\nenabled: true\ntrigger: {{type: {trigger}}}\n\
         action: {{ref: {action}, parameters: {parameters}}}\n"
    );
    place.write(&format!("packs/shop/rules/{name}.yaml"), &text);
}

fn policy(place: &Place, name: &str, action: &str, kind: &str, parameters: &str) {
    let text = format!(
        "name: {name}\nresource_ref: {action}\npolicy_type: {kind}\nparameters: {parameters}\n"
    );
    place.write(&format!("packs/shop/policies/{name}.yaml"), &text);
}

fn of(place: &Place, action: &str) -> Vec<Value> {
    let all = place.executions().into_iter();
    all.filter(|one| one["action"]["ref"] == action).collect()
}

#[test]
fn what_a_policy_delays_holds_nobody_up() {
    const MANY: usize = 1100;
    let place = place();
    let lines: String = (0..MANY).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    place.write("lines", &lines);
    let sensor = format!(
        "#!/bin/sh\n[ -e '{0}/other' ] || cat '{0}/lines'\nwhile [ ! -e '{0}/other' ]; do sleep 0.05; done\n\
         echo '{{\"n\": -1}}'\nsleep 1000\n",
        place.folder().display()
    );
    place.sensor("shop.Feed", "feed.sh", &sensor, "");
    command(&place, "slow", "while [ ! -e go ]; do sleep 0.05; done");
    command(&place, "quick", "true");
    let with = |name: &str, kind: &str, action: &str| {
        let text = format!(
            "name: {name}\npack: shop\nenabled: true\ntrigger: {{type: shop.seen}}\n\
             criteria: {{trigger.n: {{type: {kind}, pattern: 0}}}}\naction: {{ref: {action}}}\n"
        );
        place.write(&format!("packs/shop/rules/{name}.yaml"), &text);
    };
    with("many", "greaterthan", "shop.slow");
    with("other", "lessthan", "shop.quick");
    policy(
        &place,
        "p",
        "shop.slow",
        "action.concurrency",
        "{threshold: 8}",
    );
    place.write("petrel.yaml", "actions: {parallel: 9}\n");
    let mut petrel = place.start();
    petrel.up();
    wait_until("all are there, and delayed", || {
        let args = [
            "execution",
            "list",
            "--status",
            "delayed",
            "--limit",
            "100000",
        ];
        let delayed = place.json(&args).as_array().unwrap().len();
        (delayed == MANY - 1 - 8).then_some(())
    });
    place.write("other", "");
    wait_until("another action runs", || {
        let other = of(&place, "shop.quick");
        (other.first()?["status"] == "succeeded").then_some(())
    });
    // They are still owed after a crash, and their turn comes.
    petrel.kill();
    place.write("go", "");
    let petrel = place.start();
    petrel.up();
    wait_until("the delayed ones run", || {
        let args = [
            "execution",
            "list",
            "--limit",
            "100",
            "--status",
            "succeeded",
        ];
        (place.json(&args).as_array().unwrap().len() > 30).then_some(())
    });
    assert_eq!(of(&place, "shop.slow").len(), MANY - 1);
}

#[test]
fn a_retry_waits_out_its_delay_over_a_restart() {
    const DELAY_S: f64 = 4.0;
    let place = place();
    command(&place, "flaky", "echo x >> tries; [ $(wc -l < tries) = 2 ]");
    let parameters = format!("{{retry_on: failure, max_retry_count: 3, delay: {DELAY_S}}}");
    policy(&place, "p", "shop.flaky", "action.retry", &parameters);
    rule(
        &place,
        "r",
        "core.st2.key_value_pair.create",
        "shop.flaky",
        "{}",
    );
    let mut petrel = place.start();
    petrel.up();
    assert!(place.petrel(&["key", "set", "a", "b"]).status.success());
    petrel.wait_kind("execution.retry", "shop.flaky");
    petrel.kill();
    let petrel = place.start();
    petrel.up();
    let all = wait_until("it is tried again", || {
        let all = of(&place, "shop.flaky");
        let over = all.iter().all(|one| !one["end_timestamp"].is_null());
        (over && all.len() == 2).then_some(all)
    });
    let time = |one: &Value, name: &str| -> jiff::Timestamp {
        one[name].as_str().unwrap().parse().unwrap()
    };
    let (first, again) = (&all[1], &all[0]);
    assert_eq!(
        (&first["status"], &again["status"]),
        (&json!("failed"), &json!("succeeded"))
    );
    assert_eq!(again["parent"], first["id"]);
    let waited = time(again, "start_timestamp").duration_since(time(first, "end_timestamp"));
    assert!(waited.as_secs_f64() >= DELAY_S, "{waited:?}");
    assert_eq!(place.read("tries"), "x\nx\n");
}

const WRITES: &str = r#"
from st2common.runners.base_action import Action


class Writes(Action):
    def run(self):
        value = int(self.action_service.get_value("n", local=False) or 0)
        self.action_service.set_value("n", value + 1, local=False)
"#;

/// The last of a circle says what went round.
fn circle(place: &Place, action: &str, said: &str) {
    let last = wait_until("the circle is stopped", || {
        let all = of(place, action);
        all.into_iter().find(|one| {
            let why = one["result"]["error"].as_str();
            why.is_some_and(|why| why.contains("more than 16 deep"))
        })
    });
    let why = last["result"]["error"].as_str().unwrap();
    assert!(why.contains(said), "{why}");
    let all = of(place, action);
    assert_eq!(all.len(), 17, "{all:?}");
}

#[test]
fn an_action_that_causes_itself_is_stopped_whichever_way_it_does() {
    let place = place();
    place.write("packs/shop/actions/writes.py", WRITES);
    place.write(
        "packs/shop/actions/writes.yaml",
        "name: writes\nrunner_type: python-script\nentry_point: writes.py\n",
    );
    let program = repository::binary("petrel").display().to_string();
    command(
        &place,
        "again",
        &format!("'{program}' run-action --async shop.again"),
    );
    place.write("packs/shop/triggers/told.yaml", "name: told\npack: shop\n");
    rule(
        &place,
        "on_write",
        "core.st2.key_value_pair.update",
        "shop.writes",
        "{}",
    );
    rule(
        &place,
        "on_told",
        "shop.told",
        "core.inject_trigger",
        "{trigger_name: shop.told}",
    );
    let petrel = place.start();
    petrel.up();
    assert!(place.petrel(&["key", "set", "n", "0"]).status.success());
    assert!(place.petrel(&["key", "set", "n", "1"]).status.success());
    circle(
        &place,
        "shop.writes",
        "shop.on_write > shop.writes → shop.on_write > shop.writes",
    );
    place.petrel(&["run-action", "--async", "shop.again"]);
    circle(&place, "shop.again", "shop.again → shop.again");
    let first = [
        "run-action",
        "core.inject_trigger",
        "trigger_name=shop.told",
    ];
    assert!(place.petrel(&first).status.success());
    wait_until("the third circle is stopped", || {
        let all = of(&place, "core.inject_trigger");
        (all.len() == 17 && all[0]["status"] == "failed").then_some(())
    });
}

const RETURNS: &str = r#"
from st2common.runners.base_action import Action


class Returns(Action):
    def run(self, fits):
        return (fits != "poor", {"size": 3 if fits != "wrong" else "three", "token": "tok-1234", "list": [{"key": "k-5678"}]})
"#;

#[test]
fn results_are_held_against_their_schema_and_secrets_in_them_hidden() {
    let place = place();
    place.write("packs/shop/actions/returns.py", RETURNS);
    let modern = "{type: object, required: [size], properties: {size: {type: integer}, token: {type: string, secret: true}, \
         list: {type: array, items: {type: object, properties: {key: {secret: true}}}}}}";
    let old = "{token: {type: string, secret: true}, size: {type: boolean}}";
    for (name, schema) in [("modern", modern), ("old", old)] {
        let text = format!(
            "name: {name}\nrunner_type: python-script\nentry_point: returns.py\n\
             parameters: {{fits: {{type: string}}}}\noutput_schema: {schema}\n"
        );
        place.write(&format!("packs/shop/actions/{name}.yaml"), &text);
    }
    for (name, action, fits) in [
        ("good", "shop.modern", "well"),
        ("wrong", "shop.modern", "wrong"),
        ("poor", "shop.modern", "poor"),
        ("old", "shop.old", "well"),
    ] {
        let parameters = format!("{{fits: {fits}}}");
        rule(
            &place,
            name,
            "core.st2.key_value_pair.create",
            action,
            &parameters,
        );
    }
    place.write("petrel.yaml", "actions: {validate_output_schema: true}\n");
    let mut petrel = place.start();
    petrel.up();
    assert!(place.petrel(&["key", "set", "a", "b"]).status.success());
    let all = wait_until("all have ended", || {
        let all = place.executions();
        let over = all.iter().all(|one| !one["end_timestamp"].is_null());
        (over && all.len() == 4).then_some(all)
    });
    let result = |rule: &str| {
        let reference = format!("shop.{rule}");
        let found = all.iter().find(|one| one["rule"]["ref"] == reference);
        let found = found.unwrap();
        (found["status"].as_str().unwrap(), found["result"].clone())
    };
    let hidden = json!({"size": 3, "token": "********", "list": [{"key": "********"}]});
    assert_eq!(
        (result("good").0, &result("good").1["result"]),
        ("succeeded", &hidden)
    );
    assert_eq!(
        (result("poor").0, &result("poor").1["result"]),
        ("failed", &hidden)
    );
    let (status, wrong) = result("wrong");
    let message = "Error validating output. See error output for more details.";
    assert_eq!((status, &wrong["message"]), ("failed", &json!(message)));
    assert!(
        wrong["error"]
            .as_str()
            .unwrap()
            .contains("is not of type \"integer\""),
        "{wrong}"
    );
    // The old form checks nothing.
    let (status, old) = result("old");
    assert_eq!(
        (status, &old["result"]["token"]),
        ("succeeded", &json!("********"))
    );
    petrel.stop();
    for secret in ["tok-1234", "k-5678"] {
        let seen = |one: &Value| one.to_string().contains(secret);
        assert!(
            !all.iter()
                .any(|one| one["rule"]["ref"] != "shop.old" && seen(one))
        );
        assert!(!petrel.output().contains("tok-1234"));
    }
}
