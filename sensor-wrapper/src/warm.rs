//! An action as a fork of a Python that is ready (`petrel_sdk/warm_host.py` has the conversation).
//!
//! The fork is the host's child. It keeps its number until we close the connection, so we may signal
//! its group by it until then; what is left of the group afterwards is the host's to kill.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use crate::child::End;
use crate::codes;
use crate::failure::{Failure, Outcome};

/// What the host is asked for.
#[derive(Debug, Serialize)]
struct Order<'a> {
    argv: &'a [String],
    env: &'a BTreeMap<String, String>,
    cwd: Option<&'a str>,
    nofile: Option<u64>,
}

/// What it says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    pid: Option<i32>,
    code: Option<i32>,
    signal: Option<i32>,
}

/// What a fork is to be: all that the host must be told.
pub(crate) struct Wanted {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    /// The soft limit of open files.
    nofile: Option<u64>,
}

impl Wanted {
    /// None where something is no UTF-8, which JSON cannot tell.
    pub fn new(
        argv: &[OsString],
        env: impl Iterator<Item = (OsString, OsString)>,
        cwd: Option<&Path>,
        nofile: Option<u64>,
    ) -> Option<Self> {
        let text = |text: OsString| text.into_string().ok();
        let argv: Option<Vec<_>> = argv.iter().cloned().map(text).collect();
        let env: Option<BTreeMap<_, _>> = env
            .map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect();
        let cwd = match cwd {
            Some(cwd) => Some(cwd.to_str()?.to_owned()),
            None => None,
        };
        let (argv, env) = (argv?, env?);
        Some(Self {
            argv,
            env,
            cwd,
            nofile,
        })
    }
}

/// A fork that is not reaped.
pub(crate) struct Fork {
    host: UnixStream,
    pid: Pid,
    out: Option<File>,
    err: Option<File>,
}

impl Fork {
    /// Has one made; none where nobody listens, so that nothing has begun.
    ///
    /// # Errors
    /// When the host was asked and does not answer: it may have begun.
    pub fn start(socket: &Path, wanted: &Wanted) -> Outcome<Option<Self>> {
        let Ok(host) = UnixStream::connect(socket) else {
            return Ok(None);
        };
        let pipes =
            pipe_with(PipeFlags::CLOEXEC).and_then(|out| Ok((out, pipe_with(PipeFlags::CLOEXEC)?)));
        let ((out, to_out), (err, to_err)) =
            pipes.map_err(|e| Failure::system(codes::EXEC, "pipe", "the output", &e.into()))?;
        let stdin = io::stdin();
        let streams = [stdin.as_fd(), to_out.as_fd(), to_err.as_fd()];
        ask(&host, wanted, &streams).map_err(|e| lost(&e))?;
        let said = heard(&host).map_err(|e| lost(&e))?;
        let pid = said
            .pid
            .ok_or_else(|| lost(&io::ErrorKind::InvalidData.into()))?;
        Ok(Some(Self {
            host,
            pid: Pid::from_raw(pid),
            out: Some(File::from(out)),
            err: Some(File::from(err)),
        }))
    }

    pub fn take_output(&mut self) -> (Option<File>, Option<File>) {
        (self.out.take(), self.err.take())
    }

    /// Becomes readable when it ended, or the host did.
    pub fn ending(&self) -> BorrowedFd<'_> {
        self.host.as_fd()
    }

    pub fn signal_group(&self, signal: Signal) {
        let _ = killpg(self.pid, signal);
    }

    /// How it ended.
    ///
    /// # Errors
    /// When the host died, and it with it: nobody knows how far it came.
    pub fn end(&self) -> Outcome<End> {
        let said = heard(&self.host).map_err(|e| lost(&e))?;
        match (said.code, said.signal) {
            (None, None) => Err(lost(&io::ErrorKind::InvalidData.into())),
            (code, signal) => Ok(End { code, signal }),
        }
    }
}

fn ask(host: &UnixStream, wanted: &Wanted, streams: &[BorrowedFd<'_>; 3]) -> io::Result<()> {
    let text = serde_json::to_vec(&Order {
        argv: &wanted.argv,
        env: &wanted.env,
        cwd: wanted.cwd.as_deref(),
        nofile: wanted.nofile,
    })?;
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let message = [&length.to_be_bytes()[..], &text].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(streams));
    let first = &[IoSlice::new(&message)];
    let sent = sendmsg(host, first, &mut control, SendFlags::NOSIGNAL)?;
    let mut host = host;
    host.write_all(&message[sent..])
}

/// One line, and nothing of the next: whether that is there is asked of the connection.
fn heard(mut host: &UnixStream) -> io::Result<Said> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        host.read_exact(&mut byte)?;
        match byte {
            [b'\n'] => return Ok(serde_json::from_slice(&line)?),
            [byte] => line.push(byte),
        }
    }
}

fn lost(why: &io::Error) -> Failure {
    let text = format!("it died, and the action with it: it may have run ({why})");
    Failure::new(codes::EXECUTION, "warm", "the Python that was ready", &text)
}
