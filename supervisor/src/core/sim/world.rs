//! Time outside the core, the disk's queue, and the effects.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::agenda::{Agenda, Happening, Start};
use super::child::{Child, Piece};
use super::disk::Order;
use super::journal::{Journal, ROW};
use super::packs::{self, Files, Packs};
use super::people::People;
use super::{Rng, Seen};
use crate::catalog::policy::Keep;
use crate::catalog::{Catalog, Sensor};
use crate::config::{Free, Retention};
use crate::core::clock::Now;
use crate::core::datastore::View;
use crate::core::intake::{Intake, Said};
use crate::core::record::{Exit, Outcome};
use crate::core::sensor::SensorIx;
use crate::core::step::Boot;
use crate::core::{Core, Effect, Input};
use crate::rules::RuleSet;

pub const PARALLEL: usize = 3;

/// Pieces of a sensor's output that may be unsettled.
pub const CREDIT: usize = 4;

/// A life that does not come to rest within so many steps hangs.
const MOST_STEPS: usize = 200_000;

/// A core that wants to be woken so often at one moment never sleeps.
const MOST_SPINS: usize = 100;

/// Packs, their rules, and what each sensor is by its index.
type Adopted = (Arc<Catalog>, Arc<RuleSet>, Vec<Arc<Sensor>>);

#[derive(Debug)]
pub struct World {
    pub rng: Rng,
    pub seen: Seen,
    pub journal: Journal,
    /// Identifiers of events that a sensor was told are accepted.
    pub answered: BTreeSet<String>,
    /// Executions whose program began, ever.
    pub begun: BTreeSet<u64>,
    /// Those that may begin once more: somebody said so.
    pub begins_again: BTreeSet<u64>,
    /// `exit.json`, by execution.
    pub exits: BTreeMap<u64, Outcome>,
    pub files: Files,
    /// Few events have room, so that sensors wait for it, too.
    pub retention: Retention,
    pub now: Duration,
    /// By how many microseconds the calendar is ahead of the steady clock.
    pub clock: i64,
    /// For how long we were not running, in all.
    pub lag: Duration,
    pub last_number: u64,
    pub life: u64,
    // Of one life:
    pub core: Core,
    pub intake: Intake,
    /// By what the intake thread is to judge from its next look on.
    pub adopted: Option<Adopted>,
    pub shown: View,
    pub pieces: VecDeque<Piece>,
    pub agenda: Agenda,
    pub orders: VecDeque<Order>,
    pub last_commit: u64,
    pub is_full: bool,
    pub children: BTreeMap<Start, Child>,
    pub deaths: HashMap<Start, Exit>,
    /// When a sign of life of a start was heard last, and the lag until then.
    pub heard: HashMap<Start, (Duration, Duration)>,
    /// Events that sensors wrote wholly.
    pub whole: Vec<u64>,
    pub running: BTreeSet<u64>,
    pub people: People,
    /// Number of the upgrade that is under way.
    pub going: Option<u64>,
    pub upgrades: u64,
    pub gate_is_shut: bool,
    /// Nobody says more than it must.
    pub quiet: bool,
    pub rested: bool,
    spins: usize,
    /// Says all that happens.
    pub talks: bool,
}

impl World {
    pub fn new(mut rng: Rng) -> Self {
        let files = Files::new(&mut rng);
        let packs = files.read();
        let (catalog, rules) = (packs.catalog, packs.rules);
        Self {
            seen: Seen::default(),
            journal: Journal::default(),
            answered: BTreeSet::new(),
            begun: BTreeSet::new(),
            begins_again: BTreeSet::new(),
            exits: BTreeMap::new(),
            retention: Retention {
                age: Some(Duration::from_secs(30)),
                size: Some(ROW * (10 + rng.below(60))),
                free: Free::Bytes(0),
                failed: Some(Duration::from_secs(60)),
            },
            rng,
            files,
            now: Duration::from_secs(1),
            clock: 1_700_000_000_000_000,
            lag: Duration::ZERO,
            last_number: 0,
            life: 0,
            core: Core::new(Boot::default()),
            intake: Intake::new(catalog, rules, Default::default()),
            adopted: None,
            shown: View::default(),
            pieces: VecDeque::new(),
            agenda: Agenda::default(),
            orders: VecDeque::new(),
            last_commit: 0,
            is_full: false,
            children: BTreeMap::new(),
            deaths: HashMap::new(),
            heard: HashMap::new(),
            whole: Vec::new(),
            running: BTreeSet::new(),
            people: People::default(),
            going: None,
            upgrades: 0,
            gate_is_shut: false,
            quiet: false,
            rested: false,
            spins: 0,
            talks: false,
        }
    }

