//! One child of a sensor: its pipes, its end. Decides nothing.
//!
//! Four tasks live as long as the child does: one reads its output (as far as there is credit, so
//! that a sensor whose events are not settled waits in its own write), one its log, one writes what
//! it is told, one waits for its end. At the end the group is killed while the dead leader is still
//! unreaped, so its number cannot have been given to another; then it is reaped, and only when the
//! group is proven empty is the end reported.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use rustix::process::{
    Pid, Signal as Sig, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group,
    waitid,
};
use sensor_wrapper::Failure;
use sensor_wrapper::sandbox::Degraded;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use super::cgroup::Cgroup;
use super::clock;
use super::gate::Gate;
use super::handover::{Bundle, HandedChild, Received};
use super::intake::Piece;
use super::log_reader::read_log;
use super::procfs;
use super::spawn::{self, Child, Process};
use super::stdin::Stdin;
use super::tree::Tree;
use crate::catalog::policy::{LogLimits, StopSignal};
use crate::core::crash::Peak;
use crate::core::handover::Bytes;
use crate::core::isolation::{self, Isolation};
use crate::core::logs::reader::LogReader;
use crate::core::record::{End, Exit};
use crate::core::sensor::SensorIx;
use crate::core::{Input, Signal};

/// Most bytes that are read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces of a sensor that may be unsettled at a time.
const PIECES: usize = 4;

/// A sensor that does not take this many bytes of answers is not read any more.
const UNTAKEN_BYTES: usize = 4 << 20;

/// Most bytes that the wrapper tells of a start.
const TOLD_BYTES: usize = 64 << 10;

/// How long the report of an end waits for the last output of the dead.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// The handle of a child.
#[derive(Debug)]
pub struct Handle {
    /// Its process and its group are gone.
    pub ended: bool,
    /// Its output was read to its end.
    pub drained: bool,
    group: Pid,
    tree: Tree,
    shared: Rc<Shared>,
    open: Open,
}

/// Our ends, as long as somebody reads or writes them.
#[derive(Debug, Default)]
struct Open {
    stdin: Weak<pipe::Sender>,
    stdout: Weak<pipe::Receiver>,
    stderr: Weak<pipe::Receiver>,
    executed: Weak<pipe::Receiver>,
    ready: Weak<pipe::Receiver>,
    pidfd: Weak<AsyncFd<OwnedFd>>,
}

/// The same before anybody does.
#[derive(Debug, Default)]
struct Ends {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    executed: Option<OwnedFd>,
    ready: Option<OwnedFd>,
    pidfd: Option<OwnedFd>,
    /// None of a child of an earlier program.
    process: Option<Process>,
    /// It must not be reaped before this is over.
    joining: Option<oneshot::Receiver<bool>>,
}

/// How a child is held together and kept in.
#[derive(Debug)]
pub struct Held {
    /// Its processes.
    pub tree: Tree,
    /// It is being moved into its control group.
    pub joining: Option<oneshot::Receiver<bool>>,
    /// For people; the wrapper may add to it.
    pub isolation: Isolation,
}

/// What the tasks of a child know of each other; all on one thread.
#[derive(Debug)]
pub(super) struct Shared {
    reaped: Cell<bool>,
    credit: Semaphore,
    /// Pieces that were read and are not settled.
    unsettled: Cell<usize>,
    stdin: Stdin,
    /// The process and its group are gone.
    gone: Notify,
    pub(super) is_gone: Cell<bool>,
    output_ended: Notify,
    pub(super) log_ended: Notify,
    /// What is read of its log and is not a whole record.
    pub(super) log: RefCell<LogReader>,
    /// Something was read of its log and is not passed on.
    pub(super) log_is_busy: Cell<bool>,
    /// Its end is seen, and not told.
    is_ending: Cell<bool>,
    /// The wrapper has become the program.
    executed: Cell<bool>,
    /// What the wrapper told so far.
    told_text: RefCell<Vec<u8>>,
    isolation: RefCell<Isolation>,
    /// Why it has not.
    failure: RefCell<Option<String>>,
    /// The wrapper has nothing more to tell.
    told: Notify,
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
    /// What is taken of its log.
    pub log: LogLimits,
    /// Holds up the reading.
    pub gate: Gate,
}

