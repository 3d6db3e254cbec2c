//! The journal: SQLite in WAL mode, written by one thread ([`writer`]), read by anybody ([`query`]).
//!
//! What has no row here has not happened. The journal never interprets what it stores.

pub mod check;
pub mod copy;
pub mod info;
mod migrate;
pub mod query;
mod remove;
pub mod space;
pub mod start;
#[cfg(test)]
mod tests;
pub mod writer;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// The file in the data folder.
pub const FILE: &str = "journal.db";

/// The version of the file; [`migrate`] brings earlier ones up to it.
const VERSION: &str = "4";

/// What the write-ahead log is cut back to once it was larger, bytes.
const WAL_BYTES: i64 = 16 << 20;

/// A connection that may write; creates the file.
///
/// # Errors
/// When the file cannot be opened, is of another version, or is no journal.
pub fn open(data: &Path) -> anyhow::Result<Connection> {
    let db = Connection::open(data.join(FILE))?;
    db.busy_timeout(Duration::from_secs(10))?;
    // Only a new file takes this; one that has it gives room back while it is written to.
    db.pragma_update(None, "auto_vacuum", "incremental")?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    db.pragma_update(None, "synchronous", "full")?;
    if migrate::version(&db)?.as_deref() == Some("1") {
        migrate::from_1(&db)?;
    }
    if migrate::version(&db)?.as_deref() == Some("2") {
        migrate::from_2(&db)?;
    }
    if migrate::version(&db)?.as_deref() == Some("3") {
        migrate::from_3(&db)?;
    }
    db.execute_batch(include_str!("schema.sql"))?;
    let known = "INSERT INTO meta VALUES ('version', ?1) ON CONFLICT DO NOTHING";
    db.execute(known, [VERSION])?;
    let version: String =
        db.query_row("SELECT value FROM meta WHERE key = 'version'", [], |row| {
            row.get(0)
        })?;
    anyhow::ensure!(
        version == VERSION,
        "the journal in {} has version {version}; this petrel reads version {VERSION}",
        data.display()
    );
    Ok(db)
}

/// Brings what earlier lives wrote into the main file, and that to the disk: a sync that failed may
/// have left some of it in the system's memory only, where later syncs pass it over.
///
/// # Errors
/// When the disk fails again.
pub fn settle(db: &Connection) -> rusqlite::Result<()> {
    // It answers with a row; a reader that is in the way only makes it do less.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Whether a journal could be opened by us, without doing so: its version, where it has one, and
/// ours.
///
/// # Errors
/// When it cannot be read, or is of a version that we do not know.
pub fn check(data: &Path) -> anyhow::Result<(Option<String>, &'static str)> {
    if !data.join(FILE).exists() {
        return Ok((None, VERSION));
    }
    let found = migrate::version(&open_read_only(data)?)?;
    let known = |version: &String| ["1", "2", "3", VERSION].contains(&version.as_str());
    anyhow::ensure!(
        found.as_ref().is_none_or(known),
        "the journal in {} has version {}; this petrel reads version {VERSION}",
        data.display(),
        found.unwrap_or_default()
    );
    Ok((found, VERSION))
}

/// A connection that only reads.
///
/// # Errors
/// When the file cannot be opened.
pub fn open_read_only(data: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(data.join(FILE), flags)?;
    db.busy_timeout(Duration::from_secs(10))?;
    Ok(db)
}
