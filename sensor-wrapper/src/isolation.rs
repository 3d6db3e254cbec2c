//! What the wrapper does to itself before it becomes something else, as data.
//!
//! The order matters: the death of the parent is caught first and checked second, for a parent
//! that died in between sends no signal; and again after the user changed, which takes that signal
//! away. System calls come last, for the steps before need some that are then forbidden.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::sandbox::{Account, Feature, Limits, Profile, Sandbox};

/// One step; `sys` performs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// SIGKILL when the parent (the thread that spawned us) dies.
    DieWithParent,
    /// SIGTERM when it dies: for an action's parent, which then stops the action and records it.
    HearParentDie,
    /// The parent must still be this one. Compared with a pid, not with 1: a subreaper may have
    /// adopted us.
    ParentIs(i32),
    /// Enters a control group.
    Cgroup(PathBuf),
    /// A limit. A soft one may be raised again by the program, a hard one may not.
    Limit(Limit, u64),
    /// Who dies first when memory is short.
    OomScore(i32),
    /// New files are for their owner alone.
    PrivateFiles,
    /// Nothing inherited above standard error; these stay open.
    CloseDescriptors(Vec<i32>),
    /// No signal blocked or ignored.
    ResetSignals,
    /// The sensor's own folders, for this user.
    Folders(PathBuf, Option<Account>),
    /// A view of the files of its own.
    Mounts(Mounts),
    /// Another user, who must be able to read these.
    User(Account, Vec<PathBuf>),
    /// No exec gives a capability any more.
    NoGains,
    /// No capability.
    NoCapabilities,
    /// No rights by an exec.
    NoNewPrivs,
    /// Landlock.
    Landlock(Fence),
    /// seccomp.
    Seccomp(Refused),
}

/// What seccomp refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// System calls that no sensor needs.
    pub calls: bool,
    /// Sockets of the internet.
    pub network: bool,
}

/// A resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Core dumps, soft.
    Core,
    /// Open files, soft.
    OpenFiles,
    /// Size of files, hard.
    FileSize,
    /// Processes of the user, hard.
    Processes,
}

/// A view of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounts {
    /// What becomes `/tmp`; without it that stays.
    pub tmp: Option<PathBuf>,
    /// Folders that are not seen.
    pub hide: Vec<PathBuf>,
    /// Paths that are, also within those.
    pub needed: Vec<PathBuf>,
    /// What of that it may write; the rest is read-only wherever it is mounted again.
    pub writable: Vec<PathBuf>,
    /// Shared memory is its own.
    pub shm: bool,
    /// Who must be able to reach them.
    pub user: Option<Account>,
}

/// What Landlock allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fence {
    /// To read and execute.
    pub read: Vec<PathBuf>,
    /// To do anything with.
    pub write: Vec<PathBuf>,
    /// The same, where it is the sensor's own by its view of the files.
    pub write_if_mounted: Vec<PathBuf>,
    /// Ports to connect to; without it any.
    pub connect: Option<Vec<u16>>,
    /// Ports to listen on; without it any.
    pub bind: Option<Vec<u16>>,
}

impl Step {
    /// What is missing where this step cannot be had, and the sensor may be started all the same.
    pub fn features(&self) -> &'static [Feature] {
        match self {
            Self::User(..) => &[Feature::User],
            Self::NoNewPrivs => &[Feature::NoNewPrivs],
            Self::Landlock(fence) if fence.connect.is_some() || fence.bind.is_some() => {
                &[Feature::Landlock, Feature::Network]
            }
            Self::Landlock(_) => &[Feature::Landlock],
            Self::Seccomp(refused) if refused.network => &[Feature::Seccomp, Feature::Network],
            Self::Seccomp(_) => &[Feature::Seccomp],
            _ => &[],
        }
    }
}

/// The steps of a sensor. The process group was made by whoever spawned us.
pub fn steps(parent: i32, sandbox: &Sandbox, limits: &Limits, kept: &[i32]) -> Vec<Step> {
    let mut steps = vec![Step::DieWithParent, Step::ParentIs(parent)];
    steps.extend(sandbox.cgroup.clone().map(Step::Cgroup));
    steps.extend(limit_steps(sandbox.profile, limits));
    steps.extend([Step::CloseDescriptors(kept.to_vec()), Step::ResetSignals]);
    match (sandbox.profile, &sandbox.user) {
        (Profile::Strict, _) => steps.extend(strict(parent, sandbox)),
        (_, Some(user)) => steps.extend(as_user(parent, user, &sandbox.read)),
        _ => {}
    }
    if sandbox.profile != Profile::Strict && sandbox.no_new_privs == Some(true) {
        steps.push(Step::NoNewPrivs);
    }
    steps
}

/// The way to what it needs is opened, nothing else is hidden.
fn as_user(parent: i32, user: &Account, needed: &[PathBuf]) -> Vec<Step> {
    let mounts = Mounts {
        tmp: None,
        hide: Vec::new(),
        needed: needed.to_vec(),
        // Whatever its user may write.
        writable: vec!["/".into()],
        shm: false,
        user: Some(user.clone()),
    };
    vec![
        Step::Mounts(mounts),
        Step::User(user.clone(), needed.to_vec()),
        Step::DieWithParent,
        Step::ParentIs(parent),
    ]
}

fn limit_steps(profile: Profile, limits: &Limits) -> Vec<Step> {
    let core = match profile {
        Profile::Off => limits.core,
        _ => Some(limits.core.unwrap_or(0)),
    };
    let all = [
        (Limit::Core, core),
        (Limit::OpenFiles, limits.nofile),
        (Limit::FileSize, limits.fsize),
        (Limit::Processes, limits.nproc),
    ];
    let limited = all.into_iter();
    let mut steps: Vec<Step> = limited
        .filter_map(|(what, most)| Some(Step::Limit(what, most?)))
        .collect();
    steps.extend(limits.oom_score_adj.map(Step::OomScore));
    steps
}

