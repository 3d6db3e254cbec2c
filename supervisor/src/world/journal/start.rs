//! What the journal knows when the supervisor starts.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::query::execution_from_row;
use crate::core::clock::Wall;
use crate::core::datastore::Key;
use crate::core::queue::Owed;
use crate::core::record::{Execution, KvItem, SensorMemory};
use crate::core::tally::{Counted, Counts};

/// What policies delay now, they say anew.
pub(super) const DELAYED_AGAIN: &str =
    "UPDATE executions SET status = 'requested' WHERE status = 'delayed' AND ended IS NULL";

/// What was running.
pub(super) const RUNNING: &str =
    "SELECT * FROM executions WHERE status = 'running' AND ended IS NULL ORDER BY seq";

/// Whose lines have something owed.
pub(super) const OWING: &str = "SELECT DISTINCT rule FROM executions WHERE status = 'requested'";

/// What rules asked for and is tried once more.
pub(super) const AGAIN: &str = "SELECT * FROM executions
    WHERE status = 'requested' AND parent IS NOT NULL AND rule != '' ORDER BY seq";

/// What somebody is asked about.
pub(super) const PENDING: &str =
    "SELECT * FROM executions WHERE status = 'pending' AND ended IS NULL ORDER BY seq";

/// An execution that was running, and the boot of the machine in which it was claimed.
#[derive(Debug)]
pub struct WasRunning {
    /// Its row.
    pub execution: Execution,
    /// `/proc/sys/kernel/random/boot_id` of that time.
    pub boot: Option<String>,
}

/// Everything that the core begins with.
#[derive(Debug)]
pub struct Found {
    /// Sensors, by reference.
    pub memories: HashMap<String, SensorMemory>,
    /// The datastore.
    pub kv: Vec<(Key, KvItem)>,
    /// Timers, by reference: up to when they are settled.
    pub timers: HashMap<String, Wall>,
    /// Trigger types, by reference, with what they had of events.
    pub counts: Vec<Counted>,
    /// Highest number of an event.
    pub last_event: u64,
    /// Highest number of an execution.
    pub last_execution: u64,
    /// Executions that are owed.
    pub owed: Owed,
    /// Executions that are neither owed nor final.
    pub running: Vec<WasRunning>,
}

/// Reads it, removes what expired, and forgets what was delayed.
///
/// # Errors
/// When the journal cannot be read.
pub fn read(db: &Connection, now: Wall) -> rusqlite::Result<Found> {
    db.execute("DELETE FROM datastore WHERE expires <= ?1", [now.0])?;
    db.execute(DELAYED_AGAIN, [])?;
    Ok(Found {
        memories: memories(db)?,
        kv: kv(db)?,
        timers: timers(db)?,
        counts: counts(db)?,
        last_event: highest(db, "last_event", "SELECT max(seq) FROM events")?,
        last_execution: highest(db, "last_execution", "SELECT max(seq) FROM executions")?,
        owed: Owed {
            rules: owing(db)?,
            again: executions(db, AGAIN)?,
            pending: executions(db, PENDING)?,
        },
        running: running(db)?,
    })
}

/// Stores what a rule-set hash stands for.
///
/// # Errors
/// When the journal cannot be written.
pub fn keep_rule_set(db: &Connection, hash: &str, text: &str) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO rule_sets VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![hash, text],
    )?;
    Ok(())
}

/// Also where the row that had it is gone.
fn highest(db: &Connection, key: &str, query: &str) -> rusqlite::Result<u64> {
    let seq: Option<i64> = db.query_row(query, [], |row| row.get(0))?;
    let gone = "SELECT max(CAST(value AS INTEGER)) FROM meta WHERE key = ?1";
    let gone: Option<i64> = db.query_row(gone, [key], |row| row.get(0))?;
    Ok(seq.max(gone).unwrap_or(0) as u64)
}

fn counts(db: &Connection) -> rusqlite::Result<Vec<Counted>> {
    let mut statement = db.prepare("SELECT trigger, accepted, matched, dropped FROM counts")?;
    let rows = statement.query_map([], |row| {
        let number = |at| row.get::<_, i64>(at).map(|number| number as u64);
        let counts = Counts {
            accepted: number(1)?,
            matched: number(2)?,
            dropped: number(3)?,
        };
        Ok((row.get(0)?, counts))
    })?;
    rows.collect()
}

fn memories(db: &Connection) -> rusqlite::Result<HashMap<String, SensorMemory>> {
    let mut statement = db.prepare("SELECT ref, memory FROM sensors")?;
    let rows = statement.query_map([], |row| {
        let text: String = row.get(1)?;
        Ok((row.get(0)?, serde_json::from_str(&text).unwrap_or_default()))
    })?;
    rows.collect()
}

fn kv(db: &Connection) -> rusqlite::Result<Vec<(Key, KvItem)>> {
    let mut statement = db.prepare("SELECT scope, name, value, expires, secret FROM datastore")?;
    let rows = statement.query_map([], |row| {
        let (scope, name): (String, String) = (row.get(0)?, row.get(1)?);
        let item = KvItem {
            value: row.get(2)?,
            expires: row.get::<_, Option<i64>>(3)?.map(Wall),
            secret: row.get(4)?,
        };
        Ok((Key::stored(&scope, &name), item))
    })?;
    rows.collect()
}

fn timers(db: &Connection) -> rusqlite::Result<HashMap<String, Wall>> {
    let mut statement = db.prepare("SELECT ref, settled FROM timers")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, Wall(row.get(1)?))))?;
    rows.collect()
}

fn owing(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare(OWING)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn executions(db: &Connection, text: &str) -> rusqlite::Result<Vec<Execution>> {
    let mut statement = db.prepare(text)?;
    statement.query_map([], execution_from_row)?.collect()
}

fn running(db: &Connection) -> rusqlite::Result<Vec<WasRunning>> {
    let mut statement = db.prepare(RUNNING)?;
    let rows = statement.query_map([], |row| {
        Ok(WasRunning {
            execution: execution_from_row(row)?,
            boot: row.get("boot")?,
        })
    })?;
    rows.collect()
}
