//! The article's whole job, on the pack of this repository and on the article's own.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use petrel_tests::article::{HOME, Home, OUTPUT, Published};
use petrel_tests::{
    MARGIN, PATIENCE, Petrel, Place, article, process, stdout, wait_until, wait_within,
};

const FILES: usize = 100;
const POLL: Duration = Duration::from_secs(2);
const SENSOR: &str = "mypack.DirectorySensor";

/// The two packs, with what they watch and write in the place itself.
fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.copy_pack("mypack");
    let sensor = "packs/mypack/sensors/directory_sensor.yaml";
    let yaml = place.read(sensor);
    let quick = yaml.replace("poll_interval: 5", "poll_interval: 2");
    assert_ne!(yaml, quick, "the sensor no longer polls every 5 seconds");
    place.write(sensor, &quick);
    let config = format!(
        "sensor:\n  directories:\n    - {}\nlog: {}\n",
        place.path("watched").display(),
        place.path("output").display()
    );
    place.write("configs/mypack.yaml", &config);
    place
}

fn watched(place: &Place) -> Vec<PathBuf> {
    let names = (0..FILES).map(|n| format!("watched/hoge{n}"));
    names.map(|name| place.path(&name)).collect()
}

/// Waits until the output has `count` lines, no longer than is promised.
fn lines(place: &Place, count: usize, phase: &str) -> Vec<String> {
    let promised = POLL + Duration::from_secs(1);
    let started = Instant::now();
    let found = wait_within(
        promised + MARGIN,
        &format!("{count} lines ({phase})"),
        || {
            let lines: Vec<String> = place.read("output").lines().map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        },
    );
    println!("{phase}: {FILES} lines after {:.1?}", started.elapsed());
    found
}

/// `[1480310219.11] (created) /path` as its status and its path.
fn parsed(line: &str) -> (String, String) {
    let (time, rest) = line
        .strip_prefix('[')
        .and_then(|l| l.split_once("] ("))
        .expect(line);
    let (whole, part) = time.split_once('.').expect(line);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    assert!(digits(whole) && digits(part), "{line}");
    let (status, path) = rest.split_once(") ").expect(line);
    (status.to_owned(), path.to_owned())
}

#[test]
fn every_change_of_a_hundred_files_is_one_line_and_one_execution() {
    let place = place();
    let mut petrel = place.start();
    petrel.ready(SENSOR);
    let files = watched(&place);
    for file in &files {
        // One system call: coreutils' touch sets the time once more, and a poll may come in between.
        fs::File::create(file).unwrap();
    }
    lines(&place, FILES, "touch");
    for file in &files {
        let mut file = OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(b"more\n").unwrap();
    }
    lines(&place, 2 * FILES, "echo >>");
    for file in &files {
        fs::remove_file(file).unwrap();
    }
    lines(&place, 3 * FILES, "rm");

    let succeeded = wait_until("300 settled executions", || {
        let all = place.executions();
        let open = |one: &&serde_json::Value| one["end_timestamp"].is_null();
        (all.len() >= 3 * FILES && !all.iter().any(|one| open(&one))).then_some(all)
    });
    assert_eq!(succeeded.len(), 3 * FILES);
    for one in &succeeded {
        assert_eq!(one["status"], "succeeded", "{one}");
    }
    let output = place.read("output");
    let found: Vec<_> = output.lines().map(parsed).collect();
    assert_eq!(found.len(), 3 * FILES, "{output}");
    let expected: BTreeSet<_> = ["created", "modified", "deleted"]
        .iter()
        .flat_map(|status| {
            let path = |file: &PathBuf| file.display().to_string();
            files
                .iter()
                .map(move |file| ((*status).to_owned(), path(file)))
        })
        .collect();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    let of_output: BTreeSet<_> = output.lines().map(str::to_owned).collect();
    let context =
        |one: &serde_json::Value| one["parameters"]["context"].as_str().unwrap().to_owned();
    assert_eq!(
        succeeded.iter().map(context).collect::<BTreeSet<_>>(),
        of_output
    );
    assert!(petrel.stop().success());
}

#[test]
fn ps_shows_what_users_of_stackstorm_know() {
    let place = place();
    let petrel = place.start();
    let pid = petrel.ready(SENSOR)["pid"].as_u64().unwrap();
    let words = process::arguments(u32::try_from(pid).unwrap());
    let interpreter = Path::new(&words[0]).file_name().unwrap().to_string_lossy();
    assert!(interpreter.starts_with("python"), "{words:?}");
    let host = words
        .iter()
        .position(|word| word.ends_with("/sensor_wrapper.py"));
    let given = &words[host.expect("sensor_wrapper.py") + 1..];
    let file = place.path("packs/mypack/sensors/directory_sensor.py");
    let file = format!("--file-path={}", fs::canonicalize(file).unwrap().display());
    assert_eq!(given[0], "--pack=mypack");
    assert_eq!(given[1], file);
    assert_eq!(given[2], "--class-name=DirectorySensor");
    assert_eq!(given[3], "--trigger-type-refs=mypack.changed_file");
    let parent = given[4].strip_prefix("--parent-args=").expect("the fifth");
    let parent: Vec<String> = serde_json::from_str(parent).unwrap();
    assert_eq!(parent, ["run", "--log-format", "json"]);
    assert_eq!(given[5], "--poll-interval=2");
    assert_eq!(given.len(), 6, "{given:?}");
}

