//! Python actions as forks of a Python that is ready: like those that are started cold, but sooner.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Petrel, Place, process, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

const HEAD: &str = "import os, sys, time\nfrom st2common.runners.base_action import Action\n\n\n\
                    class It(Action):\n    def run(self, **given):\n";

fn action(place: &Place, name: &str, body: &str, more: &str) {
    if !place.path("packs/p/pack.yaml").exists() {
        place.pack("p");
    }
    let yaml = format!(
        "name: {name}\nrunner_type: python-script\nentry_point: {name}.py\n{more}\
         parameters:\n  word: {{type: string, secret: true}}\n"
    );
    place.write(&format!("packs/p/actions/{name}.yaml"), &yaml);
    let body: String = body
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    place.write(
        &format!("packs/p/actions/{name}.py"),
        &(HEAD.to_owned() + &body),
    );
}

fn run(place: &Place, args: &[&str]) -> Value {
    let output = place.petrel(&[&["run-action", "--json"], args].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    })
}

/// The Python that is ready, if it is.
fn ready(petrel: &Petrel) -> Option<u32> {
    let is_host = |pid: &u32| {
        let arguments = process::arguments(*pid);
        let socket = arguments.last().filter(|last| last.ends_with(".py"));
        arguments.iter().any(|one| one.contains("python_warm_host"))
            && socket.is_some_and(|path| std::path::Path::new(path).exists())
    };
    petrel.descendants().into_iter().find(is_host)
}

fn host(petrel: &Petrel) -> u32 {
    wait_until("a Python that is ready", || ready(petrel))
}

const WHERE: &str = "return {'parent': os.getppid(), 'group': os.getpgid(0) == os.getpid(),\n\
    'env': sorted(os.environ), 'cwd': os.getcwd(), 'path': sys.path, 'argv': sys.argv[1:],\n\
    'limit': __import__('resource').getrlimit(7)[0]}";

#[test]
fn a_fork_is_as_an_action_that_is_started_cold() {
    let place = Place::new();
    action(&place, "warm", WHERE, "");
    action(&place, "cold", WHERE, "warm: false\n");
    for (name, body) in [
        (
            "says",
            "print('out')\nprint('err', file=sys.stderr)\nself.logger.info('log')\nreturn (True, [1])",
        ),
        ("fails", "return (False, 'no')"),
        ("breaks", "raise ValueError('broken')"),
        ("exits", "sys.exit(7)"),
        ("much", "print('x' * 3000000)"),
        ("dies", "os.kill(os.getpid(), 9)"),
        ("leaves", "os.system('sleep 1000 &')\nreturn 1"),
    ] {
        action(&place, name, body, "");
        let file = format!("packs/p/actions/{name}.yaml");
        let other = place
            .read(&file)
            .replace(&format!("name: {name}"), &format!("name: cold_{name}"));
        place.write(
            &format!("packs/p/actions/cold_{name}.yaml"),
            &(other + "warm: false\n"),
        );
    }
    let petrel = place.start();
    petrel.up();
    let cold = run(&place, &["p.warm"]);
    let host = host(&petrel);
    assert_ne!(cold["result"]["result"]["parent"], host);
    let warm = run(&place, &["p.warm"])["result"]["result"].clone();
    assert_eq!(
        (&warm["parent"], &warm["group"]),
        (&json!(host), &json!(true))
    );
    let never = run(&place, &["p.cold"])["result"]["result"].clone();
    assert_ne!(never["parent"], host);
    for same in ["env", "cwd", "path", "limit"] {
        assert_eq!(warm[same], never[same], "{same}");
    }
    for name in ["says", "fails", "breaks", "exits", "much", "dies", "leaves"] {
        let warm = run(&place, &[&format!("p.{name}")]);
        let cold = run(&place, &[&format!("p.cold_{name}")]);
        assert_eq!(warm["status"], cold["status"], "{name}");
        let cleared = |value: &Value| value.to_string().replace(name, "it");
        let (mut warm, mut cold) = (warm["result"].clone(), cold["result"].clone());
        if name == "says" {
            // Its log has the time.
            assert!(warm["stderr"].as_str().unwrap().contains("log"), "{warm}");
            (warm["stderr"], cold["stderr"]) = (json!(0), json!(0));
        }
        assert_eq!(cleared(&warm), cleared(&cold), "{name}");
    }
    let mut known = petrel.descendants();
    known.push(petrel.pid());
    let left = process::of_folder(place.folder(), &known);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn its_module_is_read_each_time_and_its_time_is_limited() {
    let place = Place::new();
    action(&place, "it", "return 1", "");
    action(&place, "sleeps", "time.sleep(1000)", "");
    let petrel = place.start();
    petrel.up();
    run(&place, &["p.it"]);
    host(&petrel);
    let file = place.path("packs/p/actions/it.py");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("return 1", "return 2")).unwrap();
    assert_eq!(run(&place, &["p.it"])["result"]["result"], 2);
    assert_eq!(run(&place, &["p.sleeps", "timeout=1"])["status"], "timeout");
    let asked = place.petrel(&["run-action", "--async", "p.sleeps", "word=hushhush"]);
    assert!(asked.status.success());
    let running = wait_until("it runs", || {
        let newest = place.executions()[0].clone();
        (newest["status"] == "running").then_some(newest)
    });
    for pid in petrel.descendants() {
        let arguments = process::arguments(pid).join(" ");
        assert!(!arguments.contains("hushhush"), "{arguments}");
    }
    let id = running["id"].as_str().unwrap();
    assert!(place.petrel(&["execution", "cancel", id]).status.success());
    wait_until("it is canceled", || {
        (place.executions()[0]["status"] == "canceled").then_some(())
    });
}

