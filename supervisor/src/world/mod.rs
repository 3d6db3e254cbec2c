//! All that touches the outside, and decides nothing: [`World`] performs the core's effects and
//! brings what happens to it.

pub mod action;
pub mod alarm;
pub mod api;
pub mod cgroup;
pub mod clock;
pub mod confine;
pub mod descriptors;
pub mod doctor;
pub mod environments;
pub mod export;
pub mod gate;
pub mod handover;
pub mod install;
pub mod intake;
pub mod journal;
pub mod lock;
mod log_reader;
pub mod logs;
pub mod packs;
pub mod paths;
mod preflight;
pub mod procfs;
pub mod python;
pub mod recovery;
pub mod runners;
pub mod secrets;
pub mod sensor;
pub mod signals;
pub mod spawn;
mod stdin;
pub mod stream;
pub mod tree;
pub mod users;
pub mod warm;
pub mod watcher;

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;

use sensor_wrapper::args::SensorArgs;
use sensor_wrapper::host::Entry;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{Sender, UnboundedSender};
use tokio::sync::{oneshot, watch};

use crate::catalog::policy::Readiness;
use crate::catalog::{Catalog, Runner, Sensor};
use crate::core::effect::{Effect, RunOrder};
use crate::core::executions::failed;
use crate::core::lifecycle::EX_CONFIG;
use crate::core::notice::{Level, Notice};
use crate::core::record::{End, Exit};
use crate::core::sensor::SensorIx;
use crate::core::{Input, Signal};
use cgroup::Cgroup;
use confine::{Confined, Confiner};
use journal::writer::Order;
use logs::Logs;
use runners::{Place, Planned};
use spawn::Wrapper;
use tree::Tree;

/// Configuration up to this size goes through the environment, above it through a file.
const CONFIG_IN_ENVIRONMENT: usize = 64 << 10;

/// Everything outside.
#[derive(Debug)]
pub struct World {
    /// The packs, for all that read them.
    pub catalog: watch::Sender<Arc<Catalog>>,
    /// How to call the wrapper.
    pub wrapper: Wrapper,
    /// Where runners run.
    pub place: Place,
    /// What sensors are kept in by.
    pub confiner: Confiner,
    /// To the core, with back pressure: for what children say.
    pub inputs: Sender<Input>,
    /// To the core, without: for what follows at once from an effect, whose number is bounded by
    /// the effects.
    pub at_once: UnboundedSender<Input>,
    /// To the intake thread.
    pub intake: intake::Thread,
    /// To the journal's thread.
    pub orders: std::sync::mpsc::Sender<Order>,
    /// The logs of sensors.
    pub logs: Logs,
    /// Questions of the API that wait for the core.
    pub asked: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
    /// Children of sensors, by sensor and start: an older one is there until it is read to its end.
    pub sensors: HashMap<(SensorIx, u64), sensor::Handle>,
    /// That pipes are small was told.
    pub told_of_pipes: bool,
    /// Holds up the readers of all children.
    pub gate: gate::Gate,
    /// Running actions, by execution.
    pub actions: HashMap<u64, action::Handle>,
    /// Pythons that are ready for some.
    pub warm: warm::Hosts,
}

