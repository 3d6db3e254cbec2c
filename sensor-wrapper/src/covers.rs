//! Which folders a sensor with its own view of the files does not see, and what of them it does.
//! Pure.
//!
//! A covered folder is replaced by an empty one in which only what is needed is mounted again, at
//! its own path. So a path that leads through a folder closed to the sensor's user can be open, and
//! what lies beside it is gone.

use std::path::{Path, PathBuf};

/// A folder to cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// Where.
    pub folder: PathBuf,
    /// What in it stays, outermost paths only.
    pub keep: Vec<PathBuf>,
}

/// The covers in the order in which they are made. `closed` tells of a folder that its user may not
/// pass through.
pub fn plan(hide: &[PathBuf], needed: &[PathBuf], closed: impl Fn(&Path) -> bool) -> Vec<Cover> {
    let mut folders: Vec<PathBuf> = hide.to_vec();
    folders.extend(needed.iter().filter_map(|path| first_closed(path, &closed)));
    // Outer before inner: an inner one is made on what the outer one left.
    folders.sort_unstable();
    folders.dedup();
    let mut covers: Vec<Cover> = Vec::new();
    for folder in folders {
        let needs_all = needed.contains(&folder);
        if !needs_all && is_still_seen(&folder, &covers) {
            let keep = outermost(needed, &folder);
            covers.push(Cover { folder, keep });
        }
    }
    covers
}

fn first_closed(path: &Path, closed: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    let found = above.into_iter().find(|folder| closed(folder));
    found.map(Path::to_owned)
}

/// No cover lies over it, or the last one that does keeps it.
fn is_still_seen(folder: &Path, covers: &[Cover]) -> bool {
    let over = covers
        .iter()
        .rev()
        .find(|cover| folder.starts_with(&cover.folder));
    over.is_none_or(|cover| cover.keep.iter().any(|kept| folder.starts_with(kept)))
}

fn outermost(needed: &[PathBuf], folder: &Path) -> Vec<PathBuf> {
    let mut inside: Vec<&PathBuf> = needed.iter().filter(|p| p.starts_with(folder)).collect();
    inside.sort_unstable();
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in inside {
        if !kept.last().is_some_and(|last| path.starts_with(last)) {
            kept.push(path.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(all: &[&str]) -> Vec<PathBuf> {
        all.iter().map(PathBuf::from).collect()
    }

    fn shown(covers: &[Cover]) -> Vec<(String, Vec<PathBuf>)> {
        let one = |c: &Cover| (c.folder.display().to_string(), c.keep.clone());
        covers.iter().map(one).collect()
    }

    #[test]
    fn what_is_needed_stays_and_what_lies_beside_it_goes() {
        let needed = paths(&[
            "/tmp/x/packs/p",
            "/data/sdk",
            "/data/sensors/p.S",
            "/usr/bin",
        ]);
        let covers = plan(&paths(&["/tmp", "/data", "/run/petrel"]), &needed, |_| {
            false
        });
        let expected = [
            ("/data", paths(&["/data/sdk", "/data/sensors/p.S"])),
            ("/run/petrel", paths(&[])),
            ("/tmp", paths(&["/tmp/x/packs/p"])),
        ];
        assert_eq!(shown(&covers), expected.map(|(f, k)| (f.to_owned(), k)));
    }

    #[test]
    fn a_way_through_a_closed_folder_is_opened() {
        let needed = paths(&[
            "/root/.pyenv/versions/3",
            "/root/packs/p",
            "/root/packs/p/lib",
        ]);
        let covers = plan(&[], &needed, |folder| folder.starts_with("/root"));
        let keep = paths(&["/root/.pyenv/versions/3", "/root/packs/p"]);
        assert_eq!(shown(&covers), [("/root".to_owned(), keep)]);
    }

    #[test]
    fn a_secret_within_what_is_kept_is_covered_again_and_one_beside_it_is_not() {
        let needed = paths(&["/tmp/a", "/tmp/a/data/sdk"]);
        let covers = plan(&paths(&["/tmp", "/tmp/a/data", "/tmp/b"]), &needed, |_| {
            false
        });
        let expected = [
            ("/tmp", paths(&["/tmp/a"])),
            ("/tmp/a/data", paths(&["/tmp/a/data/sdk"])),
        ];
        assert_eq!(shown(&covers), expected.map(|(f, k)| (f.to_owned(), k)));
    }

    #[test]
    fn what_is_wanted_whole_is_not_covered() {
        assert!(plan(&paths(&["/tmp"]), &paths(&["/tmp"]), |_| false).is_empty());
    }
}
