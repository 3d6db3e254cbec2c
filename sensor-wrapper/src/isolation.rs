//! What the wrapper does to itself before it becomes something else, as data.
//!
//! The order matters: the death of the parent is caught first and checked second, for a parent
//! that died in between sends no signal.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// One step; `sys` performs it with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// SIGKILL when the parent (the thread that spawned us) dies.
    DieWithParent,
    /// SIGTERM when it dies: for an action's parent, which then stops the action and records it.
    HearParentDie,
    /// The parent must still be this one. Compared with a pid, not with 1: a subreaper may have
    /// adopted us.
    ParentIs(i32),
    /// No core dumps: the soft limit only, a program may raise it again.
    NoCore,
    /// The soft limit of open files, as it was before the supervisor raised its own.
    OpenFiles(u64),
    /// Nothing inherited above standard error.
    CloseDescriptors,
    /// No signal blocked or ignored.
    ResetSignals,
}

/// The steps of `sandbox.profile: standard`. The process group was made by whoever spawned us.
pub fn steps(parent: i32, nofile: Option<u64>) -> Vec<Step> {
    let mut steps = vec![Step::DieWithParent, Step::ParentIs(parent), Step::NoCore];
    steps.extend(nofile.map(Step::OpenFiles));
    steps.extend([Step::CloseDescriptors, Step::ResetSignals]);
    steps
}

/// The steps of an action's parent, which stays and is no guest of the sandbox.
pub fn parent_steps(parent: i32) -> Vec<Step> {
    vec![
        Step::HearParentDie,
        Step::ParentIs(parent),
        Step::CloseDescriptors,
        // An ignored signal could not be waited for, and ignored children reap themselves.
        Step::ResetSignals,
    ]
}

/// Which of these environment variables are not passed on: what makes the dynamic loader load
/// something else, and the supervisor's own secrets.
pub fn scrubbed(names: impl Iterator<Item = OsString>) -> Vec<OsString> {
    names.filter(|name| is_scrubbed(name)).collect()
}

fn is_scrubbed(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let secret = |end: &[u8]| name.starts_with(b"PETREL_") && name.ends_with(end);
    name.starts_with(b"LD_")
        || name.starts_with(b"PETREL_API_KEY")
        || secret(b"_KEY")
        || secret(b"_TOKEN")
        || secret(b"_SECRET")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_checked_right_after_the_signal_is_set() {
        let all = steps(7, Some(1024));
        assert_eq!(all[..2], [Step::DieWithParent, Step::ParentIs(7)]);
        assert!(all.contains(&Step::OpenFiles(1024)));
        assert_eq!(steps(7, None).len(), all.len() - 1);
    }

    #[test]
    fn secrets_and_loader_variables_are_scrubbed() {
        let out = [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "PETREL_API_KEY",
            "PETREL_API_KEYS_FILE",
            "PETREL_DATASTORE_KEY",
            "PETREL_X_TOKEN",
            "PETREL_X_SECRET",
        ];
        let kept = [
            "PATH",
            "PETREL_SENSOR",
            "PETREL_PROTOCOL",
            "ST2_AUTH_TOKEN",
            "MY_KEY",
            "OLD_X",
        ];
        let all = out.iter().chain(&kept).map(OsString::from);
        assert_eq!(scrubbed(all), out.map(OsString::from));
    }
}
