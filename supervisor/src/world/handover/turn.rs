//! The moment at which one program takes the place of another.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair, sockopt};
use rustix::stdio::dup2_stdin;

use super::bundle::{Bundle, GREETING, Received};
use super::package::Package;
use crate::world::{descriptors, signals};

/// Travels before the bundle: the package, and what standard input was.
const BEFORE: usize = 2;

/// What another program handed over to us, until it is taken.
#[derive(Debug)]
pub struct Handover {
    /// What it knew.
    pub package: Package,
    /// What it had open.
    pub received: Received,
}

/// Becomes another program in this process, which finds the package and the bundle. Returns only
/// where that is not possible; everything is then as it was.
pub fn become_next(
    program: &Path,
    args: &[OsString],
    package: &Package,
    bundle: &Bundle,
) -> String {
    let why = |error: anyhow::Error| format!("{}: {error:#}", program.display());
    let carried = match carry(package, bundle) {
        Ok(carried) => carried,
        Err(error) => return why(error),
    };
    // What asks us to stop from here on is heard by the next one.
    signals::defer();
    descriptors::lower();
    let failed = exec(program, args);
    // It could be raised before.
    let _ = descriptors::raise();
    signals::admit();
    if let Err(error) = dup2_stdin(&carried) {
        return format!("{}; standard input is lost: {error}", why(failed));
    }
    why(failed)
}

/// Lays everything into standard input; what that was.
fn carry(package: &Package, bundle: &Bundle) -> anyhow::Result<OwnedFd> {
    let file = package.file()?;
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let stdin = fcntl_dupfd_cloexec(io::stdin(), 3)?;
    let sent = bundle.send(&ours, &[file.as_fd(), stdin.as_fd()]);
    sent.context("descriptors cannot be handed over")?;
    dup2_stdin(&theirs)?;
    Ok(stdin)
}

/// Begins this program anew in this process, with nothing handed over. Returns only where that is not
/// possible.
pub fn begin_anew(program: &Path, args: &[OsString]) -> anyhow::Error {
    signals::defer();
    descriptors::lower();
    exec(program, args)
}

fn exec(program: &Path, args: &[OsString]) -> anyhow::Error {
    match try_exec(program, args) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn try_exec(program: &Path, args: &[OsString]) -> anyhow::Result<std::convert::Infallible> {
    let text = |text: &OsStr| CString::new(text.as_bytes());
    let args: Result<Vec<_>, _> = args.iter().map(|one| text(one)).collect();
    let env: Result<Vec<_>, _> = std::env::vars_os()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            text(&name)
        })
        .collect();
    let program = text(program.as_os_str())?;
    Ok(nix::unistd::execve(&program, &args?, &env?)?)
}

/// What was handed over to us by the program that was this process before; none where nothing was.
///
/// # Errors
/// When something was, and cannot be read.
pub fn received() -> anyhow::Result<Option<Handover>> {
    if !is_ours(io::stdin().as_fd()) {
        return Ok(None);
    }
    let mut received = Received::from(io::stdin())?;
    let mut before = received.split_first(BEFORE).into_iter().flatten();
    let (Some(file), Some(stdin)) = (before.next(), before.next()) else {
        anyhow::bail!("what was handed over is not complete");
    };
    dup2_stdin(&stdin)?;
    let package = Package::read(&File::from(file));
    let package = package.context("what was handed over cannot be read")?;
    Ok(Some(Handover { package, received }))
}

/// Standard input is a socket whose other end this very process made, and it says what it is.
fn is_ours(stdin: BorrowedFd<'_>) -> bool {
    let own = rustix::process::getpid();
    if !sockopt::socket_peercred(stdin).is_ok_and(|peer| peer.pid == own) {
        return false;
    }
    let mut text = [0; GREETING.len()];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let got = recv(stdin, &mut text, flags);
    got.is_ok_and(|(_, count)| count == text.len()) && text == *GREETING
}

impl Handover {
    /// Becomes the program again that handed this over. Returns only where that is not possible.
    pub fn go_back(self, why: &str) -> String {
        let Self {
            mut package,
            received,
        } = self;
        let Some(program) = received.at(package.program) else {
            return "the program before is not there".to_owned();
        };
        // The descriptor is closed by the exec, and opened by it before.
        let program = format!("/proc/self/fd/{}", program.as_raw_fd());
        package.upgrade.error = Some(why.to_owned());
        let args = package.args.clone();
        match received.into_bundle() {
            Some(bundle) => become_next(Path::new(&program), &args, &package, &bundle),
            None => "some of what was handed over is taken already".to_owned(),
        }
    }
}