impl Shared {
    fn new(isolation: Isolation, log: LogReader) -> Self {
        Self {
            reaped: Cell::new(false),
            credit: Semaphore::new(PIECES),
            unsettled: Cell::new(0),
            stdin: Stdin::default(),
            gone: Notify::new(),
            is_gone: Cell::new(false),
            output_ended: Notify::new(),
            log_ended: Notify::new(),
            log: RefCell::new(log),
            log_is_busy: Cell::new(false),
            is_ending: Cell::new(false),
            executed: Cell::new(false),
            told_text: RefCell::new(Vec::new()),
            isolation: RefCell::new(isolation),
            failure: RefCell::new(None),
            told: Notify::new(),
        }
    }

    /// The last output of the dead is read whatever is held up.
    pub(super) async fn pass(&self, gate: &Gate) {
        if !self.is_ending.get() {
            gate.pass().await;
        }
    }

    /// When the child has been gone for longer than its pipes are read.
    pub(super) async fn late(&self, drain_timeout: Duration) {
        if !self.is_gone.get() {
            self.gone.notified().await;
        }
        sleep(drain_timeout).await;
    }
}

impl Handle {
    /// Takes charge of a child.
    ///
    /// # Errors
    /// When a pipe cannot be watched.
    pub fn new(child: Child, held: Held, reports: Reports) -> io::Result<Self> {
        let ends = Ends {
            stdin: child.stdin,
            stdout: child.stdout,
            stderr: child.stderr,
            executed: child.executed,
            ready: child.ready,
            pidfd: Some(child.pidfd),
            process: Some(child.process),
            joining: held.joining,
        };
        let log = LogReader::new(&reports.log, clock::now());
        let shared = Rc::new(Shared::new(held.isolation, log));
        Self::watching(ends, shared, held.tree, &reports)
    }

    /// Starts the tasks of a child.
    fn watching(ends: Ends, shared: Rc<Shared>, tree: Tree, reports: &Reports) -> io::Result<Self> {
        let mut open = Open::default();
        let both = || (Rc::clone(&shared), reports.clone());
        let pipe = |end| pipe::Receiver::from_owned_fd(end).map(Rc::new);
        if let Some(stdout) = ends.stdout.map(pipe).transpose()? {
            open.stdout = Rc::downgrade(&stdout);
            let (shared, reports) = both();
            tokio::task::spawn_local(read_output(stdout, shared, reports));
        }
        if let Some(stderr) = ends.stderr.map(pipe).transpose()? {
            open.stderr = Rc::downgrade(&stderr);
            let (shared, reports) = both();
            tokio::task::spawn_local(read_log(stderr, shared, reports));
        }
        if let Some(stdin) = ends.stdin {
            let stdin = Rc::new(pipe::Sender::from_owned_fd(stdin)?);
            open.stdin = Rc::downgrade(&stdin);
            let (shared, _) = both();
            tokio::task::spawn_local(async move { shared.stdin.write(stdin).await });
        }
        if let Some(executed) = ends.executed.map(pipe).transpose()? {
            open.executed = Rc::downgrade(&executed);
            let (shared, reports) = both();
            tokio::task::spawn_local(watch_exec(executed, shared, reports));
        }
        if let Some(ready) = ends.ready.map(pipe).transpose()? {
            open.ready = Rc::downgrade(&ready);
            tokio::task::spawn_local(watch_ready(ready, reports.clone()));
        }
        if let Some(pidfd) = ends.pidfd {
            let pidfd = Rc::new(spawn::watched(pidfd)?);
            open.pidfd = Rc::downgrade(&pidfd);
            let (shared, reports) = both();
            let child = (pidfd, ends.process, ends.joining);
            tokio::task::spawn_local(watch_end(child, tree.clone(), shared, reports));
        }
        Ok(Self {
            ended: false,
            drained: false,
            group: tree.group,
            tree,
            shared,
            open,
        })
    }

    /// Nothing of it is on its way: what was read is settled, and its end is not being told.
    pub fn is_settled(&self) -> bool {
        let shared = &self.shared;
        shared.unsettled.get() == 0 && !shared.log_is_busy.get() && !shared.is_ending.get()
    }

