//! Python environments of packs, made from a folder of wheels: nothing is fetched.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "tests make children")]

use std::process::{Command, Output};

use petrel_tests::Place;
use serde_json::Value;

/// Writes a wheel of one module: a zip with the module and what describes it.
const WHEEL: &str = r#"
import sys, zipfile
folder, name, version = sys.argv[1:]
info = "%s-%s.dist-info" % (name, version)
with zipfile.ZipFile("%s/%s-%s-py3-none-any.whl" % (folder, name, version), "w") as wheel:
    wheel.writestr(name + ".py", "version = %r\n" % version)
    wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version))
    wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "/RECORD", "%s.py,,\n%s/METADATA,,\n%s/WHEEL,,\n%s/RECORD,,\n" % (name, info, info, info))
"#;

fn wheel(place: &Place, name: &str, version: &str) {
    std::fs::create_dir_all(place.path("wheels")).unwrap();
    let folder = place.path("wheels");
    let made = Command::new("python3")
        .args(["-c", WHEEL, folder.to_str().unwrap(), name, version])
        .status();
    assert!(made.unwrap().success());
}

fn pack(place: &Place, name: &str, requirements: &str, module: &str) {
    place.pack(name);
    place.write(&format!("packs/{name}/requirements.txt"), requirements);
    place.write(
        &format!("packs/{name}/actions/tell.yaml"),
        "name: tell\nrunner_type: python-script\nentry_point: tell.py\n",
    );
    place.write(
        &format!("packs/{name}/actions/tell.py"),
        &format!(
            "import {module}\nimport helper\n\nclass Tell:\n    def run(self):\n        \
             return [{module}.version, helper.WORD]\n"
        ),
    );
    place.write(
        &format!("packs/{name}/actions/lib/helper.py"),
        "WORD = 'here'\n",
    );
}

fn set_up(place: &Place, packs: &[&str]) -> (Output, String) {
    let wheels = place.path("wheels").display().to_string();
    let args = [&["pack", "setup", "--offline", "--wheels", &wheels], packs].concat();
    let output = place.petrel(&args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, told)
}

fn tell(place: &Place, pack: &str) -> Value {
    let output = place.petrel(&["run-action", "--json", &format!("{pack}.tell")]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn packs_have_what_they_ask_for_and_share_what_is_the_same() {
    let place = Place::new();
    wheel(&place, "feather", "1.0");
    wheel(&place, "feather", "2.0");
    pack(&place, "one", "feather==1.0\n", "feather");
    pack(&place, "two", "feather==2.0  # newer\n", "feather");
    pack(&place, "three", "# like two\nfeather==2.0\n", "feather");
    let petrel = place.start();
    petrel.up();
    let shown = tell(&place, "one");
    let why = shown["result"]["error"].as_str().unwrap();
    assert!(why.contains("petrel pack setup one"), "{why}");

    let (output, told) = set_up(&place, &[]);
    assert!(output.status.success(), "{told}");
    // No restart: what was made is found by the next execution.
    for (pack, version) in [("one", "1.0"), ("two", "2.0"), ("three", "2.0")] {
        let shown = tell(&place, pack);
        assert_eq!(
            shown["result"]["result"],
            serde_json::json!([version, "here"]),
            "{shown}"
        );
    }
    let folder = place.path("data/environments");
    let made = std::fs::read_dir(folder).unwrap();
    let made = made.filter(|entry| entry.as_ref().unwrap().path().join("complete").exists());
    assert_eq!(made.count(), 2);
    let (output, told) = set_up(&place, &["two"]);
    assert!(
        output.status.success() && told.contains("is there"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_installed_says_so_and_leaves_the_rest_alone() {
    let place = Place::new();
    wheel(&place, "feather", "1.0");
    pack(&place, "good", "feather\n", "feather");
    let (output, told) = set_up(&place, &["good"]);
    assert!(output.status.success(), "{told}");
    pack(&place, "bad", "nowhere-to-be-found==9\n", "feather");
    let (output, told) = set_up(&place, &[]);
    assert!(!output.status.success());
    assert!(
        told.contains("bad") && told.contains("nowhere-to-be-found"),
        "{told}"
    );
    let (output, told) = set_up(&place, &["god"]);
    assert!(!output.status.success() && told.contains("good"), "{told}");
    // As if the machine had lost power in the middle of it.
    for entry in std::fs::read_dir(place.path("data/environments")).unwrap() {
        let _ = std::fs::remove_file(entry.unwrap().path().join("complete"));
    }
    let (output, told) = set_up(&place, &["good"]);
    assert!(
        output.status.success() && told.contains("made by"),
        "{told}"
    );
    let petrel = place.start();
    petrel.up();
    assert_eq!(tell(&place, "good")["status"], "succeeded");
    assert_eq!(tell(&place, "bad")["status"], "failed");
}

#[test]
fn an_index_that_does_not_answer_is_told_and_what_was_there_runs_on() {
    let place = Place::new();
    wheel(&place, "feather", "1.0");
    pack(&place, "good", "feather\n", "feather");
    let (output, told) = set_up(&place, &["good"]);
    assert!(output.status.success(), "{told}");
    let petrel = place.start();
    petrel.up();
    assert_eq!(tell(&place, "good")["status"], "succeeded");

    // The discard port of this host: nobody listens there.
    let nowhere = "http://127.0.0.1:9/simple";
    let cases = [("without uv", "--without-uv"), ("whatever there is", "--")];
    for (what, flag) in cases {
        pack(&place, "good", "feather==2.0\n", "feather");
        let mut command = place.command(&["pack", "setup", flag, "good"]);
        command
            .env("PIP_INDEX_URL", nowhere)
            .env("PIP_RETRIES", "1");
        command
            .env("UV_DEFAULT_INDEX", nowhere)
            .env("UV_HTTP_RETRIES", "1");
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{what}: {told}");
        assert!(told.contains("index cannot be reached"), "{what}: {told}");
        assert!(told.contains("--wheels DIR --offline"), "{what}: {told}");
        // What it had before is there under the old requirements, at once.
        pack(&place, "good", "feather\n", "feather");
        assert_eq!(tell(&place, "good")["status"], "succeeded", "{what}");
    }
}
