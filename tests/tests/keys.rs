//! `petrel key`: what is set is read, listed, removed, loaded and encrypted.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use petrel_tests::{Petrel, Place, repository, stdout, wait_until};
use serde_json::{Value, json};

/// A key file that StackStorm made, and what it encrypted with it.
const KEY: &str = r#"{"hmacKey": {"hmacKeyString": "COEdhSO03i6RXxNs4ub6Ke_kejRVJSoTFyVuXnlsvbI", "size": 256}, "aesKeyString": "_EqKi99FmNMT79J2XZJsZ9MEFFRF66awX2lusW-4bE0", "mode": "CBC", "size": 256}"#;
const SECRET: &str = "3030303030AC27BD141D4090DD3257C76056C8CA166490D4F1A1D0B5C77C863AC340AF9A94A4CAF95E2854487E261A929C454158E5885A1473";

/// A supervisor that answers, with no packs.
fn started(place: &Place) -> Petrel {
    let petrel = place.start();
    wait_until("an answer", || {
        place
            .petrel(&["key", "list"])
            .status
            .success()
            .then_some(())
    });
    petrel
}

fn ok(place: &Place, args: &[&str]) -> String {
    let output = place.petrel(args);
    assert!(output.status.success(), "petrel {args:?}: {output:?}");
    stdout(&output)
}

/// The error of a command that must fail.
fn refused(place: &Place, args: &[&str]) -> String {
    let output = place.petrel(args);
    assert!(!output.status.success(), "petrel {args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn piped(place: &Place, args: &[&str], input: &[u8]) -> Output {
    let mut child = place
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Names in order.
fn names(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap()).collect()
}

/// Files below a folder that hold these bytes.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let files = repository::files(folder, "").into_iter();
    let holds = |path: &std::path::PathBuf| {
        let text = fs::read(path).unwrap_or_default();
        text.windows(bytes.len()).any(|part| part == bytes)
    };
    files
        .filter(holds)
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn what_is_set_is_read_listed_and_removed() {
    let place = Place::new();
    let _petrel = started(&place);
    assert!(ok(&place, &["key", "list"]).contains("No matching items found"));
    ok(&place, &["key", "set", "p.S:a", "one"]);
    ok(&place, &["key", "set", "p.S:b/é z", "-5"]);
    ok(&place, &["key", "set", "mine", "x", "-s", "user"]);
    ok(&place, &["key", "set", "his", "y", "-u", "bob"]);
    assert!(
        piped(&place, &["key", "set", "piped"], b"a\nb\n")
            .status
            .success()
    );
    assert!(
        !piped(&place, &["key", "set", "piped"], b"")
            .status
            .success()
    );
    assert_eq!(place.json(&["key", "get", "piped"])["value"], "a\nb");
    let all = place.json(&["key", "list"]);
    assert_eq!(names(&all), ["p.S:a", "p.S:b/é z", "piped", "mine"]);
    assert_eq!(names(&place.json(&["key", "list", "-u", "bob"])), ["his"]);
    assert_eq!(
        names(&place.json(&["key", "list", "--prefix", "p.S:b"])),
        ["p.S:b/é z"]
    );
    let cut = place.petrel(&["key", "list", "-n", "1"]);
    assert!(
        String::from_utf8_lossy(&cut.stderr).contains("3 more keys"),
        "{cut:?}"
    );
    let table = ok(&place, &["key", "get", "p.S:a"]);
    assert!(
        table.contains("| value            | one          |"),
        "{table}"
    );
    let some = place.petrel(&["key", "get", "p.S:a", "gone", "--json"]);
    assert_eq!(some.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&some.stderr).contains("\"gone\" is not found"));
    let deleted = ok(&place, &["key", "delete", "p.S:a"]);
    assert!(deleted.contains("Resource with id \"p.S:a\" has been successfully deleted."));
    refused(&place, &["key", "delete", "p.S:a"]);
    assert!(refused(&place, &["key", "delete_by_prefix", "-p", ""]).contains("every item"));
    let deleted = ok(&place, &["key", "delete_by_prefix", "-p", "p"]);
    assert!(deleted.contains("Deleted 2 keys\nDeleted key ids: p.S:b/é z, piped"));
    assert_eq!(names(&place.json(&["key", "list"])), ["mine"]);
}

