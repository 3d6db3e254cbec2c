//! Sees that files of packs, of configurations or petrel.yaml have changed.
//!
//! A change is told once it has been quiet for a moment: editors write in several steps, and a pack
//! is copied file by file. Whoever changes files without end is looked at every so often all the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::clock;

/// How long it must have been quiet.
const QUIET: Duration = Duration::from_millis(250);

/// The longest that quiet is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub struct Watcher {
    /// Held for its life; none where nothing is watched.
    _system: Option<RecommendedWatcher>,
    seen: UnboundedReceiver<()>,
    /// The first change that is not told yet, and when it is to be told.
    pending: Option<(Instant, Instant)>,
}

impl Watcher {
    /// One that sees nothing.
    pub fn blind() -> Self {
        Self {
            _system: None,
            seen: unbounded_channel().1,
            pending: None,
        }
    }

    /// Watches folders, with all below them, and a file. What is not there is left out.
    ///
    /// # Errors
    /// When the system watches no more, usually for want of watches.
    pub fn start(folders: &[PathBuf], file: Option<&Path>) -> notify::Result<Self> {
        let (told, seen) = unbounded_channel();
        let own = file.map(Path::to_owned);
        let roots: Vec<_> = folders.to_vec();
        let mut system =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // An overflow of the queue is a change, too.
                let matters = event.map_or(true, |event| matters(&event, &roots, own.as_deref()));
                if matters {
                    // Nobody listens only at the end.
                    let _ = told.send(());
                }
            })?;
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            system.watch(folder, RecursiveMode::Recursive)?;
        }
        // An editor puts another file in its place: the folder sees that, the file does not.
        let above =
            file.and_then(|file| std::path::absolute(file).ok()?.parent().map(Path::to_owned));
        if let Some(above) = above {
            system.watch(&above, RecursiveMode::NonRecursive)?;
        }
        Ok(Self {
            _system: Some(system),
            seen,
            pending: None,
        })
    }

    /// Waits until something has changed and it has been quiet since. May be dropped and called
    /// again without loss.
    pub async fn changed(&mut self) {
        loop {
            let Some((first, due)) = self.pending else {
                match self.seen.recv().await {
                    Some(()) => self.note(),
                    None => std::future::pending().await,
                }
                continue;
            };
            tokio::select! {
                biased;
                Some(()) = self.seen.recv() => {
                    let latest = now() + QUIET;
                    self.pending = Some((first, latest.min(first + PATIENCE)));
                }
                () = sleep_until(due) => {
                    self.pending = None;
                    return;
                }
            }
            if self.pending.is_some_and(|(_, due)| due <= now()) {
                while self.seen.try_recv().is_ok() {}
                self.pending = None;
                return;
            }
        }
    }

    fn note(&mut self) {
        let first = now();
        self.pending = Some((first, first + QUIET));
    }
}

fn now() -> Instant {
    clock::instant(clock::now().mono)
}

/// Not what is only read, nor what Python, git and editors leave beside the files.
fn matters(event: &notify::Event, roots: &[PathBuf], file: Option<&Path>) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    event.paths.iter().any(|path| {
        let below = roots.iter().find_map(|root| path.strip_prefix(root).ok());
        match below {
            Some(below) => !below
                .iter()
                .any(|part| is_left_behind(&part.to_string_lossy())),
            None => file.is_some_and(|file| path.file_name() == file.file_name()),
        }
    })
}

fn is_left_behind(name: &str) -> bool {
    name.starts_with('.')
        || name == "__pycache__"
        || name.ends_with(".pyc")
        || name.ends_with('~')
        || name.ends_with(".swp")
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn what_is_left_beside_files_is_no_change() {
        let roots = [PathBuf::from("/etc/.hidden/packs")];
        let file = Some(Path::new("petrel.yaml"));
        let changed = |path: &str, kind| {
            let event = notify::Event::new(kind).add_path(path.into());
            matters(&event, &roots, file)
        };
        let created = EventKind::Create(CreateKind::File);
        for (path, wanted) in [
            ("/etc/.hidden/packs/p/sensors/s.py", true),
            ("/etc/.hidden/packs/p/sensors/__pycache__/s.pyc", false),
            ("/etc/.hidden/packs/p/.git/index", false),
            ("/etc/.hidden/packs/p/sensors/.s.py.swp", false),
            ("/etc/petrel.yaml", true),
            ("/etc/passwd", false),
        ] {
            assert_eq!(changed(path, created), wanted, "{path}");
        }
        let read = EventKind::Access(notify::event::AccessKind::Read);
        assert!(!changed("/etc/petrel.yaml", read));
        assert!(changed(
            "/etc/petrel.yaml",
            EventKind::Modify(ModifyKind::Any)
        ));
    }
}
