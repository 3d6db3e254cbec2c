//! Everything outside the core: an agenda of what will happen, children that talk and die, actions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use petrel_sdk::protocol::{Capabilities, Id, RpcError, code};
use serde_json::{Map, Value, json};

use super::Rng;
use super::journal::Journal;
use super::packs;
use crate::catalog::Catalog;
use crate::core::clock::{Now, Wall};
use crate::core::executions::{Found, Recovered};
use crate::core::intake::{JudgedEvent, RefusedEvent, Reply, Said};
use crate::core::record::{Batch, Exit, Outcome, Status};
use crate::core::sensor::SensorIx;
use crate::core::step::Boot;
use crate::core::{Core, Effect, Input, Signal};
use crate::rules::{Judgement, Requested, RuleSet};

const PARALLEL: usize = 3;

/// Pieces of a sensor's output that may be unsettled.
const CREDIT: usize = 4;

/// A life that does not come to rest within so many steps hangs.
const MOST_STEPS: usize = 200_000;

/// Requests that will be refused are numbered from here.
const FIRST_REFUSAL: u64 = 1000;

#[derive(Debug)]
enum Happening {
    Input(Input),
    /// The journal's thread takes what waits.
    Write,
    /// A child says something.
    Talk(SensorIx, u64),
    /// A child dies.
    Die(SensorIx, u64),
    /// An action's program begins.
    Begin(u64),
}

#[derive(Debug)]
enum Order {
    Commit(u64, Batch),
    Refill(u64, usize),
}

#[derive(Debug)]
struct Process {
    generation: u64,
    greeted: bool,
}

#[derive(Debug)]
pub struct World {
    pub rng: Rng,
    pub journal: Journal,
    /// Identifiers of events that a sensor was told are accepted.
    pub answered: BTreeSet<String>,
    /// Executions whose program began, ever.
    pub begun: BTreeSet<u64>,
    /// `exit.json`, by execution.
    exits: BTreeMap<u64, Outcome>,
    catalog: Arc<Catalog>,
    now: Duration,
    refusals: u64,
    // Of one life:
    agenda: BTreeMap<(Duration, u64), Happening>,
    tickets: u64,
    orders: VecDeque<Order>,
    last_commit: u64,
    said_by_journal: Duration,
    processes: HashMap<SensorIx, Process>,
    unsettled: HashMap<(SensorIx, u64), usize>,
    greeted: HashSet<(SensorIx, u64)>,
    running: BTreeSet<u64>,
    rested: bool,
}

impl World {
    pub fn new(rng: Rng) -> Self {
        Self {
            rng,
            journal: Journal::default(),
            answered: BTreeSet::new(),
            begun: BTreeSet::new(),
            exits: BTreeMap::new(),
            catalog: Arc::new(packs::catalog()),
            now: Duration::from_secs(1),
            refusals: 0,
            agenda: BTreeMap::new(),
            tickets: 0,
            orders: VecDeque::new(),
            last_commit: 0,
            said_by_journal: Duration::ZERO,
            processes: HashMap::new(),
            unsettled: HashMap::new(),
            greeted: HashSet::new(),
            running: BTreeSet::new(),
            rested: false,
        }
    }

    /// One life of the supervisor: it is stopped in order, or everything volatile is gone.
    pub fn live(&mut self, in_order: bool) {
        let mut core = self.boot();
        let end = 20 + self.rng.below(400) as usize;
        self.step(&mut core, Input::Begin);
        for step in 0..MOST_STEPS {
            if step == end {
                if !in_order {
                    return;
                }
                self.step(&mut core, Input::Stop);
            }
            if self.rested {
                return;
            }
            self.next(&mut core, step < end);
        }
        panic!("it does not come to rest: {core:?}");
    }