impl World {
    /// Performs one effect. `Exit` is the loop's.
    pub fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn {
                sensor,
                generation,
                spec,
                config,
            } => self.spawn(sensor, generation, &spec, config),
            Effect::Tell {
                sensor,
                generation,
                line,
            } => self.with(sensor, generation, |handle| handle.tell(line)),
            Effect::CloseInput { sensor, generation } => {
                self.with(sensor, generation, sensor::Handle::close_input);
            }
            Effect::Signal {
                sensor,
                generation,
                signal,
            } => self.with(sensor, generation, |handle| handle.signal(signal)),
            Effect::Measure { sensor, generation } => {
                let rss = self
                    .sensors
                    .get(&(sensor, generation))
                    .map_or(0, sensor::Handle::resident);
                self.tell_core(Input::Measured {
                    sensor,
                    generation,
                    rss,
                });
            }
            Effect::Credit {
                sensor,
                generation,
                pieces,
            } => self.with(sensor, generation, |handle| handle.credit(pieces)),
            Effect::Commit { number, batch } => self.order(Order::Commit {
                number,
                batch: Box::new(batch),
            }),
            Effect::Tend(chore) => self.order(Order::Tend(chore)),
            Effect::Refill(fetch) => self.order(Order::Refill(fetch)),
            Effect::Run(order) => self.run(*order),
            Effect::StopAction { execution, now } => {
                if let Some(handle) = self.actions.get(&execution) {
                    handle.stop(now);
                }
            }
            Effect::Forget { execution } => {
                let folder = action::folder(&self.place.data, execution);
                tokio::task::spawn_blocking(move || action::remove(&folder));
            }
            Effect::Notice(notice) => stream::show(&notice),
            Effect::Log { spec, record } => {
                stream::log(&spec.reference, &record);
                self.logs.keep(spec, record);
            }
            Effect::Reply { ask, answer } => {
                if let Some(waiting) = self.asked.remove(&ask) {
                    // Who asked may have gone away.
                    let _ = waiting.send(answer);
                }
            }
            Effect::Datastore(view) => self.intake.shown.send_modify(|shown| shown.store = view),
            Effect::Preflight {
                sensor,
                spec,
                config,
            } => self.preflight(sensor, spec, config),
            Effect::Adopt {
                catalog,
                rules,
                sensors,
            } => {
                self.warm.retire();
                self.catalog.send_replace(Arc::clone(&catalog));
                let packs = Some((catalog, rules, sensors));
                self.intake.shown.send_modify(|shown| shown.packs = packs);
            }
            Effect::Exit { .. } => {}
        }
    }

    /// Lets go of what ended.
    pub fn note(&mut self, input: &Input) {
        match input {
            Input::Ended {
                sensor, generation, ..
            } => self.let_go(*sensor, *generation, |handle| handle.ended = true),
            Input::Drained { sensor, generation } => {
                self.let_go(*sensor, *generation, |handle| handle.drained = true);
            }
            Input::ActionEnded { execution, .. } => {
                self.actions.remove(execution);
            }
            _ => {}
        }
    }

    fn let_go(&mut self, sensor: SensorIx, generation: u64, mark: fn(&mut sensor::Handle)) {
        let key = (sensor, generation);
        if let Some(handle) = self.sensors.get_mut(&key) {
            mark(handle);
            if handle.ended && handle.drained {
                self.sensors.remove(&key);
            }
        }
    }

    /// Ends all children at once, without waiting: the last resort of a supervisor that cannot go
    /// on.
    pub fn kill_all(&self) {
        self.gate.open();
        for handle in self.sensors.values() {
            handle.signal(Signal::Kill);
        }
        for handle in self.actions.values() {
            handle.stop(true);
        }
        self.warm.kill();
    }

    /// All children are gone, and their output is read.
    pub fn has_no_children(&self) -> bool {
        self.sensors.is_empty() && self.actions.is_empty() && self.warm.are_gone()
    }

    fn with(&self, sensor: SensorIx, generation: u64, act: impl FnOnce(&sensor::Handle)) {
        if let Some(handle) = self.sensors.get(&(sensor, generation)) {
            act(handle);
        }
    }

    fn order(&self, order: Order) {
        // The thread ends before us only on an error, which the loop sees as its end.
        let _ = self.orders.send(order);
    }

    fn tell_core(&self, input: Input) {
        // The loop holds the other end as long as it performs effects.
        let _ = self.at_once.send(input);
    }

    fn spawn(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        spec: &Sensor,
        config: Result<Arc<Map<String, Value>>, String>,
    ) {
        let config = match config {
            Ok(config) => config,
            Err(why) => {
                let code = Some(EX_CONFIG);
                return self.tell_core(never_spawned(sensor, generation, code, why));
            }
        };
        match self.try_spawn(sensor, generation, spec, &config) {
            Ok((pid, interpreter)) => self.tell_core(Input::Spawned {
                sensor,
                generation,
                pid,
                interpreter,
            }),
            Err(error) => {
                self.tell_core(never_spawned(sensor, generation, None, error.to_string()));
            }
        }
    }

    fn try_spawn(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        spec: &Sensor,
        config: &Map<String, Value>,
    ) -> anyhow::Result<(u32, Option<String>)> {
        let catalog = Arc::clone(&self.catalog.borrow());
        let confined = self.confiner.confine(spec, generation, &self.place)?;
        let args = self.sensor_args(&catalog, spec, &confined)?;
        let interpreter = interpreter(&args);
        let args = args.to_argv();
        let mut env = self.sensor_env(spec, generation, config)?;
        self.lend_config(spec, &confined)?;
        env.extend(confined.env);
        let child = self.wrapper.spawn(spawn::Order {
            args,
            env,
            stdin: Stdio::piped(),
            stdout: Stdio::piped(),
            stderr: Stdio::piped(),
            watch_exec: true,
            watch_ready: spec.policy.start.ready == Readiness::Descriptor,
        })?;
        self.size_pipes(&child, spec);
        let pid = child.pid.as_raw_nonzero().get().unsigned_abs();
        let reports = self.reports(sensor, generation, spec);
        let cgroup = confined.cgroup;
        let joined_late = cgroup.is_some() && confined.sandbox.cgroup.is_none();
        let late = cgroup.as_ref().filter(|_| joined_late);
        let held = sensor::Held {
            joining: late.and_then(|cgroup| cgroup.join(child.pid)),
            tree: Tree {
                group: child.pid,
                is_pidns: confined.sandbox.pidns,
                marker: self.marker(spec, generation),
                joined_late,
                oom_kills: cgroup
                    .as_ref()
                    .filter(|_| !joined_late)
                    .map_or(0, Cgroup::oom_kills),
                cgroup,
            },
            isolation: confined.isolation,
        };
        let handle = sensor::Handle::new(child, held, reports)?;
        self.sensors.insert((sensor, generation), handle);
        Ok((pid, interpreter))
    }

    fn reports(&self, sensor: SensorIx, generation: u64, spec: &Sensor) -> sensor::Reports {
        sensor::Reports {
            sensor,
            generation,
            pieces: self.intake.pieces.clone(),
            inputs: self.inputs.clone(),
            drain_timeout: spec.policy.stop.drain_timeout,
            log: spec.policy.limits.log.clone(),
            gate: self.gate.clone(),
        }
    }

    /// Another user reads its configuration and its secrets, too.
    fn lend_config(&self, spec: &Sensor, confined: &Confined) -> std::io::Result<()> {
        let folder = self.place.memory.join(&spec.reference);
        match &confined.sandbox.user {
            Some(account) => confine::lend(&folder, account),
            None => Ok(()),
        }
    }

    /// Told once where the system gives less.
    fn size_pipes(&mut self, child: &spawn::Child, spec: &Sensor) {
        let bytes = spec.policy.limits.pipe_bytes;
        let pipes = [&child.stdin, &child.stdout, &child.stderr];
        let sized = pipes.into_iter().flatten();
        let refused = sized.filter_map(|pipe| descriptors::size_pipe(pipe, bytes).err());
        let refused: Vec<_> = refused.collect();
        if let Some(given) = refused.last()
            && !std::mem::replace(&mut self.told_of_pipes, true)
        {
            let text = format!(
                "the system gives pipes of {given} bytes and not of {bytes}: raise \
                 fs.pipe-user-pages-soft, or lower limits.pipe_bytes"
            );
            let reference = spec.reference.as_str();
            stream::show(&Notice::new(
                Level::Warning,
                "sensor.pipes",
                reference,
                text,
            ));
        }
    }

    /// StackStorm's arguments in StackStorm's order, then ours.
    fn sensor_args(
        &self,
        catalog: &Catalog,
        spec: &Sensor,
        confined: &Confined,
    ) -> anyhow::Result<SensorArgs> {
        let python = match catalog.packs.get(&spec.pack) {
            Some(pack) => self.place.environments.interpreter(&pack.name, &pack.dir),
            None => Ok(self.place.python.clone()),
        };
        let python = python.map_err(anyhow::Error::msg)?;
        let parent: Vec<String> = std::env::args().skip(1).collect();
        let own_pid = i32::try_from(std::process::id()).ok();
        Ok(SensorArgs {
            pack: spec.pack.clone(),
            file_path: spec.file_path.clone(),
            class_name: spec.class_name.clone(),
            trigger_type_refs: spec.trigger_types.clone(),
            parent_args: serde_json::to_string(&parent).ok(),
            poll_interval: spec.poll_interval.map(f64::from),
            command: spec.is_command,
            supervisor_pid: own_pid,
            python: Some(python),
            sdk: Some(self.place.sdk.clone()),
            sandbox: confined.sandbox.clone(),
            limits: confined.limits.clone(),
            ..Default::default()
        })
    }

    fn marker(&self, spec: &Sensor, generation: u64) -> String {
        let name = format!("{}/{generation}", spec.reference);
        procfs::marker(&self.place.data, procfs::Marked::Sensor, &name)
    }

    fn sensor_env(
        &self,
        spec: &Sensor,
        generation: u64,
        config: &Map<String, Value>,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let mut env = vec![
            (procfs::MARKER.to_owned(), self.marker(spec, generation)),
            ("PETREL_PROTOCOL".to_owned(), "1".to_owned()),
            ("PETREL_SENSOR".to_owned(), spec.reference.clone()),
        ];
        env.extend(self.config_env(spec, config)?);
        Ok(env)
    }

    /// The configuration without its secrets, which are files of their own, in memory.
    fn config_env(
        &self,
        spec: &Sensor,
        config: &Map<String, Value>,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let catalog = Arc::clone(&self.catalog.borrow());
        let own = spec.instance.as_ref().map(|one| &one.pack);
        let Some(pack) = own.or_else(|| catalog.packs.get(&spec.pack)) else {
            return Ok(Vec::new());
        };
        let folder = self.place.memory.join(&spec.reference);
        let mut env = Vec::new();
        let text = json!(pack.public_of(config)).to_string();
        if text.len() <= CONFIG_IN_ENVIRONMENT {
            env.push(("PETREL_SENSOR_CONFIG".to_owned(), text));
        } else {
            paths::private_dir(&folder)?;
            let file = folder.join("config.json");
            std::fs::write(&file, text)?;
            let file = file.to_string_lossy().into_owned();
            env.push(("PETREL_SENSOR_CONFIG_FILE".to_owned(), file));
        }
        let secrets = pack.secrets_of(config);
        if !secrets.is_empty() {
            let credentials = folder.join("credentials");
            paths::private_dir(&credentials)?;
            for (path, value) in secrets {
                let text = crate::core::datastore::stored_text(value);
                // A key of a configuration may be any text; a file's name may not.
                let name = path.replace('/', "%2F");
                if !name.chars().all(|c| c == '.') {
                    std::fs::write(credentials.join(name), text)?;
                }
            }
            let folder = credentials.to_string_lossy().into_owned();
            env.push(("CREDENTIALS_DIRECTORY".to_owned(), folder));
        }
        Ok(env)
    }

    fn run(&mut self, order: RunOrder) {
        let execution = order.execution.seq;
        let now = clock::now().wall;
        let outcome = match runners::plan(&order, &self.place, now) {
            Ok(Planned::Done(outcome)) => outcome,
            Err(why) => failed(why, now),
            Ok(Planned::Command(plan)) => {
                let data = &self.place.data;
                let inputs = self.inputs.clone();
                let may = order.action.warm && order.action.runner == Runner::PythonScript;
                let (wrapper, place) = (&self.wrapper, &self.place);
                let warm = may.then(|| self.warm.socket(&plan.program, wrapper, place));
                let warm = warm.flatten();
                match action::Handle::start(wrapper, data, order, plan, warm, inputs) {
                    Ok(handle) => {
                        self.actions.insert(execution, handle);
                        return;
                    }
                    Err(error) => failed(format!("failed to start it: {error}"), now),
                }
            }
        };
        self.tell_core(Input::ActionEnded { execution, outcome });
    }
}

/// What the wrapper has run the program, where that is no program itself.
fn interpreter(args: &SensorArgs) -> Option<String> {
    match sensor_wrapper::host::entry(&args.file_path) {
        Entry::Python => args.python.as_ref().map(|path| path.display().to_string()),
        Entry::Node => Some("node".to_owned()),
        Entry::Executable => None,
    }
}

/// A sensor that could not be started.
fn never_spawned(sensor: SensorIx, generation: u64, code: Option<i32>, why: String) -> Input {
    Input::Ended {
        sensor,
        generation,
        end: Box::new(End {
            exit: Exit { code, signal: None },
            never_began: true,
            hint: Some(why),
            luck: sensor::luck(),
            ..End::default()
        }),
    }
}
