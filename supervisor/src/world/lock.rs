//! One supervisor per data folder: an advisory lock on `lock`, which names its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `data`, which must exist.
    ///
    /// # Errors
    /// When another supervisor holds it: names its pid.
    pub fn take(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("failed to open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            anyhow::bail!(
                "another petrel runs on {} (pid {}); stop it, or give this one a folder of its \
                 own with --data",
                data.display(),
                holder.trim()
            );
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_the_pid_of_the_first() {
        let data = tempfile::tempdir().expect("a folder");
        let first = Lock::take(data.path()).expect("nobody holds it");
        let refused = Lock::take(data.path()).expect_err("it is held").to_string();
        assert!(
            refused.contains(&format!("pid {}", std::process::id())),
            "{refused}"
        );
        drop(first);
        Lock::take(data.path()).expect("it is free again");
    }
}
