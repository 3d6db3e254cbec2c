//! The loop: what happens becomes an input, the core says what follows, the world does it.
//!
//! One thread. It sleeps until something happens or the core's one deadline comes; it never polls.

mod load;

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::catalog::Catalog;
use crate::config::Settings;
use crate::core::input::{Ask, Input};
use crate::core::intake::Intake;
use crate::core::notice::{Level, Notice};
use crate::core::step::Boot;
use crate::core::{Core, Effect};
use crate::rules::cipher::Cipher;
use crate::rules::{Host, RuleSet};
use crate::world::alarm::Alarm;
use crate::world::api::{self, Asked, Question};
use crate::world::environments::Environments;
use crate::world::journal::{self, writer};
use crate::world::lock::Lock;
use crate::world::paths::{self, Paths};
use crate::world::runners::Place;
use crate::world::spawn::Wrapper;
use crate::world::{World, clock, intake, procfs, python, recovery, secrets, stream};

pub use load::{load, load_with};

/// Inputs of children that wait for the core.
const MOST_INPUTS: usize = 256;

/// Inputs that are taken before the loop looks at signals again.
const AT_A_TIME: usize = 64;

/// Loads everything and runs until it is told to stop.
///
/// # Errors
/// When it cannot start, or the journal fails.
pub fn run(paths: &Paths) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, supervise(paths))
}

/// Everything that the loop owns.
struct Daemon {
    core: Core,
    world: World,
    inputs: Receiver<Input>,
    at_once: UnboundedReceiver<Input>,
    journal: UnboundedReceiver<Input>,
    questions: Receiver<Asked>,
    ask: Sender<Asked>,
    reader: load::Reader,
    interrupt: Signal,
    terminate: Signal,
    alarm: Alarm,
    asked: u64,
    stops: u32,
}

async fn supervise(paths: &Paths) -> anyhow::Result<()> {
    paths::private_dir(&paths.data)?;
    let lock = Lock::take(&paths.data)?;
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    let (settings, built) = load(paths)?;
    let place = place(paths, &settings)?;
    let catalog = Arc::new(built.catalog);
    let host = Host {
        zone: clock::zone(),
        cipher: cipher(paths, &settings),
    };
    let (rules, refused) = RuleSet::compile(Arc::clone(&catalog), &host);
    load::report(built.diagnostics.iter().chain(&refused));
    let reader = load::Reader {
        paths: paths.clone(),
        host: host.clone(),
        known: Arc::new(load::errors(built.diagnostics.iter().chain(&refused))),
    };
    let rules = Arc::new(rules);
    let found = recover(paths, &catalog, &rules)?;

    let (inputs_to, inputs) = mpsc::channel(MOST_INPUTS);
    let (at_once_to, at_once) = mpsc::unbounded_channel();
    let (journal_to, journal_in) = mpsc::unbounded_channel();
    let (questions_to, questions) = mpsc::channel(MOST_INPUTS);
    let tell = move |input| journal_to.send(input).is_ok();
    let journal = writer::start(found.db, found.boot_id, tell)?;
    let validation = settings.payload_validation;
    let judge = Intake::new(Arc::clone(&catalog), Arc::clone(&rules), validation);
    let intake = intake::start(judge, inputs_to.clone())?;
    let (packs, shown) = watch::channel(Arc::clone(&catalog));
    let shared = api::Shared {
        packs: shown,
        data: paths.data.clone(),
        questions: questions_to.clone(),
    };
    api::serve(&place.socket, shared)?;
    let core = Core::new(Boot {
        cipher: host.cipher,
        decrypt: settings.datastore.decrypt.clone(),
        catalog,
        rules,
        parallel: parallel(&settings),
        validate_output: settings.actions.validate_output_schema,
        ..found.boot
    });
    let world = World {
        catalog: packs,
        wrapper: Wrapper::find()?,
        place,
        inputs: inputs_to,
        at_once: at_once_to,
        intake,
        orders: journal.orders,
        asked: HashMap::new(),
        sensors: HashMap::new(),
        actions: HashMap::new(),
    };
    let daemon = Daemon {
        core,
        world,
        inputs,
        at_once,
        journal: journal_in,
        questions,
        ask: questions_to,
        reader,
        interrupt,
        terminate,
        alarm: Alarm::new()?,
        asked: 0,
        stops: 0,
    };
    let ended = daemon.live().await;
    let written = journal.thread.join();
    drop(lock);
    ended?;
    written
        .map_err(|_| anyhow::anyhow!("the journal's thread panicked"))?
        .context("the journal failed")
}

