//! Namespaces: a view of the files of its own, processes of its own.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Gid, Uid};

use super::identity;
use crate::codes;
use crate::covers::{self, Cover};
use crate::failure::{Failure, Outcome};
use crate::isolation::Mounts;

const NOTHING: Option<&str> = None;

/// Makes a view of the files that is our own as planned.
pub(crate) fn make_mounts(plan: &Mounts) -> Outcome<()> {
    let failed = |path: &Path, e: &io::Error| {
        Failure::system(codes::SANDBOX, "mount", path.to_string_lossy(), e)
    };
    for cover in planned(plan) {
        let tmp = plan
            .tmp
            .as_deref()
            .filter(|_| cover.folder == Path::new("/tmp"));
        make(&cover, tmp, &plan.writable).map_err(|e| failed(&cover.folder, &e))?;
    }
    Ok(())
}

/// Paths may be links; what is mounted is what they lead to, and both names stay.
fn planned(plan: &Mounts) -> Vec<Cover> {
    let mut hide = plan.hide.clone();
    hide.extend(plan.shm.then(|| PathBuf::from("/dev/shm")));
    hide.extend(plan.tmp.is_some().then(|| PathBuf::from("/tmp")));
    let hide: Vec<PathBuf> = hide
        .iter()
        .filter_map(|path| fs::canonicalize(path).ok())
        .collect();
    let mut needed = plan.needed.clone();
    needed.extend(
        plan.needed
            .iter()
            .filter_map(|path| fs::canonicalize(path).ok()),
    );
    needed.retain(|path| path.exists());
    covers::plan(&hide, &needed, |folder| {
        plan.user
            .as_ref()
            .is_some_and(|user| identity::is_closed_to(folder, user))
    })
}

/// A mount namespace; who may not have one gets a user namespace with it, in which it stays who it
/// is.
pub(crate) fn own_mounts() -> Outcome<()> {
    match identity::may_mount() {
        true => enter(CloneFlags::CLONE_NEWNS)?,
        false => enter_as_self(CloneFlags::CLONE_NEWNS)?,
    }
    let private = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(NOTHING, "/", NOTHING, private, NOTHING)
        .map_err(|e| Failure::system(codes::SANDBOX, "mount", "/", &e.into()))
}

/// The next child is process 1 of a namespace of its own.
pub(crate) fn own_processes() -> Outcome<()> {
    match identity::may_mount() {
        true => enter(CloneFlags::CLONE_NEWPID),
        false => {
            enter_as_self(CloneFlags::CLONE_NEWPID)?;
            identity::keep_mounting()
        }
    }
}

/// `/proc` of our process namespace, in a view of the files of its own.
pub(crate) fn own_proc() -> Outcome<()> {
    own_mounts()?;
    mount_proc(NOTHING)
}

/// `/proc` shows the processes of its user only.
pub(crate) fn hide_others() -> Outcome<()> {
    mount_proc(Some("hidepid=invisible"))
}

fn mount_proc(options: Option<&str>) -> Outcome<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, options)
        .map_err(|e| Failure::system(codes::SANDBOX, "mount", "/proc", &e.into()))
}

fn enter(flags: CloneFlags) -> Outcome<()> {
    unshare(flags).map_err(|e| {
        let failure = Failure::system(codes::SANDBOX, "unshare", format!("{flags:?}"), &e.into());
        failure.hint("`petrel doctor` says what this host gives")
    })
}

fn enter_as_self(flags: CloneFlags) -> Outcome<()> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    enter(CloneFlags::CLONE_NEWUSER | flags)?;
    let files = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{uid} {uid} 1")),
        ("gid_map", format!("{gid} {gid} 1")),
    ];
    for (name, text) in files {
        let path = format!("/proc/self/{name}");
        fs::write(&path, text)
            .map_err(|e| Failure::system(codes::SANDBOX, "user map", path, &e))?;
    }
    Ok(())
}

/// Covers a folder by an empty one, or by another, and mounts again what is kept.
fn make(cover: &Cover, with: Option<&Path>, writable: &[PathBuf]) -> io::Result<()> {
    let kept = cover.keep.iter().map(|path| Ok((path, held(path)?)));
    let kept: Vec<(&PathBuf, File)> = kept.collect::<io::Result<_>>()?;
    match with {
        Some(folder) => bind(&held(folder)?, &cover.folder)?,
        None => blank(&cover.folder)?,
    }
    for (path, what) in kept {
        make_target(path, what.metadata()?.is_dir())?;
        bind(&what, path)?;
        // It lies below a folder that may be written, which for Landlock is enough.
        if !writable
            .iter()
            .any(|one| path.starts_with(one) || one.starts_with(path))
        {
            make_read_only(path)?;
        }
    }
    Ok(())
}

/// What was forbidden before must stay so.
fn make_read_only(path: &Path) -> io::Result<()> {
    let kept = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    let now = statvfs(path)?.flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    flags.extend(
        kept.into_iter()
            .filter(|(is, _)| now.contains(*is))
            .map(|(_, flag)| flag),
    );
    Ok(mount(NOTHING, path, NOTHING, flags, NOTHING)?)
}

/// What a path names now, whatever is mounted over it later.
fn held(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

fn bind(what: &File, path: &Path) -> io::Result<()> {
    let source = format!("/proc/self/fd/{}", what.as_raw_fd());
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source.as_str()), path, NOTHING, flags, NOTHING)?)
}

/// An empty folder in memory; shared memory may be written by its user.
fn blank(path: &Path) -> io::Result<()> {
    let options = match path == Path::new("/dev/shm") {
        true => "mode=1777,size=256m",
        false => "mode=0755,size=1m",
    };
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(
        Some("petrel"),
        path,
        Some("tmpfs"),
        flags,
        Some(options),
    )?)
}

fn make_target(path: &Path, is_folder: bool) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let above = path.parent().unwrap_or(Path::new("/"));
    // Whoever becomes another user must still pass through.
    let folder = if is_folder { path } else { above };
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    let made = fs::create_dir_all(folder);
    nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
    made?;
    match is_folder {
        true => Ok(()),
        false => File::create(path).map(drop),
    }
}