    fn boot(&mut self) -> Core {
        self.agenda.clear();
        self.orders.clear();
        self.processes.clear();
        self.unsettled.clear();
        self.greeted.clear();
        self.running.clear();
        self.last_commit = 0;
        self.rested = false;
        let was_running = self
            .journal
            .executions
            .values()
            .filter(|one| one.status == Status::Running);
        let recovered = was_running
            .map(|execution| Recovered {
                found: match self.exits.get(&execution.seq) {
                    Some(outcome) => Found::Ended(outcome.clone()),
                    None if !self.begun.contains(&execution.seq) => Found::NeverBegan,
                    None => Found::Unknown,
                },
                execution: execution.clone(),
            })
            .collect();
        let highest = |key: Option<&u64>| key.copied().unwrap_or(0);
        Core::new(Boot {
            catalog: Arc::clone(&self.catalog),
            parallel: PARALLEL,
            memories: self.journal.memories.clone(),
            kv: self.journal.kv.clone().into_iter().collect(),
            last_event: highest(self.journal.events.keys().next_back()),
            last_execution: highest(self.journal.executions.keys().next_back()),
            recovered,
            ..Boot::default()
        })
    }

    fn next(&mut self, core: &mut Core, talkative: bool) {
        let timer = core.deadline();
        let first = self.agenda.keys().next().copied();
        if let Some(at) = timer
            && first.is_none_or(|(other, _)| at <= other)
        {
            self.now = self.now.max(at);
            return self.step(core, Input::Timer);
        }
        let key = first.unwrap_or_else(|| panic!("nothing will ever happen: {core:?}"));
        self.now = self.now.max(key.0);
        match self.agenda.remove(&key) {
            Some(Happening::Input(input)) => self.step(core, input),
            Some(Happening::Write) => self.write(),
            Some(Happening::Talk(sensor, generation)) => {
                self.talk(core, sensor, generation, talkative);
            }
            Some(Happening::Die(sensor, generation)) => self.die(sensor, generation),
            Some(Happening::Begin(seq)) => self.begin(seq),
            None => {}
        }
    }

    fn step(&mut self, core: &mut Core, input: Input) {
        let wall = Wall(i64::try_from(self.now.as_micros()).unwrap_or(0));
        let now = Now {
            mono: self.now,
            wall,
        };
        for effect in core.step(input, now) {
            self.perform(effect);
        }
    }

    fn later(&mut self, most_ms: u64, happening: Happening) {
        let at = self.now + Duration::from_millis(self.rng.below(most_ms + 1));
        self.at(at, happening);
    }

