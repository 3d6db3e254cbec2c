//! From a sensor's policy to what the wrapper is told: what it is kept from, what it may use, who it
//! becomes, and how its processes are held together.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid, chown};
use sensor_wrapper::sandbox::{Account, Feature, Limits, Profile, Sandbox};

use super::cgroup::{Cgroup, Cgroups, Wishes};
use super::runners::Place;
use super::tree::Level;
use super::users::{self, Users};
use crate::catalog::Sensor;
use crate::catalog::policy::{self, NetworkMode, Syscalls, Tree, User};
use crate::core::isolation::{Degraded, Isolation};

/// Folder of the sensors' own folders, below the data folder.
const SENSORS: &str = "sensors";

/// What it takes to confine.
#[derive(Debug)]
pub struct Confiner {
    /// Control groups, or why there are none.
    pub cgroups: Result<Cgroups, String>,
    /// The packs' users.
    pub users: Users,
}

/// How one start of a sensor is confined.
#[derive(Debug)]
pub struct Confined {
    /// For the wrapper.
    pub sandbox: Sandbox,
    /// For the wrapper.
    pub limits: Limits,
    /// Variables to set.
    pub env: Vec<(String, String)>,
    /// Its control group.
    pub cgroup: Option<Cgroup>,
    /// For people.
    pub isolation: Isolation,
}

impl Confiner {
    /// Plans a start.
    ///
    /// # Errors
    /// When something is missing that must be had.
    pub fn confine(
        &mut self,
        spec: &Sensor,
        generation: u64,
        place: &Place,
    ) -> anyhow::Result<Confined> {
        let mut confined = self.keep_in(spec, place)?;
        self.choose_tree(spec, &mut confined)?;
        // One for each start: two of them may run for a moment (`reload: overlap`).
        let group = format!("{}#{generation}", spec.reference);
        self.choose_limits(spec, &group, &mut confined)?;
        Ok(confined)
    }

    /// Plans a trial beside the running one, whose folders it leaves alone.
    ///
    /// # Errors
    /// When something is missing that must be had.
    pub fn confine_preflight(&mut self, spec: &Sensor, place: &Place) -> anyhow::Result<Confined> {
        let mut confined = self.keep_in(spec, place)?;
        if let Some(state) = &mut confined.sandbox.state {
            state.set_file_name(format!("{}.check", spec.reference));
        }
        Ok(confined)
    }

    fn keep_in(&mut self, spec: &Sensor, place: &Place) -> anyhow::Result<Confined> {
        let policy = &spec.policy.sandbox;
        let mut confined = Confined {
            sandbox: sandbox(spec, place),
            limits: limits(&spec.policy.limits),
            env: Vec::new(),
            cgroup: None,
            isolation: Isolation::default(),
        };
        self.choose_user(spec, &mut confined)?;
        let wanted = policy.require.iter().map(String::as_str);
        confined
            .sandbox
            .require
            .extend(wanted.filter_map(Feature::named));
        Ok(confined)
    }

    fn choose_user(&mut self, spec: &Sensor, confined: &mut Confined) -> anyhow::Result<()> {
        let is_root = rustix::process::getuid().is_root();
        let strict = confined.sandbox.profile == Profile::Strict;
        let account = match &spec.policy.sandbox.user {
            User::Auto if strict && is_root => self.users.of_pack(&spec.pack)?,
            User::Auto => return Ok(()),
            User::Named(user) => {
                anyhow::ensure!(is_root, "sandbox.user: only root can run it as \"{user}\"");
                let (account, env) = users::named(user)?;
                confined.env = env;
                // To run as root what is to run as somebody is no lesser good.
                confined.sandbox.require.push(Feature::User);
                account
            }
        };
        confined.isolation.user = Some(account.uid);
        confined.sandbox.user = Some(account);
        Ok(())
    }

    fn choose_tree(&mut self, spec: &Sensor, confined: &mut Confined) -> anyhow::Result<()> {
        let policy = &spec.policy.sandbox;
        let level = match (policy.tree, &self.cgroups) {
            (Tree::Pidns, _) => Level::Pidns,
            (Tree::Auto | Tree::Cgroup, Ok(_)) => Level::Cgroup,
            (Tree::Cgroup, Err(why)) => {
                missing(policy, confined, Feature::Cgroup, why)?;
                Level::Group
            }
            (Tree::Auto | Tree::Group, _) => Level::Group,
        };
        if level == Level::Group && policy.require.iter().any(|one| one == "cgroup") {
            let why = self.cgroups.as_ref().err();
            let why = why.map_or("sandbox.tree says group", String::as_str);
            missing(policy, confined, Feature::Cgroup, why)?;
        }
        confined.isolation.tree = level.word().into();
        confined.sandbox.pidns = level == Level::Pidns;
        Ok(())
    }

