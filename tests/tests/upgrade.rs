//! An upgrade in place under load: no sensor restarts, no byte is lost, what runs is recorded once;
//! and whatever is wrong with the next program, the one that runs goes on.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use petrel_tests::{MARGIN, PATIENCE, Petrel, Place, process, repository, times};
use petrel_tests::{stdout, wait_until, wait_within};
use rustix::process::Signal;
use serde_json::Value;

/// Prints every number once, its lines torn, until the file `enough` is there; then the last number
/// into `written`.
const TORN: &str = "#!/bin/sh\nn=0\nwhile [ ! -e enough ]; do\n  \
    for i in 1 2 3 4 5 6 7 8 9 10; do n=$((n+1)); printf '{\"n\"'; printf ': %d}\\n' $n; done\n  \
    sleep 0.02\ndone\necho $n > written.new; mv written.new written\nexec sleep 1000\n";

/// Every number once, by its cursor in the datastore.
const POLLER: &str = "\
from st2reactor.sensor.base import PollingSensor


class Poller(PollingSensor):
    def setup(self):
        self.sensor_service.set_value('n', 0)

    def poll(self):
        n = int(self.sensor_service.get_value('n'))
        for _ in range(20):
            n += 1
            self.sensor_service.dispatch('poll.seen', {'n': n})
        self.sensor_service.set_value('n', n)

    def cleanup(self): pass
    def add_trigger(self, trigger): pass
    def update_trigger(self, trigger): pass
    def remove_trigger(self, trigger): pass
";

const SENSORS: [&str; 3] = ["torn.Torn", "poll.Poller", "storm.Numbers"];

fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.sensor("torn.Torn", "torn.sh", TORN, "");
    place.sensor("poll.Poller", "poller.py", POLLER, "poll_interval: 1\n");
    place.sensor("storm.Numbers", "numbers", "", "");
    let program = place.path("packs/storm/sensors/numbers");
    fs::copy(env!("CARGO_BIN_EXE_petrel-test-sensor"), program).unwrap();
    let done = place.path("packs/storm/done");
    let command = format!("{{cmd: 'echo {{{{ trigger.n }}}} >> {}'}}", done.display());
    place.rule("storm.write", "core.local", &command);
    let every = "name: every\npack: torn\nenabled: true\n\
        trigger: {type: core.st2.IntervalTimer, parameters: {unit: seconds, delta: 1}}\n\
        action: {ref: core.noop}\n";
    place.write("packs/torn/rules/every.yaml", every);
    let action = "name: three\nrunner_type: action-chain\nentry_point: chains/three.yaml\n";
    place.write("packs/torn/actions/three.yaml", action);
    let task = |name: &str, next: &str| {
        let file = place.path("chain").display().to_string();
        format!(
            "- {{name: {name}, ref: core.local, {next}\
             parameters: {{cmd: 'sleep 1; echo {name} >> {file}'}}}}\n"
        )
    };
    let chain = format!(
        "chain:\n{}{}{}",
        task("a", "on-success: b, "),
        task("b", "on-success: c, "),
        task("c", "")
    );
    place.write("packs/torn/actions/chains/three.yaml", &chain);
    place
}

/// Another file with the same program.
fn copy(place: &Place) -> PathBuf {
    let next = place.path("next/petrel");
    fs::create_dir_all(next.parent().unwrap()).unwrap();
    fs::copy(repository::binary("petrel"), &next).unwrap();
    next
}

fn upgrade(place: &Place, binary: &str) -> Value {
    place.json(&["upgrade", "--binary", binary])
}