    fn at(&mut self, at: Duration, happening: Happening) {
        self.tickets += 1;
        self.agenda.insert((at, self.tickets), happening);
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn {
                sensor, generation, ..
            } => self.spawn(sensor, generation),
            Effect::Tell {
                sensor,
                generation,
                line,
            } => self.told(sensor, generation, &line),
            Effect::CloseInput { sensor, generation } => {
                if self.rng.percent(70) {
                    self.later(500, Happening::Die(sensor, generation));
                }
            }
            Effect::Signal {
                sensor,
                generation,
                signal,
            } => {
                if signal == Signal::Kill || self.rng.percent(80) {
                    self.later(300, Happening::Die(sensor, generation));
                }
            }
            Effect::Credit {
                sensor,
                generation,
                pieces,
            } => {
                let open = self.unsettled.entry((sensor, generation)).or_default();
                *open = open.checked_sub(pieces).expect("credit for nothing");
            }
            Effect::Commit { number, batch } => {
                self.last_commit += 1;
                assert_eq!(number, self.last_commit);
                self.order(Order::Commit(number, batch));
            }
            Effect::Refill { after, most } => self.order(Order::Refill(after, most)),
            Effect::Run(order) => {
                let seq = order.execution.seq;
                let row = self.journal.executions.get(&seq);
                let claimed = row.is_some_and(|row| row.status == Status::Running);
                assert!(claimed, "{seq} runs and is not claimed on disk");
                assert!(self.running.insert(seq), "{seq} runs twice at a time");
                assert!(self.running.len() <= PARALLEL, "more than the slots");
                self.later(20, Happening::Begin(seq));
            }
            Effect::StopAction { execution, .. } => {
                self.end_action(execution, Status::Abandoned, 100);
            }
            Effect::Forget { execution } => drop(self.exits.remove(&execution)),
            Effect::Exit => self.rested = true,
            Effect::Adopt { .. }
            | Effect::Datastore(_)
            | Effect::Notice(_)
            | Effect::Reply { .. } => {}
        }
    }

    fn order(&mut self, order: Order) {
        self.orders.push_back(order);
        self.later(30, Happening::Write);
    }

    /// Everything that waited is one transaction; its answers come late, but in order.
    fn write(&mut self) {
        let mut upto = None;
        let mut duplicates = Vec::new();
        let mut answers = Vec::new();
        for order in std::mem::take(&mut self.orders) {
            match order {
                Order::Commit(number, batch) => {
                    upto = Some(number);
                    duplicates.extend(self.journal.write(batch));
                }
                Order::Refill(after, most) => {
                    if let Some(upto) = upto.take() {
                        let duplicates = std::mem::take(&mut duplicates);
                        answers.push(Input::Committed { upto, duplicates });
                    }
                    let executions = self.journal.owed(after, most);
                    let all = executions.len() < most;
                    answers.push(Input::Refilled { executions, all });
                }
            }
        }
        if let Some(upto) = upto {
            answers.push(Input::Committed {
                upto,
                duplicates: duplicates.clone(),
            });
            if self.rng.percent(10) {
                answers.push(Input::Committed { upto, duplicates });
            }
        }
        for answer in answers {
            let wait = Duration::from_millis(self.rng.below(20));
            self.said_by_journal = self.said_by_journal.max(self.now + wait);
            self.at(self.said_by_journal, Happening::Input(answer));
        }
    }

    fn spawn(&mut self, sensor: SensorIx, generation: u64) {
        assert!(
            !self.processes.contains_key(&sensor),
            "two processes of {sensor:?}"
        );
        if self.rng.percent(5) {
            let exit = Exit {
                code: None,
                signal: None,
            };
            return self.later(5, Happening::Input(ended(sensor, generation, exit)));
        }
        let process = Process {
            generation,
            greeted: false,
        };
        self.processes.insert(sensor, process);
        let spawned = Input::Spawned {
            sensor,
            generation,
            pid: 7,
        };
        self.at(self.now, Happening::Input(spawned));
        let executed = Input::Executed { sensor, generation };
        self.later(10, Happening::Input(executed));
        self.later(50, Happening::Talk(sensor, generation));
    }

    fn told(&mut self, sensor: SensorIx, generation: u64, line: &str) {
        assert!(
            self.greeted.contains(&(sensor, generation)),
            "written to before hello: {line}"
        );
        let message: Value = serde_json::from_str(line).expect("a line of JSON");
        if let Some(id) = message["result"]["event"].as_str() {
            let on_disk = self.journal.events.values().any(|known| known == id);
            assert!(on_disk, "{id} is answered and not on disk");
            self.answered.insert(id.to_owned());
        }
        if let Some(reason) = message["error"]["message"].as_str() {
            let on_disk = self.journal.rejected.contains(reason);
            assert!(on_disk, "refusal {reason} is answered and not on disk");
        }
    }

    fn talk(&mut self, core: &mut Core, sensor: SensorIx, generation: u64, talkative: bool) {
        let alive = self.processes.get(&sensor);
        if alive.is_none_or(|process| process.generation != generation) {
            return;
        }
        if self.unsettled.get(&(sensor, generation)).copied() < Some(CREDIT) && talkative {
            let said = self.words(sensor, generation);
            self.say(core, sensor, generation, said);
        }
        match self.rng.percent(4) {
            true => self.die(sensor, generation),
            false => self.later(40, Happening::Talk(sensor, generation)),
        }
    }

    fn say(&mut self, core: &mut Core, sensor: SensorIx, generation: u64, said: Vec<Said>) {
        *self.unsettled.entry((sensor, generation)).or_default() += 1;
        let input = Input::Said {
            sensor,
            generation,
            said,
        };
        self.step(core, input);
    }

    fn words(&mut self, sensor: SensorIx, generation: u64) -> Vec<Said> {
        let converses = sensor.0 == 0;
        let process = self.processes.get_mut(&sensor).expect("it is alive");
        if converses && !process.greeted {
            process.greeted = true;
            self.greeted.insert((sensor, generation));
            let hello = Said::Hello {
                reply: reply(0),
                capabilities: Capabilities::default(),
            };
            return vec![hello, Said::Ready];
        }
        let count = 1 + self.rng.below(3);
        (0..count).map(|_| self.word(converses)).collect()
    }

    fn word(&mut self, converses: bool) -> Said {
        match self.rng.below(10) {
            0 => Said::Heartbeat,
            1 if converses => Said::State {
                reply: Some(reply(1)),
                state: "{}".into(),
            },
            2 if converses => self.refusal(),
            _ => Said::Event(Box::new(self.event(converses))),
        }
    }

    /// An event that is refused; the number of the request is its mark on the disk.
    fn refusal(&mut self) -> Said {
        self.refusals += 1;
        let number = FIRST_REFUSAL + self.refusals;
        Said::Refused(Box::new(RefusedEvent {
            reply: Some(reply(number)),
            error: RpcError::new(code::PAYLOAD_REJECTED, number.to_string()),
            trigger: None,
            data: Vec::new(),
            sha256: None,
        }))
    }

    fn event(&mut self, converses: bool) -> JudgedEvent {
        let matches = self.rng.percent(70);
        let rule = Arc::clone(&self.catalog.rules["p.r"]);
        let action = Arc::clone(&self.catalog.actions["p.a"]);
        let matched = matches.then(|| Requested {
            rule,
            action,
            parameters: Map::new(),
            secrets: Arc::default(),
        });
        let key = self.rng.percent(20).then(|| self.rng.below(5).to_string());
        JudgedEvent {
            reply: converses.then(|| reply(2)),
            trigger: "p.t".into(),
            trigger_ref: None,
            payload: json!({"matches": matches}).to_string(),
            key,
            time: None,
            trace_tag: None,
            state: None,
            judgement: Judgement {
                matched: matched.into_iter().collect(),
                ..Judgement::default()
            },
            verdict: "{}".into(),
            rule_set: RuleSet::default().hash().into(),
            store_version: 0,
        }
    }

    /// Its end is reported late, and its last output may come after that.
    fn die(&mut self, sensor: SensorIx, generation: u64) {
        let alive = self.processes.get(&sensor);
        if alive.is_none_or(|process| process.generation != generation) {
            return;
        }
        self.processes.remove(&sensor);
        let exit = match self.rng.percent(50) {
            true => Exit {
                code: Some(i32::from(self.rng.percent(50))),
                signal: None,
            },
            false => Exit {
                code: None,
                signal: Some(9),
            },
        };
        self.later(20, Happening::Input(ended(sensor, generation, exit)));
        let drained = Input::Drained { sensor, generation };
        self.later(60, Happening::Input(drained));
    }

    fn begin(&mut self, seq: u64) {
        if !self.running.contains(&seq) {
            return;
        }
        assert!(self.begun.insert(seq), "{seq} begins a second time");
        // Some never end by themselves.
        if self.rng.percent(92) {
            let status = match self.rng.percent(80) {
                true => Status::Succeeded,
                false => Status::Failed,
            };
            self.end_action(seq, status, 200);
        }
    }

    /// The end is written down, then told: sometimes twice.
    fn end_action(&mut self, seq: u64, status: Status, most_ms: u64) {
        let outcome = Outcome {
            status,
            result: json!({}),
            started: None,
            ended: Wall(0),
        };
        self.running.remove(&seq);
        if self.begun.contains(&seq) {
            self.exits.entry(seq).or_insert_with(|| outcome.clone());
        }
        let told = 1 + u64::from(self.rng.percent(10));
        for _ in 0..told {
            let ended = Input::ActionEnded {
                execution: seq,
                outcome: outcome.clone(),
            };
            self.later(most_ms, Happening::Input(ended));
        }
    }
}

fn reply(id: u64) -> Reply {
    Reply {
        id: Some(Id::from(id)),
        batch: None,
    }
}

fn ended(sensor: SensorIx, generation: u64, exit: Exit) -> Input {
    Input::Ended {
        sensor,
        generation,
        exit,
        hint: None,
        tail: Vec::new(),
        luck: 0.5,
    }
}