#[test]
fn the_four_lists_look_as_in_the_article() {
    let place = place();
    let petrel = place.start();
    petrel.ready(SENSOR);
    for (noun, expected) in article::LISTS {
        let output = place.petrel(&[noun, "list", "--pack=mypack"]);
        assert_eq!(stdout(&output), expected);
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

/// Runs until `count` files were seen and everything about them is settled.
fn settled(place: &Place, count: usize) -> Petrel {
    let petrel = place.start();
    petrel.ready(SENSOR);
    for file in &watched(place)[..count] {
        fs::File::create(file).unwrap();
    }
    wait_until("settled executions", || {
        let ended = petrel.count("execution.ended", "mypack.output_context");
        (ended >= count).then_some(())
    });
    petrel
}

#[test]
fn executions_have_stackstorms_shape_as_json_and_as_yaml() {
    let place = place();
    let _petrel = settled(&place, 1);
    let all = place.executions();
    let [one] = &all[..] else { panic!("{all:?}") };
    assert_eq!(one["action"]["ref"], "mypack.output_context");
    assert_eq!(one["rule"]["ref"], "mypack.mypack_test");
    assert_eq!(one["status"], "succeeded");
    let context = one["parameters"]["context"].as_str().unwrap();
    assert_eq!(parsed(context).0, "created");
    assert_eq!(one["result"]["exit_code"], 0);
    assert!(one["result"]["result"].as_str().unwrap().contains("output"));
    for member in ["stdout", "stderr"] {
        assert!(one["result"][member].is_string(), "{one}");
    }
    for member in ["start_timestamp", "end_timestamp"] {
        let time = one[member].as_str().unwrap();
        assert!(time.contains('T') && time.ends_with('Z'), "{time}");
    }
    let id = one["id"].as_str().unwrap();
    assert_eq!(id.len(), 24, "{id}");
    let mut got = place.json(&["execution", "get", id]);
    let children = got.as_object_mut().unwrap().remove("children");
    assert_eq!((&got, children), (one, Some(serde_json::json!([]))));
    let events = place.events();
    assert_eq!(events.len(), 1);
    assert_eq!(one["trigger_instance"]["id"], events[0]["id"]);
    assert_eq!(events[0]["trigger"], "mypack.changed_file");
    assert_eq!(events[0]["payload"]["status"], "created");

    let yaml = stdout(&place.petrel(&["execution", "get", id, "-y"]));
    let lines: Vec<&str> = yaml.lines().collect();
    assert!(lines.contains(&"status: succeeded"), "{yaml}");
    assert!(lines.contains(&"  ref: mypack.output_context"), "{yaml}");
}

#[test]
fn a_limit_tells_how_many_there_are() {
    let place = place();
    let _petrel = settled(&place, 3);
    for (noun, plural) in [("execution", "executions"), ("event", "events")] {
        let output = place.petrel(&[noun, "list", "--limit", "2", "-j"]);
        let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 2);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(&format!("2 of 3 {plural}")), "{told}");
        let output = place.petrel(&[noun, "list", "--limit", "3", "-j"]);
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

/// The pack that the article publishes, byte for byte.
#[test]
fn the_articles_own_pack_runs_unchanged() {
    let what = "the article's own pack";
    let Some(published) = Published::new(what) else {
        return;
    };
    let Some(_home) = Home::new(what) else {
        return;
    };
    let file = Path::new(HOME).join(format!("petrel-test-{}", std::process::id()));
    let place = Place::new();
    place.copy(&published.pack, "mypack");
    let mut petrel = place.start();
    petrel.ready(SENSOR);
    for (phase, status) in ["created", "deleted"].into_iter().enumerate() {
        match phase {
            0 => drop(fs::File::create(&file).unwrap()),
            _ => fs::remove_file(&file).unwrap(),
        }
        let expected = format!(" ({status}) {}", file.display()).replacen(' ', "", 1);
        wait_within(PATIENCE * 2, &expected, || {
            let text = fs::read_to_string(OUTPUT).unwrap_or_default();
            text.lines()
                .any(|line| line.ends_with(&expected))
                .then_some(())
        });
    }
    assert!(petrel.stop().success());
}
