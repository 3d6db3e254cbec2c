//! The loop: what happens becomes an input, the core says what follows, the world does it.
//!
//! One thread. It sleeps until something happens or the core's one deadline comes; it never polls.

mod load;
mod upgrade;

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver, UnboundedReceiver, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;

use crate::catalog::Catalog;
use crate::config::Settings;
use crate::core::handover::HandedIntake;
use crate::core::input::{Ask, Input};
use crate::core::intake::Intake;
use crate::core::notice::{Level, Notice};
use crate::core::step::Boot;
use crate::core::{Core, Effect};
use crate::rules::cipher::Cipher;
use crate::rules::{Host, RuleSet};
use crate::world::alarm::Alarm;
use crate::world::api::{self, Asked, Question, Server};
use crate::world::cgroup::Cgroups;
use crate::world::confine::Confiner;
use crate::world::environments::Environments;
use crate::world::handover::{Handover, Upgrade};
use crate::world::journal::start::WasRunning;
use crate::world::journal::{self, writer};
use crate::world::lock::Lock;
use crate::world::logs::Logs;
use crate::world::paths::{self, Paths};
use crate::world::runners::Place;
use crate::world::spawn::Wrapper;
use crate::world::users::Users;
use crate::world::watcher::Watcher;
use crate::world::{
    World, clock, descriptors, gate, intake, procfs, python, recovery, secrets, signals, spawn,
    stream, warm,
};

pub use load::{load, load_with};
use upgrade::Known;
pub use upgrade::check as upgrade_check;

/// Inputs of children that wait for the core.
const MOST_INPUTS: usize = 256;

/// Inputs that are taken before the loop looks at signals again.
const AT_A_TIME: usize = 64;

/// What another program handed over to us in this process; taken out at the moment from which on we
/// are the supervisor.
pub type Turn = Rc<RefCell<Option<Handover>>>;

/// The journal could not write, and not for want of room: what is on disk is known only to who reads
/// it anew.
#[derive(Debug, thiserror::Error)]
#[error("the journal failed: {0}; what was acknowledged is on disk")]
pub struct JournalFailed(String);

/// Says in the stream that after this error all begins anew.
pub fn tell_of_anew(failed: &anyhow::Error) {
    let text = format!("{failed:#}; petrel begins anew from there");
    stream::show(&Notice::new(Level::Error, "petrel.start", "", text));
}

/// How long children that were killed may take to be gone.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// Loads everything and runs until it is told to stop; true where a sensor's policy stopped it.
///
/// # Errors
/// When it cannot start, or the journal fails.
pub fn run(paths: &Paths, turn: &Turn) -> anyhow::Result<bool> {
    // Until all of our threads are there: those never take a signal that stops us.
    signals::defer();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_start(signals::defer)
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, supervise(paths, turn))
}

/// Everything that the loop owns.
struct Daemon {
    core: Core,
    world: World,
    inputs: Receiver<Input>,
    at_once: UnboundedReceiver<Input>,
    journal: UnboundedReceiver<Input>,
    questions: Receiver<Asked>,
    reader: load::Reader,
    interrupt: Signal,
    terminate: Signal,
    alarm: Alarm,
    /// The packs are being read again.
    reading: bool,
    /// And are to be read once more, for files changed meanwhile.
    read_once_more: bool,
    /// Who asked meanwhile.
    readings: VecDeque<Answer>,
    read: UnboundedSender<Reading>,
    was_read: UnboundedReceiver<Reading>,
    watcher: Watcher,
    lock: Lock,
    server: Server,
    /// The interpreter as it was configured at the start.
    python: Option<PathBuf>,
    /// The last upgrade, or the one that is under way.
    upgrade: Upgrade,
    going: upgrade::Going,
    turned: UnboundedSender<upgrade::Turned>,
    was_turned: UnboundedReceiver<upgrade::Turned>,
    asked: u64,
    stops: u32,
    escalated: bool,
}

/// Where an answer goes.
type Answer = oneshot::Sender<Result<Value, String>>;

/// What was read of the packs, and who wants to know.
type Reading = (Result<load::Again, String>, Option<Answer>);

