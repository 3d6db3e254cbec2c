//! How much room the journal takes, and giving some of it back.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::FILE;
use crate::core::retention::Space;

/// `PRAGMA auto_vacuum` of a file that gives pages back while it is written to.
const INCREMENTAL: i64 = 2;

/// Looks.
///
/// # Errors
/// When the journal cannot be read.
pub fn measure(db: &Connection) -> rusqlite::Result<Space> {
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let page = number("page_size")? as u64;
    let free = number("freelist_count")? as u64;
    let all = number("page_count")? as u64;
    let path = db.path().map(PathBuf::from).unwrap_or_default();
    // Where the disk cannot be asked, nothing is removed on its behalf.
    let (disk_free, disk) = disk(&path).unwrap_or((u64::MAX, 0));
    Ok(Space {
        used: (all - free.min(all)) * page,
        free: free * page,
        wal: wal(&path),
        disk_free,
        disk,
        can_shrink: number("auto_vacuum")? == INCREMENTAL,
    })
}

/// Bytes that are not moved into the file yet.
fn wal(journal: &Path) -> u64 {
    let wal = journal.with_file_name(format!("{FILE}-wal"));
    wal.metadata().map_or(0, |found| found.len())
}

fn disk(path: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(path).ok()?;
    let unit = found.f_frsize;
    Some((found.f_bavail * unit, found.f_blocks * unit))
}

/// Gives at most so many free pages back to the disk.
///
/// # Errors
/// When the journal cannot be written.
pub fn shrink(db: &Connection, pages: u32) -> rusqlite::Result<()> {
    let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    // A page a step.
    while rows.next()?.is_some() {}
    Ok(())
}
