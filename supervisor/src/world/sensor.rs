//! One child of a sensor: its pipes, its end. Decides nothing.
//!
//! Four tasks live as long as the child does: one reads its output (as far as there is credit, so
//! that a sensor whose events are not settled waits in its own write), one its log, one writes what
//! it is told, one waits for its end. At the end the group is killed while the dead leader is still
//! unreaped, so its number cannot have been given to another; then it is reaped, and only when the
//! group is proven empty is the end reported.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use petrel_sdk::line::{Line, LineBuffer};
use rustix::process::{
    Pid, Signal as Sig, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group,
    test_kill_process_group, waitid,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use super::intake::Piece;
use super::procfs;
use super::spawn::{self, Child};
use crate::core::log_line::LogLine;
use crate::core::notice::Level;
use crate::core::record::Exit;
use crate::core::sensor::SensorIx;
use crate::core::{Input, Signal};

/// Most bytes that are read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces of a sensor that may be unsettled at a time.
const PIECES: usize = 4;

/// A sensor that does not take this many bytes of answers is not read any more.
const UNTAKEN_BYTES: usize = 4 << 20;

/// Longest line of a log, bytes.
const LOG_LINE_BYTES: usize = 16 << 10;

/// Lines of the log that are kept for the report of a crash.
const TAIL_LINES: usize = 20;

/// Lines of the log that are passed on per second; the rest is counted.
const LOG_LINES_PER_S: u32 = 100;

/// How long the report of an end waits for the last output of the dead.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// What is written to a child.
enum ToChild {
    Line(String),
    Close,
}

/// The handle of a child.
#[derive(Debug)]
pub struct Handle {
    /// Its process and its group are gone.
    pub ended: bool,
    /// Its output was read to its end.
    pub drained: bool,
    group: Pid,
    shared: Rc<Shared>,
    to_child: UnboundedSender<ToChild>,
}

/// What the tasks of a child know of each other; all on one thread.
#[derive(Debug)]
struct Shared {
    reaped: Cell<bool>,
    credit: Semaphore,
    untaken: Cell<usize>,
    taken: Notify,
    /// The process and its group are gone.
    gone: Notify,
    is_gone: Cell<bool>,
    output_ended: Notify,
    log_ended: Notify,
    tail: RefCell<VecDeque<String>>,
}

/// Where a child's tasks report, and under which name.
#[derive(Clone, Debug)]
pub struct Reports {
    /// Which sensor.
    pub sensor: SensorIx,
    /// Its start.
    pub generation: u64,
    /// To the intake thread.
    pub pieces: Sender<Piece>,
    /// To the core.
    pub inputs: Sender<Input>,
    /// How long its pipes are read after its end.
    pub drain_timeout: Duration,
}

impl Shared {
    /// Keeps a line for the report of a crash.
    fn remember(&self, line: &str) {
        let mut tail = self.tail.borrow_mut();
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line.to_owned());
    }
}

impl Handle {
    /// Takes charge of a child.
    ///
    /// # Errors
    /// When a pipe cannot be watched.
    pub fn new(child: Child, reports: Reports) -> io::Result<Self> {
        let shared = Rc::new(Shared {
            reaped: Cell::new(false),
            credit: Semaphore::new(PIECES),
            untaken: Cell::new(0),
            taken: Notify::new(),
            gone: Notify::new(),
            is_gone: Cell::new(false),
            output_ended: Notify::new(),
            log_ended: Notify::new(),
            tail: RefCell::new(VecDeque::new()),
        });
        let (to_child, lines) = unbounded_channel();
        if let Some(stdout) = child.stdout {
            let stdout = pipe::Receiver::from_owned_fd(stdout)?;
            let task = read_output(stdout, Rc::clone(&shared), reports.clone());
            tokio::task::spawn_local(task);
        }
        if let Some(stderr) = child.stderr {
            let stderr = pipe::Receiver::from_owned_fd(stderr)?;
            let task = read_log(stderr, Rc::clone(&shared), reports.clone());
            tokio::task::spawn_local(task);
        }
        if let Some(stdin) = child.stdin {
            let stdin = pipe::Sender::from_owned_fd(stdin)?;
            tokio::task::spawn_local(write_input(stdin, lines, Rc::clone(&shared)));
        }
        if let Some(executed) = child.executed {
            let executed = pipe::Receiver::from_owned_fd(executed)?;
            tokio::task::spawn_local(watch_exec(executed, reports.clone()));
        }
        let pidfd = spawn::watched(child.pidfd)?;
        let watch = watch_end(pidfd, child.pid, Rc::clone(&shared), reports.clone());
        tokio::task::spawn_local(watch);
        Ok(Self {
            ended: false,
            drained: false,
            group: child.pid,
            shared,
            to_child,
        })
    }