#[test]
fn a_key_lives_as_long_as_it_was_given_and_the_rest_outlives_the_supervisor() {
    let place = Place::new();
    let mut petrel = started(&place);
    ok(&place, &["key", "set", "short", "x", "--ttl", "1"]);
    ok(&place, &["key", "set", "long", "x", "--ttl", "100000"]);
    wait_until("the end of the key", || {
        (names(&place.json(&["key", "list"])) == ["long"]).then_some(())
    });
    petrel.kill();
    drop(petrel);
    let _petrel = started(&place);
    let long = place.json(&["key", "get", "long"]);
    assert!(long["expire_timestamp"].is_string(), "{long}");
}

#[test]
fn an_encrypted_value_is_in_clear_for_who_asks_and_nowhere_else() {
    let place = Place::new();
    let mut petrel = started(&place);
    let clear = "correct horse battery staple";
    let told = piped(&place, &["key", "set", "s", "-e"], clear.as_bytes());
    assert!(stdout(&told).contains("********"), "{told:?}");
    let table = ok(&place, &["key", "list"]);
    assert!(
        table.contains("********") && !table.contains("3030303030"),
        "{table}"
    );
    let kept = place.json(&["key", "get", "s"]);
    assert_eq!(
        (&kept["secret"], &kept["encrypted"]),
        (&json!(true), &json!(true))
    );
    let decrypted = place.json(&["key", "get", "s", "-d"]);
    assert_eq!(
        (&decrypted["value"], &decrypted["secret"]),
        (&json!(clear), &json!(true))
    );
    assert!(petrel.stop().success());
    assert_eq!(holding(place.folder(), clear.as_bytes()), [""; 0]);
    let cipher = kept["value"].as_str().unwrap();
    assert_ne!(holding(&place.path("data"), cipher.as_bytes()), [""; 0]);
    let _petrel = started(&place);
    assert!(ok(&place, &["key", "get", "s", "-d"]).contains(clear));
}

#[test]
fn values_that_stackstorm_encrypted_move_over_with_their_key() {
    let place = Place::new();
    let file = place.write("st2.json", KEY);
    let config = format!("datastore:\n  encryption_key: {}\n", file.display());
    place.write("petrel.yaml", &config);
    let _petrel = started(&place);
    ok(&place, &["key", "set", "moved", SECRET, "--encrypted"]);
    assert_eq!(
        place.json(&["key", "get", "moved", "-d"])["value"],
        "secret"
    );
    let other = SECRET.replace("AC27", "AC28");
    let why = refused(&place, &["key", "set", "bad", &other, "--encrypted"]);
    assert!(why.contains("another key"), "{why}");
    let listed = ok(&place, &["key", "list", "--json"]);
    place.write("listed.json", &listed.replace("moved", "again"));
    ok(&place, &["key", "load", "listed.json"]);
    assert_eq!(
        place.json(&["key", "get", "again", "-d"])["value"],
        "secret"
    );
}

#[test]
fn a_file_is_loaded_whole_or_not_at_all() {
    let place = Place::new();
    let _petrel = started(&place);
    let good = "- {name: a, value: x, ttl: 1000}\n- {name: b, value: y, scope: user, user: bob}\n\
                - {name: c, value: hidden words, secret: true}\n";
    place.write("good.yaml", good);
    place.write(
        "types.yaml",
        "- {name: d, value: x}\n- {name: e, value: [1]}\n",
    );
    place.write(
        "cipher.json",
        r#"[{"name": "f", "value": "x"}, {"name": "g", "value": "00", "encrypted": true}]"#,
    );
    let table = ok(&place, &["key", "load", "good.yaml"]);
    assert!(
        table.contains("********") && !table.contains("hidden"),
        "{table}"
    );
    let why = refused(&place, &["key", "load", "types.yaml"]);
    assert!(why.contains("types.yaml:2, entry 2: \"e\""), "{why}");
    let why = refused(&place, &["key", "load", "cipher.json"]);
    assert!(why.contains("g: "), "{why}");
    assert_eq!(names(&place.json(&["key", "list"])), ["a", "c"]);
    ok(&place, &["key", "load", "-c", "types.yaml"]);
    assert_eq!(place.json(&["key", "get", "e"])["value"], "[1]");
    assert_eq!(place.json(&["key", "get", "b", "-u", "bob"])["value"], "y");
}

#[test]
fn a_key_file_is_made_once() {
    let place = Place::new();
    assert!(ok(&place, &["key", "generate-key", "k.json"]).contains("encryption_key: "));
    let made = place.read("k.json");
    assert!(refused(&place, &["key", "generate-key", "k.json"]).contains("k.json"));
    assert_eq!(place.read("k.json"), made);
}
