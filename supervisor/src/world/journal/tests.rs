//! The journal on a real file.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::remove::remove;
use super::writer::{Journal, Order};
use super::{check, copy, open, open_read_only, query, space, start, writer};
use crate::core::clock::Wall;
use crate::core::datastore::Key;
use crate::core::input::Input;
use crate::core::queue::{Fetch, Whose};
use crate::core::record::{
    Batch, CrashRow, Event, Execution, ExecutionChange, Outcome, SensorMemory, Status,
};

use crate::core::retention::{FRONT, Place, Remove, Removed};

const PATIENCE: Duration = Duration::from_secs(60);

fn event(seq: u64, key: Option<&str>, received: i64) -> Event {
    Event {
        seq,
        trigger: "p.t".into(),
        trigger_ref: None,
        sensor: "p.S".into(),
        received: Wall(received),
        time: None,
        trace_tag: None,
        key: key.map(str::to_owned),
        payload: "{}".into(),
        verdict: "{}".into(),
        rule_set: "x".into(),
        kept: true,
    }
}

fn execution(seq: u64, status: Status) -> Execution {
    Execution {
        seq,
        event: Some(seq),
        rule: "p.r".into(),
        rule_version: "1".into(),
        action: "p.a".into(),
        parameters: serde_json::Map::new(),
        status,
        requested: Wall(0),
        started: (status == Status::Running).then_some(Wall(0)),
        cause: crate::core::cause::Cause::default(),
        progress: None,
        over: None,
    }
}

fn batch(seq: u64, key: Option<&str>, received: i64, status: Status) -> Batch {
    Batch {
        events: vec![event(seq, key, received)],
        executions: vec![execution(seq, status)],
        ..Batch::default()
    }
}

fn journal(data: &TempDir) -> (Journal, Receiver<Input>) {
    let (tell, told) = channel();
    let db = open(data.path()).expect("a journal");
    let is_number = |input: &Input| matches!(input, Input::Transaction(_));
    let tell = move |input| is_number(&input) || tell.send(input).is_ok();
    let journal = writer::start(db, "boot".into(), tell).expect("a thread");
    (journal, told)
}

