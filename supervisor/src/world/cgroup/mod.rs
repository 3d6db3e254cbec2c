//! Control groups (cgroup v2): one for each sensor below one of ours, so that whatever a sensor starts
//! can be counted and killed at once, and its use be limited where the controllers are ours to give.
//!
//! Ours lies below the one that we run in. Its path is written down in the data folder, so that the
//! next supervisor finds what we leave, wherever that one runs.

mod keeper;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};

use super::paths;
use keeper::Keeper;
use rustix::process::Pid;
use tokio::sync::oneshot;

/// The file in the data folder with the path of our group.
const POINTER: &str = "cgroup";

/// Where we go ourselves when our own group must be empty to give controllers to others.
const OURS: &str = "petrel-supervisor";

/// Controllers that limits need.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// How long the groups of the last supervisor may take to become empty.
const LEFTOVERS_END: Duration = Duration::from_secs(10);

/// The group below which those of the sensors lie.
#[derive(Clone, Debug)]
pub struct Cgroups {
    base: PathBuf,
    controllers: Vec<String>,
    keeper: Option<Keeper>,
}

/// What a sensor's group may use; zero is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wishes {
    /// Bytes of memory.
    pub memory_max: u64,
    /// Processes and threads.
    pub tasks_max: u64,
    /// Processors.
    pub cpu: f64,
}

/// The group of a sensor.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Its folder.
    pub folder: PathBuf,
    /// Who makes and removes it, where that is not done at once.
    keeper: Option<Keeper>,
}

impl Cgroups {
    /// Makes ours, where that is allowed.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(data: &Path) -> Result<Self, String> {
        let own = own_group()?;
        let base = own.join(format!("petrel-{}", paths::name_of(data)));
        make_base(&own, &base)?;
        fs::write(data.join(POINTER), base.as_os_str().as_encoded_bytes())
            .map_err(|e| format!("the data folder cannot be written: {e}"))?;
        let controllers = controllers(&own, &base);
        let keeper = Keeper::start().map_err(|e| format!("no thread: {e}"))?;
        Ok(Self {
            base,
            controllers,
            keeper: Some(keeper),
        })
    }

    /// Controllers that the groups of sensors have.
    pub fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// The group of a sensor, empty, with the limits that can be had.
    ///
    /// # Errors
    /// What the system says.
    pub fn make(&self, reference: &str, wishes: Wishes) -> io::Result<Cgroup> {
        let folder = self.base.join(escaped(reference));
        match fs::create_dir(&folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let group = Cgroup {
            folder,
            keeper: self.keeper.clone(),
        };
        for (controller, file, text) in wishes.texts() {
            if self.controllers.iter().any(|one| one == controller) {
                fs::write(group.folder.join(file), text)?;
            }
        }
        Ok(group)
    }

    /// The group of a sensor that has no limits: it is made when the sensor has been started.
    pub fn make_later(&self, reference: &str) -> Cgroup {
        Cgroup {
            folder: self.base.join(escaped(reference)),
            keeper: self.keeper.clone(),
        }
    }

    /// Lets go of ours once no sensor is left.
    pub fn remove(&self) {
        // Not empty: the next start looks after it.
        remove_tree(&self.base);
    }
}

impl Wishes {
    /// Controller, file, and what is written there. No limit is written, too: the group may be an
    /// older one.
    fn texts(self) -> [(&'static str, &'static str, String); 3] {
        const PERIOD_US: f64 = 100_000.0;
        let number = |most: u64| match most {
            0 => "max".to_owned(),
            most => most.to_string(),
        };
        let cpu = match self.cpu > 0.0 {
            true => format!("{:.0} {PERIOD_US:.0}", (self.cpu * PERIOD_US).max(1000.0)),
            false => format!("max {PERIOD_US:.0}"),
        };
        [
            ("memory", "memory.max", number(self.memory_max)),
            ("pids", "pids.max", number(self.tasks_max)),
            ("cpu", "cpu.max", cpu),
        ]
    }
}

impl Cgroup {
    /// The group of a sensor that is in it already.
    pub fn at(folder: PathBuf) -> Self {
        Self {
            folder,
            keeper: None,
        }
    }

