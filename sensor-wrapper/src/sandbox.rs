//! What a sensor is kept from, and what it may use, as the supervisor asks for it: plain data, written
//! as JSON in `--sandbox` and `--limits`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much a sensor is kept from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Its life only: it dies with the supervisor and inherits no descriptor.
    Off,
    /// A fence against accidents; every pack runs in it.
    #[default]
    Standard,
    /// A fence against malice: it sees its pack, its own folders and the system's programs.
    Strict,
}

/// What may be had on one host and not on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// No rights by an exec.
    NoNewPrivs,
    /// Files, TCP ports, signals and abstract sockets by Landlock.
    Landlock,
    /// System calls by seccomp.
    Seccomp,
    /// A view of the files of its own: private `/tmp` and `/dev/shm`, nothing of the supervisor.
    PrivateTmp,
    /// A user of its own.
    User,
    /// What it is told of the network.
    Network,
    /// A process namespace of its own.
    Pidns,
    /// A control group of its own.
    Cgroup,
    /// `limits.memory_max`.
    Memory,
    /// `limits.tasks_max`.
    Tasks,
    /// `limits.cpu`.
    Cpu,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::NoNewPrivs,
        Self::Landlock,
        Self::Seccomp,
        Self::PrivateTmp,
        Self::User,
        Self::Network,
        Self::Pidns,
        Self::Cgroup,
        Self::Memory,
        Self::Tasks,
        Self::Cpu,
    ];

    /// The word that users write and see.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoNewPrivs => "no_new_privs",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::PrivateTmp => "private_tmp",
            Self::User => "user",
            Self::Network => "network",
            Self::Pidns => "pidns",
            Self::Cgroup => "cgroup",
            Self::Memory => "memory",
            Self::Tasks => "tasks",
            Self::Cpu => "cpu",
        }
    }

    /// The feature of a word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// Something that was asked for and could not be had here: one JSON line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// What.
    pub degraded: Feature,
    /// Why.
    pub why: String,
}

/// What a sensor is kept from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// How much.
    pub profile: Profile,
    /// What must be had: the start fails without it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Feature>,
    /// Its control group's folder, which it enters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// In a process namespace of its own; the wrapper stays as its init.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pidns: bool,
    /// Whether it may not gain rights by exec (`sudo`); without it as the profile has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privs: Option<bool>,
    /// Who it becomes; only root can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Account>,
    /// Its own folder; `home` and `tmp` in it are its to write. `strict` needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// What it may read and execute besides its pack, its interpreter and the system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<PathBuf>,
    /// What it may write besides its own folders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<PathBuf>,
    /// Folders that it does not see, but for what is in `read`, `write` and its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hide: Vec<PathBuf>,
    /// `/tmp` stays the host's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared_tmp: bool,
    /// No network at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_network: bool,
    /// TCP ports that it may connect to; without it any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ports: Option<Vec<u16>>,
    /// TCP ports that it may listen on; without it any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<Vec<u16>>,
    /// All system calls are allowed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_syscalls: bool,
    /// Variables of the supervisor's environment that it gets besides the usual.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_allow: Vec<String>,
}

impl Sandbox {
    /// Whether it must be said where its program lies, for it sees less than we do.
    pub fn needs_its_paths(&self) -> bool {
        self.profile == Profile::Strict || self.user.is_some()
    }
}

/// A user, with its groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// More groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u32>,
}

/// What a sensor may use, by the system's own limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Open files, soft limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nofile: Option<u64>,
    /// Largest file that it may write, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fsize: Option<u64>,
    /// Largest core dump, bytes; without it as the profile has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<u64>,
    /// Who dies first when memory is short, -1000 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// Processes of its user; only for a user of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nproc: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_written_as_they_are_named() {
        for feature in Feature::ALL {
            assert_eq!(Feature::named(feature.word()), Some(feature));
            let json = serde_json::to_string(&feature).unwrap();
            assert_eq!(json, format!("\"{}\"", feature.word()));
        }
        assert_eq!(Feature::named("magic"), None);
    }

    #[test]
    fn what_is_not_asked_for_is_not_written() {
        let text = serde_json::to_string(&Sandbox::default()).unwrap();
        assert_eq!(text, "{\"profile\":\"standard\"}");
        assert_eq!(serde_json::to_string(&Limits::default()).unwrap(), "{}");
        assert!(serde_json::from_str::<Sandbox>("{\"profil\":\"off\"}").is_err());
    }
}
