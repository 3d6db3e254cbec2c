//! The folder in which a pack is put together, and the moment in which it takes its place.
//!
//! It lies in the folder of packs, so that it is on the same file system, and has no `pack.yaml`,
//! so that it is no pack. One at a time: the folder of packs is locked meanwhile.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with, syncfs};

const FOLDER: &str = ".petrel-install";

/// See the module.
#[derive(Debug)]
pub struct Staging {
    packs: PathBuf,
    dir: PathBuf,
    lock: File,
}

impl Staging {
    /// Locks the folder of packs, and removes what an install left that was killed.
    ///
    /// # Errors
    /// When the folder cannot be written, or another install is under way.
    pub fn new(packs: &Path) -> anyhow::Result<Self> {
        let told = || format!("failed to write in the folder of packs {}", packs.display());
        fs::create_dir_all(packs).with_context(told)?;
        let lock = File::open(packs).with_context(told)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "another install is under way in {}: try again when it has ended",
                packs.display()
            );
        }
        let dir = packs.join(FOLDER);
        give_back(packs, &dir.join("old")).with_context(told)?;
        clear(&dir).with_context(told)?;
        fs::create_dir(&dir).with_context(told)?;
        Ok(Self {
            packs: packs.to_owned(),
            dir,
            lock,
        })
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Moves a folder of it into its place. What was there is there until that moment.
    ///
    /// # Errors
    /// When something else is there, or the system refuses; then nothing has changed.
    pub fn place(&self, pack: &Path, name: &str, replaces: bool) -> anyhow::Result<()> {
        let to = self.packs.join(name);
        // What is in the new files reaches the disk before their names do.
        let _ = syncfs(&self.lock);
        let flag = match replaces {
            true => RenameFlags::EXCHANGE,
            false => RenameFlags::NOREPLACE,
        };
        let moved = match renameat_with(CWD, pack, CWD, &to, flag) {
            // Some file systems cannot do it in one step.
            Err(rustix::io::Errno::INVAL) if replaces => self.place_in_steps(pack, name, &to),
            Err(rustix::io::Errno::INVAL) => place_where_nothing_is(pack, &to),
            other => other.map_err(io::Error::from),
        };
        let _ = syncfs(&self.lock);
        moved.with_context(|| format!("failed to put the pack into {}", to.display()))
    }

    fn place_in_steps(&self, pack: &Path, name: &str, to: &Path) -> io::Result<()> {
        let old = self.dir.join("old");
        fs::create_dir_all(&old)?;
        match fs::rename(to, old.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(pack, to).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = give_back(&self.packs, &old);
        })
    }

    /// Takes packs out of their places, to be removed with this folder; all or none.
    ///
    /// # Errors
    /// When the system refuses one; then all are still there.
    pub fn take(&self, packs: &[&Path]) -> anyhow::Result<()> {
        let place = |at: usize| self.dir.join(format!("removed-{at}"));
        for (at, pack) in packs.iter().enumerate() {
            if let Err(error) = fs::rename(pack, place(at)) {
                for (at, pack) in packs[..at].iter().enumerate() {
                    fs::rename(place(at), pack)
                        .with_context(|| format!("failed to put {} back", pack.display()))?;
                }
                return Err(error).with_context(|| format!("failed to remove {}", pack.display()));
            }
        }
        Ok(())
    }
}

/// An empty folder takes the place first, which fails where something is; a rename over it leaves no
/// moment for anything else.
fn place_where_nothing_is(pack: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::rename(pack, to).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_dir(to);
    })
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left is removed by the next install.
        let _ = clear(&self.dir);
    }
}

fn clear(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Puts packs back that were moved away, and whose new form never came.
fn give_back(packs: &Path, old: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(old) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let place = packs.join(entry.file_name());
        if !place.exists() {
            fs::rename(entry.path(), place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_takes_the_place_of_another_and_nothing_is_left() {
        let folder = tempfile::TempDir::new().unwrap();
        let packs = folder.path();
        fs::create_dir_all(packs.join("a/old")).unwrap();
        for steps in [false, true] {
            let staging = Staging::new(packs).unwrap();
            assert!(Staging::new(packs).is_err(), "one at a time");
            let new = staging.path("new");
            fs::create_dir_all(new.join(format!("new{steps}"))).unwrap();
            assert!(
                staging.place(&new, "a", false).is_err(),
                "the name is taken"
            );
            match steps {
                false => staging.place(&new, "a", true).unwrap(),
                true => staging.place_in_steps(&new, "a", &packs.join("a")).unwrap(),
            }
            drop(staging);
            assert!(packs.join(format!("a/new{steps}")).exists());
            assert_eq!(fs::read_dir(packs).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_has_just_appeared_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let packs = folder.path();
        let staging = Staging::new(packs).unwrap();
        let new = staging.path("new");
        fs::create_dir_all(new.join("inside")).unwrap();
        fs::create_dir_all(packs.join("a/theirs")).unwrap();
        assert!(place_where_nothing_is(&new, &packs.join("a")).is_err());
        assert!(packs.join("a/theirs").exists() && new.join("inside").exists());
        place_where_nothing_is(&new, &packs.join("b")).unwrap();
        assert!(packs.join("b/inside").exists());
    }

    #[test]
    fn all_are_taken_or_none() {
        let folder = tempfile::TempDir::new().unwrap();
        let packs = folder.path();
        let [a, b] = ["a", "b"].map(|name| packs.join(name));
        fs::create_dir(&a).unwrap();
        let staging = Staging::new(packs).unwrap();
        assert!(staging.take(&[&a, &b]).is_err());
        assert!(a.exists());
        fs::create_dir(&b).unwrap();
        staging.take(&[&a, &b]).unwrap();
        assert!(!a.exists() && !b.exists());
    }

    #[test]
    fn what_was_moved_away_comes_back_after_a_crash() {
        let folder = tempfile::TempDir::new().unwrap();
        let packs = folder.path();
        fs::create_dir_all(packs.join(FOLDER).join("old/a/x")).unwrap();
        let staging = Staging::new(packs).unwrap();
        drop(staging);
        assert!(packs.join("a/x").exists());
    }
}
