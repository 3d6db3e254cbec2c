//! A folder that is filled from outside: nothing leaves it, and its size is bounded.
//!
//! Links are made last, so that nothing is ever written through one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// Most bytes of a pack. The largest public one has 60 MB.
pub const MOST_BYTES: u64 = 256 << 20;
/// Most files, folders and links of a pack.
pub const MOST_ENTRIES: usize = 50_000;
/// Most folders within each other.
const MOST_DEPTH: usize = 64;

/// Where a pack is put together.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    entries: usize,
    bytes: u64,
    links: Vec<(PathBuf, PathBuf)>,
}

impl Tree {
    /// An empty one in a folder that is made for it.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(root: &Path) -> anyhow::Result<Self> {
        make(root)?;
        Ok(Self {
            root: root.to_owned(),
            entries: 0,
            bytes: 0,
            links: Vec::new(),
        })
    }

    /// Adds a folder.
    ///
    /// # Errors
    /// When it would lie outside, or cannot be made.
    pub fn folder(&mut self, name: &Path) -> anyhow::Result<()> {
        let path = self.place(name)?;
        make(&path)
    }

    /// Adds a file; a second one of that name takes the place of the first, as tar has it.
    ///
    /// # Errors
    /// When it would lie outside, is too large, or cannot be read or written.
    pub fn file(
        &mut self,
        name: &Path,
        executable: bool,
        from: &mut dyn Read,
    ) -> anyhow::Result<()> {
        let path = self.place(name)?;
        ensure!(path != self.root, "a file without a name");
        if let Some(above) = path.parent() {
            make(above)?;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| told(name));
            }
            _ => {}
        }
        let mode = if executable { 0o755 } else { 0o644 };
        let mut open = OpenOptions::new();
        let mut file = open
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .with_context(|| told(name))?;
        let left = MOST_BYTES - self.bytes;
        let written = io::copy(&mut from.take(left + 1), &mut file).with_context(|| told(name))?;
        ensure!(
            written <= left,
            "it has more than {} MiB of files",
            MOST_BYTES >> 20
        );
        self.bytes += written;
        Ok(())
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// When it would lie outside, or its target is an absolute path.
    pub fn link(&mut self, name: &Path, target: PathBuf) -> anyhow::Result<()> {
        let path = self.place(name)?;
        if target.is_absolute() {
            return Err(leaves(name, &target));
        }
        self.links.push((path, target));
        Ok(())
    }

    /// Makes the links.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub fn finish(self) -> anyhow::Result<()> {
        for (path, target) in &self.links {
            if let Some(above) = path.parent() {
                make(above)?;
            }
            let name = path.strip_prefix(&self.root).unwrap_or(path);
            symlink(target, path).with_context(|| told(name))?;
        }
        Ok(())
    }

    fn place(&mut self, name: &Path) -> anyhow::Result<PathBuf> {
        self.entries += 1;
        ensure!(
            self.entries <= MOST_ENTRIES,
            "it has more than {MOST_ENTRIES} files and folders"
        );
        let mut path = self.root.clone();
        let mut depth = 0;
        for component in name.components() {
            match component {
                Component::CurDir => {}
                Component::Normal(part) => path.push(part),
                _ => bail!("{:?} lies outside of the pack: nothing was installed", name),
            }
            depth += 1;
        }
        ensure!(
            depth <= MOST_DEPTH,
            "{name:?} lies in more than {MOST_DEPTH} folders"
        );
        Ok(path)
    }
}

fn told(name: &Path) -> String {
    format!("failed to unpack {}", name.display())
}

fn leaves(name: &Path, target: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "the link {} leads to {}, outside of the pack or to nothing: nothing was installed",
        name.display(),
        target.display()
    )
}

fn make(path: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    builder
        .create(path)
        .with_context(|| format!("failed to make the folder {}", path.display()))
}

/// Copies a folder into a tree, without a `.git` at its top.
///
/// # Errors
/// When something in it is neither file, folder nor link, or cannot be read.
pub fn copy(from: &Path, tree: &mut Tree) -> anyhow::Result<()> {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(from.join(&folder));
        let entries = entries.with_context(|| format!("failed to read {}", from.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = folder.join(entry.file_name());
            if name == Path::new(".git") {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                tree.folder(&name)?;
                folders.push(name);
            } else if kind.is_symlink() {
                tree.link(&name, fs::read_link(entry.path())?)?;
            } else if kind.is_file() {
                let told = || format!("failed to read {}", entry.path().display());
                let mut file = fs::File::open(entry.path()).with_context(told)?;
                let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions());
                tree.file(&name, mode & 0o111 != 0, &mut file)?;
            } else {
                bail!("{} is a device, a socket or a pipe", name.display());
            }
        }
    }
    Ok(())
}

/// Looks at every link below a folder: each must lead to something in it.
///
/// # Errors
/// The first that does not.
pub fn check_links(root: &Path) -> anyhow::Result<()> {
    let inside = fs::canonicalize(root)?;
    let mut folders = vec![inside.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_symlink() {
                let found = fs::canonicalize(entry.path());
                if !found.is_ok_and(|target| target.starts_with(&inside)) {
                    let path = entry.path();
                    let name = path.strip_prefix(&inside).unwrap_or(&path);
                    return Err(leaves(name, &fs::read_link(&path)?));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str) -> anyhow::Result<()> {
        let folder = tempfile::TempDir::new().unwrap();
        let mut tree = Tree::new(&folder.path().join("tree")).unwrap();
        tree.file(Path::new(name), false, &mut &b"x"[..])
    }

    #[test]
    fn nothing_is_written_outside() {
        assert!(check("a/./b").is_ok());
        for name in ["../a", "a/../b", "/a", "..", "", "a/../../b"] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check(&"a/".repeat(100)).is_err());
    }

    #[test]
    fn a_file_never_goes_through_a_link() {
        let folder = tempfile::TempDir::new().unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let root = folder.path().join("tree");
        let mut tree = Tree::new(&root).unwrap();
        tree.link(Path::new("a"), "../outside".into()).unwrap();
        tree.file(Path::new("a/x"), false, &mut &b"x"[..]).unwrap();
        assert!(tree.finish().is_err(), "the link's place is taken");
        assert!(!outside.join("x").exists());
    }

    #[test]
    fn links_that_lead_away_are_found_even_over_others() {
        let folder = tempfile::TempDir::new().unwrap();
        let root = folder.path().join("tree");
        let check = |links: &[(&str, &str)]| {
            let _ = fs::remove_dir_all(&root);
            let mut tree = Tree::new(&root).unwrap();
            tree.file(Path::new("s/t/file"), false, &mut &b"x"[..])?;
            for (name, target) in links {
                tree.link(Path::new(name), target.into())?;
            }
            tree.finish()?;
            check_links(&root)
        };
        assert!(check(&[("a", "s/t"), ("s/b", "t/file")]).is_ok());
        assert!(check(&[("s/t/a", "../.."), ("e", "s/t/a/..")]).is_err());
        for (name, target) in [
            ("a", "/etc"),
            ("a", ".."),
            ("s/a", "../../x"),
            ("a", "nothing"),
        ] {
            assert!(check(&[(name, target)]).is_err(), "{target}");
        }
    }
}
