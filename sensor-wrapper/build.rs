//! A file that is new in the SDK's folder must be embedded, too; and the sources have a mark, by which
//! another program that links this library knows a binary that was built from the same ones.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=../sdk/python");
    println!("cargo::rerun-if-changed=src");
    let mut hasher = DefaultHasher::new();
    hash(Path::new("src"), &mut hasher);
    println!(
        "cargo::rustc-env=SENSOR_WRAPPER_BUILD={:016x}",
        hasher.finish()
    );
}

/// The files of a folder, in order.
fn hash(folder: &Path, hasher: &mut DefaultHasher) {
    let entries = fs::read_dir(folder).expect("the sources can be read");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true => hash(&path, hasher),
            false => (&path, fs::read(&path).expect("a source")).hash(hasher),
        }
    }
}
