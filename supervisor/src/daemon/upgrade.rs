//! An upgrade in place, from the question of a person to the exec, and from the exec to work again.
//!
//! First the next program is asked what it makes of this data folder and these packs, and our own
//! packs are read again, so that what runs is what it will read. Then nobody new is answered, the
//! readers of all children are held up, nothing is started, and once all that is under way is on disk
//! and answered, everything is handed over. Whatever fails before that moment leaves us at work.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::load::errors;
use super::{Answer, Daemon, Turn, load};
use crate::catalog::Runner;
use crate::core::Input;
use crate::core::executions::{Found, Recovered};
use crate::core::handover::{Handed, HandedIntake};
use crate::core::notice::{Level, Notice};
use crate::rules::{Host, RuleSet};
use crate::world::handover::{
    Bundle, FORMAT, Handover, OLDEST, Package, Received, Upgrade, become_next,
};
use crate::world::intake::Piece;
use crate::world::journal::start::WasRunning;
use crate::world::lock::Lock;
use crate::world::paths::Paths;
use crate::world::{clock, journal, signals, spawn, stream};

/// How often it is looked whether all is at rest.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The longest that the next program may take to check.
const CHECK: Duration = Duration::from_secs(60);

/// Whoever is being answered gets so long, before reading is held up.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// The longest that reading is held up for what is under way to come to rest.
const REST: Duration = Duration::from_secs(2);

/// What a program says of itself and of what it would take over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// Its version.
    pub petrel: String,
    /// The oldest handover that it reads.
    pub oldest: u32,
    /// The newest handover that it reads, which it also writes.
    pub format: u32,
    /// The journal's version, where there is one, and the one that it writes.
    pub journal: (Option<String>, String),
    /// Errors in the packs and in petrel.yaml.
    pub errors: Vec<String>,
}

/// Loads all that a start would load, and changes nothing.
///
/// # Errors
/// When petrel.yaml or the journal cannot be read.
pub fn check(paths: &Paths) -> anyhow::Result<Checked> {
    let (_, built) = load(paths)?;
    let host = Host {
        zone: clock::zone(),
        cipher: None,
    };
    let (_, refused) = RuleSet::compile(built.catalog.into(), &host);
    let mut errors: Vec<_> = errors(built.diagnostics.iter().chain(&refused))
        .into_iter()
        .collect();
    errors.sort();
    let (has, writes) = journal::check(&paths.data)?;
    Ok(Checked {
        petrel: env!("CARGO_PKG_VERSION").to_owned(),
        oldest: OLDEST,
        format: FORMAT,
        journal: (has, writes.to_owned()),
        errors,
    })
}

/// What a part of the way led to.
#[derive(Debug)]
pub(super) enum Turned {
    /// The next program was asked.
    Checked(Result<Checked, String>, PathBuf, Answer),
    /// Our own packs were read again.
    Reloaded(Result<Value, String>, PathBuf, Answer),
}

/// Where an upgrade stands.
#[derive(Debug, Default)]
pub(super) struct Going {
    /// One was asked for and is not over.
    is_asked: bool,
    /// Since when we are about to go.
    since: Option<Duration>,
    /// Since when reading is held up.
    held: Option<Duration>,
    /// All was at rest once: signals wait for the next one.
    is_still: bool,
}

impl Going {
    pub(super) fn is_under_way(&self) -> bool {
        self.since.is_some()
    }
}

/// What is needed of a handover before it is taken.
pub(super) struct Known {
    pub(super) core: Handed,
    pub(super) intake: HandedIntake,
    python: Option<(Option<PathBuf>, PathBuf)>,
}

impl Known {
    pub(super) fn of(handover: &Handover) -> anyhow::Result<Self> {
        let (package, received) = (&handover.package, &handover.received);
        for place in [package.program, package.lock, package.listener] {
            received.at(place).context("a descriptor is missing")?;
        }
        Ok(Self {
            core: package.core.clone(),
            intake: package.intake.clone(),
            python: package.python.clone(),
        })
    }

