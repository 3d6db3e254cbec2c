//! What this host gives of a sandbox, found by trying it on ourselves: one JSON object.

use serde::{Deserialize, Serialize};

use crate::isolation::Refused;
use crate::sys;

/// What was found; each reason says why something is not to be had.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Landlock's interface number, 0 without it.
    pub landlock: i32,
    /// Why system calls cannot be refused.
    pub seccomp: Option<String>,
    /// Why there is no view of the files of its own.
    pub mounts: Option<String>,
    /// Why there is no process namespace.
    pub pidns: Option<String>,
}

pub(crate) fn run() -> i32 {
    // Processes first: a user namespace for mounts would have this right, too.
    let pidns = sys::own_processes()
        .err()
        .map(|failure| failure.to_string());
    let mounts = sys::own_mounts().err().map(|failure| failure.to_string());
    let landlock = sys::landlock_abi();
    let all = Refused {
        calls: true,
        network: true,
    };
    let seccomp = sys::refuse_calls(all)
        .err()
        .map(|failure| failure.to_string());
    let found = Found {
        landlock,
        seccomp,
        mounts,
        pidns,
    };
    println!("{}", serde_json::to_string(&found).unwrap_or_default());
    0
}
