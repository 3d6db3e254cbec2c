//! A program that is run to its end for us: through the wrapper, as everything is.

use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use sensor_wrapper::args::ActionArgs;

use crate::world::action;
use crate::world::spawn::{Order, Wrapper};

/// Lines of a program's errors that are shown.
const SHOWN_LINES: usize = 12;

/// How long the wrapper may take to end its program, which is longer than the grace that it gives.
const WRAPPER_ENDS: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Debug)]
pub struct Program<'a> {
    /// Found on the `PATH`.
    pub name: &'a str,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Added to our environment.
    pub env: Vec<(String, String)>,
    /// A folder that is made for its output, and must not be there.
    pub scratch: &'a Path,
    /// How long it may take.
    pub patience: Duration,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// With exit code 0.
    pub succeeded: bool,
    /// Its standard output, at most 16 MiB.
    pub stdout: String,
    /// The last lines of its standard error, without control characters.
    pub errors: String,
}

impl Program<'_> {
    /// Runs it. It ends when we do.
    ///
    /// # Errors
    /// When it is not there, cannot be started, or takes too long.
    pub fn run(self, wrapper: &Wrapper) -> anyhow::Result<Ended> {
        fs::create_dir(self.scratch)?;
        let own = i32::try_from(std::process::id())?;
        let mut order = ActionArgs::new(self.scratch, own, self.name);
        order.args = self.args;
        let child = wrapper.spawn(Order {
            args: order.to_argv(),
            env: self.env,
            stdin: Stdio::null(),
            stdout: Stdio::null(),
            stderr: Stdio::null(),
            watch_exec: false,
            watch_ready: false,
        })?;
        let in_time = ends_within(&child.pidfd, self.patience)?;
        if !in_time {
            // The wrapper ends its program by TERM and, soon after, by KILL.
            let _ = pidfd_send_signal(&child.pidfd, Signal::TERM);
            if !ends_within(&child.pidfd, WRAPPER_ENDS)? {
                // Its program goes with it.
                let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
            }
        }
        waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED)?;
        ensure!(
            in_time,
            "{} took longer than {} s and was ended",
            self.name,
            self.patience.as_secs()
        );
        let ending = action::read(self.scratch)
            .with_context(|| format!("{} was killed with its wrapper", self.name))?;
        if let Some(failure) = ending.exit.error {
            let hint = format!("install {} first", self.name);
            return Err(anyhow::anyhow!("{failure}").context(hint));
        }
        Ok(Ended {
            succeeded: ending.exit.code == Some(0),
            stdout: ending.stdout,
            errors: last_lines(&ending.stderr),
        })
    }
}

fn ends_within(pidfd: impl AsFd, patience: Duration) -> anyhow::Result<bool> {
    let mut waiting = [PollFd::new(&pidfd, PollFlags::IN)];
    let patience = Timespec::try_from(patience)?;
    loop {
        match poll(&mut waiting, Some(&patience)) {
            // Stopped and continued, as by Ctrl-Z: it is asked again from the start.
            Err(rustix::io::Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

fn last_lines(text: &str) -> String {
    let plain = |c: char| !c.is_control() || c == '\n';
    let text: String = text.chars().filter(|c| plain(*c)).collect();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hear_is_killed() {
        // Built beside the tests, where there is one.
        let Some(wrapper) = Wrapper::beside_tests() else {
            return;
        };
        let folder = tempfile::TempDir::new().unwrap();
        let pid = folder.path().join("pid");
        let deaf = format!(
            "trap '' TERM; echo $$ > {}; while :; do sleep 1; done",
            pid.display()
        );
        let program = Program {
            name: "sh",
            args: ["-c", &deaf].map(Into::into).into(),
            env: Vec::new(),
            scratch: &folder.path().join("run"),
            patience: Duration::from_secs(1),
        };
        let error = program.run(&wrapper).unwrap_err().to_string();
        assert_eq!(error, "sh took longer than 1 s and was ended");
        let pid = fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }
}