    /// All of it, for the next supervisor.
    pub fn hand_over(&self, sensor: SensorIx, generation: u64, bundle: &mut Bundle) -> HandedChild {
        let (shared, open) = (&self.shared, &self.open);
        HandedChild {
            sensor: sensor.0,
            generation,
            pid: self.group.as_raw_nonzero().get(),
            ended: self.ended,
            drained: self.drained,
            stdin: bundle.add_open(&open.stdin),
            stdout: bundle.add_open(&open.stdout),
            stderr: bundle.add_open(&open.stderr),
            executed_fd: bundle.add_open(&open.executed),
            ready_fd: bundle.add_open(&open.ready),
            pidfd: bundle.add_open(&open.pidfd),
            untaken: Bytes(shared.stdin.rest()),
            is_closing: shared.stdin.is_closing(),
            log: shared.log.borrow().hand_over(),
            told: Bytes(shared.told_text.borrow().clone()),
            executed: shared.executed.get(),
            failure: shared.failure.borrow().clone(),
            isolation: shared.isolation.borrow().clone(),
            marker: self.tree.marker.clone(),
            is_pidns: self.tree.is_pidns,
            cgroup: self.tree.cgroup.as_ref().map(|one| one.folder.clone()),
            joined_late: self.tree.joined_late,
            oom_kills: self.tree.oom_kills,
        }
    }

    /// Takes charge of a child that was handed over.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn resume(
        handed: HandedChild,
        received: &mut Received,
        reports: &Reports,
    ) -> io::Result<Self> {
        let mut end = |place: Option<usize>| place.and_then(|place| received.take(place));
        let ends = Ends {
            stdin: end(handed.stdin),
            stdout: end(handed.stdout),
            stderr: end(handed.stderr),
            executed: end(handed.executed_fd),
            ready: end(handed.ready_fd),
            pidfd: end(handed.pidfd),
            process: None,
            joining: None,
        };
        let log = LogReader::resume(handed.log, &reports.log, clock::now());
        let shared = Shared {
            reaped: Cell::new(handed.ended),
            is_gone: Cell::new(handed.ended),
            stdin: Stdin::resume(handed.untaken.0, handed.is_closing, ends.stdin.is_none()),
            executed: Cell::new(handed.executed),
            told_text: RefCell::new(handed.told.0),
            failure: RefCell::new(handed.failure),
            ..Shared::new(handed.isolation, log)
        };
        // What is over is not waited for.
        let over = [
            (&ends.stdout, &shared.output_ended),
            (&ends.stderr, &shared.log_ended),
            (&ends.executed, &shared.told),
        ];
        over.iter()
            .filter(|(end, _)| end.is_none())
            .for_each(|(_, over)| over.notify_one());
        let group = Pid::from_raw(handed.pid).ok_or(io::ErrorKind::InvalidData)?;
        let tree = Tree {
            group,
            marker: handed.marker,
            is_pidns: handed.is_pidns,
            cgroup: handed.cgroup.map(Cgroup::at),
            joined_late: handed.joined_late,
            oom_kills: handed.oom_kills,
        };
        let handle = Self::watching(ends, Rc::new(shared), tree, reports)?;
        Ok(Self {
            ended: handed.ended,
            drained: handed.drained,
            ..handle
        })
    }

    /// Writes a line to it, after those before; lost if it does not read any more.
    pub fn tell(&self, line: String) {
        self.shared.stdin.push(line.into_bytes());
    }

    /// Closes its input, after the lines before.
    pub fn close_input(&self) {
        self.shared.stdin.close();
    }

    /// More pieces may be read.
    pub fn credit(&self, pieces: usize) {
        let shared = &self.shared;
        shared.credit.add_permits(pieces);
        let left = shared.unsettled.get().saturating_sub(pieces);
        shared.unsettled.set(left);
    }

    /// Its resident memory, bytes; zero where it is gone.
    pub fn resident(&self) -> u64 {
        procfs::resident(self.group)
    }

    /// A stopped process hears a signal only when it goes on.
    fn to_leader(&self, signal: Sig) {
        let _ = kill_process(self.group, signal);
        let _ = kill_process(self.group, Sig::CONT);
    }

    /// Signals it or its group, unless the leader is reaped: then the number may be another's.
    pub fn signal(&self, signal: Signal) {
        if self.shared.reaped.get() {
            return;
        }
        // A failure means that nobody is left to hear it; the end is reported by its watcher.
        match signal {
            Signal::Stop(signal) => self.to_leader(number(signal)),
            Signal::Abort => self.to_leader(Sig::ABORT),
            Signal::Trace => {
                let _ = kill_process(self.group, Sig::USR1);
            }
            Signal::StopGroup(signal) => {
                let _ = kill_process_group(self.group, number(signal));
                let _ = kill_process_group(self.group, Sig::CONT);
            }
            Signal::Kill => self.tree.kill(),
        }
    }
}