async fn supervise(paths: &Paths, turn: &Turn) -> anyhow::Result<bool> {
    paths::private_dir(&paths.data)?;
    let handed = turn.borrow().as_ref().map(Known::of).transpose()?;
    let lock = match &handed {
        None => Some(Lock::take(&paths.data)?),
        Some(_) => None,
    };
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    if let Err(error) = descriptors::raise() {
        let text = format!("the limit of open files cannot be raised: {error}");
        stream::show(&Notice::new(Level::Warning, "petrel.start", "", text));
    }
    let (settings, built) = load(paths)?;
    let python = settings.python.clone();
    let known = handed
        .as_ref()
        .and_then(|one| one.python(python.as_deref()));
    let place = place(
        paths,
        known.unwrap_or_else(|| python::interpreter(python.as_deref())),
    )?;
    let catalog = Arc::new(built.catalog);
    let host = Host {
        zone: clock::zone(),
        cipher: cipher(paths, &settings),
    };
    let (rules, refused) = RuleSet::compile(Arc::clone(&catalog), &host);
    if handed.is_none() {
        load::report(built.diagnostics.iter().chain(&refused));
    }
    let reader = load::Reader {
        paths: paths.clone(),
        host: host.clone(),
        settings: settings.clone(),
        told: load::errors(built.diagnostics.iter().chain(&refused)),
        known: load::errors(built.diagnostics.iter().chain(&refused)),
    };
    let rules = Arc::new(rules);
    let found = recover(paths, &catalog, &rules, handed.as_ref())?;
    let (core_of, intake_of) = match handed {
        Some(handed) => (Some(handed.core), handed.intake),
        None => (None, HandedIntake::default()),
    };
    let running = found.boot.recovered.clone();

    let (inputs_to, inputs) = mpsc::channel(MOST_INPUTS);
    let (at_once_to, at_once) = mpsc::unbounded_channel();
    let (journal_to, journal_in) = mpsc::unbounded_channel();
    let (questions_to, questions) = mpsc::channel(MOST_INPUTS);
    let tell = move |input| journal_to.send(input).is_ok();
    let journal = writer::start(found.db, found.boot_id, tell)?;
    let validation = settings.payload_validation;
    let mut judge = Intake::new(Arc::clone(&catalog), Arc::clone(&rules), validation);
    let core = Core::new(Boot {
        cipher: host.cipher,
        decrypt: settings.datastore.decrypt.clone(),
        catalog: Arc::clone(&catalog),
        rules: Arc::clone(&rules),
        start_slots: start_slots(&settings),
        shutdown_timeout: settings.supervisor.shutdown_timeout,
        parallel: parallel(&settings),
        validation,
        validate_output: settings.actions.validate_output_schema,
        retention: settings.journal.retention,
        handed: core_of,
        ..found.boot
    });
    judge.adopt(Arc::clone(&catalog), rules, core.specs());
    judge.resume(intake_of).map_err(anyhow::Error::msg)?;
    let intake = intake::start(judge, inputs_to.clone())?;
    let (packs, shown) = watch::channel(Arc::clone(&catalog));
    let logs = Logs::start(&paths.data, &settings.logs).context("no thread for the logs")?;
    let shared = api::Shared {
        logs: logs.tap(),
        packs: shown,
        data: paths.data.clone(),
        questions: questions_to.clone(),
        key: Arc::new(match lock {
            Some(_) => api::Key::make(&paths.data)?,
            None => api::Key::keep(&paths.data)?,
        }),
    };
    let world = World {
        catalog: packs,
        wrapper: Wrapper::find()?,
        confiner: Confiner {
            cgroups: Cgroups::find(&paths.data),
            users: Users::read(&paths.data),
        },
        place,
        inputs: inputs_to,
        at_once: at_once_to,
        intake,
        orders: journal.orders,
        logs,
        asked: HashMap::new(),
        sensors: HashMap::new(),
        told_of_pipes: false,
        actions: HashMap::new(),
        warm: warm::Hosts::default(),
        gate: gate::Gate::default(),
    };
    let (turned, was_turned) = mpsc::unbounded_channel();
    let (read, was_read) = mpsc::unbounded_channel();
    let watcher = watcher(paths, &settings);
    let alarm = Alarm::new()?;
    // Where something was handed over, it is ours from here on.
    let (lock, server, taken) = match lock {
        Some(lock) => (lock, Server::bind(&world.place.socket, shared)?, None),
        None => {
            let (package, mut received) = upgrade::take(turn)?;
            let (lock, listener) = upgrade::ours(&package, &mut received)?;
            let server = Server::resume(listener, shared)?;
            (lock, server, Some((package, received)))
        }
    };
    let mut daemon = Daemon {
        core,
        world,
        inputs,
        at_once,
        journal: journal_in,
        questions,
        reader,
        interrupt,
        terminate,
        alarm,
        reading: false,
        read_once_more: false,
        readings: VecDeque::new(),
        read,
        was_read,
        watcher,
        lock,
        server,
        python,
        upgrade: Upgrade::default(),
        going: upgrade::Going::default(),
        turned,
        was_turned,
        asked: 0,
        stops: 0,
        escalated: false,
    };
    if let Some((package, received)) = taken {
        daemon.take_over(package, received, &running);
    }
    signals::admit();
    let cgroups = daemon.world.confiner.cgroups.clone();
    let ended = daemon.live().await;
    cgroups.iter().for_each(Cgroups::remove);
    let written = journal.thread.join();
    let written = written.map_err(|_| anyhow::anyhow!("the journal's thread panicked"))?;
    written.map_err(|error| JournalFailed(format!("{error:#}")))?;
    ended
}

