//! Reading logs back, also while they are written.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::files::{CURRENT, escaped, folder, unescaped};
use crate::core::clock::Wall;
use crate::core::logs::LogRecord;
use crate::core::notice::Level;

/// Which records.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The newest, at most so many.
    pub limit: usize,
    /// From this moment on.
    pub since: Option<Wall>,
    /// At least as grave.
    pub level: Level,
}

impl Wanted {
    /// Whether a record is one of them.
    pub fn takes(&self, record: &LogRecord) -> bool {
        record.level >= self.level && self.since.is_none_or(|since| record.time >= since)
    }
}

/// The sensors of which there are logs.
pub fn known(data: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder(data)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| unescaped(entry.file_name().to_str()?));
    names.collect()
}

/// The records of a sensor, the oldest first.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn read(data: &Path, reference: &str, wanted: &Wanted) -> io::Result<Vec<LogRecord>> {
    let mut found = Vec::new();
    for mut file in open_all(&folder(data).join(escaped(reference)))? {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if !take(&bytes, wanted, &mut found) {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// All files, the newest first, opened before any is read: what is rotated meanwhile is read once.
fn open_all(dir: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    for number in 0.. {
        let name = match number {
            0 => CURRENT.to_owned(),
            _ => number.to_string(),
        };
        match File::open(dir.join(name)) {
            Ok(file) => {
                if seen.insert(file.metadata()?.ino()) {
                    files.push(file);
                }
            }
            // In the middle of a rotation, or while it is new, the current one may be missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && number == 0 => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// Takes the records of a file, the newest first; false when there are enough. A line that is none,
/// such as the one that is being written, is passed over.
fn take(bytes: &[u8], wanted: &Wanted, found: &mut Vec<LogRecord>) -> bool {
    for line in bytes.rsplit(|byte| *byte == b'\n') {
        let Ok(record) = serde_json::from_slice::<LogRecord>(line) else {
            continue;
        };
        if wanted.since.is_some_and(|since| record.time < since) || found.len() >= wanted.limit {
            return false;
        }
        if wanted.takes(&record) {
            found.push(record);
        }
    }
    true
}
