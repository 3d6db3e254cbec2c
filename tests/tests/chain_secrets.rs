//! Secrets within a chain: the next task gets what the one before it had, and nobody else sees it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use petrel_tests::{Place, repository, wait_until};
use serde_json::{Value, json};

const SECRET: &str = "tr0ub4dor-horse";

const CHAIN: &str = "vars: {wrapped: 'pw={{ key }}', plain: 'p {{ name }}'}
chain:
- name: a
  ref: shop.keep
  parameters: {password: '{{ key }}', file: a}
  publish: {said: '{{ a.stdout }}', code: '{{ a.return_code }}'}
  on-success: b
- name: b
  ref: shop.pass
  parameters:
    text: '{{ said }}/{{ wrapped }}/{{ a.stdout | upper }}'
    note: '{{ plain }} {{ code }}'
    file: b
  on-success: token
- name: token
  ref: shop.token
  on-success: c
- name: c
  ref: shop.quiet
  parameters: {text: '{{ token.result.value }}', note: '{{ token.result.n }}', file: c}
  on-success: wait
- name: wait
  ref: shop.wait
  on-failure: d
  on-success: d
- name: d
  ref: shop.pass
  parameters: {text: '{{ said }} {{ __results.token.result.value }}', note: end, file: d}
";

/// Writes what it was given where no journal is, and prints the secret in it.
fn place() -> Place {
    let place = Place::new();
    place.pack("shop");
    let here = place.folder().display();
    let action = |name: &str, text: &str| {
        place.write(
            &format!("packs/shop/actions/{name}.yaml"),
            &format!("name: {name}\n{text}"),
        );
    };
    action(
        "keep",
        &format!(
            "runner_type: local-shell-cmd\nparameters:\n  cwd: {{default: {here}}}\n  file: {{type: string}}\n  \
             password: {{type: string, secret: true}}\n  \
             cmd: {{default: 'printf %s {{{{ password | shell_quote }}}} | tee got-{{{{ file }}}}'}}\n"
        ),
    );
    action(
        "pass",
        &format!(
            "runner_type: local-shell-cmd\nparameters:\n  cwd: {{default: {here}}}\n  file: {{type: string}}\n  \
             text: {{type: string}}\n  note: {{type: string}}\n  \
             cmd: {{default: 'printf %s {{{{ text | shell_quote }}}} > got-{{{{ file }}}}; cat got-a got-i 2>&-; true'}}\n"
        ),
    );
    action(
        "quiet",
        &format!(
            "runner_type: local-shell-cmd\nparameters:\n  cwd: {{default: {here}}}\n  file: {{type: string}}\n  \
             text: {{type: string}}\n  note: {{type: string}}\n  \
             cmd: {{default: 'printf %s {{{{ text | shell_quote }}}} | tee got-{{{{ file }}}}'}}\n"
        ),
    );
    action(
        "wait",
        &format!(
            "runner_type: local-shell-cmd\nparameters:\n  cwd: {{default: {here}}}\n  \
             cmd: {{default: 'while [ ! -e go ]; do sleep 0.02; done'}}\n"
        ),
    );
    action(
        "token",
        "runner_type: python-script\nentry_point: token.py\noutput_schema:\n  \
         value: {type: string, secret: true}\n  n: {type: integer}\n",
    );
    place.write(
        "packs/shop/actions/token.py",
        "from st2common.runners.base_action import Action\nclass Token(Action):\n    \
         def run(self):\n        return {'value': 'of-the-' + 'schema', 'n': 7}\n",
    );
    let secret = "{key: {type: string, secret: true}, name: {type: string, default: x}}";
    let head = format!("runner_type: action-chain\nparameters: {secret}\nentry_point: ");
    action("all", &format!("{head}chains/all.yaml\n"));
    place.write("packs/shop/actions/chains/all.yaml", CHAIN);
    action("inner", &format!("{head}chains/inner.yaml\n"));
    let inner = "chain:\n- {name: i, ref: shop.keep, parameters: {password: '{{ key }}', file: i}, \
                 publish: {inside: '{{ i.stdout }}'}}\n";
    place.write("packs/shop/actions/chains/inner.yaml", inner);
    action("outer", &format!("{head}chains/outer.yaml\n"));
    let outer = "chain:\n- {name: o, ref: shop.inner, parameters: {key: '{{ key }}'}, on-success: p}\n\
                 - {name: p, ref: shop.pass, parameters: {note: n, file: p, \
                 text: '{{ o.published.inside }}+{{ o.tasks[0].result.stdout }}'}}\n";
    place.write("packs/shop/actions/chains/outer.yaml", outer);
    place
}