    /// Has a process moved into it, which must not be reaped before the answer.
    pub fn join(&self, pid: Pid) -> Option<oneshot::Receiver<bool>> {
        let keeper = self.keeper.as_ref()?;
        Some(keeper.join(self.folder.clone(), pid))
    }

    /// SIGKILL to all in it, whoever they belong to.
    ///
    /// # Errors
    /// When it may not be done.
    pub fn kill(&self) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.kill"), "1")
    }

    /// Nobody is in it or in a group below it.
    pub fn is_empty(&self) -> bool {
        match fs::read_to_string(self.folder.join("cgroup.events")) {
            Ok(text) => text.lines().any(|line| line == "populated 0"),
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Processes that the kernel ended because of `memory.max`, ever in this group.
    pub fn oom_kills(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Removes it and what lies below it; all are empty.
    pub fn remove(&self) {
        match &self.keeper {
            Some(keeper) => keeper.remove(self.folder.clone()),
            None => remove_tree(&self.folder),
        }
    }
}

/// What could be had, for people.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The group that we run in.
    pub own: PathBuf,
    /// Controllers that it could pass on.
    pub controllers: Vec<String>,
}

/// Tries whether we could have groups; leaves nothing.
///
/// # Errors
/// Why not.
pub fn probe() -> Result<Probe, String> {
    let own = own_group()?;
    let base = own.join(format!("petrel-probe-{}", std::process::id()));
    let made = make_base(&own, &base);
    // It is there only where it could be made.
    let _ = fs::remove_dir(&base);
    made?;
    let controllers = match own.join("cgroup.type").exists() && !is_delegated(&own) {
        true => Vec::new(),
        false => words(&own.join("cgroup.controllers")),
    };
    Ok(Probe { own, controllers })
}

fn make_base(own: &Path, base: &Path) -> Result<(), String> {
    fs::create_dir_all(base).map_err(|e| format!("{} cannot be made: {e}", base.display()))?;
    for needed in [own.join("cgroup.procs"), base.join("cgroup.procs")] {
        access(&needed, Access::WRITE_OK)
            .map_err(|e| format!("{} cannot be written: {e}", needed.display()))?;
    }
    match base.join("cgroup.kill").exists() {
        true => Ok(()),
        false => Err("the kernel is older than 5.14: it has no cgroup.kill".to_owned()),
    }
}

/// What an earlier supervisor of this data folder left is ended and removed.
pub fn end_leftovers(data: &Path) {
    let Ok(text) = fs::read_to_string(data.join(POINTER)) else {
        return;
    };
    let base = PathBuf::from(text);
    let ours = format!("petrel-{}", paths::name_of(data));
    // Whatever the file says, no other group than ours is killed.
    if !base.ends_with(ours) || !base.join("cgroup.events").exists() {
        return;
    }
    let all = Cgroup::at(base);
    let started = super::clock::now().mono;
    while !all.is_empty() {
        let _ = all.kill();
        std::thread::sleep(Duration::from_millis(5));
        if super::clock::now().mono.saturating_sub(started) > LEFTOVERS_END {
            tracing::warn!("processes in {} do not end", all.folder.display());
            return;
        }
    }
    all.remove();
}

fn remove_tree(folder: &Path) {
    let below = fs::read_dir(folder).into_iter().flatten().flatten();
    below
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .for_each(|entry| remove_tree(&entry.path()));
    // Busy for a moment after its last process: the next start uses or removes it.
    let _ = fs::remove_dir(folder);
}

/// The folder of the group that we run in.
fn own_group() -> Result<PathBuf, String> {
    let own = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
    let mount = mount_of_v2(&mounts).ok_or("no cgroup v2 is mounted")?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or("this process is in no cgroup v2")?;
    let inside = Path::new(path)
        .strip_prefix(&mount.root)
        .map_err(|_| format!("our group {path} lies outside of what is mounted"))?;
    let folder = mount.folder.join(inside);
    Ok(match folder.file_name() {
        // We went there ourselves, before an upgrade in place.
        Some(name) if name == OURS => folder.parent().unwrap_or(&folder).to_owned(),
        _ => folder,
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    root: PathBuf,
    folder: PathBuf,
}

/// `36 35 0:31 ROOT FOLDER options ... - cgroup2 source options`
fn mount_of_v2(mounts: &str) -> Option<Mount> {
    mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut fields = front.split(' ').skip(3);
        let (root, folder) = (fields.next()?.into(), fields.next()?.into());
        back.starts_with("cgroup2 ")
            .then_some(Mount { root, folder })
    })
}

/// Passes on the controllers that are there; those that the groups of sensors will have.
fn controllers(own: &Path, base: &Path) -> Vec<String> {
    let there = words(&own.join("cgroup.controllers"));
    let wanted: Vec<&str> = CONTROLLERS
        .into_iter()
        .filter(|name| there.iter().any(|one| one == name))
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let wish = wanted.iter().map(|name| format!("+{name}"));
    let wish = wish.collect::<Vec<_>>().join(" ");
    let pass_on = |folder: &Path| fs::write(folder.join("cgroup.subtree_control"), &wish);
    let passed = pass_on(own).or_else(|_| make_room(own).and_then(|()| pass_on(own)));
    match passed.and_then(|()| pass_on(base)) {
        Ok(()) => words(&base.join("cgroup.subtree_control")),
        Err(_) => Vec::new(),
    }
}

/// A group that passes controllers on may hold no process: we go below it, if it was given to us.
fn make_room(own: &Path) -> io::Result<()> {
    if !is_delegated(own) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let below = own.join(OURS);
    match fs::create_dir(&below) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    fs::write(below.join("cgroup.procs"), std::process::id().to_string())
}

/// systemd says so by an attribute; to who is not root it can only be given.
fn is_delegated(own: &Path) -> bool {
    let marked = ["trusted.delegate", "user.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(own, *name, &mut value).is_ok_and(|size| &value[..size] == b"1")
    });
    marked || !rustix::process::getuid().is_root()
}

fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// A reference as a folder's name that is never one of the kernel's files.
fn escaped(reference: &str) -> String {
    let mut name = String::from("sensor-");
    for byte in reference.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                name.push(char::from(byte));
            }
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_v2_is_found_on_hybrid_hosts_too() {
        let text = "30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
            31 30 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n\
            32 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let found = mount_of_v2(text).map(|mount| mount.folder);
        assert_eq!(found, Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_of_v2("1 2 0:1 / / rw - ext4 /dev/a rw"), None);
    }

    #[test]
    fn a_name_is_never_one_of_the_kernels() {
        assert_eq!(escaped("cgroup.Procs"), "sensor-cgroup.Procs");
        assert_eq!(escaped("p.S@a/../b"), "sensor-p.S%40a%2F..%2Fb");
    }

    #[test]
    fn limits_are_written_where_the_controllers_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let groups = |controllers: &[&str]| Cgroups {
            base: folder.path().to_owned(),
            controllers: controllers.iter().map(|one| (*one).to_owned()).collect(),
            keeper: None,
        };
        let wishes = Wishes {
            memory_max: 1 << 20,
            tasks_max: 0,
            cpu: 0.5,
        };
        let made = groups(&["memory", "cpu"])
            .make("p.S", wishes)
            .expect("made");
        let read = |file: &str| fs::read_to_string(made.folder.join(file)).unwrap_or_default();
        assert_eq!(read("memory.max"), "1048576");
        assert_eq!(read("cpu.max"), "50000 100000");
        assert_eq!(read("pids.max"), "");
        fs::write(made.folder.join("memory.events"), "oom 3\noom_kill 2\n").expect("written");
        assert_eq!(made.oom_kills(), 2);
        let again = groups(&["memory"])
            .make("p.S", Wishes::default())
            .expect("made");
        assert_eq!(
            fs::read_to_string(again.folder.join("memory.max")).expect("there"),
            "max"
        );
    }

    #[test]
    fn controllers_are_passed_on_down_to_the_sensors() {
        let own = tempfile::tempdir().expect("a folder");
        let base = own.path().join("petrel-x");
        fs::create_dir(&base).expect("made");
        assert!(controllers(own.path(), &base).is_empty());
        fs::write(own.path().join("cgroup.controllers"), "cpuset cpu pids\n").expect("written");
        controllers(own.path(), &base);
        for folder in [own.path(), &base] {
            let text = fs::read_to_string(folder.join("cgroup.subtree_control"));
            assert_eq!(text.expect("written"), "+pids +cpu");
        }
    }
}
