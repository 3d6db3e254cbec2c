//! A copy of the journal while it is written to, and the journal made small while it is not.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rusqlite::Connection;

use super::{FILE, open, open_read_only};

/// Writes all that is in the journal of `data` at one moment into a new file, which is there whole or
/// not at all. Petrel starts on it where it lies as `journal.db` in a data folder.
///
/// # Errors
/// When there is such a file, or it cannot be written.
pub fn backup(data: &Path, to: &Path) -> anyhow::Result<u64> {
    anyhow::ensure!(
        !to.exists(),
        "{} is there already: name another file, or remove it",
        to.display()
    );
    let db = open_read_only(data).with_context(|| no_journal(data))?;
    let part = beside(to);
    let _ = fs::remove_file(&part);
    let written = write(&db, &part).and_then(|()| {
        fs::rename(&part, to)?;
        File::open(
            to.parent()
                .filter(|dir| !dir.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )?
        .sync_all()?;
        Ok(fs::metadata(to)?.len())
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.with_context(|| format!("failed to write {}", to.display()))
}

fn beside(to: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(to.file_name().unwrap_or_default());
    name.push(".part");
    to.with_file_name(name)
}

/// It has what sensors and people said, so only we may read it.
fn write(db: &Connection, part: &Path) -> anyhow::Result<()> {
    let file = File::create_new(part)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let text = part.to_str().context("its name is not UTF-8")?;
    db.execute("VACUUM INTO ?1", [text])?;
    file.sync_all()?;
    Ok(())
}

/// Writes the journal of `data` anew without its free pages, so that it can give room back from then
/// on; nobody else may write to it. Its size before and after.
///
/// # Errors
/// When there is none, or it cannot be written.
pub fn compact(data: &Path) -> anyhow::Result<(u64, u64)> {
    let path = data.join(FILE);
    let size = || path.metadata().map(|found| found.len());
    let before = size().with_context(|| no_journal(data))?;
    let db = open(data)?;
    db.execute_batch("VACUUM")?;
    // All of it is in the file, and nothing beside it.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    drop(db);
    Ok((before, size()?))
}

/// What to say where there is nothing to read.
pub fn no_journal(data: &Path) -> String {
    format!("there is no journal in {}", data.display())
}