fn holding(folder: &Path, texts: &[&str]) -> Vec<String> {
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        let has = |text: &&str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        texts.iter().any(has)
    };
    let files = repository::files(folder, "").into_iter().filter(holds);
    files.map(|path| path.display().to_string()).collect()
}

fn of_task(place: &Place, file: &str) -> Value {
    let all = place.executions();
    let one = all.iter().find(|one| one["parameters"]["file"] == file);
    one.unwrap_or_else(|| panic!("{file}: {all:?}")).clone()
}

#[test]
fn a_task_gets_the_secret_of_the_one_before_it_also_after_a_crash() {
    let place = place();
    let nowhere = [SECRET, "TR0UB4DOR", "of-the-schema"];
    let mut petrel = place.start();
    petrel.up();
    let key = format!("key={SECRET}");
    place.petrel(&["run-action", "--async", "shop.all", &key]);
    wait_until("the task before the last runs", || {
        let all = place.executions();
        let waits = |one: &Value| one["action"]["ref"] == "shop.wait" && one["status"] == "running";
        all.iter().any(waits).then_some(())
    });
    assert_eq!(place.read("got-a"), SECRET);
    let whole = format!("{SECRET}/pw={SECRET}/{}", SECRET.to_uppercase());
    assert_eq!(place.read("got-b"), whole);
    assert_eq!(place.read("got-c"), "of-the-schema");
    let shown = of_task(&place, "b");
    assert_eq!(shown["parameters"]["text"], "********");
    assert_eq!(shown["parameters"]["note"], "p x 0");
    assert_eq!(shown["result"]["stdout"], "********");
    assert_eq!(of_task(&place, "c")["parameters"]["text"], "********");
    let shown = of_task(&place, "c");
    let once_more = place.json(&["execution", "re-run", shown["id"].as_str().unwrap()]);
    assert_eq!(once_more["parameters"], shown["parameters"]);
    assert_eq!(once_more["result"]["stdout"], "********");
    assert_eq!(of_task(&place, "c")["parameters"]["note"], "7");
    petrel.kill();
    assert_eq!(holding(&place.path("data"), &nowhere), Vec::<String>::new());

    let mut again = place.start();
    again.up();
    place.write("go", "");
    let done = wait_until("the chain is over", || {
        let all = place.executions();
        let mut chains = all
            .into_iter()
            .filter(|one| one["action"]["ref"] == "shop.all");
        chains.next().filter(|one| one["end_timestamp"].is_string())
    });
    assert_eq!(done["status"], "succeeded", "{done}");
    assert_eq!(place.read("got-d"), format!("{SECRET} of-the-schema"));
    assert_eq!(
        done["result"]["published"],
        json!({"said": "********", "code": "0"})
    );
    again.stop();
    for petrel in [&petrel, &again] {
        let told = petrel.output() + &petrel.errors();
        assert!(!nowhere.iter().any(|text| told.contains(text)));
    }
    assert_eq!(holding(&place.path("data"), &nowhere), Vec::<String>::new());
}

#[test]
fn a_chain_within_a_chain_hands_its_secret_on() {
    let place = place();
    let mut petrel = place.start();
    petrel.up();
    let output = place.petrel(&[
        "run-action",
        "--json",
        "shop.outer",
        &format!("key={SECRET}"),
    ]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["status"], "succeeded", "{shown}");
    assert_eq!(place.read("got-p"), format!("{SECRET}+{SECRET}"));
    assert!(!shown.to_string().contains(SECRET), "{shown}");
    let all = json!(place.executions()).to_string();
    assert!(!all.contains(SECRET), "{all}");
    petrel.stop();
    assert_eq!(
        holding(&place.path("data"), &[SECRET]),
        Vec::<String>::new()
    );
}