    /// The interpreter, where it is configured as before.
    pub(super) fn python(&self, configured: Option<&Path>) -> Option<PathBuf> {
        let (before, found) = self.python.as_ref()?;
        let same = before.as_deref() == configured && found.is_file();
        same.then(|| found.clone())
    }

    /// An execution that runs on.
    pub(super) fn running(&self, was: &WasRunning) -> Option<Recovered> {
        let seq = was.execution.seq;
        let handed = self.core.executions.iter().find(|one| one.seq == seq)?;
        Some(Recovered {
            execution: was.execution.clone(),
            found: Found::Runs(Box::new(handed.clone())),
        })
    }
}

/// From here on there is no way back.
pub(super) fn take(turn: &Turn) -> anyhow::Result<(Package, Received)> {
    let handover = turn.take().context("nothing was handed over")?;
    Ok((handover.package, handover.received))
}

/// The lock and the listening socket.
pub(super) fn ours(package: &Package, received: &mut Received) -> anyhow::Result<(Lock, OwnedFd)> {
    let lock = received
        .take(package.lock)
        .context("no lock was handed over")?;
    let listener = received.take(package.listener);
    Ok((
        Lock::resume(lock),
        listener.context("no socket was handed over")?,
    ))
}

impl Daemon {
    /// A person wants another program in our place.
    pub(super) fn upgrade_asked(&mut self, binary: Option<PathBuf>, answer: Answer) {
        let program = binary.unwrap_or_else(|| self.world.place.petrel.clone());
        let why = match self.core.why_not() {
            _ if self.going.is_asked => Some("another upgrade is under way"),
            why => why,
        };
        if let Some(why) = why {
            // Who asked may have gone away.
            return drop(answer.send(Err(why.to_owned())));
        }
        self.going.is_asked = true;
        let args = self.check_args();
        let turned = self.turned.clone();
        tokio::task::spawn_local(async move {
            let checked = ask(&program, &args).await;
            let _ = turned.send(Turned::Checked(checked, program, answer));
        });
    }

    fn check_args(&self) -> Vec<String> {
        let paths = &self.reader.paths;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut args = vec!["upgrade-check".to_owned()];
        for dir in &paths.packs {
            args.extend(["--packs".to_owned(), text(dir)]);
        }
        let more = [
            ("--configs", Some(&paths.configs)),
            ("--data", Some(&paths.data)),
            ("--config", paths.config.as_ref()),
        ];
        for (name, path) in more {
            args.extend(path.into_iter().flat_map(|p| [name.to_owned(), text(p)]));
        }
        args
    }

    pub(super) fn turn(&mut self, turned: Turned) {
        let (refused, answer) = match turned {
            Turned::Checked(checked, program, answer) => match self.fits(checked) {
                Ok(checked) => return self.read_before(checked, program, answer),
                Err(why) => (why, answer),
            },
            Turned::Reloaded(read, program, answer) => match read.and_then(|read| as_read(&read)) {
                Ok(()) => return self.begin_to_go(program, answer),
                Err(why) => (why, answer),
            },
        };
        self.going = Going::default();
        // Who asked may have gone away.
        let _ = answer.send(Err(refused));
    }

    /// Whether the next program can go on with what we have.
    fn fits(&self, checked: Result<Checked, String>) -> Result<Checked, String> {
        let checked = checked?;
        if !(checked.oldest..=checked.format).contains(&FORMAT) {
            return Err(format!(
                "petrel {} takes over handovers of format {} to {}, and this one hands over format \
                 {FORMAT}: stop this one and start that one instead",
                checked.petrel, checked.oldest, checked.format
            ));
        }
        let known = &self.reader.known;
        let fresh: Vec<_> = checked
            .errors
            .iter()
            .filter(|one| !known.contains(*one))
            .collect();
        if fresh.is_empty() {
            return Ok(checked);
        }
        let fresh: Vec<&str> = fresh.into_iter().map(String::as_str).collect();
        Err(format!(
            "petrel {} finds errors that this one lives without:\n\n{}",
            checked.petrel,
            fresh.join("\n\n")
        ))
    }