#[test]
fn the_death_of_the_python_that_is_ready_leaves_an_unknown_end_and_another_one_takes_over() {
    let place = Place::new();
    action(
        &place,
        "waits",
        "open(os.environ['PETREL_DATA'] + '/../began', 'a').write('x')\ntime.sleep(1000)",
        "",
    );
    action(&place, "it", "return os.getppid()", "");
    let mut petrel = place.start();
    petrel.up();
    run(&place, &["p.it"]);
    let first = host(&petrel);
    let wait = |count: usize| {
        assert!(
            place
                .petrel(&["run-action", "--async", "p.waits"])
                .status
                .success()
        );
        wait_until("it began", || {
            (place.read("began").len() == count).then_some(())
        });
    };
    wait(1);
    process::signal(first, Signal::KILL);
    wait_until("its end is not known", || {
        (place.executions()[0]["status"] == "abandoned").then_some(())
    });
    run(&place, &["p.it"]);
    let second = host(&petrel);
    assert_eq!(run(&place, &["p.it"])["result"]["result"], second);
    // With the supervisor everything ends.
    wait(2);
    petrel.kill();
    wait_until("all are gone", || {
        process::of_folder(place.folder(), &[])
            .is_empty()
            .then_some(())
    });
    let petrel = place.start();
    petrel.up();
    wait_until("what it left is settled", || {
        (place.executions()[0]["status"] == "abandoned").then_some(())
    });
}

#[test]
fn a_reload_has_another_one_take_over() {
    let place = Place::new();
    action(&place, "it", "return os.getppid()", "");
    let petrel = place.start();
    petrel.up();
    run(&place, &["p.it"]);
    let first = host(&petrel);
    place.write("packs/p/rules/none.yaml", "name: none\nenabled: false\ntrigger: {type: core.st2.IntervalTimer, parameters: {unit: days, delta: 1}}\naction: {ref: p.it}\n");
    let reloaded = place.petrel(&["reload"]);
    assert!(reloaded.status.success());
    wait_until("the first is gone", || {
        (!petrel.descendants().contains(&first)).then_some(())
    });
    // The change may have been seen twice: by the watcher, and by the command.
    wait_until("another one", || {
        let parent = run(&place, &["p.it"])["result"]["result"].clone();
        ready(&petrel).filter(|host| parent == *host)
    });
}

#[test]
fn a_python_with_threads_is_not_forked_and_that_is_told_once() {
    let place = Place::new();
    action(&place, "it", "return os.getppid()", "");
    let thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n";
    place.write("site/sitecustomize.py", thread);
    let site = place.path("site").display().to_string();
    let petrel = Petrel::start_with(&place, &[], &[("PYTHONPATH", &site)]);
    petrel.up();
    for _ in 0..2 {
        assert_eq!(run(&place, &["p.it"])["status"], "succeeded");
    }
    let told = wait_until("it is told", || {
        run(&place, &["p.it"]);
        let all = petrel.lines();
        all.into_iter().find(|line| line["kind"] == "action.cold")
    });
    assert!(
        told["message"].as_str().unwrap().contains("threads run"),
        "{told}"
    );
    run(&place, &["p.it"]);
    assert_eq!(petrel.count("action.cold", ""), 1);
}