    /// Limits of the whole tree need a control group whatever holds it together.
    fn choose_limits(
        &mut self,
        spec: &Sensor,
        group: &str,
        confined: &mut Confined,
    ) -> anyhow::Result<()> {
        let limits = &spec.policy.limits;
        let wishes = Wishes {
            memory_max: limits.memory_max,
            tasks_max: limits.tasks_max,
            cpu: limits.cpu,
        };
        let wanted = [
            (limits.memory_max > 0, Feature::Memory, "memory"),
            (limits.tasks_max > 0, Feature::Tasks, "pids"),
            (limits.cpu > 0.0, Feature::Cpu, "cpu"),
        ];
        for (_, feature, controller) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
            let Some(why) = self.lacks(controller) else {
                continue;
            };
            // A user of its own can be counted without a control group.
            let own_user =
                confined.sandbox.user.is_some() && spec.policy.sandbox.user == User::Auto;
            if feature == Feature::Tasks && own_user {
                confined.limits.nproc = Some(limits.tasks_max);
            } else {
                missing(&spec.policy.sandbox, confined, feature, &why)?;
            }
        }
        let limited = wishes != Wishes::default();
        let tree = confined.isolation.tree == Level::Cgroup.word();
        if let Ok(cgroups) = &self.cgroups
            && (tree || limited)
        {
            let first = limited || confined.sandbox.profile == Profile::Strict;
            let cgroup = match first {
                true => cgroups.make(group, wishes)?,
                false => cgroups.make_later(group),
            };
            confined.sandbox.cgroup = first.then(|| cgroup.folder.clone());
            confined.cgroup = Some(cgroup);
        }
        Ok(())
    }

    fn lacks(&self, controller: &str) -> Option<String> {
        match &self.cgroups {
            Err(why) => Some(format!("no control group: {why}")),
            Ok(groups) if groups.controllers().iter().any(|one| one == controller) => None,
            Ok(_) => Some(format!(
                "our control group has no controller \"{controller}\""
            )),
        }
    }
}

/// Something cannot be had: told, or an error where it must be.
fn missing(
    policy: &policy::Sandbox,
    confined: &mut Confined,
    feature: Feature,
    why: &str,
) -> anyhow::Result<()> {
    let feature = feature.word().to_owned();
    let required = policy.require.contains(&feature);
    anyhow::ensure!(!required, "sandbox.require: {feature} cannot be had: {why}");
    let why = why.to_owned();
    confined.isolation.degraded.push(Degraded { feature, why });
    Ok(())
}

fn limits(limits: &policy::Limits) -> Limits {
    let given = |most: u64| (most > 0).then_some(most);
    Limits {
        nofile: given(limits.nofile).or_else(super::descriptors::before),
        fsize: given(limits.fsize),
        core: given(limits.core),
        oom_score_adj: Some(limits.oom_score_adj).filter(|score| *score != 0),
        nproc: None,
    }
}

fn sandbox(spec: &Sensor, place: &Place) -> Sandbox {
    let policy = &spec.policy.sandbox;
    let plain = Sandbox {
        profile: match policy.profile {
            policy::Profile::Off => Profile::Off,
            policy::Profile::Standard => Profile::Standard,
            policy::Profile::Strict => Profile::Strict,
        },
        no_new_privs: policy.no_new_privs.then_some(true),
        read: needed(spec, place),
        ..Sandbox::default()
    };
    if plain.profile != Profile::Strict {
        let read = plain.read;
        let alone = policy.user == User::Auto;
        return Sandbox {
            read: if alone { Vec::new() } else { read },
            ..plain
        };
    }
    let paths = |paths: &[String]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    let mut read = plain.read;
    read.extend(paths(&policy.filesystem.read));
    let socket = place.socket.parent().map(Path::to_owned);
    let mut hide = vec![place.data.clone(), place.memory.clone()];
    hide.extend(socket);
    let ports = &policy.network.connect_ports;
    Sandbox {
        state: Some(place.data.join(SENSORS).join(&spec.reference)),
        read,
        write: paths(&policy.filesystem.write),
        hide,
        shared_tmp: !policy.filesystem.private_tmp,
        no_network: policy.network.mode == NetworkMode::None,
        connect_ports: (!ports.is_empty()).then(|| ports.clone()),
        bind: Some(policy.network.bind.clone()),
        all_syscalls: policy.syscalls == Syscalls::Off,
        env_allow: policy.env_allow.clone(),
        ..plain
    }
}

/// What of ours it needs: its SDK, its environment, its configuration.
fn needed(spec: &Sensor, place: &Place) -> Vec<PathBuf> {
    vec![
        place.sdk.clone(),
        place.environments.folder().to_owned(),
        place.memory.join(&spec.reference),
    ]
}

/// Lets somebody read a folder of ours that they may not write.
///
/// # Errors
/// What the system says.
pub fn lend(folder: &Path, account: &Account) -> std::io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        // Nothing was written for it.
        return Ok(());
    };
    let group = Some(Gid::from_raw(account.gid));
    let give = |path: &Path, mode: u32| -> std::io::Result<()> {
        chown(path, Some(Uid::from_raw(0)), group)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    give(folder, 0o750)?;
    for entry in entries {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => lend(&entry.path(), account)?,
            false => give(&entry.path(), 0o640)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::knobs;

    #[test]
    fn the_words_of_require_are_the_wrappers() {
        let ours: Vec<&str> = Feature::ALL.iter().map(|one| one.word()).collect();
        let mut written: Vec<&str> = knobs::FEATURES.to_vec();
        written.sort_unstable();
        let mut sorted = ours.clone();
        sorted.sort_unstable();
        assert_eq!(written, sorted);
    }
}