/// What it says when it does not go.
fn refused(place: &Place, binary: &str) -> String {
    let output = place.petrel(&["upgrade", "--binary", binary]);
    assert!(!output.status.success(), "{}", stdout(&output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Process and number of restarts of each sensor.
fn lives(place: &Place) -> Vec<(String, Value, Value)> {
    let of = |name: &&str| {
        let shown = place.show(name);
        let life = (shown["pid"].clone(), shown["restarts"].clone());
        assert!(life.0.is_u64(), "{shown}");
        ((*name).to_owned(), life.0, life.1)
    };
    SENSORS.iter().map(of).collect()
}

fn begin(place: &Place, args: &[&str]) -> Child {
    let mut all = vec!["run-action", "--json"];
    all.extend(args);
    let mut command = place.command(&all);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn numbers_of(events: &[Value], trigger: &str) -> Vec<u64> {
    let some = events.iter().filter(|one| one["trigger"] == trigger);
    some.filter_map(|one| one["payload"]["n"].as_u64())
        .collect()
}

/// Every number from 1 on, each once.
fn all_once(mut numbers: Vec<u64>, what: &str) -> u64 {
    numbers.sort_unstable();
    let last = numbers.last().copied().unwrap_or_default();
    assert!(
        numbers == (1..=last).collect::<Vec<_>>(),
        "{what}: {numbers:?}"
    );
    last
}

fn up(place: &Place) -> Petrel {
    let petrel = place.start();
    SENSORS.iter().for_each(|name| drop(petrel.ready(name)));
    petrel
}

#[test]
fn upgrades_under_load_lose_nothing_and_restart_nothing() {
    let upgrades = times(5, 100);
    let place = place();
    let (own, next) = (repository::binary("petrel"), copy(&place));
    let mut petrel = up(&place);
    let arguments = process::arguments(petrel.pid());
    let before = lives(&place);
    let slow = format!("cmd=sleep 4; echo over >> {}", place.path("slow").display());
    let long = begin(&place, &["core.local", &slow]);
    let chain = begin(&place, &["torn.three"]);
    wait_until("the long action runs", || {
        let all = place.executions();
        let runs = |one: &Value| one["status"] == "running";
        (all.iter().filter(|one| runs(one)).count() >= 3).then_some(())
    });
    let mut pauses = Vec::new();
    for round in 0..upgrades {
        let program = if round % 2 == 0 { &next } else { &own };
        let told = upgrade(&place, &program.to_string_lossy());
        assert_eq!(
            (&told["error"], &told["sensors"]),
            (&Value::Null, &3.into())
        );
        pauses.push(told["pause_ms"].as_f64().unwrap());
        assert_eq!(lives(&place), before, "after upgrade {round}");
        assert_eq!(process::arguments(petrel.pid()), arguments);
    }
    pauses.sort_by(f64::total_cmp);
    let at = |share: f64| pauses[((pauses.len() - 1) as f64 * share).round() as usize];
    println!(
        "{upgrades} upgrades: nothing was read for p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    for (child, what) in [(long, "the long action"), (chain, "the chain")] {
        let output = child.wait_with_output().unwrap();
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(shown["status"], "succeeded", "{what}: {shown}");
    }
    assert_eq!(place.read("slow"), "over\n");
    assert_eq!(place.read("chain"), "a\nb\nc\n");

    place.write("packs/torn/enough", "");
    let written = wait_until("the last number", || {
        place.read("packs/torn/written").trim().parse::<u64>().ok()
    });
    wait_until("the last number is recorded", || {
        let torn = numbers_of(&place.events(), "torn.seen");
        torn.contains(&written).then_some(())
    });
    let storm = before[2].1.as_u64().unwrap();
    process::signal(u32::try_from(storm).unwrap(), Signal::STOP);
    let executions = wait_within(PATIENCE, "all executions are final", || {
        let all = place.executions();
        let settled = |one: &Value| one["end_timestamp"].is_string();
        all.iter().all(settled).then_some(all)
    });
    let events = place.events();
    assert_eq!(all_once(numbers_of(&events, "torn.seen"), "torn"), written);
    let polled = all_once(numbers_of(&events, "poll.seen"), "polled");
    assert!(polled >= 20, "the poller did nothing");
    check_storm(&place, &events, &executions);
    check_timer(&events);
    process::signal(u32::try_from(storm).unwrap(), Signal::CONT);
    assert!(petrel.stop().success());
}

/// What was answered is recorded once and was done once.
fn check_storm(place: &Place, events: &[Value], executions: &[Value]) {
    let stormy = events.iter().filter(|one| one["trigger"] == "storm.seen");
    let number_of: BTreeMap<&str, u64> = stormy
        .map(|one| {
            (
                one["id"].as_str().unwrap(),
                one["payload"]["n"].as_u64().unwrap(),
            )
        })
        .collect();
    let mut recorded: BTreeMap<u64, usize> = BTreeMap::new();
    for one in executions {
        let event = one["trigger_instance"]["id"].as_str().unwrap_or_default();
        if let Some(number) = number_of.get(event) {
            assert_eq!(one["status"], "succeeded", "{one}");
            *recorded.entry(*number).or_default() += 1;
        }
    }
    let read = |name: &str| -> Vec<u64> {
        let text = place.read(&format!("packs/storm/{name}"));
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    let (answered, done) = (read("answered"), read("done"));
    println!("{} answered, {} done", answered.len(), done.len());
    assert!(answered.len() > 50, "the load was no load");
    for number in &answered {
        assert_eq!(recorded.get(number), Some(&1), "executions of {number}");
    }
    let distinct: BTreeSet<_> = done.iter().collect();
    assert_eq!(distinct.len(), done.len(), "an action ran twice");
    assert_eq!(
        done.len(),
        recorded.len(),
        "what is recorded as done was done"
    );
}

/// Every second was told once, or is counted as made up by the next one.
fn check_timer(events: &[Value]) {
    let moments: Vec<(i64, i64)> = events
        .iter()
        .filter_map(|one| one["payload"]["scheduled_for"].as_str().map(|at| (one, at)))
        .map(|(one, at)| {
            let micros = at.parse::<jiff::Timestamp>().unwrap().as_microsecond();
            (micros, one["payload"]["missed"].as_i64().unwrap())
        })
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let told = events
        .iter()
        .filter(|one| one["payload"]["scheduled_for"].is_string());
    assert_eq!(told.count(), moments.len(), "a moment was told twice");
    assert!(moments.len() >= 3, "the timer did nothing");
    for pair in moments.windows(2) {
        let step = pair[1].0 - pair[0].0;
        assert_eq!(step, (1 + pair[1].1) * 1_000_000, "{pair:?}");
    }
}

#[test]
fn what_cannot_take_over_leaves_the_one_that_runs_at_work() {
    let place = place();
    let next = copy(&place);
    let own = next.to_string_lossy().into_owned();
    let mut petrel = up(&place);
    let before = lives(&place);
    let script = |name: &str, text: &str| {
        let path = place.write(name, &format!("#!/bin/sh\n{text}\n"));
        path.to_string_lossy().into_owned()
    };
    let nothing = script("nothing", "exit 7");
    let dumb = script("dumb", "echo hello");
    let older = "{\"petrel\": \"9.9\", \"oldest\": 70, \"format\": 71, \"journal\": [null, \"3\"], \
        \"errors\": []}";
    let other = script("other", &format!("echo '{older}'"));
    let strict = "{\"petrel\": \"9.9\", \"oldest\": 1, \"format\": 1, \"journal\": [null, \"3\"], \
        \"errors\": [\"error: no more\"]}";
    let strict = script("strict", &format!("echo '{strict}'"));
    // Passes the check, and is no program that the system can begin.
    let vanishes = script("vanishes", &format!("rm -f \"$0\"; exec {own} \"$@\""));
    // Passes the check, and as the next supervisor finds a configuration that is not there.
    let wrong = script(
        "wrong",
        &format!("[ \"$1\" = run ] || exec {own} \"$@\"\nexec {own} run --config /nowhere.yaml"),
    );
    // The same, and does not even understand how it is called.
    let foreign = script(
        "foreign",
        &format!("[ \"$1\" = run ] || exec {own} \"$@\"\nexec {own} jump"),
    );
    for (binary, why) in [
        ("/nowhere/petrel", "there is no /nowhere/petrel"),
        (&nothing, "exit status: 7"),
        (&dumb, "says \"hello\""),
        (&other, "format 70 to 71"),
        (&strict, "error: no more"),
        (&vanishes, "No such file"),
        (&wrong, "/nowhere.yaml"),
        (&foreign, "unrecognized subcommand 'jump'"),
    ] {
        let told = refused(&place, binary);
        assert!(told.contains(why), "{binary}: {told}");
        assert_eq!(lives(&place), before, "after {binary}");
    }
    let gone_back = petrel.count("petrel.upgraded", "");
    assert_eq!(gone_back, 3, "{}", petrel.output());
    // What is broken on disk would be broken for the next one.
    place.write("packs/torn/rules/broken.yaml", "name: broken\ntrigger: [\n");
    let told = refused(&place, &own);
    assert!(told.contains("broken.yaml"), "{told}");
    fs::remove_file(place.path("packs/torn/rules/broken.yaml")).unwrap();
    // And nothing of this is in the way of one that is right.
    assert_eq!(upgrade(&place, &own)["error"], Value::Null);
    assert_eq!(lives(&place), before);
    assert!(petrel.stop().success());
}

#[test]
fn after_an_upgrade_all_is_as_before() {
    let place = place();
    let next = copy(&place);
    let mut petrel = up(&place);
    let before = lives(&place);
    let descriptors = process::descriptors(petrel.pid());
    upgrade(&place, &next.to_string_lossy());
    // The file at our own path, which somebody replaced meanwhile.
    let other = place.path("next/petrel.new");
    fs::copy(&next, &other).unwrap();
    fs::rename(&other, &next).unwrap();
    assert_eq!(place.json(&["upgrade"])["error"], Value::Null);
    assert_eq!(lives(&place), before);
    wait_until("no descriptor is left behind", || {
        (process::descriptors(petrel.pid()) <= descriptors).then_some(())
    });

    let mark = petrel.mark();
    let storm = u32::try_from(before[2].1.as_u64().unwrap()).unwrap();
    process::signal(storm, Signal::KILL);
    let is = |line: &Value, kind: &str, subject: &str| {
        line["kind"] == kind && line["subject"] == subject
    };
    petrel.wait_after(mark, "its death is seen", |line| {
        is(line, "sensor.ended", "storm.Numbers")
    });
    petrel.wait_after(mark, "it is back", |line| {
        is(line, "sensor.ready", "storm.Numbers")
    });
    wait_until("all of the dead are reaped", || {
        process::zombies(petrel.pid()).is_empty().then_some(())
    });

    assert!(
        place
            .petrel(&["sensor", "restart", "poll.Poller"])
            .status
            .success()
    );
    assert_ne!(place.show("poll.Poller")["pid"], before[1].1);
    assert!(
        place
            .petrel(&["sensor", "stop", "torn.Torn"])
            .status
            .success()
    );
    assert_eq!(place.show("torn.Torn")["state"], "down");
    assert!(
        place
            .petrel(&["sensor", "start", "torn.Torn"])
            .status
            .success()
    );
    let pid = place.show("torn.Torn")["pid"].clone();
    place.sensor("torn.Torn", "torn.sh", &format!("{TORN}# changed\n"), "");
    assert!(place.petrel(&["reload"]).status.success());
    wait_until("the changed one is at work", || {
        let shown = place.show("torn.Torn");
        (shown["state"] == "ready" && shown["pid"] != pid).then_some(())
    });
    let (shown, wait) = (
        place.petrel(&["run-action", "core.local", "cmd=echo hello"]),
        MARGIN,
    );
    assert!(stdout(&shown).contains("hello"), "{}", stdout(&shown));

    // A kill right after the exec is a kill like any other.
    upgrade(&place, &next.to_string_lossy());
    petrel.kill();
    wait_within(wait, "the end of all children", || {
        process::of_folder(place.folder(), &[])
            .is_empty()
            .then_some(())
    });
    let mut petrel = up(&place);
    let executions = place.executions();
    let lost = executions.iter().filter(|one| one["status"] == "abandoned");
    println!(
        "a kill right after: {} of {} executions abandoned",
        lost.count(),
        executions.len()
    );
    assert!(petrel.stop().success());
}
