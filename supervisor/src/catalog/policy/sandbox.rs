//! `sandbox:`.

use super::words::words;

/// `sandbox:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sandbox {
    /// How much the program is kept in.
    pub profile: Profile,
    /// How its processes are held together.
    pub tree: Tree,
    /// Features without which it is not started, where otherwise it would run with less.
    pub require: Vec<String>,
    /// As whom it runs, where the supervisor is root.
    pub user: User,
    /// What of the files it sees, under `strict`.
    pub filesystem: Filesystem,
    /// What of the network it sees, under `strict`.
    pub network: Network,
    /// Which system calls it may make, under `strict`.
    pub syscalls: Syscalls,
    /// Variables of our environment that `strict` passes on beside the usual ones.
    pub env_allow: Vec<String>,
    /// It can never gain privileges, not by sudo either; always so under `strict`.
    pub no_new_privs: bool,
}

/// `sandbox.filesystem`: beside what every program needs and its own pack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filesystem {
    /// Absolute folders and files that it may read and execute.
    pub read: Vec<String>,
    /// Absolute folders and files that it may also write.
    pub write: Vec<String>,
    /// A /tmp of its own.
    pub private_tmp: bool,
}

/// `sandbox.network`.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Whether there is one.
    pub mode: NetworkMode,
    /// TCP ports that it may connect to; empty means any.
    pub connect_ports: Vec<u16>,
    /// TCP ports that it may listen on; empty means none under `strict`.
    pub bind: Vec<u16>,
}

/// `sandbox.user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// Under `strict` a number of its pack's own, else ours.
    Auto,
    /// This one, by name or number.
    Named(String),
}

words! {
    /// How much a program is kept in.
    Profile {
        /// Nothing but its own group and its death with the supervisor.
        Off = "off",
        /// What breaks no pack.
        Standard = "standard",
        /// What a hostile pack does not get out of.
        Strict = "strict",
    }
}

words! {
    /// How the processes of a sensor are held together, so that none survives it.
    Tree {
        /// A cgroup where one can be had, else the group and a sweep.
        Auto = "auto",
        /// Its process group, and a sweep by marker for those that left it.
        Group = "group",
        /// A process namespace, whose first process is the wrapper.
        Pidns = "pidns",
        /// A control group.
        Cgroup = "cgroup",
    }
}

words! {
    /// Whether there is a network.
    NetworkMode {
        /// The host's.
        Host = "host",
        /// None.
        None = "none",
    }
}

words! {
    /// Which system calls are refused under `strict`.
    Syscalls {
        /// Those that no sensor needs and that attackers want.
        Default = "default",
        /// None.
        Off = "off",
    }
}
