//! The remote runners against a real `sshd`, by keys: no account is made here.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use petrel_tests::sshd::{PASSPHRASE, Server};
use petrel_tests::{Place, skipped, wait_until};
use serde_json::{Value, json};

fn run(place: &Place, action: &str, parameters: &[&str]) -> Value {
    let args = [&["run-action", "--json", action], parameters].concat();
    let output = place.petrel(&args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.pack("shop");
    place.write(
        "packs/shop/actions/all.yaml",
        "name: all\nrunner_type: remote-shell-cmd\nparameters:\n  parallel: {default: true}\n",
    );
    place.write(
        "packs/shop/actions/script.yaml",
        "name: script\nrunner_type: run-remote-script\nentry_point: script.sh\nparameters:\n  \
         word: {type: string}\n  first: {type: string, position: 0}\n  \
         token: {type: string, secret: true}\n",
    );
    let script = "#!/bin/sh\n. \"$(dirname \"$0\")/lib/help.sh\"\nhelp \"$@\"\n\
                  dirname \"$0\"\nexit 4\n";
    place.write("packs/shop/actions/script.sh", script);
    let lib = "help() { for word; do echo \"<$word>\"; done; }\n";
    place.write("packs/shop/actions/lib/help.sh", lib);
    place
}

#[test]
fn commands_and_scripts_run_on_other_hosts() {
    let place = place();
    let Some(server) = Server::start("the remote runners") else {
        return;
    };
    let petrel = place.start();
    petrel.up();
    let key = format!("private_key={}", server.files.path("ssh/id").display());
    let host = format!("hosts=127.0.0.1:{}", server.port);

    let shown = run(
        &place,
        "core.remote",
        &[
            &host,
            &key,
            "cwd=/",
            "env={\"A\": \"x 'y\"}",
            "cmd=echo \"$A\"; pwd; cat; echo no >&2; echo $ST2_ACTION_PACK_NAME; exit 3",
        ],
    );
    let expected = json!({"127.0.0.1": {
        "succeeded": false, "failed": true, "return_code": 3,
        "stdout": "x 'y\n/\ncore", "stderr": "no",
    }});
    assert_eq!(
        (&shown["status"], &shown["result"]),
        (&json!("failed"), &expected)
    );
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = nobody.local_addr().unwrap().port();
    drop(nobody);
    let down = format!("hosts=127.0.0.1:{closed}");
    let shown = run(&place, "core.remote", &[&down, &key, "cmd=echo hi"]);
    let error = shown["result"]["error"].as_str().unwrap();
    assert!(
        error.starts_with("Unable to connect to any one of the hosts: ['127.0.0.1'].")
            && error.contains("Connection refused"),
        "{error}"
    );
    let foreign = format!("private_key={}", server.files.path("ssh/foreign").display());
    let shown = run(&place, "core.remote", &[&host, &foreign, "cmd=echo hi"]);
    let error = shown["result"]["error"].as_str().unwrap();
    assert!(error.contains("Permission denied"), "{error}");
    let shown = run(&place, "core.remote", &["hosts=a b", &key, "cmd=echo hi"]);
    assert_eq!(shown["result"]["error"], "\"a b\" in \"hosts\" is no host");

    // The text of a key with a passphrase, through another host.
    let locked = format!("private_key={}", server.files.read("ssh/locked"));
    let bastion = format!("bastion_host=localhost:{}", server.port);
    let phrase = format!("passphrase={PASSPHRASE}");
    let shown = run(
        &place,
        "core.remote",
        &[&host, &locked, &phrase, &bastion, "cmd=echo 5"],
    );
    assert_eq!(shown["result"]["127.0.0.1"]["stdout"], 5, "{shown}");
    let shown = run(
        &place,
        "core.remote",
        &[&host, &locked, "passphrase=wrong", "cmd=echo 5"],
    );
    let error = shown["result"]["error"].as_str().unwrap();
    assert!(
        error.contains("127.0.0.1") && error.contains("Permission denied"),
        "{error}"
    );

    // One of several cannot be reached; one that takes too long.
    let port = server.port;
    let hosts = format!("hosts=localhost:{port},127.0.0.1:{port},nowhere.invalid");
    let shown = run(&place, "shop.all", &[&hosts, &key, "cmd=echo hi"]);
    assert_eq!(shown["status"], "failed");
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(shown["result"][host]["stdout"], "hi", "{shown}");
    }
    assert_eq!(shown["result"]["nowhere.invalid"]["return_code"], 255);
    let shown = run(
        &place,
        "core.remote",
        &[&host, &key, "timeout=1", "cmd=echo hi; sleep 20"],
    );
    assert_eq!(shown["status"], "timeout");
    let result = &shown["result"]["127.0.0.1"];
    assert_eq!(
        (&result["return_code"], &result["stdout"]),
        (&json!(-9), &json!("hi"))
    );
    assert_eq!(result["error"], "Action failed to complete in 1 seconds");

    let shown = run(
        &place,
        "shop.script",
        &[&host, &key, "first=a 'b", "word=c d", "token=t0ken-of-it"],
    );
    let result = &shown["result"]["127.0.0.1"];
    let said = result["stdout"]
        .as_str()
        .unwrap_or_else(|| panic!("{shown}"));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        &lines[..3],
        ["<--word=c d>", "<--token=********>", "<a 'b>"],
        "{said}"
    );
    assert_eq!(result["return_code"], 4);
    assert!(!fs::exists(lines[3]).unwrap(), "{} is left", lines[3]);
}