async fn read_output(stdout: Rc<pipe::Receiver>, shared: Rc<Shared>, reports: Reports) {
    let (sensor, generation) = (reports.sensor, reports.generation);
    loop {
        shared.stdin.until_taken(UNTAKEN_BYTES).await;
        let Ok(credit) = shared.credit.acquire().await else {
            break;
        };
        credit.forget();
        let Some(bytes) = read(&stdout, PIECE_BYTES, &shared, &reports).await else {
            break;
        };
        shared.unsettled.set(shared.unsettled.get() + 1);
        let piece = Piece::Output {
            sensor,
            generation,
            bytes,
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
/// for longer than the drain timeout. Room is made when there is something to read: a thousand
/// silent sensors have none.
async fn read(
    pipe: &pipe::Receiver,
    most: usize,
    shared: &Shared,
    reports: &Reports,
) -> Option<Vec<u8>> {
    let late = shared.late(reports.drain_timeout);
    tokio::pin!(late);
    loop {
        tokio::select! {
            biased;
            ready = pipe.readable() => ready.ok()?,
            () = &mut late => return None,
        }
        shared.pass(&reports.gate).await;
        let mut bytes = Vec::with_capacity(most);
        match pipe.try_read_buf(&mut bytes) {
            Ok(0) => return None,
            Ok(_) => {
                bytes.shrink_to_fit();
                return Some(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// Reads what the wrapper tells: what could not be had, and why there is no program. The end alone
/// means that it became the program.
async fn watch_exec(executed: Rc<pipe::Receiver>, shared: Rc<Shared>, reports: Reports) {
    let read = read_told(&executed, &shared.told_text).await;
    let text = String::from_utf8_lossy(&shared.told_text.take()).into_owned();
    let mut failed = read.is_err();
    let mut isolation = shared.isolation.take();
    for line in text.lines() {
        match serde_json::from_str::<Degraded>(line) {
            Ok(one) => isolation.degraded.push(isolation::Degraded {
                feature: one.degraded.word().to_owned(),
                why: one.why,
            }),
            Err(_) => {
                failed = true;
                let failure = serde_json::from_str::<Failure>(line).ok();
                shared
                    .failure
                    .replace(failure.map(|failure| failure.to_string()));
            }
        }
    }
    shared.executed.set(!failed);
    let (sensor, generation) = (reports.sensor, reports.generation);
    let isolation = Box::new(isolation);
    let told = Input::Isolated {
        sensor,
        generation,
        isolation,
    };
    let _ = reports.inputs.send(told).await;
    if !failed {
        let input = Input::Executed { sensor, generation };
        let _ = reports.inputs.send(input).await;
    }
    shared.told.notify_one();
}

/// A newline says that it is ready. What comes after that is read as well, for a program that writes
/// to a pipe without a reader is killed.
async fn watch_ready(ready: Rc<pipe::Receiver>, reports: Reports) {
    let (sensor, generation) = (reports.sensor, reports.generation);
    let mut buffer = [0; 64];
    while ready.readable().await.is_ok() {
        match ready.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if buffer[..count].contains(&b'\n') => {
                let input = Input::Notified { sensor, generation };
                let _ = reports.inputs.send(input).await;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}

/// Reads to the end, or as much as is borne.
async fn read_told(pipe: &pipe::Receiver, text: &RefCell<Vec<u8>>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while text.borrow().len() < TOLD_BYTES {
        pipe.readable().await?;
        match pipe.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => text.borrow_mut().extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn watch_end(
    (pidfd, process, joining): (
        Rc<AsyncFd<OwnedFd>>,
        Option<Process>,
        Option<oneshot::Receiver<bool>>,
    ),
    mut tree: Tree,
    shared: Rc<Shared>,
    reports: Reports,
) {
    if let Err(error) = pidfd.readable().await {
        tracing::error!("a child's end cannot be watched: {error}");
    }
    // Still unreaped, it can be handed over; from here on its end is told first.
    reports.gate.pass().await;
    shared.is_ending.set(true);
    if let Some(joining) = joining {
        tree.joined_late = !joining.await.unwrap_or(false);
    }
    let (exit, peak, hint) = end_tree((&pidfd, process), &tree, &shared, &reports).await;
    shared.is_gone.set(true);
    shared.gone.notify_waiters();
    shared.stdin.forget();
    let (output, log, told) = (&shared.output_ended, &shared.log_ended, &shared.told);
    let last = async { tokio::join!(output.notified(), log.notified(), told.notified()) };
    // A grandchild that left the group may hold the pipes: the end is not held up by it.
    let _ = timeout(LAST_OUTPUT, last).await;
    let by_wrapper = exit.code.and_then(sensor_wrapper::codes::explain);
    let failure = shared.failure.take();
    let ended = Input::Ended {
        sensor: reports.sensor,
        generation: reports.generation,
        end: Box::new(End {
            exit,
            // A program that ran may end with the same code as the wrapper.
            never_began: by_wrapper.is_some() && !shared.executed.get(),
            hint: hint.or(failure).or(by_wrapper.map(str::to_owned)),
            // Intake knows it.
            said: Vec::new(),
            peak,
            luck: luck(),
        }),
    };
    let _ = reports.pieces.send(Piece::After(ended)).await;
    shared.is_ending.set(false);
}

/// Kills what is left of the tree while its leader is a zombie, reaps it, and waits until nobody
/// is left. The text says what the kernel had against it.
async fn end_tree(
    (pidfd, process): (&AsyncFd<OwnedFd>, Option<Process>),
    tree: &Tree,
    shared: &Shared,
    reports: &Reports,
) -> (Exit, Option<Peak>, Option<String>) {
    let id = WaitId::PidFd(rustix::fd::AsFd::as_fd(pidfd.get_ref()));
    let status = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    tree.kill();
    let peak = match process {
        Some(process) => process.reap(),
        None => {
            let id = WaitId::PidFd(rustix::fd::AsFd::as_fd(pidfd.get_ref()));
            let _ = waitid(id, WaitIdOptions::EXITED);
            None
        }
    };
    shared.reaped.set(true);
    let hint = match tree.oom_kills() {
        0 => None,
        count => Some(format!(
            "limits.memory_max: the kernel ended {count} of its processes"
        )),
    };
    let tell = async |text| {
        let survived = Input::Survived {
            sensor: reports.sensor,
            generation: reports.generation,
            text,
        };
        let _ = reports.inputs.send(survived).await;
    };
    tree.until_gone(tell).await;
    let exit = match tree.is_pidns {
        true => through_init(exit(status)),
        false => exit(status),
    };
    (exit, peak, hint)
}

fn number(signal: StopSignal) -> Sig {
    match signal {
        StopSignal::Term => Sig::TERM,
        StopSignal::Int => Sig::INT,
        StopSignal::Hup => Sig::HUP,
        StopSignal::Quit => Sig::QUIT,
        StopSignal::Usr1 => Sig::USR1,
        StopSignal::Usr2 => Sig::USR2,
    }
}

/// The init of a process namespace ends by itself, and tells of a signal as shells do.
fn through_init(exit: Exit) -> Exit {
    match exit.code {
        Some(code @ 129..=192) => Exit {
            code: None,
            signal: Some(code - 128),
        },
        _ => exit,
    }
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
    let hash = blake3::hash(&clock::now().wall.0.to_le_bytes());
    let bytes = hash.as_bytes();
    let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    f64::from(number) / f64::from(u32::MAX)
}
