//! Exit codes, one for each step that can fail.

/// The arguments are wrong.
pub const USAGE: i32 = 2;
/// The parent was gone before the parent-death signal was set.
pub const PARENT_GONE: i32 = 112;
/// The parent-death signal could not be set.
pub const PRCTL: i32 = 113;
/// A resource limit could not be set.
pub const RLIMIT: i32 = 114;
/// Inherited descriptors could not be closed.
pub const DESCRIPTORS: i32 = 115;
/// Signals could not be reset or awaited.
pub const SIGNALS: i32 = 116;
/// The environment or the working folder could not be prepared.
pub const ENVIRONMENT: i32 = 117;
/// The folder of an execution could not be used, or the execution began before.
pub const EXECUTION: i32 = 118;
/// The embedded SDK could not be unpacked, or the given one is not there.
pub const SDK: i32 = 119;
/// The program could not be started for another reason.
pub const EXEC: i32 = 120;
/// A part of the sandbox that must be had could not be.
pub const SANDBOX: i32 = 121;
/// The control group could not be entered.
pub const CGROUP: i32 = 122;
/// The program is there and may not be executed.
pub const NOT_EXECUTABLE: i32 = 126;
/// The program or its interpreter is not there.
pub const NOT_FOUND: i32 = 127;

/// What an exit code of the wrapper means; `None` for one that is not its own.
///
/// A program can end with the same codes; the line on standard error tells.
pub fn explain(code: i32) -> Option<&'static str> {
    Some(match code {
        USAGE => "wrong arguments",
        PARENT_GONE => "the supervisor was gone before the start",
        PRCTL => "the parent-death signal could not be set",
        RLIMIT => "a resource limit could not be set",
        DESCRIPTORS => "inherited descriptors could not be closed",
        SIGNALS => "signals could not be reset",
        ENVIRONMENT => "the environment or the working folder could not be prepared",
        EXECUTION => "the folder of the execution could not be used, or it began before",
        SDK => "the Python SDK could not be unpacked",
        EXEC => "the program could not be started",
        SANDBOX => "a part of the sandbox that must be had could not be",
        CGROUP => "the control group could not be entered",
        NOT_EXECUTABLE => "the program may not be executed",
        NOT_FOUND => "the program or its interpreter was not found",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_and_no_other() {
        let ours = [
            2, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 126, 127,
        ];
        for code in -1..256 {
            assert_eq!(explain(code).is_some(), ours.contains(&code), "{code}");
        }
    }
}
