//! What an earlier supervisor of this data folder left: first nobody of it lives any more, then it
//! is looked up how far each execution came.

use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::journal::start::WasRunning;
use super::procfs::{self, Marked};
use super::runners;
use super::{action, cgroup};
use crate::catalog::{Catalog, Runner};
use crate::core::executions::{Found, Recovered};
use crate::rules::parameters::with_defaults;

/// An orphaned wrapper gives its program a grace of five seconds; this is longer.
const WRAPPERS_END: Duration = Duration::from_secs(15);

/// Ends leftover sensors, and waits for the wrappers of actions, which end by themselves.
pub fn await_leftovers(data: &Path) {
    cgroup::end_leftovers(data);
    let started = super::clock::now().mono;
    loop {
        let left = procfs::find(data);
        let (actions, sensors): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(kind, _)| *kind == Marked::Action);
        for (_, process) in &sensors {
            procfs::kill(process);
        }
        let late = super::clock::now().mono.saturating_sub(started) > WRAPPERS_END;
        if late {
            for (_, process) in &actions {
                procfs::kill(process);
            }
        }
        let Some((_, process)) = sensors.first().or(actions.first()) else {
            return;
        };
        let wait = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        // Woken by its end, or after a second to see what has changed.
        let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&wait));
    }
}

/// The crash table of the design, for one execution that was running.
pub fn look_up(data: &Path, boot: &str, catalog: &Catalog, was: WasRunning) -> Recovered {
    let folder = action::folder(data, was.execution.seq);
    let found = match action::read(&folder) {
        Some(ending) => {
            let action = catalog.actions.get(&was.execution.action);
            let runner = action.map_or(Runner::LocalShellCmd, |action| action.runner);
            let given = &was.execution.parameters;
            let parameters = action.map(|action| with_defaults(action, given));
            let parameters = parameters.as_ref().unwrap_or(given);
            Found::Ended(runners::outcome(runner, parameters, &ending))
        }
        None if was.boot.as_deref() == Some(boot) && !action::began(&folder) => Found::NeverBegan,
        None => Found::Unknown,
    };
    Recovered {
        execution: was.execution,
        found,
    }
}

/// Removes the folders of executions that nobody asks for any more.
pub fn sweep(data: &Path, keep: &[Recovered]) {
    let Ok(entries) = std::fs::read_dir(data.join(action::FOLDER)) else {
        return;
    };
    for entry in entries.flatten() {
        let seq = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let kept = keep.iter().any(|one| Some(one.execution.seq) == seq);
        if !kept {
            action::remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::Wall;
    use crate::core::record::{Execution, Status};

    const BOOT: &str = "this boot";

    fn was_running(boot: &str) -> WasRunning {
        WasRunning {
            execution: Execution {
                seq: 7,
                event: Some(1),
                rule: "p.r".into(),
                rule_version: "1".into(),
                action: "p.a".into(),
                parameters: serde_json::Map::new(),
                status: Status::Running,
                requested: Wall(0),
                started: Some(Wall(0)),
                cause: crate::core::cause::Cause::default(),
                progress: None,
                over: None,
            },
            boot: Some(boot.to_owned()),
        }
    }

    /// What is found of an execution that left these files and was claimed in this boot.
    fn found(files: &[(&str, &str)], boot: &str) -> Found {
        let data = tempfile::tempdir().expect("a folder");
        let folder = action::folder(data.path(), 7);
        std::fs::create_dir_all(&folder).expect("the execution's folder");
        for (name, text) in files {
            std::fs::write(folder.join(name), text).expect("a file");
        }
        look_up(data.path(), BOOT, &Catalog::default(), was_running(boot)).found
    }

    fn exit(stopped: bool) -> String {
        let code = if stopped { "null" } else { "0" };
        format!(
            "{{\"code\":{code},\"signal\":null,\"started\":1.0,\"ended\":2.0,\"stdout_bytes\":0,\
             \"stderr_bytes\":0,\"stdout_dropped\":0,\"stderr_dropped\":0,\"stopped\":{stopped},\
             \"orphaned\":true,\"error\":null}}"
        )
    }

    #[test]
    fn the_crash_table() {
        let started = ("started", "1");
        assert!(matches!(found(&[], BOOT), Found::NeverBegan));
        assert!(matches!(found(&[started], BOOT), Found::Unknown));
        // Of another boot, an unsynced file may be missing although it was written.
        assert!(matches!(found(&[], "an older one"), Found::Unknown));
        for (stopped, status) in [(false, Status::Succeeded), (true, Status::Abandoned)] {
            let exit = exit(stopped);
            match found(&[started, ("exit.json", &exit)], BOOT) {
                Found::Ended(outcome) => assert_eq!(outcome.status, status),
                other => panic!("{other:?}"),
            }
        }
    }
}