/// Gives all orders and waits for the commit of the last.
fn commit(journal: &Journal, told: &Receiver<Input>, batches: Vec<Batch>) -> Vec<u64> {
    let last = batches.len() as u64;
    for (batch, number) in batches.into_iter().zip(1..) {
        let batch = Box::new(batch);
        let order = Order::Commit { number, batch };
        journal.orders.send(order).expect("the thread lives");
    }
    let mut refused = Vec::new();
    loop {
        match told.recv_timeout(PATIENCE).expect("an answer") {
            Input::Committed { upto, duplicates } => {
                refused.extend(duplicates.iter().map(|one| one.event));
                if upto == last {
                    return refused;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_known_key_drops_the_event_and_its_execution_within_the_window_only() {
    let data = tempfile::tempdir().expect("a folder");
    let (journal, told) = journal(&data);
    let day = 24 * 3600 * 1_000_000;
    let batches = vec![
        batch(1, Some("k"), 0, Status::Requested),
        batch(2, Some("k"), day - 1, Status::Requested),
        batch(3, None, day, Status::Requested),
        batch(4, Some("k"), day + 1, Status::Requested),
    ];
    assert_eq!(commit(&journal, &told, batches), [2]);
    let db = open_read_only(data.path()).expect("the journal");
    let wanted = query::Wanted {
        limit: 10,
        ..query::Wanted::default()
    };
    let executions = query::executions(&db, &wanted).expect("executions");
    let kept: Vec<u64> = executions.rows.iter().map(|row| row.seq).collect();
    assert_eq!(kept, [4, 3, 1]);
    assert_eq!(query::events(&db, &wanted).expect("events").total, 3);
}

#[test]
fn a_refill_sees_every_commit_before_it() {
    let data = tempfile::tempdir().expect("a folder");
    let (journal, told) = journal(&data);
    for number in 1..=5 {
        let batch = Box::new(batch(number, None, 0, Status::Requested));
        let order = Order::Commit { number, batch };
        journal.orders.send(order).expect("the thread lives");
    }
    let order = Order::Refill(Fetch {
        of: Whose::Rule("p.r".into()),
        after: 2,
        most: 2,
    });
    journal.orders.send(order).expect("the thread lives");
    let (executions, all) = loop {
        let input = told.recv_timeout(PATIENCE).expect("an answer");
        if let Input::Refilled {
            executions, all, ..
        } = input
        {
            break (executions, all);
        }
    };
    let found: Vec<u64> = executions.iter().map(|one| one.seq).collect();
    assert_eq!((found, all), (vec![3, 4], false));
}

#[test]
fn a_final_status_is_never_left_and_a_new_start_finds_what_was_running() {
    let data = tempfile::tempdir().expect("a folder");
    let (journal, told) = journal(&data);
    let outcome = |status| Outcome {
        status,
        result: serde_json::json!({}),
        started: None,
        ended: Wall(1),
    };
    let changes = |changes| Batch {
        changes,
        ..Batch::default()
    };
    let ended = |status| ExecutionChange::Ended {
        seq: 1,
        outcome: outcome(status),
    };
    let batches = vec![
        batch(1, None, 0, Status::Running),
        batch(2, None, 0, Status::Running),
        changes(vec![ended(Status::Succeeded)]),
        changes(vec![
            ended(Status::Failed),
            ExecutionChange::Returned { seq: 1 },
        ]),
    ];
    commit(&journal, &told, batches);
    drop(journal.orders);
    journal.thread.join().expect("no panic").expect("no error");

    let db = open(data.path()).expect("the journal again");
    let found = start::read(&db, Wall(0)).expect("what it knows");
    let running: Vec<u64> = found.running.iter().map(|one| one.execution.seq).collect();
    assert_eq!(running, [2]);
    assert_eq!((found.last_event, found.last_execution), (2, 2));
    let row = query::execution(&db, 1).expect("a query").expect("a row");
    assert_eq!(row.status, Status::Succeeded);
}

#[test]
fn a_journal_of_version_1_is_brought_up_to_date_and_keeps_what_it_has() {
    let data = TempDir::new().expect("a folder");
    let old = Connection::open(data.path().join(super::FILE)).expect("a file");
    old.execute_batch(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
         INSERT INTO meta VALUES ('version', '1');
         CREATE TABLE events (seq INTEGER PRIMARY KEY, trigger TEXT NOT NULL, sensor TEXT NOT NULL,
             received INTEGER NOT NULL, time TEXT, trace_tag TEXT, payload TEXT NOT NULL,
             verdict TEXT NOT NULL, rule_set TEXT NOT NULL) STRICT;
         INSERT INTO events VALUES (7, 'p.t', 'p.S', 5, NULL, NULL, '{}', '{}', 'x');
         CREATE TABLE datastore (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires INTEGER)
             STRICT, WITHOUT ROWID;
         INSERT INTO datastore VALUES ('p.S:k', 'v', NULL);
         CREATE TABLE executions (seq INTEGER PRIMARY KEY, event INTEGER NOT NULL,
             rule TEXT NOT NULL, rule_version TEXT NOT NULL, action TEXT NOT NULL,
             parameters TEXT NOT NULL, status TEXT NOT NULL, boot TEXT, requested INTEGER NOT NULL,
             started INTEGER, ended INTEGER, result TEXT, UNIQUE (event, rule, rule_version)) STRICT;
         INSERT INTO executions VALUES (3, 7, 'p.r', '1', 'p.a', '{}', 'succeeded', NULL, 5, 5, 6,
             'null');",
    )
    .expect("the tables of version 1");
    drop(old);
    for _ in 0..2 {
        let db = open(data.path()).expect("it is read");
        let found = start::read(&db, Wall(0)).expect("it is read");
        assert_eq!(found.last_event, 7);
        assert_eq!(found.kv[0].0, Key::system("p.S:k"));
        let row = query::event(&db, 7)
            .expect("it is read")
            .expect("it is there");
        assert_eq!((row.trigger.as_str(), row.trigger_ref), ("p.t", None));
        let row = query::execution(&db, 3)
            .expect("it is read")
            .expect("it is there");
        assert_eq!((row.rule.as_str(), row.status), ("p.r", Status::Succeeded));
        assert_eq!(row.event.map(|(seq, _)| seq), Some(7));
    }
}

#[test]
fn the_newest_twenty_crashes_of_each_sensor_are_kept() {
    let data = tempfile::tempdir().expect("a folder");
    let (journal, told) = journal(&data);
    let crash = |sensor: &str, generation: u64| CrashRow {
        sensor: sensor.to_owned(),
        generation,
        summary: format!("{{\"id\":{generation}}}"),
        details: "{}".to_owned(),
    };
    let batches = (1..=45).map(|generation| Batch {
        crashes: vec![crash("p.A", generation), crash("p.B", 1)],
        ..Batch::default()
    });
    commit(&journal, &told, batches.collect());
    let db = open_read_only(data.path()).expect("it is read");
    let found = query::crashes(&db, "p.A", 100).expect("they are read");
    assert_eq!(found.len(), 20);
    assert_eq!((&*found[0], &*found[19]), ("{\"id\":45}", "{\"id\":26}"));
    assert_eq!(query::crashes(&db, "p.B", 100).expect("read").len(), 1);
    assert!(query::crash(&db, "p.A", 26).expect("read").is_some());
    assert!(query::crash(&db, "p.A", 25).expect("read").is_none());
}

#[test]
fn a_journal_of_version_3_gets_a_place_for_crashes() {
    let data = tempfile::tempdir().expect("a folder");
    let db = open(data.path()).expect("a journal");
    db.execute_batch("DROP TABLE crashes; UPDATE meta SET value = '3' WHERE key = 'version'")
        .expect("as it was");
    drop(db);
    let db = open(data.path()).expect("it is brought up to date");
    assert!(query::crashes(&db, "p.A", 1).expect("read").is_empty());
}

#[test]
fn what_need_not_be_on_disk_overtakes_and_newer_memory_stays() {
    let data = tempfile::tempdir().expect("a folder");
    let (journal, told) = journal(&data);
    let with_memory = |number: u64, unsynced: bool| {
        let memory = SensorMemory {
            generation: number,
            ..SensorMemory::default()
        };
        Batch {
            unsynced,
            sensors: vec![("p.S".into(), memory)],
            rule_sets: vec![(format!("rules {number}"), String::new())],
            ..batch(number, None, 0, Status::Requested)
        }
    };
    // While somebody else writes, what is asked for comes together.
    let other = open(data.path()).expect("the journal");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let unsynced = [false, false, true, false];
    for (unsynced, number) in unsynced.into_iter().zip(1..) {
        let mut batch = with_memory(number, unsynced);
        if number == 4 {
            batch.sensors.clear();
        }
        let batch = Box::new(batch);
        let order = Order::Commit { number, batch };
        journal.orders.send(order).expect("the thread lives");
    }
    other.execute_batch("ROLLBACK").expect("no lock");
    let mut overtook = false;
    loop {
        match told.recv_timeout(PATIENCE).expect("an answer") {
            Input::Written { numbers, .. } => {
                assert_eq!(numbers, [3]);
                overtook = true;
            }
            Input::Committed { upto: 1, .. } => {}
            Input::Committed { upto, .. } => {
                assert!(overtook && upto == 4, "{upto}");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let found = start::read(&other, Wall(0)).expect("the journal");
    assert_eq!(found.memories["p.S"].generation, 3);
    assert_eq!(found.last_event, 4);
}

/// Whatever is in it, a start and a refill look at nothing but what is open.
#[test]
fn nothing_looks_at_all_executions_to_find_the_open_ones() {
    let data = tempfile::tempdir().expect("a folder");
    let db = open(data.path()).expect("a journal");
    for (text, index) in [
        (start::DELAYED_AGAIN, "executions_unended (status=?"),
        (start::RUNNING, "executions_unended (status=?"),
        (start::PENDING, "executions_unended (status=?"),
        (start::OWING, "executions_owed"),
        (start::AGAIN, "executions_again"),
        (writer::DELAYED, "executions_unended (status=?"),
        (writer::REQUESTED, "executions_owed (rule=? AND seq>?"),
    ] {
        let mut statement = db
            .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
            .expect("a plan");
        let none =
            rusqlite::params_from_iter(vec![rusqlite::types::Null; statement.parameter_count()]);
        let steps = statement
            .query_map(none, |row| row.get::<_, String>("detail"))
            .expect("steps");
        let plan: Vec<_> = steps.map(|step| step.expect("a text")).collect();
        assert!(plan[0].contains(index), "{text}: {plan:?}");
    }
}

fn order(from: Place, before: i64, failed_before: i64) -> Remove {
    Remove {
        from,
        now: Wall(1000),
        before: Wall(before),
        failed_before: Wall(failed_before),
        rule_set: "y".into(),
    }
}

/// Event `seq` at that time, with an execution in this status that ended then.
fn happened(db: &Connection, seq: u64, at: i64, status: &str) {
    let text =
        "INSERT INTO events VALUES (?1, 'p.t', 'p.S', ?2, NULL, NULL, '{}', '{}', 'x', NULL)";
    db.execute(text, params![seq as i64, at]).expect("an event");
    if !status.is_empty() {
        asked_for(db, seq, Some(seq), None, at, status);
    }
}

fn asked_for(
    db: &Connection,
    seq: u64,
    event: Option<u64>,
    parent: Option<u64>,
    at: i64,
    status: &str,
) {
    let over = !["requested", "delayed", "running"].contains(&status);
    let text = "INSERT INTO executions VALUES
        (?1, ?2, ?6, '1', 'p.a', '{}', ?3, NULL, ?4, NULL, ?5, NULL, '{}', ?7, NULL)";
    let event = event.map(|seq| seq as i64);
    let parent = parent.map(|seq| seq as i64);
    let given = params![
        seq as i64,
        event,
        status,
        at,
        over.then_some(at),
        "p.r",
        parent
    ];
    db.execute(text, given).expect("an execution");
}

fn left(db: &Connection, table: &str) -> Vec<i64> {
    let text = format!("SELECT seq FROM {table} ORDER BY seq");
    let mut statement = db.prepare(&text).expect("a table");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|row| row.expect("a number")).collect()
}

fn remove_all(db: &mut Connection, mut order: Remove) -> Removed {
    let mut all = Removed::default();
    loop {
        let removed = remove(db, &order, 0).expect("it is removed");
        all.events += removed.events;
        all.executions += removed.executions;
        all.unsettled.extend(removed.unsettled);
        all.young = all.young.or(removed.young);
        all.failed = all.failed.or(removed.failed);
        match removed.next {
            Some(next) => order.from = next,
            None => return all,
        }
    }
}

#[test]
fn what_is_settled_and_old_goes_with_all_that_came_of_it() {
    let data = tempfile::tempdir().expect("a folder");
    let mut db = open(data.path()).expect("a journal");
    start::keep_rule_set(&db, "x", "old").expect("a rule set");
    start::keep_rule_set(&db, "y", "current").expect("a rule set");
    happened(&db, 1, 10, "succeeded");
    happened(&db, 2, 10, "");
    happened(&db, 3, 10, "failed");
    happened(&db, 4, 10, "running");
    happened(&db, 5, 10, "succeeded");
    // The clock was wrong: what came before something old is old.
    happened(&db, 6, 5000, "");
    happened(&db, 7, 20, "succeeded");
    happened(&db, 8, 90, "succeeded");
    // A chain of event 5 whose task still runs, one of event 7 that is over, and one of nobody's.
    asked_for(&db, 20, None, Some(5), 10, "running");
    asked_for(&db, 21, None, Some(7), 20, "succeeded");
    asked_for(&db, 30, None, None, 10, "succeeded");
    asked_for(&db, 31, None, Some(30), 10, "canceled");
    asked_for(&db, 32, None, None, 90, "succeeded");
    // Run again, and what it came from is gone.
    asked_for(&db, 33, None, Some(29), 10, "succeeded");
    let removed = remove_all(&mut db, order(FRONT, 50, 5));
    assert_eq!(left(&db, "events"), [3, 4, 5, 8]);
    assert_eq!(left(&db, "executions"), [3, 4, 5, 8, 20, 32]);
    assert_eq!((removed.events, removed.executions), (4, 6), "{removed:?}");
    assert_eq!(
        (removed.young, removed.failed),
        (Some(Wall(90)), Some(Wall(10)))
    );
    let waits: u64 = removed.unsettled.iter().map(|one| one.events).sum();
    assert_eq!(waits, 2);
    let found = start::read(&db, Wall(0)).expect("a start");
    assert_eq!((found.last_event, found.last_execution), (8, 33));
    // Room is wanted: failed ones, too, and the newest. Numbers are not used again.
    let all = i64::MAX;
    remove_all(&mut db, order(FRONT, all, all));
    assert_eq!(left(&db, "events"), [4, 5]);
    let rule_sets = "SELECT count(*) FROM rule_sets";
    let count = |db: &Connection| db.query_row(rule_sets, [], |row| row.get::<_, i64>(0));
    assert_eq!(count(&db), Ok(2), "two events were judged by the old one");
    db.execute("UPDATE executions SET status = 'succeeded', ended = 1", [])
        .expect("all over");
    remove_all(&mut db, order(FRONT, all, all));
    assert_eq!(
        (left(&db, "events"), left(&db, "executions")),
        (vec![], vec![])
    );
    assert_eq!(count(&db), Ok(1));
    let found = start::read(&db, Wall(0)).expect("a start");
    assert_eq!((found.last_event, found.last_execution), (8, 33));
}

#[test]
fn room_is_given_back_while_it_is_written_to() {
    let data = tempfile::tempdir().expect("a folder");
    let mut db = open(data.path()).expect("a journal");
    let pad = "x".repeat(2000);
    for seq in 1..=2000 {
        happened(&db, seq, 10, "succeeded");
        db.execute(
            "UPDATE events SET payload = ?1 WHERE seq = ?2",
            params![pad, seq as i64],
        )
        .expect("a payload");
    }
    let before = space::measure(&db).expect("room");
    assert!(before.can_shrink && before.used > 4_000_000, "{before:?}");
    let first = remove(&mut db, &order(FRONT, 50, 50), 0).expect("a slice");
    assert!(
        (1..2000).contains(&first.events),
        "a slice is bounded: {first:?}"
    );
    remove_all(&mut db, order(FRONT, 50, 50));
    let after = space::measure(&db).expect("room");
    assert!(after.used < 300_000 && after.free > 3_500_000, "{after:?}");
    space::shrink(&db, 100).expect("some");
    let some = space::measure(&db).expect("room");
    assert_eq!(after.free - some.free, 100 * 4096);
    space::shrink(&db, u32::MAX >> 1).expect("the rest");
    let small = space::measure(&db).expect("room");
    assert!(small.free == 0 && small.used < 300_000, "{small:?}");
}

#[test]
fn an_old_journal_gives_room_back_once_it_was_compacted() {
    let data = tempfile::tempdir().expect("a folder");
    let old = Connection::open(data.path().join(super::FILE)).expect("a file");
    old.execute_batch(include_str!("schema.sql"))
        .expect("tables");
    drop(old);
    let db = open(data.path()).expect("a journal");
    assert!(!space::measure(&db).expect("room").can_shrink);
    drop(db);
    copy::compact(data.path()).expect("it is made small");
    let db = open(data.path()).expect("a journal");
    assert!(space::measure(&db).expect("room").can_shrink);
    happened(&db, 1, 10, "succeeded");
    // Every row that is wrong has its word.
    let wrong = "UPDATE executions SET status = 'running', result = 'x', parent = 9";
    db.execute(wrong, []).expect("a row");
    let faults = check::check(&db, false).expect("a check").faults;
    let all = faults.join("\n");
    for words in [
        "have an end",
        "no JSON",
        "asked for later",
        "text is not there",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
}
