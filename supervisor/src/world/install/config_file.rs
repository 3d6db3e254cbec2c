//! `configs/<pack>.yaml`, which holds secrets: only its owner reads it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Writes it, whole or not at all. What it was before is kept beside it, as `.yaml.old`, for the
/// sake of its comments.
///
/// # Errors
/// When it cannot be written; then it is as it was.
pub fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let told = || format!("failed to write {}", file.display());
    let folder = file.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(told)?;
    // A link stays one: what it leads to is written.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let beside = |ending: &str| PathBuf::from(format!("{}.{ending}", file.display()));
    match fs::read(&file) {
        Ok(before) => private(&beside("old"), &before).with_context(told)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(told),
    }
    let new = beside("new");
    private(&new, text.as_bytes()).with_context(told)?;
    fs::rename(&new, &file).with_context(told)
}

fn private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Never a file or a link that somebody else put there since.
    let mut open = OpenOptions::new();
    let mut file = open.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_private_and_the_old_one_is_kept() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("configs/p.yaml");
        write(&file, "a: 1\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, "a: 2\n").unwrap();
        let read = |name: &str| {
            let path = folder.path().join("configs").join(name);
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            (fs::read_to_string(path).unwrap(), mode)
        };
        assert_eq!(read("p.yaml"), ("a: 2\n".into(), 0o600));
        assert_eq!(read("p.yaml.old"), ("a: 1\n".into(), 0o600));
    }
}
