//! What actions may rely on: the command lines, codes and results of the local runners as StackStorm
//! has them, from a sensor's event to the result.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use petrel_tests::{Place, repository, skipped, wait_until};
use serde_json::{Value, json};

/// A class that does as it is told.
const CLASS: &str = r#"
import logging, os, signal, sys, time
from st2common.runners.base_action import Action

logging.getLogger("mine").info("from the module")


class Told(Action):
    def run(self, how, rest=7):
        self.logger.info("told %s", how)
        self.logger.debug("in detail")
        print("printed")
        return {
            "plain": lambda: {"rest": rest, "config": self.config["size"]},
            "good": lambda: (True, [1]),
            "poor": lambda: (False, {"a": 1}),
            "none": lambda: None,
            "pair": lambda: ("yes", 5),
            "triple": lambda: (True, 1, 2),
            "object": lambda: (True, Told),
            "raise": lambda: {}["a"],
            "exit": lambda: sys.exit(7),
            "end": lambda: sys.exit(0),
            "term": lambda: os.kill(os.getpid(), signal.SIGTERM),
            "sleep": lambda: time.sleep(1000),
            "env": lambda: [os.environ.get(name) for name in ("GIVEN", "ST2_ACTION_PACK_NAME")]
            + ["/nope" in os.environ["PYTHONPATH"]],
        }[how]()
"#;

fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    let sensor = "#!/bin/sh\necho '{\"word\": \"five\"}'\nsleep 1000\n";
    place.sensor("shop.Feed", "feed.sh", sensor, "");
    place
}

/// Starts it, and waits until so many executions are over.
fn ended(place: &Place, count: usize) -> Vec<Value> {
    let petrel = place.start();
    petrel.up();
    all_ended(place, count)
}

fn all_ended(place: &Place, count: usize) -> Vec<Value> {
    wait_until("all have ended", || {
        let all = place.executions();
        let over = all.iter().all(|one| !one["end_timestamp"].is_null());
        (over && all.len() == count).then_some(all)
    })
}

fn of<'a>(all: &'a [Value], rule: &str) -> &'a Value {
    let reference = format!("shop.{rule}");
    let found = all.iter().find(|one| one["rule"]["ref"] == reference);
    found.unwrap_or_else(|| panic!("no execution of {rule}: {all:?}"))
}

#[test]
fn python_actions_end_as_they_do_in_stackstorm() {
    let place = place();
    place.write("packs/shop/actions/told.py", CLASS);
    place.write(
        "packs/shop/actions/told.yaml",
        "name: told\nrunner_type: python-script\nentry_point: told.py\nparameters:\n  \
         how: {type: string, required: true}\n  rest: {type: integer, default: 7}\n",
    );
    place.write("configs/shop.yaml", "size: 3\n");
    // Status, exit code and result of each.
    let cases = [
        ("plain", "succeeded", 0, json!({"rest": 7, "config": 3})),
        ("good", "succeeded", 0, json!([1])),
        ("poor", "failed", 0, json!({"a": 1})),
        ("none", "succeeded", 0, Value::Null),
        ("triple", "succeeded", 0, json!([true, 1, 2])),
        ("raise", "failed", 1, json!("None")),
        ("exit", "failed", 7, json!("None")),
        ("end", "succeeded", 0, json!("None")),
        ("term", "failed", -15, json!("None")),
        ("sleep", "timeout", -9, json!("None")),
        ("env", "succeeded", 0, json!(["x", "shop", false])),
    ];
    let more = ["pair", "object"];
    let names = cases.iter().map(|case| case.0).chain(more);
    for name in names {
        let mut parameters = json!({"how": name, "env": {"GIVEN": "x", "PYTHONPATH": "/nope"}});
        if name == "sleep" {
            parameters["timeout"] = json!(1);
        }
        if name == "good" {
            parameters["log_level"] = json!("INFO");
        }
        let rule = format!("shop.{name}");
        place.rule(&rule, "shop.told", &parameters.to_string());
    }
    let all = ended(&place, cases.len() + more.len());
    for (name, status, code, result) in cases {
        let one = of(&all, name);
        let shown = &one["result"];
        assert_eq!(
            (&one["status"], &shown["exit_code"], &shown["result"]),
            (&json!(status), &json!(code), &result),
            "{name}: {one}"
        );
        assert_eq!(shown["stdout"], "printed\n", "{name}");
        let log = shown["stderr"].as_str().unwrap();
        let first = format!("actions.python.Told: INFO     told {name}\n");
        assert!(log.starts_with(&first), "{name}: {log}");
        let detail = log.contains("actions.python.Told: DEBUG    in detail\n");
        assert_eq!(detail, name != "good", "{name}: {log}");
    }
    let raised = of(&all, "raise")["result"]["stderr"].as_str().unwrap();
    assert!(raised.trim_end().ends_with("KeyError: 'a'"), "{raised}");
    let late = &of(&all, "sleep")["result"]["error"];
    assert_eq!(late, "Action failed to complete in 1 seconds");
    let pair = of(&all, "pair");
    let error = pair["result"]["error"].as_str().unwrap();
    assert_eq!(pair["status"], "failed");
    assert!(
        error.contains("must either be True or False, got: yes"),
        "{error}"
    );
    assert!(pair["result"]["traceback"].is_string() && pair["result"]["exit_code"].is_null());
    let object = of(&all, "object")["result"]["result"].as_str().unwrap();
    assert!(object.contains("Told"), "{object}");
}