fn strict(parent: i32, sandbox: &Sandbox) -> Vec<Step> {
    let state = sandbox.state.clone().unwrap_or_default();
    let needed = [
        &sandbox.read[..],
        &sandbox.write,
        std::slice::from_ref(&state),
    ]
    .concat();
    let user = sandbox.user.clone();
    let mut steps = vec![Step::Folders(state, user.clone()), Step::PrivateFiles];
    steps.push(Step::Mounts(mounts(sandbox, needed.clone())));
    // It needs a capability, which another user has not.
    steps.push(Step::NoGains);
    steps.extend(user.map(|user| Step::User(user, needed)));
    steps.push(Step::NoCapabilities);
    // Another user, or new namespaces, have taken the signal away.
    steps.extend([Step::DieWithParent, Step::ParentIs(parent)]);
    // Without it neither of the next two may be had by everybody.
    steps.extend([Step::NoNewPrivs, Step::Landlock(fence(sandbox))]);
    let refused = Refused {
        calls: !sandbox.all_syscalls,
        network: sandbox.no_network,
    };
    if refused.calls || refused.network {
        steps.push(Step::Seccomp(refused));
    }
    steps
}

fn mounts(sandbox: &Sandbox, needed: Vec<PathBuf>) -> Mounts {
    let tmp = sandbox.state.as_ref().map(|state| state.join("tmp"));
    let mut writable = sandbox.write.clone();
    writable.extend(sandbox.state.clone());
    Mounts {
        tmp: tmp.filter(|_| !sandbox.shared_tmp),
        hide: sandbox.hide.clone(),
        needed,
        writable,
        shm: true,
        user: sandbox.user.clone(),
    }
}

fn fence(sandbox: &Sandbox) -> Fence {
    let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    read.extend_from_slice(&sandbox.read);
    let mut write: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
    let own = sandbox.state.iter();
    write.extend(own.flat_map(|state| [state.join("home"), state.join("tmp")]));
    write.extend_from_slice(&sandbox.write);
    if sandbox.shared_tmp {
        write.push("/tmp".into());
    }
    let none = sandbox.no_network.then(Vec::new);
    Fence {
        read,
        write,
        write_if_mounted: vec!["/tmp".into(), "/dev/shm".into()],
        connect: none.clone().or_else(|| sandbox.connect_ports.clone()),
        bind: none.or_else(|| sandbox.bind.clone()),
    }
}

/// What every program needs to read: the system's programs and the public part of its settings.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/kernel",
    "/proc/sys/vm",
    "/proc/uptime",
    "/proc/version",
    "/sys/devices/system/cpu",
];

const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// The steps of an action's parent, which stays and is no guest of the sandbox.
pub fn parent_steps(parent: i32, nofile: Option<u64>) -> Vec<Step> {
    let mut steps = vec![
        Step::HearParentDie,
        Step::ParentIs(parent),
        Step::CloseDescriptors(Vec::new()),
        // An ignored signal could not be waited for, and ignored children reap themselves.
        Step::ResetSignals,
    ];
    steps.extend(nofile.map(|soft| Step::Limit(Limit::OpenFiles, soft)));
    steps
}

/// Which of these environment variables are not passed on. `standard`: what makes the dynamic
/// loader load something else, and the supervisor's own secrets. `off`: only those. `strict`: all
/// but a few.
pub fn scrubbed(names: impl Iterator<Item = OsString>, sandbox: &Sandbox) -> Vec<OsString> {
    names.filter(|name| is_scrubbed(name, sandbox)).collect()
}

fn is_scrubbed(name: &OsStr, sandbox: &Sandbox) -> bool {
    let loads = name.as_bytes().starts_with(b"LD_");
    match sandbox.profile {
        _ if is_secret(name) => true,
        Profile::Off => false,
        Profile::Standard => loads,
        Profile::Strict => !is_plain(name) && !sandbox.env_allow.iter().any(|n| name == &**n),
    }
}

/// The supervisor's own secrets.
fn is_secret(name: &OsStr) -> bool {
    let name = name.as_bytes();
    // An action's own: it opens nothing.
    if name == b"PETREL_IDEMPOTENCY_KEY" {
        return false;
    }
    let ends = |end: &[u8]| name.starts_with(b"PETREL_") && name.ends_with(end);
    name.starts_with(b"PETREL_API_KEY") || ends(b"_KEY") || ends(b"_TOKEN") || ends(b"_SECRET")
}

/// Says nothing that is not everybody's, or is the protocol's.
fn is_plain(name: &OsStr) -> bool {
    let plain = [
        "LANG",
        "TZ",
        "PETREL_PROTOCOL",
        "PETREL_SENSOR",
        "PETREL_SENSOR_CONFIG",
        "PETREL_SENSOR_CONFIG_FILE",
        "PETREL_MARKER",
        "CREDENTIALS_DIRECTORY",
    ];
    name.as_bytes().starts_with(b"LC_") || plain.iter().any(|one| name == *one)
}

/// The variables that `strict` sets.
pub fn strict_env(sandbox: &Sandbox) -> Vec<(OsString, OsString)> {
    let Some(state) = sandbox
        .state
        .as_ref()
        .filter(|_| sandbox.profile == Profile::Strict)
    else {
        return Vec::new();
    };
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    vec![
        ("PATH".into(), path.into()),
        ("HOME".into(), state.join("home").into()),
        ("TMPDIR".into(), state.join("tmp").into()),
        // Its pack is not its to write.
        ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
    ]
}

#[cfg(test)]
#[path = "isolation_tests.rs"]
mod tests;