    /// Writes a line to it, after those before; lost if it does not read any more.
    pub fn tell(&self, line: String) {
        let shared = &self.shared;
        shared.untaken.set(shared.untaken.get() + line.len());
        // A child that closed its input has no writer any more: there is nobody to tell.
        let _ = self.to_child.send(ToChild::Line(line));
    }

    /// Closes its input, after the lines before.
    pub fn close_input(&self) {
        let _ = self.to_child.send(ToChild::Close);
    }

    /// More pieces may be read.
    pub fn credit(&self, pieces: usize) {
        self.shared.credit.add_permits(pieces);
    }

    /// Signals its group, unless the leader is reaped: then the number may be another's.
    pub fn signal(&self, signal: Signal) {
        if self.shared.reaped.get() {
            return;
        }
        // A failure means that nobody is left to hear it; the end is reported by its watcher.
        match signal {
            Signal::Terminate => {
                let _ = kill_process_group(self.group, Sig::TERM);
                let _ = kill_process_group(self.group, Sig::CONT);
            }
            Signal::Kill => {
                let _ = kill_process_group(self.group, Sig::KILL);
            }
        }
    }
}

async fn read_output(mut stdout: pipe::Receiver, shared: Rc<Shared>, reports: Reports) {
    let (sensor, generation) = (reports.sensor, reports.generation);
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        while shared.untaken.get() > UNTAKEN_BYTES && !shared.is_gone.get() {
            shared.taken.notified().await;
        }
        let Ok(credit) = shared.credit.acquire().await else {
            break;
        };
        credit.forget();
        let Some(bytes) = read(&mut stdout, &mut buffer, &shared, &reports).await else {
            break;
        };
        let piece = Piece::Output {
            sensor,
            generation,
            bytes: bytes.to_vec(),
        };
        if reports.pieces.send(piece).await.is_err() {
            break;
        }
    }
    // Nobody takes it only when the supervisor is at its own end.
    let _ = reports.pieces.send(Piece::End { sensor, generation }).await;
    shared.output_ended.notify_one();
}

/// The next bytes; none at the end, or when the child is gone and somebody else holds its pipe open
/// for longer than the drain timeout.
async fn read<'b>(
    pipe: &mut pipe::Receiver,
    buffer: &'b mut [u8],
    shared: &Shared,
    reports: &Reports,
) -> Option<&'b [u8]> {
    let late = async {
        if !shared.is_gone.get() {
            shared.gone.notified().await;
        }
        sleep(reports.drain_timeout).await;
    };
    tokio::select! {
        biased;
        count = pipe.read(buffer) => match count {
            Ok(0) | Err(_) => None,
            Ok(count) => Some(&buffer[..count]),
        },
        () = late => None,
    }
}

async fn read_log(mut stderr: pipe::Receiver, shared: Rc<Shared>, reports: Reports) {
    let mut lines = LineBuffer::new(LOG_LINE_BYTES);
    let mut rate = Rate::default();
    let mut buffer = vec![0; 16 << 10];
    while let Some(bytes) = read(&mut stderr, &mut buffer, &shared, &reports).await {
        for line in lines.push(bytes) {
            pass_on(line, &mut rate, &shared, &reports).await;
        }
    }
    if let Some(line) = lines.finish() {
        pass_on(line, &mut rate, &shared, &reports).await;
    }
    shared.log_ended.notify_one();
}