/// The interpreter, the unpacked SDK and the folders that runners need.
fn place(paths: &Paths, settings: &Settings) -> anyhow::Result<Place> {
    let python = python::interpreter(settings.python.as_deref());
    Ok(Place {
        environments: Environments::new(&paths.data, &python),
        petrel: std::env::current_exe().context("our own program has no name")?,
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

fn recover(paths: &Paths, catalog: &Catalog, rules: &RuleSet) -> anyhow::Result<Recovery> {
    recovery::await_leftovers(&paths.data);
    let db = journal::open(&paths.data)?;
    let found = journal::start::read(&db, clock::now().wall)?;
    journal::start::keep_rule_set(&db, rules.hash(), &rules.text())?;
    let boot_id = procfs::boot_id();
    let look_up = |was| recovery::look_up(&paths.data, &boot_id, catalog, was);
    let recovered: Vec<_> = found.running.into_iter().map(look_up).collect();
    recovery::sweep(&paths.data, &recovered);
    let boot = Boot {
        memories: found.memories,
        kv: found.kv,
        timers: found.timers,
        last_event: found.last_event,
        last_execution: found.last_execution,
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
        0 => 2 * std::thread::available_parallelism().map_or(1, usize::from),
        given => given as usize,
    }
}

/// What woke the loop.
enum Woken {
    Input(Input),
    Asked(Asked),
    Signal,
    JournalEnded,
}

impl Daemon {
    /// Works until it is told to stop; what it held is let go of, so that the threads end once all
    /// that waits is done.
    async fn live(mut self) -> anyhow::Result<()> {
        let ended = self.work().await;
        // Left behind, it would only be in the way of the next one, which removes it too.
        let _ = std::fs::remove_file(&self.world.place.socket);
        ended
    }

    async fn work(&mut self) -> anyhow::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        let data = self.world.place.data.display().to_string();
        let text = format!("petrel {version} looks after the packs; data in {data}");
        stream::show(&Notice::new(Level::Info, "petrel.start", "", text));
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
                Woken::Signal => waiting.push_back(self.stop()),
                Woken::JournalEnded => {
                    self.world.kill_all();
                    anyhow::bail!("the journal ended; what it had acknowledged is on disk");
                }
            }
            self.gather(&mut waiting);
        }
    }

    /// Takes all inputs, and those that follow at once from their effects; true at the end.
    fn take(&mut self, waiting: &mut VecDeque<Input>) -> bool {
        let mut over = false;
        while let Some(input) = waiting.pop_front() {
            self.world.note(&input);
            for effect in self.core.step(input, clock::now()) {
                over |= matches!(effect, Effect::Exit);
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
        tokio::select! {
            _ = self.interrupt.recv() => Woken::Signal,
            _ = self.terminate.recv() => Woken::Signal,
            input = self.journal.recv() => input.map_or(Woken::JournalEnded, Woken::Input),
            Some(input) = self.inputs.recv() => Woken::Input(input),
            Some(asked) = self.questions.recv() => Woken::Asked(asked),
            () = timer => Woken::Input(Input::Timer),
            () = alarm => Woken::Input(Input::Timer),
        }
    }

    fn stop(&mut self) -> Input {
        self.stops += 1;
        let (text, input) = match self.stops {
            1 => ("stopping; once more stops everything at once", Input::Stop),
            _ => ("stopping at once", Input::StopNow),
        };
        stream::show(&Notice::new(Level::Info, "petrel.stop", "", text));
        input
    }

    fn question(
        &mut self,
        question: Question,
        answer: tokio::sync::oneshot::Sender<Result<Value, String>>,
    ) -> Option<Input> {
        match question {
            Question::Core(question) => {
                self.asked += 1;
                let ask = self.asked;
                self.world.asked.insert(ask, answer);
                Some(Input::Ask { ask, question })
            }
            Question::Reload => {
                let (reader, ask) = (self.reader.clone(), self.ask.clone());
                tokio::task::spawn_local(async move {
                    let read = tokio::task::spawn_blocking(move || reader.again()).await;
                    let read = read.unwrap_or_else(|error| Err(error.to_string()));
                    // Who asked, or the loop, may have gone away.
                    let _ = match read {
                        Ok((catalog, rules)) => {
                            let question = Ask::Reload(Box::new(catalog), Arc::new(rules));
                            ask.send((Question::Core(question), answer)).await.is_ok()
                        }
                        Err(why) => answer.send(Err(why)).is_ok(),
                    };
                });
                None
            }
            Question::Sensors(reference) => {
                // Who asked may have gone away.
                let _ = answer.send(self.sensors(reference));
                None
            }
        }
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