#[test]
fn shell_commands_end_as_they_do_in_stackstorm() {
    let place = place();
    let cases = [
        ("number", "echo 5", "succeeded", 0, json!(5)),
        (
            "object",
            "printf '{\"a\": [1]}\\n\\n'",
            "succeeded",
            0,
            json!({"a": [1]}),
        ),
        ("text", "printf 'a\\n\\r\\n'", "succeeded", 0, json!("a\n")),
        ("code", "echo out; exit 3", "failed", 3, json!("out")),
        ("term", "kill -TERM $$", "abandoned", -15, json!("")),
        ("late", "echo hi; sleep 1000", "timeout", -9, json!("hi")),
        (
            "place",
            "pwd; echo \"$GIVEN $ST2_ACTION_PACK_NAME $ST2_ACTION_DEBUG\"; cat",
            "succeeded",
            0,
            json!("/usr\na 'b core False"),
        ),
    ];
    for (name, cmd, ..) in &cases {
        let parameters = json!({"cmd": cmd, "cwd": "/usr", "timeout": if *name == "late" { 1 } else { 60 },
            "env": {"GIVEN": "a 'b", "ST2_ACTION_PACK_NAME": "other"}});
        place.rule(
            &format!("shop.{name}"),
            "core.local",
            &parameters.to_string(),
        );
    }
    let all = ended(&place, cases.len());
    for (name, _, status, code, stdout) in cases {
        let (one, ok) = (of(&all, name), status == "succeeded");
        let mut expected = json!({
            "succeeded": ok, "failed": !ok, "return_code": code, "stdout": stdout, "stderr": "",
        });
        if name == "late" {
            expected["error"] = json!("Action failed to complete in 1 seconds");
        }
        assert_eq!(
            (&one["status"], &one["result"]),
            (&json!(status), &expected),
            "{name}"
        );
    }
}

/// `petrel` as a user of whom `sudo` wants a password that nobody has.
struct Unprivileged(Child);

impl Unprivileged {
    const NOBODY: u32 = 65534;

    fn start(place: &Place) -> std::io::Result<Self> {
        fs::create_dir_all(place.path("bin"))?;
        for name in ["petrel", "sensor-wrapper"] {
            fs::copy(repository::binary(name), place.path("bin").join(name))?;
        }
        give(place.folder())?;
        let known = place.command(&[]);
        let vars = known
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        let mut command = Command::new(place.path("bin/petrel"));
        command.arg("run").envs(vars).stdout(Stdio::null());
        let child = command
            .current_dir(place.folder())
            .uid(Self::NOBODY)
            .gid(Self::NOBODY)
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Unprivileged {
    fn drop(&mut self) {
        petrel_tests::process::signal(self.0.id(), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn give(path: &Path) -> std::io::Result<()> {
    chown(path, Some(Unprivileged::NOBODY), Some(Unprivileged::NOBODY))?;
    if path.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| give(&entry?.path()))?;
    }
    Ok(())
}

#[test]
fn sudo_runs_as_root_and_refuses_a_wrong_password() {
    let what = "sudo";
    if Command::new("sudo").arg("--version").output().is_err() {
        return skipped(what, "it is not installed");
    }
    if !rustix::process::getuid().is_root() {
        return skipped(what, "only root can start petrel as root and as nobody");
    }
    let place = place();
    place.write(
        "packs/shop/actions/script.yaml",
        "name: script\nrunner_type: local-shell-script\nentry_point: script.sh\nparameters:\n  \
         word: {type: string}\n  sudo: {default: true}\n",
    );
    place.write(
        "packs/shop/actions/script.sh",
        "#!/bin/sh\nid -u; echo \"$1\"; cat\n",
    );
    let password = "sudo_password: wrong";
    place.rule(
        "shop.cmd",
        "core.local_sudo",
        &format!("{{cmd: 'id -u; echo $A; cat', env: {{A: x y}}, {password}}}"),
    );
    place.rule(
        "shop.script",
        "shop.script",
        &format!("{{word: five, {password}}}"),
    );
    place.rule("shop.bare", "core.local_sudo", "{cmd: id -u}");
    let all = ended(&place, 3);
    // Root is not asked: the password is no input of the command either.
    assert_eq!(of(&all, "cmd")["result"]["stdout"], "0\nx y");
    assert_eq!(of(&all, "script")["result"]["stdout"], "0\n--word=five");
    assert_eq!(of(&all, "bare")["result"]["stdout"], 0);
    fs::remove_dir_all(place.path("data")).unwrap();
    fs::set_permissions(place.path("packs"), fs::Permissions::from_mode(0o755)).unwrap();
    let Ok(_petrel) = Unprivileged::start(&place) else {
        return skipped(what, "petrel cannot be started as nobody");
    };
    wait_until("petrel answers", || {
        place
            .petrel(&["execution", "list"])
            .status
            .success()
            .then_some(())
    });
    let all = all_ended(&place, 3);
    for rule in ["cmd", "script"] {
        let one = of(&all, rule);
        let error = one["result"]["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{one}"));
        assert_eq!(
            (&one["status"], &one["result"]["return_code"]),
            (&json!("failed"), &json!(-1))
        );
        let words =
            "Invalid sudo password provided or sudo is not configured for this user (nobody)";
        assert_eq!(error, words);
    }
    let bare = of(&all, "bare");
    assert_eq!(
        (&bare["status"], &bare["result"]["return_code"]),
        (&json!("failed"), &json!(1))
    );
}
