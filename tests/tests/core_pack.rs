//! The actions of the pack `core` that other files do not run, from a sensor's event to their effect.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Place, wait_until};
use serde_json::{Value, json};

/// A sensor that sees one thing, `seen`.
fn place(seen: &Value) -> Place {
    let place = Place::new();
    place.copy_pack("core");
    let lines = place.write("lines", &format!("{seen}\n"));
    let sensor = format!("#!/bin/sh\ncat '{}'\nsleep 1000\n", lines.display());
    place.sensor("shop.Feed", "feed.sh", &sensor, "");
    place
}

/// So many executions, once all are over.
fn ended(place: &Place, count: usize) -> Vec<Value> {
    wait_until("all have ended", || {
        let all = place.executions();
        let over = all.iter().all(|one| !one["end_timestamp"].is_null());
        (over && all.len() == count).then_some(all)
    })
}

fn of<'a>(all: &'a [Value], rule: &str) -> &'a Value {
    let found = all.iter().find(|one| one["rule"]["ref"] == rule);
    found.unwrap_or_else(|| panic!("no execution of {rule}: {all:?}"))
}

#[test]
fn mail_is_handed_to_sendmail() {
    let place = place(&json!({"who": "Zoë", "to": "a@example.com"}));
    // What a mail transport agent is to the action: a program that reads the mail.
    let here = place.folder().display().to_string();
    let agent = format!("#!/bin/sh\necho \"$@\" > {here}/args\ncat > {here}/mail\n");
    place.write("bin/sendmail", &agent);
    let refuses = place.write("refuses", "#!/bin/sh\nexit 75\n");
    place.write("list.csv", "1,2\n");
    let path = format!("{here}/bin:{}", std::env::var("PATH").unwrap());
    let common = json!({
        "to": "{{ trigger.to }}", "from": "me@example.com", "subject": "Hi {{ trigger.who }}",
        "content_type": "text/plain", "body": "Grüße, {{ trigger.who }}", "env": {"PATH": path},
    });
    for (rule, more) in [
        (
            "shop.sent",
            json!({"attachments": format!("{here}/list.csv, /no/such/file")}),
        ),
        ("shop.refused", json!({"sendmail_binary": refuses})),
        ("shop.empty", json!({"body": " ", "send_empty_body": false})),
        ("shop.hostile", json!({"subject": "Hi\r\nBcc: x@y"})),
    ] {
        let mut all = common.as_object().unwrap().clone();
        all.extend(more.as_object().unwrap().clone());
        place.rule(rule, "core.sendmail", &json!(all).to_string());
    }
    let petrel = place.start();
    petrel.up();
    let all = ended(&place, 4);
    let sent = of(&all, "shop.sent");
    let said = "sendmail took the mail to a@example.com";
    assert_eq!(sent["result"]["stdout"], said, "{sent}");
    let warned = sent["result"]["stderr"].as_str().unwrap();
    assert!(warned.contains("/no/such/file"), "{sent}");
    assert_eq!(place.read("args"), "-t\n");
    let read = "import email, email.policy, json, sys\n\
        mail = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)\n\
        parts = [part.get_content() for part in mail.iter_parts()]\n\
        print(json.dumps([mail['from'], mail['to'], mail['subject'], parts]))\n";
    let read = place.write("read.py", read);
    let mail = std::fs::File::open(place.path("mail")).unwrap();
    let mut python = std::process::Command::new("python3");
    let read = python.arg(read).stdin(mail).output().unwrap();
    let shown: Value = serde_json::from_slice(&read.stdout).unwrap();
    let parts = ["Grüße, Zoë\n", "1,2\n"];
    assert_eq!(
        shown,
        json!(["me@example.com", "a@example.com", "Hi Zoë", parts])
    );
    let refused = of(&all, "shop.refused");
    assert_eq!(refused["result"]["return_code"], 2, "{refused}");
    let hostile = of(&all, "shop.hostile");
    assert_eq!(hostile["result"]["return_code"], 2, "{hostile}");
    let empty = of(&all, "shop.empty");
    let said = empty["result"]["stdout"].as_str().unwrap();
    assert!(said.contains("nothing is sent"), "{empty}");
}

#[test]
fn an_action_sends_events() {
    let place = place(&json!({"who": "Zoë"}));
    place.write(
        "packs/shop/triggers/told.yaml",
        "name: told\npack: shop\npayload_schema:\n  type: object\n  properties:\n    \
         who: {type: string}\n    age: {type: integer}\n",
    );
    let told = json!({"trigger_name": "shop.told", "payload": {"who": "{{ trigger.who }}"},
        "trace_tag": "t-1"});
    for (rule, parameters) in [
        ("shop.tell", told),
        ("shop.unknown", json!({"trigger": "shop.tolt"})),
        (
            "shop.unfit",
            json!({"trigger": "shop.told", "payload": {"age": "old"}}),
        ),
        (
            "shop.both",
            json!({"trigger": "shop.told", "trigger_name": "shop.told"}),
        ),
    ] {
        place.rule(rule, "core.inject_trigger", &parameters.to_string());
    }
    place.write(
        "packs/shop/rules/heard.yaml",
        "name: heard\npack: shop\nenabled: true\ntrigger: {type: shop.told}\naction:\n  \
         ref: core.echo\n  parameters: {message: 'Hi {{ trigger.who }}'}\n",
    );
    let petrel = place.start();
    petrel.up();
    let all = ended(&place, 5);
    let (tell, heard) = (of(&all, "shop.tell"), of(&all, "shop.heard"));
    assert_eq!(heard["result"]["stdout"], "Hi Zoë", "{tell}");
    let event = &tell["result"]["result"];
    assert_eq!(event["payload"], json!({"who": "Zoë"}), "{tell}");
    let id = event["id"].as_str().unwrap();
    let event = place.json(&["event", "get", id]);
    assert_eq!(event["trigger"], "shop.told", "{event}");
    for (rule, said) in [
        ("shop.unknown", "did you mean \"shop.told\""),
        ("shop.unfit", "does not fit the schema"),
        ("shop.both", "give one of them"),
    ] {
        let one = of(&all, rule);
        let stderr = one["result"]["stderr"].as_str().unwrap();
        assert_eq!(one["status"], "failed", "{one}");
        assert!(stderr.contains(said), "{stderr}");
    }
}
