//! What is in the journal, in numbers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::space;
use crate::core::clock::Wall;
use crate::core::ids;

/// See the module.
#[derive(Debug, Serialize)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// Its size, bytes.
    pub size: u64,
    /// Of this, used by what is in it.
    pub used: u64,
    /// And free for what comes.
    pub free: u64,
    /// The write-ahead log beside it, bytes.
    pub wal: u64,
    /// Free on its disk, bytes.
    pub disk_free: u64,
    /// It gives free pages back to the disk while it is written to.
    pub can_shrink: bool,
    /// Events.
    pub events: u64,
    /// Identifier and time of the oldest event.
    pub oldest: Option<Mark>,
    /// Of the newest.
    pub newest: Option<Mark>,
    /// Executions, by status.
    pub executions: BTreeMap<String, u64>,
    /// Refused messages.
    pub rejected: u64,
    /// Crashes of sensors.
    pub crashes: u64,
    /// Items of the datastore.
    pub datastore: u64,
    /// Sets of rules that judged what is there.
    pub rule_sets: u64,
}

/// One event.
#[derive(Debug, Serialize)]
pub struct Mark {
    /// Its identifier.
    pub id: String,
    /// When it was accepted.
    pub at: String,
}

/// Counts all: takes a second for some millions of events.
///
/// # Errors
/// When the journal cannot be read.
pub fn read(db: &Connection) -> rusqlite::Result<Info> {
    let space = space::measure(db)?;
    let count = |table: &str| {
        let text = format!("SELECT count(*) FROM {table}");
        db.query_row(&text, [], |row| row.get::<_, i64>(0).map(|n| n as u64))
    };
    Ok(Info {
        path: db.path().map(PathBuf::from).unwrap_or_default(),
        size: space.used + space.free,
        used: space.used,
        free: space.free,
        wal: space.wal,
        disk_free: space.disk_free,
        can_shrink: space.can_shrink,
        events: count("events")?,
        oldest: mark(db, "ASC")?,
        newest: mark(db, "DESC")?,
        executions: by_status(db)?,
        rejected: count("rejected")?,
        crashes: count("crashes")?,
        datastore: count("datastore")?,
        rule_sets: count("rule_sets")?,
    })
}

fn mark(db: &Connection, order: &str) -> rusqlite::Result<Option<Mark>> {
    let text = format!("SELECT seq, received FROM events ORDER BY seq {order} LIMIT 1");
    db.query_row(&text, [], |row| {
        let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(Mark {
            id: ids::format(ids::Kind::Event, Wall(at), seq as u64),
            at: Wall(at).rfc3339(),
        })
    })
    .optional()
}

fn by_status(db: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement = db.prepare("SELECT status, count(*) FROM executions GROUP BY status")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
    rows.collect()
}
