//! Actions that may be begun again when their end is not known (`idempotent: true`).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use petrel_tests::{Petrel, Place, process, stdout, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// Notes each try, and ends only once it may.
const ACTION: &str = "name: {name}\nrunner_type: local-shell-script\nentry_point: note.sh\n{more}";
const NOTE: &str = "#!/bin/sh\necho \"$PETREL_ATTEMPT $PETREL_IDEMPOTENCY_KEY\" >> \"$PETREL_DATA/../tries\"\n\
                    while [ ! -f \"$PETREL_DATA/../enough\" ]; do sleep 0.05; done\n";

fn place(more: &str) -> Place {
    let place = Place::new();
    place.pack("p");
    let yaml = ACTION.replace("{name}", "note").replace("{more}", more);
    place.write("packs/p/actions/note.yaml", &yaml);
    place.write("packs/p/actions/note.sh", NOTE);
    place
}

fn tries(place: &Place) -> Vec<String> {
    let text = std::fs::read_to_string(place.path("tries")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn run(place: &Place) -> (Petrel, String) {
    let petrel = place.start();
    petrel.up();
    let asked = place.petrel(&["run-action", "--async", "p.note"]);
    assert!(asked.status.success(), "{}", stdout(&asked));
    let id = only(place)["id"].as_str().unwrap().to_owned();
    wait_until("it runs", || (tries(place).len() == 1).then_some(()));
    (petrel, id)
}

fn only(place: &Place) -> Value {
    let all = place.executions();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

fn wrapper_of(petrel: &Petrel) -> u32 {
    let all = petrel.descendants();
    let is_wrapper = |pid: &&u32| {
        process::arguments(**pid)
            .iter()
            .any(|one| one.contains("/executions/"))
    };
    *all.iter().find(is_wrapper).expect("a wrapper")
}

#[test]
fn one_whose_wrapper_is_killed_is_begun_again_with_the_same_key() {
    let place = place("idempotent: true\n");
    let (petrel, id) = run(&place);
    process::signal(wrapper_of(&petrel), Signal::KILL);
    wait_until("it runs again", || (tries(&place).len() == 2).then_some(()));
    place.write("enough", "");
    wait_until("it ends well", || {
        (only(&place)["status"] == "succeeded").then_some(())
    });
    assert_eq!(tries(&place), [format!("1 {id}"), format!("2 {id}")]);
}

#[test]
fn others_are_abandoned_and_one_that_kills_its_wrapper_is_not_begun_for_ever() {
    for (more, most) in [
        ("", 1),
        ("idempotent: true\n", 5),
        ("idempotent: true\non_unknown: fail\n", 1),
    ] {
        let place = place(more);
        let (petrel, _) = run(&place);
        for count in 1..=most {
            wait_until("it runs", || (tries(&place).len() == count).then_some(()));
            process::signal(wrapper_of(&petrel), Signal::KILL);
        }
        wait_until("it is abandoned", || {
            (only(&place)["status"] == "abandoned").then_some(())
        });
        assert_eq!(tries(&place).len(), most, "{more}");
    }
}

#[test]
fn a_wrong_word_is_told_with_what_to_write() {
    let place = place("on_unknown: maybe\n");
    let checked = place.petrel(&["check"]);
    let text = stdout(&checked);
    assert!(
        text.contains("must be retry, fail or ask") && text.contains("note.yaml"),
        "{text}"
    );
}

#[test]
fn one_whose_end_is_not_known_waits_for_somebody_who_decides() {
    for (verdict, status, count) in [
        ("retry", "succeeded", 2),
        ("succeeded", "succeeded", 1),
        ("failed", "abandoned", 1),
    ] {
        let place = place("on_unknown: ask\n");
        let (mut petrel, id) = run(&place);
        process::signal(wrapper_of(&petrel), Signal::KILL);
        let asked = petrel.wait_kind("execution.asks", "p.note");
        assert!(
            asked["message"]
                .as_str()
                .unwrap()
                .contains("execution decide")
        );
        assert_eq!(only(&place)["status"], "pending");
        // It waits over the death of the supervisor, too.
        petrel.kill();
        place.write("enough", "");
        let petrel = place.start();
        petrel.up();
        assert_eq!(only(&place)["status"], "pending");
        let decided = place.petrel(&["execution", "decide", &id, verdict]);
        assert!(decided.status.success(), "{}", stdout(&decided));
        wait_until("it is over", || {
            (only(&place)["status"] == status).then_some(())
        });
        assert_eq!(tries(&place).len(), count, "{verdict}");
        let again = place.petrel(&["execution", "decide", &id, verdict]);
        let told = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(
            !again.status.success() && told.contains("not pending"),
            "{told}"
        );
    }
}
