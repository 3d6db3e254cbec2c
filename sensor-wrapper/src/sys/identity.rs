//! Who this process is: its user, its capabilities, its own folders.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, chown, setegid, seteuid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::sandbox::Account;

/// Makes `home` and an empty `tmp`. The folder that holds them stays ours, so that nobody can put
/// a link in their place.
pub(crate) fn make_folders(state: &Path, user: Option<&Account>) -> Outcome<()> {
    let make = || -> io::Result<()> {
        open_folder(state)?;
        own_folder(&state.join("home"), user)?;
        let tmp = state.join("tmp");
        own_folder(&tmp, user)?;
        empty(&tmp)
    };
    make().map_err(|e| {
        let target = state.to_string_lossy();
        Failure::system(codes::SANDBOX, "folders", target, &e)
    })
}

fn open_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn own_folder(path: &Path, user: Option<&Account>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    match user {
        Some(user) => {
            let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
            Ok(chown(path, Some(uid), Some(gid))?)
        }
        None => Ok(()),
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Becomes another user with its groups only; first tries whether that one can read what it needs.
pub(crate) fn become_user(account: &Account, needed: &[PathBuf]) -> Outcome<()> {
    let failed = |e: nix::Error| {
        let target = account.uid.to_string();
        Failure::system(codes::SANDBOX, "user", target, &e.into())
    };
    let (user, group) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let groups: Vec<Gid> = account
        .groups
        .iter()
        .map(|gid| Gid::from_raw(*gid))
        .collect();
    setgroups(&groups).map_err(failed)?;
    if let Err((path, e)) = try_as(user, group, needed).map_err(failed)? {
        let target = path.to_string_lossy();
        let failure = Failure::system(codes::SANDBOX, "user", target, &e);
        let hint = format!("user {user} must be able to read it, or set sandbox.user");
        return Err(failure.hint(hint));
    }
    setresgid(group, group, group).map_err(failed)?;
    setresuid(user, user, user).map_err(failed)
}

type Unreachable = (PathBuf, io::Error);

fn try_as(user: Uid, group: Gid, needed: &[PathBuf]) -> nix::Result<Result<(), Unreachable>> {
    setegid(group)?;
    let tried = seteuid(user).map(|()| first_unreachable(needed));
    seteuid(Uid::from_raw(0))?;
    setegid(Gid::from_raw(0))?;
    tried
}

fn first_unreachable(needed: &[PathBuf]) -> Result<(), Unreachable> {
    for path in needed {
        match super::fence::opens(path) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err((path.clone(), e)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether somebody may not pass through a folder.
pub(crate) fn is_closed_to(folder: &Path, account: &Account) -> bool {
    fs::metadata(folder).is_ok_and(|found| {
        let in_group = found.gid() == account.gid || account.groups.contains(&found.gid());
        let bit = match found.uid() == account.uid {
            true => 0o100,
            false if in_group => 0o010,
            false => 0o001,
        };
        found.is_dir() && found.mode() & bit == 0
    })
}

/// Empties the bounding set, where that is allowed.
pub(crate) fn drop_gains() -> Outcome<()> {
    let now = capabilities(None).map_err(capabilities_failed)?;
    if !now.effective.contains(CapabilitySet::SETPCAP) {
        return Ok(());
    }
    known_capabilities()
        .filter(|one| is_bounding(*one))
        .try_for_each(remove_capability_from_bounding_set)
        .map_err(capabilities_failed)
}

/// Gives up every capability.
pub(crate) fn drop_capabilities() -> Outcome<()> {
    clear_ambient_capability_set().map_err(capabilities_failed)?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(capabilities_failed)
}

fn capabilities_failed(e: rustix::io::Errno) -> Failure {
    Failure::system(codes::SANDBOX, "capabilities", "of this process", &e.into())
}

/// One a bit; the kernel may know more than the library names.
fn known_capabilities() -> impl Iterator<Item = CapabilitySet> {
    (0..63).map(|bit| CapabilitySet::from_bits_retain(1 << bit))
}

fn is_bounding(one: CapabilitySet) -> bool {
    capability_is_in_bounding_set(one).unwrap_or(false)
}

/// Whether this process may mount.
pub(crate) fn may_mount() -> bool {
    capabilities(None).is_ok_and(|now| now.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// The next exec keeps the right to mount that a user namespace gave.
pub(crate) fn keep_mounting() -> Outcome<()> {
    let wanted = [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP];
    let mut now = capabilities(None).map_err(capabilities_failed)?;
    now.inheritable |= wanted[0] | wanted[1];
    set_capabilities(None, now).map_err(capabilities_failed)?;
    wanted
        .into_iter()
        .try_for_each(|one| configure_capability_in_ambient_set(one, true))
        .map_err(capabilities_failed)
}

/// Takes that right away again.
pub(crate) fn forget_mounting() -> Outcome<()> {
    clear_ambient_capability_set().map_err(capabilities_failed)
}