    /// One life of the supervisor: it is stopped in order, or everything volatile is gone.
    pub fn live(&mut self, in_order: bool) {
        self.begin();
        let end = 50 + self.rng.below(1200) as usize;
        for step in 0..MOST_STEPS {
            if step == end {
                if !in_order {
                    return;
                }
                self.stop();
            }
            if self.rested {
                return self.is_at_rest();
            }
            self.next();
        }
        panic!("it does not come to rest: {:?}", self.core);
    }

    fn begin(&mut self) {
        self.life += 1;
        self.agenda = Agenda::default();
        self.write_half();
        self.pieces.clear();
        self.children.clear();
        self.deaths.clear();
        self.heard.clear();
        self.whole.clear();
        self.running.clear();
        self.people.begin_anew();
        self.last_commit = 0;
        self.going = None;
        self.shown = View::default();
        (self.gate_is_shut, self.is_full) = (false, false);
        (self.quiet, self.rested) = (false, false);
        let packs = self.files.read();
        self.journal
            .keep_rule_set(packs.rules.hash(), &packs.rules.text());
        let mut boot = self.boot(&packs);
        boot.recovered = self.recovered(None);
        self.core = Core::new(boot);
        self.begin_reading(&packs);
        self.step(Input::Begin);
        self.later(100, Happening::Person);
        self.later(5000, Happening::ClockSet);
        self.later(2000, Happening::Upgrade);
        let full = self.rng.time(300);
        self.later(5000, Happening::Full(full));
    }

    pub fn boot(&self, packs: &Packs) -> Boot {
        Boot {
            catalog: Arc::clone(&packs.catalog),
            rules: Arc::clone(&packs.rules),
            start_slots: 1,
            shutdown_timeout: Duration::from_secs(30),
            parallel: PARALLEL,
            memories: self.journal.memories.clone(),
            kv: self.journal.kv.clone().into_iter().collect(),
            owed: self.journal.all_owed(),
            last_event: self.journal.last.0,
            last_execution: self.journal.last.1,
            counts: self.journal.counts.clone().into_iter().collect(),
            retention: self.retention,
            now: self.wall(),
            ..Boot::default()
        }
    }

    fn stop(&mut self) {
        self.quiet = true;
        if self.going.is_some() {
            self.give_up();
        }
        self.step(Input::Stop);
        if self.rng.percent(20) {
            self.later(5000, Happening::Input(Input::StopNow));
        }
    }

    /// The next thing happens; of those that are due at one moment, any.
    fn next(&mut self) {
        let alarm = self.core.alarm().map(|at| {
            let micros = (at.0 - self.clock).max(0);
            Duration::from_micros(micros.unsigned_abs())
        });
        let timer = self.core.deadline().into_iter().chain(alarm).min();
        let first = self.agenda.first();
        let is_timer = match (timer, first) {
            (Some(timer), Some(first)) if timer.max(first) <= self.now => self.rng.percent(50),
            (Some(timer), Some(first)) => timer <= first,
            (timer, first) => {
                assert!(timer.or(first).is_some(), "nothing will ever happen");
                timer.is_some()
            }
        };
        if let Some(at) = timer.filter(|_| is_timer) {
            return self.wake(at);
        }
        if let Some((at, happening)) = self.agenda.take() {
            self.now = self.now.max(at);
            self.happen(happening);
            self.try_to_go();
        }
    }

