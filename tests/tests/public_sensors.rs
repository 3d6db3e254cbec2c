//! Sensors of the Exchange's packs, unmodified, each with a rule and an action of ours.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use petrel_tests::public::{around, free_port, installed, kept, python};
use petrel_tests::{Petrel, Place, skipped, stdout};
use serde_json::Value;

/// Sends a body to a server, once it listens; prints the status. Arguments: URL, body, key of the
/// signature (may be empty).
const POST: &str = r#"
import hashlib, hmac, sys, time, urllib.error, urllib.request
url, body, key = sys.argv[1], sys.argv[2].encode(), sys.argv[3].encode()
headers = {"Content-Type": "application/json"}
if key:
    headers["X-Hook-Signature"] = hmac.new(key, body, hashlib.sha512).hexdigest()
give_up = time.monotonic() + 60
while True:
    try:
        print(urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30).status)
        break
    except urllib.error.HTTPError as answer:
        print(answer.code)
        break
    except urllib.error.URLError:
        if time.monotonic() > give_up:
            raise
        time.sleep(0.05)
"#;

fn git(place: &Place, args: &[&str]) -> String {
    let done = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@git.example"])
        .args(["-c", "init.defaultBranch=main", "-C"])
        .arg(place.path("watched"))
        .args(args)
        .output()
        .unwrap();
    assert!(done.status.success(), "git {args:?}: {done:?}");
    stdout(&done).trim().to_owned()
}

fn commit(place: &Place, message: &str) -> String {
    git(
        place,
        &["commit", "--quiet", "--allow-empty", "-m", message],
    );
    git(place, &["rev-parse", "HEAD"])
}

#[test]
fn git_commit_sensor_sees_commits() {
    let Some(place) = installed(&["git"]) else {
        return;
    };
    place.write("watched/readme", "read me");
    git(&place, &["init", "--quiet"]);
    git(&place, &["add", "."]);
    let first = commit(&place, "the first");
    let url = format!("file://{}", place.path("watched").display());
    let config = format!("poll_interval: 1\nrepositories:\n  - url: {url}\n    branch: main\n");
    place.write("configs/git.yaml", &config);
    let what = "{{ trigger.revision }} {{ trigger.author }}: {{ trigger.commit_message }}";
    around(&place, "git.head_sha_monitor", "{}", what);
    let mut petrel = place.start();
    petrel.ready("git.GitCommitSensor");
    assert_eq!(kept(&place, 1), [format!("{first} Ann: the first\n")]);
    let second = commit(&place, "the second");
    assert_eq!(kept(&place, 2)[1], format!("{second} Ann: the second\n"));
    assert!(petrel.stop().success());
}

