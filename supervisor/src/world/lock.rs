//! One supervisor per data folder: an advisory lock on `lock`, which names its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use super::{clock, procfs};

/// How long a holder that was killed may take to let go.
const DYING: Duration = Duration::from_secs(5);

/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    file: Rc<File>,
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
        let begun = clock::now().mono;
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.rewind()?;
            file.read_to_string(&mut holder)?;
            // What was killed lets go once the kernel has ended the last thing that it did.
            let is_waited_for = clock::now().mono.saturating_sub(begun) < DYING;
            if is_waited_for && procfs::is_dying(holder.trim()) {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
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
        let file = Rc::new(file);
        Ok(Self { file })
    }

    /// The lock as it was handed over: it was never let go of.
    pub fn resume(file: OwnedFd) -> Self {
        let file = Rc::new(File::from(file));
        Self { file }
    }

    /// For the next supervisor in this process.
    pub fn hand_over(&self) -> Rc<dyn AsFd> {
        Rc::clone(&self.file) as Rc<dyn AsFd>
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