/// True where `sudo` works without a password.
fn has_sudo() -> bool {
    let done = Command::new("sudo").args(["-n", "true"]).status();
    done.is_ok_and(|status| status.success())
}

#[test]
fn rules_run_commands_on_other_hosts() {
    let place = place();
    let Some(server) = Server::start("the remote runners") else {
        return;
    };
    let port = server.port;
    let seen = json!({"host": format!("127.0.0.1:{port}"), "word": "x 'y"});
    let lines = place.write("lines", &format!("{seen}\n"));
    let sensor = format!("#!/bin/sh\ncat '{}'\nsleep 1000\n", lines.display());
    place.sensor("shop.Feed", "feed.sh", &sensor, "");
    let key = server.files.path("ssh/id").display().to_string();
    let far = json!({"hosts": "{{ trigger.host }}", "private_key": key, "cwd": "/usr",
        "env": {"A": "{{ trigger.word }}"}, "cmd": "id -u; pwd; echo \"$A\""});
    place.rule("shop.far", "core.remote", &far.to_string());
    let left = json!({"hosts": "{{ trigger.host }}", "private_key": key,
        "cmd": "sleep 1000 & echo $!"});
    place.rule("shop.left", "core.remote", &left.to_string());
    match has_sudo() {
        true => place.rule("shop.root", "core.remote_sudo", &far.to_string()),
        false => skipped(
            "core.remote_sudo",
            "sudo is not here or asks for a password",
        ),
    }
    let petrel = place.start();
    petrel.up();
    let rules = 2 + usize::from(has_sudo());
    let all = wait_until("all have ended", || {
        let all = place.executions();
        let over = all.iter().all(|one| !one["end_timestamp"].is_null());
        (over && all.len() == rules).then_some(all)
    });
    for one in all {
        let result = &one["result"]["127.0.0.1"];
        assert_eq!(
            (&one["status"], &result["return_code"]),
            (&json!("succeeded"), &json!(0)),
            "{one}"
        );
        let user = match one["rule"]["ref"].as_str().unwrap() {
            // What it left running does not hold it up.
            "shop.left" => {
                let pid = result["stdout"].to_string();
                assert!(Command::new("kill").arg(pid).status().unwrap().success());
                continue;
            }
            "shop.root" => 0,
            _ => rustix::process::getuid().as_raw(),
        };
        assert_eq!(result["stdout"], format!("{user}\n/usr\nx 'y"), "{one}");
    }
}

#[test]
fn a_host_whose_key_has_changed_is_refused() {
    let place = place();
    let Some(server) = Server::start("the remote runners") else {
        return;
    };
    let petrel = place.start();
    petrel.up();
    let key = format!("private_key={}", server.files.path("ssh/id").display());
    let host = format!("hosts=127.0.0.1:{}", server.port);
    let shown = run(&place, "core.remote", &[&host, &key, "cmd=echo hi"]);
    assert_eq!(shown["status"], "succeeded", "{shown}");
    let known = place.path("data/ssh/known_hosts");
    let other = server.files.read("ssh/id.pub");
    let other: Vec<_> = other.split(' ').collect();
    let line = format!("[127.0.0.1]:{} {} {}\n", server.port, other[0], other[1]);
    fs::write(&known, line).unwrap();
    let shown = run(&place, "core.remote", &[&host, &key, "cmd=echo hi"]);
    let error = shown["result"]["error"].as_str().unwrap();
    let entry = format!("ssh-keygen -R '[127.0.0.1]:{}' -f ", server.port);
    assert!(error.contains(&entry), "{error}");
}
