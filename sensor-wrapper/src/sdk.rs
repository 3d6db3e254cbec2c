//! The Python SDK, embedded in the binary and unpacked by content, so that an installed binary
//! needs no source tree and two versions live beside each other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rust_embed::Embed;
use sha2::{Digest, Sha256};

use crate::codes;
use crate::failure::{Failure, Outcome};

#[derive(Embed)]
#[folder = "../sdk/python"]
#[exclude = "*__pycache__*"]
#[exclude = "*.pyc"]
#[exclude = "tests/*"]
#[exclude = ".*"]
struct Files;

/// Names the content: 16 hexadecimal digits over the paths and bytes of all files.
pub static VERSION_HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for name in names() {
        let bytes = Files::get(&name).map(|file| file.data).unwrap_or_default();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(&name);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    let digest = hash.finalize();
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
});

fn names() -> Vec<String> {
    let mut names: Vec<String> = Files::iter().map(|name| name.into_owned()).collect();
    names.sort_unstable();
    names
}

/// Unpacks into `<root>/sdk-<hash>` and gives that folder; if it is there, nothing is written.
/// Several processes may do it at once: the folder appears whole, by a rename.
///
/// # Errors
/// What the file system says.
pub fn unpack(root: &Path) -> io::Result<PathBuf> {
    let folder = root.join(format!("sdk-{}", *VERSION_HASH));
    if folder.is_dir() {
        return Ok(folder);
    }
    let new = root.join(format!(".sdk-{}.{}", *VERSION_HASH, unique()));
    let made = write_all(&new).and_then(|()| fs::rename(&new, &folder));
    if made.is_err() {
        let _ = fs::remove_dir_all(&new);
    }
    match made {
        // Somebody else was faster, with the same content.
        Err(_) if folder.is_dir() => Ok(folder),
        made => made.map(|()| folder),
    }
}

/// Different in every call of every process that lives.
fn unique() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!("{}.{call}", std::process::id())
}

fn write_all(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for name in names() {
        let path = folder.join(&name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = Files::get(&name).ok_or(io::ErrorKind::NotFound)?;
        fs::write(path, file.data)?;
    }
    Ok(())
}

/// A folder with the SDK in it.
pub(crate) fn check(folder: &Path) -> Outcome<PathBuf> {
    match folder.join("sensor_wrapper.py").is_file() {
        true => Ok(folder.to_owned()),
        false => Err(Failure::new(
            codes::SDK,
            "sdk",
            folder.to_string_lossy(),
            "there is no sensor_wrapper.py in it",
        )
        .hint("leave --sdk out to use the built-in one")),
    }
}

/// Unpacks into the user's cache.
pub(crate) fn unpack_default() -> Outcome<PathBuf> {
    let root = cache().ok_or_else(|| {
        let text = "neither XDG_CACHE_HOME nor HOME is set";
        Failure::new(codes::SDK, "sdk", "the cache folder", text).hint("set HOME, or give --sdk")
    })?;
    unpack(&root).map_err(|e| {
        let target = root.to_string_lossy();
        Failure::system(codes::SDK, "sdk", target, &e).hint("set XDG_CACHE_HOME, or give --sdk")
    })
}

fn cache() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("petrel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_once_whole_and_the_same() {
        let root = tempfile::tempdir().unwrap();
        let folder = unpack(&root.path().join("deep/er")).unwrap();
        assert!(folder.ends_with(format!("sdk-{}", *VERSION_HASH)));
        for name in names() {
            let bytes = fs::read(folder.join(&name)).unwrap();
            assert_eq!(bytes, *Files::get(&name).unwrap().data, "{name}");
            assert!(
                !name.contains("__pycache__") && !name.ends_with(".pyc"),
                "{name}"
            );
        }
        fs::write(folder.join("mark"), "").unwrap();
        assert_eq!(unpack(&root.path().join("deep/er")).unwrap(), folder);
        assert!(folder.join("mark").exists());
        assert_eq!(
            fs::read_dir(root.path().join("deep/er")).unwrap().count(),
            1
        );
    }

    #[test]
    fn many_at_once() {
        let root = tempfile::tempdir().unwrap();
        let all: Vec<_> = std::thread::scope(|scope| {
            let one = || scope.spawn(|| unpack(root.path()).is_ok());
            let threads: Vec<_> = (0..8).map(|_| one()).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(all, [true; 8]);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