/// Watches the files of the packs; where they cannot be watched, that is told.
fn watcher(paths: &Paths, settings: &Settings) -> Watcher {
    let folders = paths.packs.iter().chain([&paths.configs]).cloned();
    let folders: Vec<_> = folders.collect();
    match settings.supervisor.watch {
        true => Watcher::start(&folders, paths.config.as_deref()).unwrap_or_else(|error| {
            let text =
                format!("changes of files are not seen: {error}; `petrel reload` takes them");
            stream::show(&Notice::new(Level::Warning, "reload", "", text));
            Watcher::blind()
        }),
        false => Watcher::blind(),
    }
}

/// The interpreter, the unpacked SDK and the folders that runners need.
fn place(paths: &Paths, python: PathBuf) -> anyhow::Result<Place> {
    Ok(Place {
        environments: Environments::new(&paths.data, &python),
        petrel: spawn::own_program().context("our own program has no name")?,
        python,
        sdk: sensor_wrapper::sdk::unpack(&paths.data).context("failed to unpack the SDK")?,
        socket: paths::socket_path(&paths.data)?,
        memory: paths::memory_dir(&paths.data)?,
        data: paths.data.clone(),
        packs: paths.packs.clone(),
    })
}

/// The journal, and what it and the folders of executions tell of the last supervisor.
struct Recovery {
    db: rusqlite::Connection,
    boot_id: String,
    boot: Boot,
}

fn recover(
    paths: &Paths,
    catalog: &Catalog,
    rules: &RuleSet,
    handed: Option<&Known>,
) -> anyhow::Result<Recovery> {
    if handed.is_none() {
        recovery::await_leftovers(&paths.data);
    }
    let db = journal::open(&paths.data)?;
    if handed.is_none() {
        journal::settle(&db)?;
    }
    let found = journal::start::read(&db, clock::now().wall)?;
    journal::start::keep_rule_set(&db, rules.hash(), &rules.text())?;
    let boot_id = procfs::boot_id();
    let look_up = |was: WasRunning| match handed.and_then(|known| known.running(&was)) {
        Some(runs) => runs,
        None => recovery::look_up(&paths.data, &boot_id, catalog, was),
    };
    let recovered: Vec<_> = found.running.into_iter().map(look_up).collect();
    recovery::sweep(&paths.data, &recovered);
    let boot = Boot {
        memories: found.memories,
        kv: found.kv,
        timers: found.timers,
        counts: found.counts,
        now: clock::now().wall,
        last_event: found.last_event,
        last_execution: found.last_execution,
        owed: found.owed,
        recovered,
        ..Boot::default()
    };
    Ok(Recovery { db, boot_id, boot })
}

/// The datastore's key. Without it all works but what is encrypted, and that says why.
fn cipher(paths: &Paths, settings: &Settings) -> Option<Arc<Cipher>> {
    let configured = settings.datastore.encryption_key.as_deref();
    match secrets::cipher(configured, &paths.data) {
        Ok(cipher) => Some(Arc::new(cipher)),
        Err(error) => {
            let text = format!("nothing can be encrypted or decrypted: {error:#}");
            stream::show(&Notice::new(Level::Error, "datastore.key", "", text));
            None
        }
    }
}

