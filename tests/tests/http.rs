//! `http-request` against a real server.
#![allow(clippy::unwrap_used, reason = "tests")]

use petrel_tests::web::{self, Server};
use petrel_tests::{Place, wait_until};
use serde_json::{Value, json};

fn place() -> Place {
    let place = Place::new();
    place.pack("shop");
    place.write(
        "packs/shop/actions/ask.yaml",
        "name: ask\nrunner_type: http-request\nparameters:\n  method: {type: string}\n  \
         body: {type: string}\n  params: {type: object}\n  timeout: {type: number, default: 20}\n  \
         file_name: {type: string}\n  file_content: {type: string}\n",
    );
    place
}

fn ask(place: &Place, url: &str, more: &[&str]) -> Value {
    let url = format!("url={url}");
    let args = [&["run-action", "--json", "shop.ask", &url], more].concat();
    let output = place.petrel(&args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"))
}

#[test]
fn requests_are_made_and_answers_are_results() {
    let place = place();
    let petrel = place.start();
    petrel.up();
    let server = Server::start(&[]);
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);

    let shown = ask(&place, &at("/echo?a=1"), &["params={\"b\": [2, 3]}"]);
    let result = &shown["result"];
    assert_eq!(
        (&shown["status"], &result["parsed"]),
        (&json!("succeeded"), &json!(true))
    );
    assert_eq!(result["body"]["method"], "GET");
    assert_eq!(result["body"]["path"], "/echo?a=1&b=2&b=3");
    assert_eq!(result["body"]["headers"]["x-stanley-action"], "shop.ask");
    assert_eq!(result["headers"]["Content-Type"], "application/json");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
        let shown = ask(
            &place,
            &at("/echo"),
            &[&format!("method={method}"), "body=some"],
        );
        assert_eq!(shown["status"], "succeeded", "{shown}");
        if method != "HEAD" {
            let said = &shown["result"]["body"];
            assert_eq!(
                (&said["method"], &said["body"]),
                (&json!(method), &json!("some"))
            );
        }
    }
    let kind = "headers={\"Content-Type\": \"application/json\", \"X-Own\": \"ünï\"}";
    let shown = ask(&place, &at("/echo"), &[kind, "body={'a': None}"]);
    assert_eq!(shown["result"]["body"]["body"], r#"{"a":null}"#);
    let shown = ask(
        &place,
        &at("/echo"),
        &["file_name=f.txt", "file_content=hello"],
    );
    let body = shown["result"]["body"]["body"].as_str().unwrap();
    assert!(
        body.contains("filename=\"f.txt\"") && body.contains("hello"),
        "{shown}"
    );

    let shown = ask(&place, &at("/redirect"), &[]);
    assert_eq!(
        (&shown["status"], &shown["result"]["status_code"]),
        (&json!("failed"), &json!(302))
    );
    let shown = ask(&place, &at("/redirect"), &["allow_redirects=true"]);
    assert_eq!(shown["result"]["body"]["path"], "/echo");
    let shown = ask(&place, &at("/gone"), &[]);
    assert_eq!(shown["status"], "failed");
    assert_eq!(shown["result"]["body"], json!({"error": "gone"}));

    let shown = ask(&place, &at("/big"), &[]);
    assert_eq!(shown["result"]["body"].as_str().unwrap().len(), 10_000_000);
    let shown = ask(&place, &at("/huge"), &[]);
    assert_eq!(shown["status"], "failed");
    let shown = ask(&place, &at("/binary"), &[]);
    let wanted: String = (0..=255_u8).map(char::from).collect();
    assert_eq!(shown["result"]["body"], wanted);
    let shown = ask(&place, &at("/slow"), &["timeout=0.5"]);
    assert_eq!(shown["status"], "timeout", "{shown}");
    let shown = ask(&place, "http://127.0.0.1:1/", &[]);
    let error = shown["result"]["error"].as_str().unwrap();
    assert!(
        error.starts_with("GET http://127.0.0.1:1 failed: "),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
    let causes = shown["result"]["traceback"].as_str().unwrap();
    assert!(causes.contains("failed\n  caused by: "), "{causes}");
    assert!(causes.contains("refused"), "{causes}");
}

/// Every argument and every variable of every process, but those of `except`.
fn anywhere(text: &str, except: u32) -> Option<String> {
    let found = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let pid: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let seen = ["cmdline", "environ"].into_iter().find(|file| {
            let bytes = std::fs::read(path.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(text)
        })?;
        (pid != except).then(|| format!("{}/{seen}", path.display()))
    });
    found.into_iter().next()
}

