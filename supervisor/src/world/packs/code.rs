//! What a sensor's code is: a change of it means another program.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most files of a pack that are looked at, and most bytes of each.
const FILES: usize = 2000;
const BYTES: u64 = 8 << 20;

/// A hash of a program and, for Python, of the modules beside it and in the pack's `lib`, and of
/// its requirements. What cannot be read counts as absent.
pub fn hash(pack: &Path, program: &Path) -> String {
    let mut files = vec![program.to_owned()];
    if program.extension().is_some_and(|ending| ending == "py") {
        let beside = program.parent().map(Path::to_owned);
        let folders = beside.into_iter().chain([pack.join("lib")]);
        folders.for_each(|folder| modules(&folder, &mut files));
        files.push(pack.join("requirements.txt"));
    }
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(file.as_os_str().as_encoded_bytes());
        if let Ok(open) = fs::File::open(&file) {
            let mut bytes = Vec::new();
            // A file that ends early is another one at the next look.
            let _ = open.take(BYTES).read_to_end(&mut bytes);
            hasher.update(&bytes);
        }
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// The Python files below a folder, in order.
fn modules(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if files.len() >= FILES {
            return;
        }
        let is_python = path.extension().is_some_and(|ending| ending == "py");
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => modules(&path, files),
            Ok(_) if is_python && !files.contains(&path) => files.push(path),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sensor_may_import_is_its_code_and_nothing_else() {
        let pack = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = pack.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let sensor = write("sensors/s.py", "import a");
        let shell = write("sensors/s.sh", "exit");
        let both = || (hash(pack.path(), &sensor), hash(pack.path(), &shell));
        let before = both();
        write("sensors/s.yaml", "class_name: S");
        write("actions/x.py", "pass");
        assert_eq!(both(), before);
        for (name, text) in [
            ("sensors/sub/a.py", "A = 1"),
            ("sensors/sub/a.py", "A = 2"),
            ("lib/b.py", ""),
            ("requirements.txt", "six"),
        ] {
            let (old, _) = both();
            write(name, text);
            let now = both();
            assert_ne!(now.0, old, "{name}");
            assert_eq!(now.1, before.1);
        }
    }
}