#[test]
fn webhooks_of_netbox_are_taken_with_their_signature_only() {
    let Some(place) = installed(&["netbox"]) else {
        return;
    };
    let port = free_port();
    let config = format!(
        "hostname: 127.0.0.1\napi_token: a token\nuse_https: false\nssl_verify: false\n\
         sensor_address: 127.0.0.1\nsensor_port: {port}\nsensor_secret: between us\n"
    );
    place.write("configs/netbox.yaml", &config);
    let what = "{{ trigger.model }} {{ trigger.data.name }}";
    around(&place, "netbox.webhook.object_created", "{}", what);
    let mut petrel = place.start();
    petrel.ready("netbox.NetBoxWebhooksSensor");
    let url = format!("http://127.0.0.1:{port}/netbox/webhooks/");
    let body = |event: &str, name: &str| {
        format!(r#"{{"event": "{event}", "model": "device", "data": {{"name": "{name}"}}}}"#)
    };
    for (event, name, key, status) in [
        ("created", "forged", "not the key", "400"),
        ("painted", "unknown", "between us", "400"),
        ("deleted", "another", "between us", "200"),
        ("created", "rack-5", "between us", "200"),
    ] {
        let said = python(POST, &[&url, &body(event, name), key]);
        assert_eq!(said, status, "{event} {name}");
    }
    assert_eq!(kept(&place, 1), ["device rack-5"]);
    let seen: Vec<_> = place
        .events()
        .iter()
        .map(|one| one["trigger"].clone())
        .collect();
    let wanted = [
        "netbox.webhook.object_created",
        "netbox.webhook.object_deleted",
    ];
    assert_eq!(seen, wanted);
    assert!(petrel.stop().success());
}

#[test]
fn builds_of_circle_ci_come_through_its_webhook() {
    let Some(place) = installed(&["circle_ci"]) else {
        return;
    };
    let port = free_port();
    let config = format!("token: a token\nhost: 127.0.0.1\nport: {port}\n");
    place.write("configs/circle_ci.yaml", &config);
    let what = "{{ trigger.body.payload.status }} {{ trigger.headers['Content-Type'] }}";
    around(&place, "circle_ci.build_event", "{}", what);
    let mut petrel = place.start();
    petrel.ready("circle_ci.CircleCIWebhookSensor");
    let at = |path: &str| format!("http://127.0.0.1:{port}/webhooks/{path}");
    let body = r#"{"payload": {"status": "fixed", "build_num": 22}}"#;
    assert_eq!(python(POST, &[&at("no/such"), body, ""]), "404");
    assert_eq!(python(POST, &[&at("build/events"), body, ""]), "200");
    assert_eq!(kept(&place, 1), ["fixed application/json"]);
    assert!(petrel.stop().success());
}

/// Its server runs in werkzeug's debug mode, which would start the sensor a second time.
#[test]
fn webhooks_of_activecampaign_come_from_a_server_in_debug_mode() {
    let Some(place) = installed(&["activecampaign"]) else {
        return;
    };
    let port = free_port();
    let webhook = format!("webhook: {{host: 127.0.0.1, port: {port}, path: hook}}\n");
    let config = format!("url: http://127.0.0.1:9\napi_key: a key\n{webhook}");
    place.write("configs/activecampaign.yaml", &config);
    around(
        &place,
        "activecampaign.webhook",
        "{}",
        "{{ trigger.action }}",
    );
    let mut petrel = place.start();
    petrel.ready("activecampaign.ActiveCampaignWebhook");
    let url = format!("http://127.0.0.1:{port}/hook/subscribed");
    assert_eq!(python(POST, &[&url, "contact=ann", ""]), "200");
    assert_eq!(kept(&place, 1), ["subscribed"]);
    assert_eq!(
        petrel.count("sensor.ended", "activecampaign.ActiveCampaignWebhook"),
        0
    );
    assert!(petrel.stop().success());
}

/// A server with two unread mails for ann@mail.example.
struct Exchange {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    port: String,
    certificate: String,
}

impl Exchange {
    fn start(place: &Place) -> Option<Self> {
        let pem = place.path("exchange.pem").display().to_string();
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-keyout", "-", "-out", &pem])
            .output();
        let Ok(made) = made else {
            skipped("msexchange", "openssl is not installed");
            return None;
        };
        let certificate = place.read("exchange.pem");
        place.write("exchange.pem", &(stdout(&made) + &certificate));
        let mut child = Command::new("python3")
            .args(["-c", include_str!("../fakes/exchange.py"), &pem])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = said.next().unwrap().unwrap();
        let certificate = place.write("ca.pem", &certificate).display().to_string();
        Some(Self {
            child,
            said,
            port,
            certificate,
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of the pack msexchange.
fn mailbox(place: &Place, port: &str) {
    let attachments = place.path("attachments").display().to_string();
    let config = format!(
        "primary_smtp_address: ann@mail.example\nusername: ann@mail.example\n\
         password: between us\nserver: localhost:{port}\nattachment_directory: {attachments}\n"
    );
    place.write("configs/msexchange.yaml", &config);
}

#[test]
fn mails_of_exchange_are_told_and_marked_as_read() {
    let Some(place) = installed(&["msexchange"]) else {
        return;
    };
    let Some(mut exchange) = Exchange::start(&place) else {
        return;
    };
    mailbox(&place, &exchange.port);
    let what = "{{ trigger.subject }}: {{ trigger.body }}, {{ trigger.datetime_received }}";
    around(&place, "msexchange.exchange_new_item", "{}", what);
    let trusted = [("REQUESTS_CA_BUNDLE", exchange.certificate.as_str())];
    let mut petrel = Petrel::start_with(&place, &[], &trusted);
    petrel.ready("msexchange.ItemSensor");
    let mut mails = kept(&place, 2);
    mails.sort();
    let mail = |name| format!("mail {name}: text of {name}, 2026-01-02T03:04:05");
    assert_eq!(mails, [mail("one"), mail("two")]);
    let read: Vec<String> = exchange.said.by_ref().take(2).map(Result::unwrap).collect();
    assert_eq!(read, ["read one", "read two"]);
    // Its arguments name the place: it must not be taken for something that petrel left.
    drop(exchange);
    assert!(petrel.stop().success());
}

#[test]
fn attachments_of_exchange_are_looked_after_by_the_packs_own_rule() {
    let Some(place) = installed(&["msexchange"]) else {
        return;
    };
    mailbox(&place, "9");
    // The pack brings the rule switched off; a copy of ours is on.
    around(
        &place,
        "msexchange.attachment_directory_maintenance",
        "{}",
        "unused",
    );
    let rule = place.read("packs/mine/rules/rule.yaml");
    let (rule, _) = rule.split_once("action:").unwrap();
    let action = "action:\n  ref: msexchange.do_attachment_directory_maintenance\n";
    place.write("packs/mine/rules/rule.yaml", &format!("{rule}{action}"));
    let mut petrel = place.start();
    petrel.ready("msexchange.AttachmentDirectoryMaintenanceSensor");
    let ended = petrel.wait_kind(
        "execution.ended",
        "msexchange.do_attachment_directory_maintenance",
    );
    let all = place.executions();
    let shown: Vec<&Value> = all.iter().map(|one| &one["status"]).collect();
    assert_eq!(shown, ["succeeded"], "{ended} {all:?}");
    assert!(petrel.stop().success());
}