    /// In time, or after we ourselves did not run for a while.
    fn wake(&mut self, at: Duration) {
        let late = match self.rng.percent(3) {
            true => self.rng.time(5000),
            false => Duration::ZERO,
        };
        self.spins = match at <= self.now && late.is_zero() {
            true => self.spins + 1,
            false => 0,
        };
        assert!(self.spins < MOST_SPINS, "it never sleeps: {:?}", self.core);
        let due = self.core.deadline().unwrap_or(self.now);
        self.now = self.now.max(at) + late;
        self.lag += self.now.saturating_sub(due);
        self.seen.lags += usize::from(late >= Duration::from_secs(1));
        self.step(Input::Timer);
        self.is_noticed();
        self.try_to_go();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Input(input) | Happening::Written(input) => self.step(input),
            Happening::Write => self.write(),
            Happening::Talk(start) => self.talk(start),
            Happening::Read(start) => self.read(start),
            Happening::Judge => self.judge(),
            Happening::Judged(input) => self.judged(input),
            Happening::Die(start, exit) => self.die(start, exit),
            Happening::Reap(start) => self.reap(start),
            Happening::Begin(seq) => self.begin_action(seq),
            Happening::ActionEnded(execution, outcome) => {
                self.step(Input::ActionEnded { execution, outcome });
            }
            Happening::Person => self.person(),
            Happening::ClockSet => self.set_clock(),
            Happening::Full(time) => self.disk_is_full(time),
            Happening::Free => self.disk_is_free(),
            Happening::Upgrade => self.upgrade(),
            Happening::Late(number) if self.going == Some(number) => self.give_up(),
            Happening::Late(_) => {}
        }
    }

    /// By seconds, hours or years, forward or back.
    fn set_clock(&mut self) {
        let most = self
            .rng
            .pick(&[1_000_000, 3_600_000_000, 40_000_000_000_000]);
        let by = i64::try_from(self.rng.below(2 * most)).unwrap_or(0) - most as i64;
        self.clock = (self.clock + by).max(0);
        self.seen.clocks += 1;
        self.later(10_000, Happening::ClockSet);
    }

    fn judged(&mut self, input: Input) {
        match &input {
            Input::Said {
                sensor,
                generation,
                said,
            } => {
                let start = (*sensor, *generation);
                if !said.is_empty() {
                    self.heard.insert(start, (self.now, self.lag));
                }
                let current = self.core.sensors[sensor.0].life.generation;
                self.seen.old_output += usize::from(*generation < current);
            }
            Input::Drained { sensor, generation } => {
                let child = self.children.get_mut(&(*sensor, *generation));
                child.expect("it was started").is_drained = true;
            }
            Input::Ended {
                sensor, generation, ..
            } => {
                let child = self.children.get_mut(&(*sensor, *generation));
                child.expect("it was started").is_reaped = true;
            }
            _ => {}
        }
        self.step(input);
    }

    /// An input, and those that follow at once from its effects.
    pub fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.people.hear(&input, &self.core);
            if self.talks {
                println!("{:?} {input:.300?}", self.now);
            }
            let now = Now {
                mono: self.now,
                wall: self.wall(),
            };
            let passed = passed(&input);
            let effects = self.core.step(input, now);
            self.pass(passed, &effects);
            self.people.see(&self.core);
            self.hear_dammed();
            self.look();
            for effect in effects {
                if self.talks {
                    println!("    {effect:.300?}");
                }
                inputs.extend(self.perform(effect));
            }
        }
    }

    /// What no rule matched may be no more than a number; what one matches now is written, by whatever
    /// it was judged before.
    fn pass(&mut self, passed: Vec<(u64, bool)>, effects: &[Effect]) {
        if passed.is_empty() {
            return;
        }
        let rule = packs::version_in(&self.core.rules.text()).is_some();
        let written = effects.iter().flat_map(|effect| match effect {
            Effect::Commit { batch, .. } => &batch.events[..],
            _ => &[],
        });
        let written: BTreeSet<u64> = written.filter_map(|one| number(&one.payload)).collect();
        for (number, matches) in passed {
            let is_written = written.contains(&number);
            assert!(
                is_written || !(rule && matches),
                "{number} is matched, and lost"
            );
            if !is_written {
                self.journal.passed.insert(number);
            }
        }
    }

    /// Nobody hears a sensor that waits for room in the journal.
    fn hear_dammed(&mut self) {
        for (index, slot) in self.core.sensors.iter().enumerate() {
            if !slot.dammed.0.is_empty() {
                self.seen.dammed += 1;
                let start = (SensorIx(index), slot.life.generation);
                self.heard.insert(start, (self.now, self.lag));
            }
        }
    }

    pub fn later(&mut self, most_ms: u64, happening: Happening) {
        let at = self.now + self.rng.time(most_ms);
        self.agenda.at(at, happening);
    }
}

/// Events that intake let pass, or that the core may let pass when it judges them again: their
/// numbers, and whether a rule would match them.
fn passed(input: &Input) -> Vec<(u64, bool)> {
    let Input::Said { said, .. } = input else {
        return Vec::new();
    };
    let each = said.iter().flat_map(|one| match one {
        Said::Passed(passed) => passed.events.iter().map(|one| one.payload.get()).collect(),
        Said::Event(event) if event.keep != Keep::All => vec![&*event.payload],
        _ => Vec::new(),
    });
    each.map(|text| {
        (
            number(text).expect("each has a number"),
            text.contains("true"),
        )
    })
    .collect()
}

fn number(payload: &str) -> Option<u64> {
    let payload: Value = serde_json::from_str(payload).ok()?;
    payload["n"].as_u64()
}
