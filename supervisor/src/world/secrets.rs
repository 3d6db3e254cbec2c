//! The key of the datastore: a file in StackStorm's format.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::rules::cipher::Cipher;

/// The file in the data folder, where petrel.yaml names no other.
const FILE: &str = "datastore_key.json";

/// Reads the key that petrel.yaml names, or that of the data folder, which is made at first.
///
/// # Errors
/// When it cannot be read or made, or is no key.
pub fn cipher(configured: Option<&Path>, data: &Path) -> anyhow::Result<Cipher> {
    match configured {
        Some(file) => read(file),
        None => {
            let file = data.join(FILE);
            match file.exists() {
                true => read(&file),
                false => generate(&file),
            }
        }
    }
}

/// The same key, where there is one that can be read; none is made.
pub fn existing(configured: Option<&Path>, data: &Path) -> Option<Cipher> {
    match configured {
        Some(file) => read(file).ok(),
        None => read(&data.join(FILE)).ok(),
    }
}

/// Makes a key and writes its file, which only its owner reads; an existing file is left alone.
///
/// # Errors
/// When there is a file already, or it cannot be written.
pub fn generate(file: &Path) -> anyhow::Result<Cipher> {
    let (cipher, text) = Cipher::generate(random().context("failed to make a key")?);
    let written = write_new(file, &text);
    written.with_context(|| format!("failed to write the key {}", file.display()))?;
    Ok(cipher)
}

fn read(file: &Path) -> anyhow::Result<Cipher> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("failed to read the key {}", file.display()))?;
    Cipher::parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))
}

/// Whole or not at all, so that a crash leaves no half of a key.
fn write_new(file: &Path, text: &str) -> io::Result<()> {
    let beside = PathBuf::from(format!("{}.new", file.display()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Never a file or a link that somebody else put there since.
    let mut open = OpenOptions::new();
    let mut new = open
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    let linked = fs::hard_link(&beside, file);
    fs::remove_file(&beside)?;
    linked
}

fn random() -> io::Result<[u8; 64]> {
    let mut bytes = [0; 64];
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += rustix::rand::getrandom(&mut bytes[filled..], flags)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let data = tempfile::TempDir::new().expect("a folder");
        let first = cipher(None, data.path()).expect("it is made");
        let again = cipher(None, data.path()).expect("it is read");
        let hex = first.encrypt("text", [7; 16]);
        assert_eq!(again.decrypt(&hex).as_deref(), Ok("text"));
        let file = data.path().join(FILE);
        let mode = fs::metadata(&file)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(generate(&file).is_err(), "a key is never overwritten");
        let gone = cipher(Some(&data.path().join("gone")), data.path());
        assert!(gone.unwrap_err().to_string().contains("gone"));
    }
}
