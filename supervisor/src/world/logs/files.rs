//! `logs/<sensor>/current` and the full ones, `1` the newest: JSON lines.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that is written.
pub const CURRENT: &str = "current";

/// The folder of all logs.
pub fn folder(data: &Path) -> PathBuf {
    data.join("logs")
}

/// A reference as the name of a folder.
pub fn escaped(reference: &str) -> String {
    let mut name = String::new();
    for (index, byte) in reference.bytes().enumerate() {
        match byte {
            b'.' if index == 0 => name.push_str("%2E"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'@' => {
                name.push(char::from(byte));
            }
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name
}

/// The reference that a folder is named by; none for a folder that is none of ours.
pub fn unescaped(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut parts = name.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (number, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(number, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// How much is kept of a sensor: files in all, and bytes of each.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Bytes after which a file is full.
    pub max_bytes: u64,
    /// Files, the current one included.
    pub keep: u32,
}

/// The log of one sensor, to be written.
#[derive(Debug)]
pub struct LogFile {
    dir: PathBuf,
    file: BufWriter<File>,
    size: u64,
}

impl LogFile {
    /// Goes on where it was left; a line that a crash cut in two is ended.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        let mut private = DirBuilder::new();
        private.recursive(true).mode(0o700).create(&dir)?;
        let mut file = open_file(&dir)?;
        let mut size = file.metadata()?.len();
        if size > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                size += 1;
            }
        }
        let file = BufWriter::with_capacity(64 << 10, file);
        Ok(Self { dir, file, size })
    }

    /// Somebody removed it: what is written to it nobody can read.
    pub fn is_gone(&self) -> bool {
        let found = self.file.get_ref().metadata();
        found.is_ok_and(|file| file.nlink() == 0)
    }

    /// Adds a line, in a new file where this one is full.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn append(&mut self, line: &[u8], kept: Kept) -> io::Result<()> {
        if self.size > 0 && self.size + line.len() as u64 > kept.max_bytes {
            self.rotate(kept.keep)?;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    /// Gives all of it to the system.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn rotate(&mut self, keep: u32) -> io::Result<()> {
        self.file.flush()?;
        let path = |number: u32| match number {
            0 => self.dir.join(CURRENT),
            _ => self.dir.join(number.to_string()),
        };
        for number in (0..keep.saturating_sub(1)).rev() {
            match fs::rename(path(number), path(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if keep <= 1 {
            fs::remove_file(path(0))?;
        }
        // More may be there from a time when more were kept.
        for number in keep.max(1).. {
            if fs::remove_file(path(number)).is_err() {
                break;
            }
        }
        self.file = BufWriter::with_capacity(64 << 10, open_file(&self.dir)?);
        self.size = 0;
        Ok(())
    }
}

fn open_file(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.open(dir.join(CURRENT))
}