async fn pass_on(line: Line<'_>, rate: &mut Rate, shared: &Shared, reports: &Reports) {
    let text = match line {
        Line::Whole(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Line::TooLong { prefix, bytes, .. } => {
            format!("{} ... ({bytes} bytes)", String::from_utf8_lossy(&prefix))
        }
    };
    shared.remember(&text);
    for line in rate.admit(&text) {
        let sensor = reports.sensor;
        // Nobody takes it only when the supervisor is at its own end.
        let _ = reports.inputs.send(Input::Logged { sensor, line }).await;
    }
}

/// Passes a bounded number of lines per second and counts the rest.
#[derive(Debug, Default)]
struct Rate {
    second: u64,
    passed: u32,
    dropped: u64,
}

impl Rate {
    fn admit(&mut self, text: &str) -> Vec<LogLine> {
        let second = super::clock::now().mono.as_secs();
        let mut admitted = Vec::new();
        if second != self.second {
            if self.dropped > 0 {
                let text = format!("{} lines of its log were dropped", self.dropped);
                let level = Level::Warning;
                admitted.push(LogLine { level, text });
            }
            *self = Self {
                second,
                ..Self::default()
            };
        }
        if self.passed < LOG_LINES_PER_S {
            self.passed += 1;
            admitted.push(LogLine::parse(text));
        } else {
            self.dropped += 1;
        }
        admitted
    }
}

async fn write_input(
    mut stdin: pipe::Sender,
    mut lines: UnboundedReceiver<ToChild>,
    shared: Rc<Shared>,
) {
    while let Some(ToChild::Line(line)) = lines.recv().await {
        let written = tokio::select! {
            written = stdin.write_all(line.as_bytes()) => written.is_ok(),
            () = shared.gone.notified() => false,
        };
        shared
            .untaken
            .set(shared.untaken.get().saturating_sub(line.len()));
        shared.taken.notify_one();
        if !written {
            break;
        }
    }
    // It takes nothing more: what is still sent is forgotten, and reading goes on.
    lines.close();
    shared.untaken.set(0);
    shared.taken.notify_one();
}

async fn watch_exec(mut executed: pipe::Receiver, reports: Reports) {
    let mut nothing = [0; 1];
    // Either way the far end is closed: the wrapper became the program, or is gone.
    let _ = executed.read(&mut nothing).await;
    let input = Input::Executed {
        sensor: reports.sensor,
        generation: reports.generation,
    };
    let _ = reports.inputs.send(input).await;
}

async fn watch_end(pidfd: AsyncFd<OwnedFd>, group: Pid, shared: Rc<Shared>, reports: Reports) {
    if let Err(error) = pidfd.readable().await {
        tracing::error!("a child's end cannot be watched: {error}");
    }
    let exit = end_group(&pidfd, group, &shared).await;
    shared.is_gone.set(true);
    shared.gone.notify_waiters();
    shared.taken.notify_one();
    let last = async { tokio::join!(shared.output_ended.notified(), shared.log_ended.notified()) };
    // A grandchild that left the group may hold the pipes: the end is not held up by it.
    let _ = timeout(LAST_OUTPUT, last).await;
    let tail = shared.tail.borrow_mut().drain(..).collect();
    let ended = Input::Ended {
        sensor: reports.sensor,
        generation: reports.generation,
        exit,
        hint: exit
            .code
            .and_then(sensor_wrapper::codes::explain)
            .map(str::to_owned),
        tail,
        luck: luck(),
    };
    let _ = reports.pieces.send(Piece::After(ended)).await;
}

/// Kills what is left of the group while its leader is a zombie, reaps it, and waits until the
/// group is empty.
async fn end_group(pidfd: &AsyncFd<OwnedFd>, group: Pid, shared: &Shared) -> Exit {
    let id = WaitId::PidFd(rustix::fd::AsFd::as_fd(pidfd.get_ref()));
    let _ = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    let _ = kill_process_group(group, Sig::KILL);
    let id = WaitId::PidFd(rustix::fd::AsFd::as_fd(pidfd.get_ref()));
    let status = waitid(id, WaitIdOptions::EXITED);
    shared.reaped.set(true);
    let mut wait = Duration::from_micros(200);
    while test_kill_process_group(group).is_ok() && procfs::group_lives(group) {
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
    exit(status)
}

/// The end of a process, as the system tells it.
pub fn exit(status: rustix::io::Result<Option<WaitIdStatus>>) -> Exit {
    let status = status.ok().flatten();
    Exit {
        code: status.as_ref().and_then(WaitIdStatus::exit_status),
        signal: status.as_ref().and_then(WaitIdStatus::terminating_signal),
    }
}

/// Chance for the jitter: the low bits of the clock are as good as any for spreading restarts.
pub fn luck() -> f64 {
    let hash = blake3::hash(&super::clock::now().wall.0.to_le_bytes());
    let bytes = hash.as_bytes();
    let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    f64::from(number) / f64::from(u32::MAX)
}