#[test]
fn credentials_reach_the_server_and_nobody_else() {
    const SECRET: &str = "correct-horse-battery";
    let place = place();
    place.write(
        "packs/shop/rules/r.yaml",
        "name: r\nenabled: true\ntrigger: {type: core.st2.IntervalTimer, parameters: {unit: hours, delta: 1}}\n\
         action: {ref: shop.ask, parameters: {url: 'http://x'}}\n",
    );
    let petrel = place.start();
    petrel.up();
    let server = Server::start(&[]);
    let key = place.petrel(&["key", "set", "word", SECRET, "--encrypt"]);
    assert!(key.status.success());
    let template = "password={{ st2kv.system.word | decrypt_kv }}";
    let echo = format!("http://127.0.0.1:{}/echo", server.port);
    let shown = ask(&place, &echo, &["username=me", template]);
    let sent = &shown["result"]["body"]["headers"]["authorization"];
    assert_eq!(sent, "Basic bWU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5");
    assert_eq!(shown["parameters"]["password"], "********");
    let slow = format!("url=http://127.0.0.1:{}/slow", server.port);
    place.petrel(&[
        "run-action",
        "--async",
        "shop.ask",
        &slow,
        "username=me",
        template,
    ]);
    wait_until("the request is under way", || {
        let all = place.executions();
        all.iter().find(|one| one["status"] == "running").cloned()
    });
    assert_eq!(anywhere(SECRET, std::process::id()), None);
}

#[test]
fn certificates_are_checked_unless_told_otherwise() {
    let place = place();
    let Some(pem) = web::certificate(&place, "http-request over TLS") else {
        return;
    };
    let petrel = place.start();
    petrel.up();
    let server = Server::start(&[pem.to_str().unwrap()]);
    let url = format!("https://localhost:{}/echo", server.port);
    let shown = ask(&place, &url, &[]);
    assert_eq!(shown["status"], "failed");
    let error = shown["result"]["error"].as_str().unwrap();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    let shown = ask(&place, &url, &["verify_ssl_cert=false"]);
    assert_eq!(shown["result"]["status_code"], 200, "{shown}");
}

/// `core.http` by a rule: method by the body, credentials, cookies, a file, lists of hosts.
#[test]
fn core_http_is_run_by_a_rule() {
    let place = Place::new();
    place.copy_pack("core");
    place.pack("shop");
    let server = Server::start(&[]);
    let url = format!("http://127.0.0.1:{}/echo", server.port);
    let cases = [
        (
            "plain",
            json!({"url": url, "cookies": {"a": "1", "b": "2"}, "timeout": 2.5}),
        ),
        (
            "sent",
            json!({"url": url, "body": "{{ trigger.object.value }}", "auth": "x-auth-token=XYZ"}),
        ),
        (
            "login",
            json!({"url": url, "method": "PURGE", "username": "u", "password": "p"}),
        ),
        (
            "file",
            json!({
                "url": url, "file_name": "f.csv", "file_content": "1,2", "file_content_type": "text/csv",
            }),
        ),
        (
            "banned",
            json!({"url": url, "url_hosts_blacklist": ["127.0.0.1"]}),
        ),
    ];
    for (name, parameters) in &cases {
        let rule = json!({
            "name": name, "pack": "shop", "enabled": true,
            "trigger": {"type": "core.st2.key_value_pair.create"},
            "action": {"ref": "core.http", "parameters": parameters},
        });
        place.write(&format!("packs/shop/rules/{name}.yaml"), &rule.to_string());
    }
    let mut petrel = place.start();
    petrel.up();
    let sent = place.petrel(&["key", "set", "word", "hi"]);
    assert!(sent.status.success(), "{sent:?}");
    wait_until("all have ended", || {
        let all = place.executions();
        let over = all.iter().all(|one| !one["end_timestamp"].is_null());
        (over && all.len() == cases.len()).then_some(())
    });
    let all = place.executions();
    let of = |name: &str| {
        let reference = format!("shop.{name}");
        let one = all.iter().find(|one| one["rule"]["ref"] == reference);
        one.unwrap_or_else(|| panic!("{name}: {all:?}")).clone()
    };
    let body = |name: &str| of(name)["result"]["body"].clone();
    assert_eq!(body("plain")["method"], "GET");
    assert_eq!(body("plain")["headers"]["cookie"], "a=1; b=2");
    assert_eq!(
        (&body("sent")["method"], &body("sent")["body"]),
        (&json!("POST"), &json!("hi"))
    );
    assert_eq!(body("sent")["headers"]["x-auth-token"], "XYZ");
    assert_eq!(body("login")["method"], "PURGE");
    assert_eq!(body("login")["headers"]["authorization"], "Basic dTpw");
    assert_eq!(body("file")["method"], "POST");
    let file = body("file")["body"].as_str().unwrap().to_owned();
    assert!(
        file.contains("filename=\"f.csv\"\r\nContent-Type: text/csv\r\n\r\n1,2\r\n"),
        "{file}"
    );
    let banned = of("banned");
    assert_eq!(banned["status"], "failed");
    assert_eq!(
        banned["result"]["error"],
        format!("URL \"{url}\" is blacklisted")
    );
    assert_eq!(banned["result"]["traceback"], banned["result"]["error"]);
    assert!(petrel.stop().success());
}