    fn read_before(&mut self, checked: Checked, program: PathBuf, answer: Answer) {
        self.upgrade = Upgrade {
            number: self.upgrade.number + 1,
            from: env!("CARGO_PKG_VERSION").to_owned(),
            to: checked.petrel,
            binary: program.clone(),
            ..Upgrade::default()
        };
        let (to, read) = oneshot::channel();
        self.read_again(Some(to));
        let turned = self.turned.clone();
        tokio::task::spawn_local(async move {
            let read = read
                .await
                .unwrap_or_else(|_| Err("petrel is stopping".to_owned()));
            let _ = turned.send(Turned::Reloaded(read, program, answer));
        });
    }

    fn begin_to_go(&mut self, program: PathBuf, answer: Answer) {
        if let Some(why) = self.core.why_not() {
            self.going = Going::default();
            // Who asked may have gone away.
            return drop(answer.send(Err(why.to_owned())));
        }
        let text = format!("becoming {} ({})", self.upgrade.to, program.display());
        stream::show(&Notice::new(Level::Info, "petrel.upgrade", "", text));
        // Who asked may have gone away; that is no reason to stay.
        let _ = answer.send(Ok(self.upgrade.view()));
        self.going.since = Some(clock::now().mono);
        self.server.rest();
    }

    /// Goes, if all is at rest; what is to be taken where it has to be given up.
    pub(super) async fn try_to_go(&mut self) -> Option<Input> {
        let now = clock::now().mono;
        let since = self.going.since?;
        let Some(held) = self.going.held else {
            let late = now.saturating_sub(since) > LAST_ANSWERS;
            if self.server.is_at_rest() || late {
                self.going.held = Some(now);
                self.world.gate.shut();
                self.core.hold(true);
            }
            return None;
        };
        if let Some(moving) = self.what_moves() {
            let late = now.saturating_sub(held) > REST;
            return late.then(|| self.give_up(moving.to_owned()))?;
        }
        if !std::mem::replace(&mut self.going.is_still, true) {
            // Nothing is started from here on. What came before is heard by us, at the next look.
            signals::defer();
            return None;
        }
        let (to, intake) = oneshot::channel();
        if self
            .world
            .intake
            .pieces
            .try_send(Piece::HandOver(to))
            .is_err()
        {
            return None;
        }
        // Its thread has nothing else to do, and room for all that it may still say.
        let intake = intake.await.ok()?;
        if self.what_moves().is_some() {
            return None;
        }
        let why = self.go(held, intake);
        self.give_up(why)
    }

