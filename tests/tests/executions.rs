//! Executions that nobody's rule asked for, and what holds them back: chains, policies, circles.
#![allow(clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Place, wait_until};
use serde_json::{Value, json};

fn action(place: &Place, name: &str, text: &str) {
    if !place.path("packs/shop/pack.yaml").exists() {
        place.pack("shop");
    }
    let head = format!("name: {name}\n");
    place.write(&format!("packs/shop/actions/{name}.yaml"), &(head + text));
}

/// An action that runs this command.
fn command(place: &Place, name: &str, cmd: &str, more: &str) {
    let cmd = json!(cmd);
    let text = format!(
        "runner_type: local-shell-cmd\nparameters:\n  cmd: {{immutable: true, default: {cmd}}}\n{more}"
    );
    action(place, name, &text);
}

fn chain(place: &Place, name: &str, parameters: &str, text: &str) {
    let head = format!(
        "runner_type: action-chain\nentry_point: chains/{name}.yaml\nparameters: {parameters}\n"
    );
    action(place, name, &head);
    place.write(&format!("packs/shop/actions/chains/{name}.yaml"), text);
}

/// Runs an action to its end; what it printed as JSON, and whether it said that all is well.
fn run(place: &Place, args: &[&str]) -> (Value, bool) {
    let mut all = vec!["run-action", "--json"];
    all.extend(args);
    let output = place.petrel(&all);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let shown = serde_json::from_str(&text).unwrap_or_else(|_| {
        panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    });
    (shown, output.status.success())
}

fn get(place: &Place, id: &str) -> Value {
    place.json(&["execution", "get", id])
}

#[test]
fn an_action_runs_when_asked_and_says_what_is_wrong() {
    let place = Place::new();
    command(
        &place,
        "greet",
        "echo {{ name | shell_quote }} {{ n }}",
        "  name: {type: string, required: true}\n  n: {type: integer, default: 1}\n",
    );
    command(&place, "fail", "exit 3", "");
    let petrel = place.start();
    petrel.up();
    let (shown, ok) = run(&place, &["shop.greet", "name=it's", "n=7"]);
    assert_eq!((&shown["result"]["stdout"], ok), (&json!("it's 7"), true));
    assert_eq!(shown["cause"]["by"], "person");
    let (shown, ok) = run(&place, &["shop.fail"]);
    assert_eq!((&shown["result"]["return_code"], ok), (&json!(3), false));
    for (args, said) in [
        (&["shop.gret"][..], "shop.greet"),
        (&["shop.greet"], "required"),
        (&["shop.greet", "name=x", "n=many"], "no integer"),
        (&["shop.greet", "name=x", "nme=y"], "nme"),
        (&["shop.greet", "name=x", "cmd=ls"], "immutable"),
    ] {
        let output = place.petrel(&[&["run-action"], args].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(said), "{told}");
    }
    let id = shown["id"].as_str().unwrap();
    let output = place.petrel(&["execution", "re-run", id, "--json"]);
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again["parent"], shown["id"]);
    assert_eq!(again["status"], "failed");
    assert_eq!(get(&place, id)["children"], json!([again["id"]]));
}

#[test]
fn run_gets_none_for_what_nobody_gave() {
    let place = Place::new();
    let text = "runner_type: python-script\nentry_point: tell.py\nparameters:\n  \
                a: {type: string}\n  b: {type: integer, default: 2}\n  timeout: {default: 5}\n";
    action(&place, "tell", text);
    let program = "class Tell:\n    def run(self, **given):\n        return given\n";
    place.write("packs/shop/actions/tell.py", program);
    let petrel = place.start();
    petrel.up();
    let (shown, _) = run(&place, &["shop.tell"]);
    assert_eq!(shown["result"]["result"], json!({"a": null, "b": 2}));
    assert_eq!(shown["parameters"].get("a"), None, "it was not given");
}

#[test]
fn what_runs_or_waits_is_canceled() {
    let place = Place::new();
    command(&place, "sleep", "exec sleep 1000", "");
    place.write("petrel.yaml", "actions: {parallel: 1}\n");
    let petrel = place.start();
    petrel.up();
    for _ in 0..2 {
        let output = place.petrel(&["run-action", "--async", "shop.sleep"]);
        assert!(output.status.success());
    }
    let ids = wait_until("one runs, one waits", || {
        let all = place.executions();
        let words: Vec<&str> = all
            .iter()
            .filter_map(|one| one["status"].as_str())
            .collect();
        (words == ["requested", "running"]).then(|| {
            let id = |at: usize| all[at]["id"].as_str().unwrap().to_owned();
            [id(0), id(1)]
        })
    });
    for id in &ids {
        assert!(place.petrel(&["execution", "cancel", id]).status.success());
    }
    wait_until("both are canceled", || {
        let all = place.executions();
        all.iter()
            .all(|one| one["status"] == "canceled")
            .then_some(())
    });
    let output = place.petrel(&["execution", "cancel", &ids[0]]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("already in a completed state"), "{told}");
}