/// Slots for actions: as configured, else twice the cores.
fn parallel(settings: &Settings) -> usize {
    match settings.actions.parallel {
        0 => 2 * cores(),
        given => given as usize,
    }
}

/// Sensors that start at a time: as configured, else twice the cores.
fn start_slots(settings: &Settings) -> usize {
    match settings.supervisor.start_concurrency {
        0 => 2 * cores(),
        given => given as usize,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What woke the loop.
enum Woken {
    Input(Input),
    Asked(Asked),
    Read(Box<Reading>),
    FilesChanged,
    Turned(upgrade::Turned),
    /// An upgrade looks whether all is at rest.
    Tick,
    Signal,
    JournalEnded,
}

impl Daemon {
    /// Works until it is told to stop; what it held is let go of, so that the threads end once all
    /// that waits is done.
    async fn live(mut self) -> anyhow::Result<bool> {
        let ended = self.work().await;
        // Left behind, it would only be in the way of the next one, which removes it too.
        let _ = std::fs::remove_file(&self.world.place.socket);
        // No secret lies in memory longer than somebody is there to read it.
        let _ = std::fs::remove_dir_all(&self.world.place.memory);
        self.world.logs.finish();
        ended.map(|()| self.escalated)
    }

    async fn work(&mut self) -> anyhow::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        let data = self.world.place.data.display().to_string();
        if self.upgrade.number == 0 {
            let text = format!("petrel {version} looks after the packs; data in {data}");
            stream::show(&Notice::new(Level::Info, "petrel.start", "", text));
        }
        let mut waiting = VecDeque::from([Input::Begin]);
        loop {
            if self.take(&mut waiting) {
                stream::show(&Notice::new(
                    Level::Info,
                    "petrel.stop",
                    "",
                    "all is at rest",
                ));
                return Ok(());
            }
            match self.wait().await {
                Woken::Input(input) => waiting.push_back(input),
                Woken::Asked((question, answer)) => {
                    waiting.extend(self.question(question, answer));
                }
                Woken::Read(reading) => waiting.extend(self.taken(*reading)),
                Woken::FilesChanged => self.read_again(None),
                Woken::Turned(turned) => self.turn(turned),
                Woken::Tick => {}
                Woken::Signal => waiting.push_back(self.stop()),
                Woken::JournalEnded => {
                    self.end_all().await;
                    anyhow::bail!("the journal ended");
                }
            }
            self.gather(&mut waiting);
            if self.going.is_under_way() && waiting.is_empty() {
                waiting.extend(self.try_to_go().await);
            }
        }
    }

    /// Ends all children at once, and sees them gone as far as that is quick; nothing of it is
    /// written.
    async fn end_all(&mut self) {
        self.world.kill_all();
        let until = tokio::time::Instant::now() + LAST_PATIENCE;
        while !self.world.has_no_children() {
            let next = tokio::time::timeout_at(until, self.inputs.recv());
            match next.await {
                Ok(Some(input)) => self.world.note(&input),
                _ => return,
            }
        }
    }

    /// Takes all inputs, and those that follow at once from their effects; true at the end.
    fn take(&mut self, waiting: &mut VecDeque<Input>) -> bool {
        let mut over = false;
        while let Some(input) = waiting.pop_front() {
            self.world.note(&input);
            for effect in self.core.step(input, clock::now()) {
                if let Effect::Exit { escalated } = effect {
                    over = true;
                    self.escalated = escalated;
                }
                self.world.perform(effect);
            }
            while let Ok(input) = self.at_once.try_recv() {
                waiting.push_back(input);
            }
        }
        over
    }

    fn gather(&mut self, waiting: &mut VecDeque<Input>) {
        while waiting.len() < AT_A_TIME
            && let Ok(input) = self.journal.try_recv().or_else(|_| self.inputs.try_recv())
        {
            waiting.push_back(input);
        }
    }

    async fn wait(&mut self) -> Woken {
        let deadline = self.core.deadline();
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(clock::instant(at)).await,
                None => std::future::pending().await,
            }
        };
        let alarm = self.alarm.ring(self.core.alarm());
        let going = self.going.is_under_way();
        let tick = async {
            match going {
                true => tokio::time::sleep(upgrade::LOOK_EVERY).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Woken::Signal,
            _ = self.terminate.recv() => Woken::Signal,
            input = self.journal.recv() => input.map_or(Woken::JournalEnded, Woken::Input),
            Some(input) = self.inputs.recv() => Woken::Input(input),
            Some(asked) = self.questions.recv() => Woken::Asked(asked),
            Some(reading) = self.was_read.recv() => Woken::Read(Box::new(reading)),
            Some(turned) = self.was_turned.recv() => Woken::Turned(turned),
            () = self.watcher.changed(), if !going => Woken::FilesChanged,
            () = tick => Woken::Tick,
            () = timer => Woken::Input(Input::Timer),
            () = alarm => Woken::Input(Input::Timer),
        }
    }

    fn stop(&mut self) -> Input {
        self.stops += 1;
        self.give_up("petrel was asked to stop".to_owned());
        let (text, input) = match self.stops {
            1 => ("stopping; once more stops everything at once", Input::Stop),
            _ => ("stopping at once", Input::StopNow),
        };
        stream::show(&Notice::new(Level::Info, "petrel.stop", "", text));
        input
    }

    fn question(&mut self, question: Question, answer: Answer) -> Option<Input> {
        match question {
            Question::Core(question) => Some(self.asked(question, answer)),
            Question::Reload => {
                self.read_again(Some(answer));
                None
            }
            Question::Upgrade(binary) => {
                self.upgrade_asked(binary, answer);
                None
            }
            Question::Upgraded => {
                // Who asked may have gone away.
                let _ = answer.send(Ok(self.upgrade.view()));
                None
            }
            Question::Stats => {
                let _ = answer.send(Ok(self.core.stats_view()));
                None
            }
            Question::Journal => {
                // Who asked may have gone away.
                let _ = answer.send(Ok(self.core.journal_view()));
                None
            }
            Question::Sensors(reference) => {
                // Who asked may have gone away.
                let _ = answer.send(self.sensors(reference));
                None
            }
        }
    }

    /// Reads the packs off this thread; at most one reading is under way, and whoever asks meanwhile
    /// is answered by the next one.
    fn read_again(&mut self, answer: Option<Answer>) {
        if self.reading {
            return match answer {
                Some(answer) => self.readings.extend([answer]),
                None => self.read_once_more = true,
            };
        }
        self.reading = true;
        let (reader, running) = (
            self.reader.clone(),
            Arc::clone(&self.world.catalog.borrow()),
        );
        let done = self.read.clone();
        tokio::task::spawn_local(async move {
            let read = tokio::task::spawn_blocking(move || reader.again(&running)).await;
            let read = read.unwrap_or_else(|error| Err(error.to_string()));
            // The loop may be at its end.
            let _ = done.send((read, answer));
        });
    }

    /// Takes what was read.
    fn taken(&mut self, (read, answer): Reading) -> Option<Input> {
        self.reading = false;
        let input = match read {
            Ok(again) => {
                load::report(again.faults.iter());
                self.reader = again.reader;
                let news = Box::new(again.news);
                Some(match answer {
                    Some(answer) => self.asked(Ask::Reload(news), answer),
                    None => Input::News(news),
                })
            }
            Err(why) => {
                match answer {
                    // Who asked may have gone away.
                    Some(answer) => drop(answer.send(Err(why))),
                    None => stream::show(&Notice::new(Level::Error, "reload", "", why)),
                }
                None
            }
        };
        if let Some(answer) = self.readings.pop_front() {
            self.read_again(Some(answer));
        } else if std::mem::take(&mut self.read_once_more) {
            self.read_again(None);
        }
        input
    }

    /// A question for the core.
    fn asked(&mut self, question: Ask, answer: Answer) -> Input {
        self.asked += 1;
        let ask = self.asked;
        self.world.asked.insert(ask, answer);
        Input::Ask { ask, question }
    }

    fn sensors(&self, reference: Option<String>) -> Result<Value, String> {
        let now = clock::now();
        let view = |reference: &str| self.core.sensor_view(reference, now.mono, now.wall);
        match reference {
            Some(reference) => {
                view(&reference).ok_or_else(|| format!("Sensor \"{reference}\" is not found."))
            }
            None => Ok(self
                .world
                .catalog
                .borrow()
                .sensors
                .keys()
                .filter_map(|reference| view(reference))
                .collect()),
        }
    }
}