    /// What is not at rest; none where all is.
    fn what_moves(&self) -> Option<&'static str> {
        let world = &self.world;
        let asked = world.asked.values().any(|answer| !answer.is_closed());
        let moving = [
            (self.reading, "the packs are being read"),
            (
                !self.questions.is_empty() || asked,
                "a question is not answered",
            ),
            (!self.core.is_settled(), "the journal has not written all"),
            (!world.is_settled(), "what sensors said is not settled"),
            (
                !self.at_once.is_empty() || !self.journal.is_empty(),
                "inputs wait",
            ),
        ];
        let why = self.core.why_not();
        why.or_else(|| {
            moving
                .iter()
                .find(|(moves, _)| *moves)
                .map(|(_, what)| *what)
        })
    }

    /// Becomes the next program; why not, where it cannot.
    fn go(&mut self, held: Duration, intake: HandedIntake) -> String {
        let mut bundle = Bundle::default();
        let program = match File::open("/proc/self/exe") {
            Ok(program) => bundle.add(Rc::new(program)),
            Err(error) => return format!("our own program cannot be opened: {error}"),
        };
        self.world.warm.retire();
        let (children, actions) = self.world.hand_over(&mut bundle);
        self.upgrade.sensors = children.iter().filter(|one| !one.ended).count();
        self.upgrade.actions = actions.len();
        let package = Package {
            upgrade: self.upgrade.clone(),
            origin: clock::origin(),
            held,
            program,
            args: std::env::args_os().collect(),
            lock: bundle.add(self.lock.hand_over()),
            listener: bundle.add(self.server.hand_over()),
            python: Some((self.python.clone(), self.world.place.python.clone())),
            asked: self.asked,
            core: self.core.hand_over(),
            intake,
            children,
            actions,
        };
        self.world.logs.flush();
        stream::flush();
        become_next(&self.upgrade.binary, &package.args, &package, &bundle)
    }

    /// Everything goes on here, where an upgrade was on its way.
    pub(super) fn give_up(&mut self, why: String) -> Option<Input> {
        let going = std::mem::take(&mut self.going);
        going.since?;
        if going.is_still {
            signals::admit();
        }
        self.world.gate.open();
        self.core.hold(false);
        let paused = going
            .held
            .map(|held| clock::now().mono.saturating_sub(held));
        self.upgrade.pause_ms = millis(paused.unwrap_or_default());
        self.upgrade.done = true;
        self.upgrade.error = Some(why);
        if let Err(error) = self.server.go_on() {
            tracing::error!("the API cannot go on: {error:#}");
        }
        self.tell_of_upgrade();
        // What was held back is looked at.
        Some(Input::Timer)
    }

    /// Goes on with what was handed over.
    pub(super) fn take_over(
        &mut self,
        package: Package,
        mut received: Received,
        running: &[Recovered],
    ) {
        let runner = |seq: u64| {
            let known = running.iter().find(|one| one.execution.seq == seq)?;
            let catalog = self.world.catalog.borrow();
            let action = catalog.actions.get(&known.execution.action);
            Some(action.map_or(Runner::LocalShellCmd, |action| action.runner))
        };
        let actions = package.actions.into_iter();
        let actions: Vec<_> = actions
            .filter_map(|one| Some((runner(one.execution)?, one)))
            .collect();
        let specs = self.core.specs();
        self.world
            .take_over(package.children, actions, &specs, &mut received);
        self.asked = package.asked;
        self.upgrade = package.upgrade;
        self.upgrade.pause_ms = millis(clock::now().mono.saturating_sub(package.held));
        self.upgrade.done = true;
        self.tell_of_upgrade();
        // What changed between the last look at the files and ours.
        self.read_again(None);
    }

    fn tell_of_upgrade(&self) {
        let Upgrade {
            from,
            to,
            error,
            pause_ms,
            sensors,
            actions,
            ..
        } = &self.upgrade;
        let (level, text) = match error {
            None => (
                Level::Info,
                format!(
                    "petrel {to} goes on for petrel {from} with {sensors} sensors and {actions} \
                     actions; nothing was read for {pause_ms:.1} ms"
                ),
            ),
            Some(why) => (
                Level::Error,
                format!(
                    "petrel {from} goes on, it did not become petrel {to}: {why}; nothing was \
                     read for {pause_ms:.1} ms"
                ),
            ),
        };
        stream::show(&Notice::new(level, "petrel.upgraded", "", text));
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Asks a program what it makes of what it would take over.
async fn ask(program: &Path, args: &[String]) -> Result<Checked, String> {
    let shown = program.display();
    let child = spawn::piped(program, args, std::iter::empty());
    let child = child.map_err(|error| format!("{shown} does not run: {error}"))?;
    let output = tokio::time::timeout(CHECK, child.wait_with_output()).await;
    let output = output.map_err(|_| format!("{shown} did not check within {CHECK:?}"))?;
    let output = output.map_err(|error| format!("{shown}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let said = said.trim();
        return Err(format!("{shown} refuses ({}): {said}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stdout);
        let said: String = said.trim().chars().take(200).collect();
        format!("{shown} is no petrel that can take over: it says {said:?} ({error})")
    })
}

/// What runs is what the next program will read.
fn as_read(read: &Value) -> Result<(), String> {
    let faults: Vec<String> = ["kept", "refused"]
        .iter()
        .filter_map(|word| read[*word].as_object())
        .flatten()
        .map(|(name, why)| format!("{name}: {}", why.as_str().unwrap_or_default()))
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "what runs is not what its files say, for these have errors: correct them first\n\n{}",
            json!(faults.join("\n\n")).as_str().unwrap_or_default()
        )),
    }
}