const CHAIN: &str = "vars: {greeting: 'hello {{ who }}'}
chain:
- name: first
  ref: shop.say
  parameters: {text: '{{ greeting }}'}
  publish: {said: '{{ first.stdout }}!'}
  on-success: second
- name: second
  ref: shop.fail
  on-failure: third
- name: third
  ref: shop.say
  parameters: {text: '{{ said }} {{ second.return_code }} {{ __results.first.stdout }}'}
";

#[test]
fn a_chain_runs_its_tasks_and_goes_on_after_a_crash() {
    let place = Place::new();
    command(
        &place,
        "say",
        "echo {{ text | shell_quote }}",
        "  text: {type: string}\n",
    );
    command(&place, "fail", "exit 3", "");
    command(
        &place,
        "wait",
        "while [ ! -e go ]; do sleep 0.02; done; echo went",
        &format!("  cwd: {{default: {}}}\n", place.folder().display()),
    );
    chain(&place, "three", "{who: {type: string}}", CHAIN);
    chain(
        &place,
        "slow",
        "{}",
        "chain:\n- {name: a, ref: shop.say, parameters: {text: one}, on-success: b}\n\
         - {name: b, ref: shop.wait, on-failure: c, on-success: c}\n\
         - {name: c, ref: shop.say, parameters: {text: '{{ a.stdout }} {{ b.error | default(\"\") }}'}}\n",
    );
    chain(
        &place,
        "lost",
        "{}",
        "chain:\n- {name: a, ref: shop.nope}\n",
    );
    let mut petrel = place.start();
    petrel.up();
    let (shown, ok) = run(&place, &["shop.three", "who=world"]);
    assert!(ok, "{shown}");
    let tasks = shown["result"]["tasks"].as_array().unwrap();
    let states: Vec<_> = tasks.iter().map(|task| &task["state"]).collect();
    assert_eq!(states, ["succeeded", "failed", "succeeded"]);
    assert_eq!(tasks[2]["result"]["stdout"], "hello world! 3 hello world");
    assert_eq!(
        shown["result"]["published"],
        json!({"said": "hello world!"})
    );
    assert_eq!(
        get(&place, shown["id"].as_str().unwrap())["children"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let (shown, ok) = run(&place, &["shop.lost"]);
    assert!(
        !ok && shown["result"]["error"]
            .as_str()
            .unwrap()
            .contains("\"shop.nope\"")
    );
    place.petrel(&["run-action", "--async", "shop.slow"]);
    wait_until("the second task runs", || {
        let all = place.executions();
        let waits = |one: &Value| one["action"]["ref"] == "shop.wait" && one["status"] == "running";
        all.iter().any(waits).then_some(())
    });
    petrel.kill();
    let petrel = place.start();
    petrel.up();
    let done = wait_until("the chain is over", || {
        let all = place.executions();
        let mut chains = all
            .into_iter()
            .filter(|one| one["action"]["ref"] == "shop.slow");
        chains.next().filter(|one| one["end_timestamp"].is_string())
    });
    assert_eq!(done["status"], "succeeded", "{done}");
    let tasks = done["result"]["tasks"].as_array().unwrap();
    let names: Vec<_> = tasks.iter().map(|task| &task["name"]).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(
        tasks[2]["result"]["stdout"]
            .as_str()
            .unwrap()
            .starts_with("one")
    );
}

#[test]
fn what_causes_itself_is_stopped_and_the_circle_is_told() {
    let place = Place::new();
    command(&place, "ping", "true", "");
    command(&place, "pong", "true", "");
    let rule = |name: &str, of: &str, action: &str| {
        let text = format!(
            "name: {name}\nenabled: true\ntrigger: {{type: core.st2.generic.actiontrigger}}\n\
             criteria: {{trigger.action_name: {{type: eq, pattern: {of}}}}}\naction: {{ref: {action}}}\n"
        );
        place.write(&format!("packs/shop/rules/{name}.yaml"), &text);
    };
    rule("to_pong", "shop.ping", "shop.pong");
    rule("to_ping", "shop.pong", "shop.ping");
    let petrel = place.start();
    petrel.up();
    run(&place, &["shop.ping"]);
    let last = wait_until("the circle is stopped", || {
        let all = place.executions();
        all.into_iter().find(|one| one["status"] == "failed")
    });
    let why = last["result"]["error"].as_str().unwrap();
    assert!(
        why.contains("shop.to_ping > shop.ping → shop.to_pong > shop.pong"),
        "{why}"
    );
    assert_eq!(place.executions().len(), 17);
}

fn policy(place: &Place, name: &str, action: &str, kind: &str, parameters: &str) {
    let text = format!(
        "name: {name}\nresource_ref: {action}\npolicy_type: {kind}\nparameters: {parameters}\n"
    );
    place.write(&format!("packs/shop/policies/{name}.yaml"), &text);
}

#[test]
fn policies_hold_back_cancel_and_try_again() {
    let place = Place::new();
    let here = format!("  cwd: {{default: {}}}\n", place.folder().display());
    let wait = "while [ ! -e go ]; do sleep 0.02; done";
    command(&place, "one", wait, &here);
    command(
        &place,
        "host",
        wait,
        &format!("{here}  host: {{type: string}}\n"),
    );
    command(
        &place,
        "flaky",
        "echo x >> tries; [ $(wc -l < tries) = 3 ]",
        &here,
    );
    policy(
        &place,
        "a",
        "shop.one",
        "action.concurrency",
        "{threshold: 1}",
    );
    let by_host = "{threshold: 1, action: cancel, attributes: [host]}";
    policy(&place, "b", "shop.host", "action.concurrency.attr", by_host);
    policy(
        &place,
        "c",
        "shop.flaky",
        "action.retry",
        "{retry_on: failure, max_retry_count: 3}",
    );
    place.write("petrel.yaml", "actions: {parallel: 8}\n");
    let petrel = place.start();
    petrel.up();
    for args in [
        &["shop.one"][..],
        &["shop.one"],
        &["shop.host", "host=a"],
        &["shop.host", "host=a"],
        &["shop.host", "host=b"],
    ] {
        place.petrel(&[&["run-action", "--async"], args].concat());
    }
    wait_until("the policies held", || {
        let mut words: Vec<String> = place
            .executions()
            .iter()
            .map(|one| one["status"].as_str().unwrap().to_owned())
            .collect();
        words.sort();
        (words == ["canceled", "delayed", "running", "running", "running"]).then_some(())
    });
    place.write("go", "");
    wait_until("the delayed one had its turn", || {
        let all = place.executions();
        let ok = all
            .iter()
            .filter(|one| one["status"] == "succeeded")
            .count();
        (ok == 4).then_some(())
    });
    run(&place, &["shop.flaky"]);
    wait_until("the third try succeeds", || {
        let all = place.executions();
        let tries = all
            .iter()
            .filter(|one| one["action"]["ref"] == "shop.flaky");
        let words: Vec<&str> = tries.filter_map(|one| one["status"].as_str()).collect();
        (words == ["succeeded", "failed", "failed"]).then_some(())
    });
}

#[test]
fn ends_are_told_to_the_routes_that_an_action_names() {
    let place = Place::new();
    let notify = "notify: {on-success: {message: 'did {{ cmd }}', routes: [ops]}, on-failure: {routes: [pager]}}\n";
    command(&place, "done", "true", "");
    let text = place.read("packs/shop/actions/done.yaml");
    place.write("packs/shop/actions/done.yaml", &(text + notify));
    command(
        &place,
        "tell",
        "echo {{ route | shell_quote }} {{ text | shell_quote }}",
        "  text: {type: string}\n  route: {type: string}\n",
    );
    place.write(
        "packs/shop/rules/r.yaml",
        "name: r\nenabled: true\ntrigger: {type: core.st2.generic.notifytrigger}\n\
         action: {ref: shop.tell, parameters: {route: '{{ trigger.route }}', text: '{{ trigger.message }}'}}\n",
    );
    let petrel = place.start();
    petrel.up();
    run(&place, &["shop.done"]);
    let told = wait_until("the message is carried on", || {
        let all = place.executions();
        let mut tells = all
            .into_iter()
            .filter(|one| one["action"]["ref"] == "shop.tell");
        tells.next().filter(|one| one["status"] == "succeeded")
    });
    assert_eq!(told["result"]["stdout"], "ops did true");
}

#[test]
fn secrets_are_in_no_result_list_or_log() {
    const SECRET: &str = "tr0ub4dor&3-\"horse\"";
    let place = Place::new();
    place.write(
        "packs/shop/config.schema.yaml",
        "token: {type: string, secret: true}\n",
    );
    place.write(
        "configs/shop.yaml",
        &format!("token: {}\n", json!(format!("cfg-{SECRET}"))),
    );
    command(
        &place,
        "leak",
        "echo {{ password | shell_quote }}; echo {{ config_context.token | shell_quote }} >&2; exit 1",
        "  password: {type: string, secret: true}\n",
    );
    chain(
        &place,
        "inside",
        "{key: {type: string, secret: true}}",
        "chain:\n- {name: a, ref: shop.leak, parameters: {password: '{{ key }}'}}\n",
    );
    let mut petrel = place.start();
    petrel.up();
    let word = format!("password={SECRET}");
    let (shown, _) = run(&place, &["shop.leak", &word]);
    assert_eq!(shown["parameters"]["password"], "********");
    assert_eq!(shown["result"]["stdout"], "********");
    assert_eq!(shown["result"]["stderr"], "********");
    let (shown, _) = run(&place, &["shop.inside", &format!("key={SECRET}")]);
    assert!(!shown.to_string().contains("ub4dor"), "{shown}");
    for args in [
        &["execution", "list"][..],
        &["event", "list"],
        &["action", "list"],
    ] {
        let shown = place.json(args).to_string();
        assert!(!shown.contains("ub4dor"), "{shown}");
    }
    petrel.stop();
    assert!(!petrel.output().contains("ub4dor"));
    let data = place.path("data");
    let mut folders = vec![data];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    let found = bytes.windows(6).any(|some| some == b"ub4dor");
                    assert!(!found, "{}", path.display());
                }
            }
        }
    }
}
