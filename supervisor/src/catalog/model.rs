//! The catalog: what the packs say, resolved and checked, immutable once built.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::action_policy::ActionPolicy;
use super::chain::Chain;
use super::notify::Notify;
use super::policy::{Keep, Policy};
use super::schemas::Schemas;

/// All that was loaded from disk. References are `pack.name`; the maps are sorted by them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By pack name.
    pub packs: BTreeMap<String, Arc<Pack>>,
    /// By `pack.ClassName`.
    pub sensors: BTreeMap<String, Arc<Sensor>>,
    /// By `pack.trigger_name`; the name may itself have dots.
    pub trigger_types: BTreeMap<String, Arc<TriggerType>>,
    /// By `pack.rule_name`.
    pub rules: BTreeMap<String, Arc<Rule>>,
    /// By `pack.action_name`.
    pub actions: BTreeMap<String, Arc<Action>>,
    /// Policies on actions, by `pack.policy_name`.
    pub policies: BTreeMap<String, Arc<ActionPolicy>>,
    /// Actions that are described and cannot be used, by reference, and why.
    pub left_out: BTreeMap<String, String>,
}

impl Catalog {
    /// Puts a pack and all that it brings back to what `old` has of it; false where that has no such
    /// pack.
    pub fn keep(&mut self, old: &Self, pack: &str) -> bool {
        let Some(whole) = old.packs.get(pack) else {
            return false;
        };
        self.packs.insert(pack.to_owned(), Arc::clone(whole));
        put_back(&mut self.sensors, &old.sensors, pack);
        put_back(&mut self.trigger_types, &old.trigger_types, pack);
        put_back(&mut self.rules, &old.rules, pack);
        put_back(&mut self.actions, &old.actions, pack);
        put_back(&mut self.policies, &old.policies, pack);
        put_back(&mut self.left_out, &old.left_out, pack);
        true
    }
}

fn put_back<T: Clone>(new: &mut BTreeMap<String, T>, old: &BTreeMap<String, T>, pack: &str) {
    let is_its = |name: &str| {
        name.strip_prefix(pack)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    new.retain(|name, _| !is_its(name));
    let its = old.iter().filter(|(name, _)| is_its(name));
    new.extend(its.map(|(name, one)| (name.clone(), one.clone())));
}

/// A pack: `pack.yaml` and its configuration.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The name by which everything refers to it.
    pub name: String,
    /// Its folder, absolute.
    pub dir: PathBuf,
    /// `description` of pack.yaml.
    pub description: String,
    /// `version` of pack.yaml.
    pub version: String,
    /// `author` of pack.yaml.
    pub author: String,
    /// `email` of pack.yaml.
    pub email: String,
    /// The configuration that sensors and actions see: `configs/<pack>.yaml`, else the in-pack
    /// `config.yaml`, over the defaults of `config.schema.yaml`. Always an object.
    ///
    /// Where [`Pack::is_dynamic`], its templates are still templates:
    /// [`resolve`](super::pack_config::resolve) fills them in.
    pub config: Map<String, Value>,
    /// The same as it was written, without defaults.
    pub written_config: Map<String, Value>,
    /// `config.schema.yaml` as one schema of an object, its attributes under `properties`.
    pub config_schema: Value,
    /// The same, ready to check a configuration.
    pub config_check: Arc<super::schema::PayloadCheck>,
    /// The configuration has templates, so its values are known only when they are needed.
    pub is_dynamic: bool,
    /// Dotted paths of `config` that the schema calls secret, list items by their number.
    pub secrets: Vec<String>,
}

/// How the lines of a sensor are read; see PROTOCOL.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Payload lines until a line has a member `jsonrpc`, messages from then on.
    Auto,
    /// `protocol: payload`: every object is a payload.
    Payload,
    /// `protocol: rpc`: only messages count.
    Rpc,
}

/// How a changed sensor takes the place of the running one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// `reload: restart`: the old one has ended before the new one starts.
    Restart,
    /// `reload: overlap`: the old one ends when the new one is ready.
    Overlap,
}

/// One of several of a sensor, each with a configuration of its own (`instances:` in petrel.yaml).
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its name, which follows `@` in the reference.
    pub name: String,
    /// The pack as this instance sees it: with its own configuration over the pack's.
    pub pack: Arc<Pack>,
}

/// One sensor.
#[derive(Clone, Debug)]
pub struct Sensor {
    /// `pack.ClassName`, or `pack.ClassName@instance`.
    pub reference: String,
    /// Name of its pack.
    pub pack: String,
    /// `class_name`, which is also its name.
    pub class_name: String,
    /// `description`, or empty.
    pub description: String,
    /// `enabled`; true when not written.
    pub enabled: bool,
    /// Where `enabled` was decided, when that is not its own file: a place such as
    /// `overrides/x.yaml:3`.
    pub enabled_source: Option<String>,
    /// The program, absolute: `entry_point` relative to the folder of the YAML.
    pub file_path: PathBuf,
    /// `poll_interval`, seconds.
    pub poll_interval: Option<u32>,
    /// References of the trigger types that it may dispatch, in written order.
    pub trigger_types: Vec<String>,
    /// `mode: command`: the program is run every `poll_interval`, and ends each time.
    pub is_command: bool,
    /// How its lines are read.
    pub protocol: Protocol,
    /// How a changed one takes its place.
    pub reload: Reload,
    /// A hash of its code; see [`EntryPoint`](super::sources::EntryPoint).
    pub code: String,
    /// Where it is one of several.
    pub instance: Option<Instance>,
    /// Looked after like this.
    pub policy: Policy,
    /// Where each knob of `policy` came from: dotted path to a place such as
    /// `petrel.yaml:12` or `packs/x/sensors/y.yaml:7`; a knob not named is built in.
    pub policy_sources: BTreeMap<String, String>,
    /// The YAML, relative to the pack's folder.
    pub metadata_file: String,
}

impl Sensor {
    /// A process of `self` need not be replaced by one of `other`: what differs holds without a start.
    pub fn runs_like(&self, other: &Self) -> bool {
        let same_program = self.file_path == other.file_path
            && self.class_name == other.class_name
            && self.code == other.code
            && self.is_command == other.is_command
            && self.poll_interval == other.poll_interval
            && self.trigger_types == other.trigger_types
            && self.protocol == other.protocol;
        same_program && self.policy.runs_like(&other.policy)
    }
}

/// One trigger type, with its schemas.
#[derive(Clone, Debug)]
pub struct TriggerType {
    /// `pack.name`.
    pub reference: String,
    /// Name of its pack.
    pub pack: String,
    /// Its name within the pack.
    pub name: String,
    /// `description`, or empty.
    pub description: String,
    /// `payload_schema` as written; `{}` when absent.
    pub payload_schema: Value,
    /// `parameters_schema` as written; `{}` when absent.
    pub parameters_schema: Value,
    /// `payload_schema`, ready to check payloads.
    pub payload_check: Arc<super::schema::PayloadCheck>,
    /// `keep`: what the journal has of its events; petrel.yaml has the last word. None is all.
    pub keep: Option<Keep>,
    /// The YAML, relative to the pack's folder.
    pub metadata_file: String,
}

/// Where something stands in a file, for messages: 1-based line and column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
}

/// Whether a rule fires beside others or only where none did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Fires whenever it matches.
    Standard,
    /// Considered only where no standard rule of the same trigger matched.
    Backstop,
}

/// What becomes of the firings of a timer that nobody was there for; `missed` of a rule's trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenMissed {
    /// One firing stands for all of them.
    #[default]
    RunOnce,
    /// Each is made up for.
    All,
    /// They are left out.
    Skip,
}

/// One line of a rule's `criteria`.
#[derive(Clone, Debug)]
pub struct Criterion {
    /// The key as written, with its `#suffix`.
    pub key: String,
    /// Operator name as written.
    pub operator: String,
    /// `pattern`; null when absent.
    pub pattern: Value,
    /// `condition` of a `search`, as written.
    pub condition: Option<String>,
    /// Where the key stands.
    pub mark: Mark,
    /// Where the operator stands.
    pub operator_mark: Mark,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `pack.name`.
    pub reference: String,
    /// Name of its pack.
    pub pack: String,
    /// Its name within the pack.
    pub name: String,
    /// `description`, or empty.
    pub description: String,
    /// `enabled`; false when not written, as StackStorm has it.
    pub enabled: bool,
    /// Where `enabled` was decided, when that is not its own file: a place such as
    /// `overrides/x.yaml:3`.
    pub enabled_source: Option<String>,
    /// Standard or backstop.
    pub kind: RuleKind,
    /// `trigger.type`.
    pub trigger_type: String,
    /// `trigger.parameters`.
    pub trigger_parameters: Map<String, Value>,
    /// `trigger.missed`; only timers have a use for it.
    pub missed: WhenMissed,
    /// `order` and `order_by`.
    pub order: RuleOrder,
    /// `criteria`, in written order; all must hold.
    pub criteria: Vec<Criterion>,
    /// `action.ref`.
    pub action: String,
    /// `action.parameters`.
    pub parameters: Map<String, Value>,
    /// Hash of all that decides what the rule does: the rule version of an execution's identity.
    pub version: String,
    /// The YAML, relative to the pack's folder.
    pub metadata_file: String,
    /// The YAML, as messages name it, and where `trigger.type` and `action.ref` stand in it.
    pub source: RuleSource,
}

/// In which order the executions of a rule begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RuleOrder {
    /// As slots get free: several at a time, and one that is tried again after those behind it.
    #[default]
    Any,
    /// `order: strict`: in the order of their events, each when the one before it is over.
    Strict,
    /// `order_by`: the same among events for which this template gives the same text.
    By(String),
}

/// Where the parts of a rule stand, for messages.
#[derive(Clone, Debug, Default)]
pub struct RuleSource {
    /// The file, as messages name it.
    pub file: String,
    /// Of `trigger.type`.
    pub trigger: Mark,
    /// Of `action.ref`.
    pub action: Mark,
    /// Of `order_by`.
    pub order_by: Mark,
    /// Of the keys of `action.parameters`.
    pub parameters: BTreeMap<String, Mark>,
    /// The text of the file, for quoting a line of it.
    pub text: Arc<str>,
}

/// What runs an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runner {
    /// `python-script`, once `run-python`.
    PythonScript,
    /// `local-shell-cmd`, once `run-local`.
    LocalShellCmd,
    /// `local-shell-script`, once `run-local-script`.
    LocalShellScript,
    /// `remote-shell-cmd`, once `run-remote`.
    RemoteShellCmd,
    /// `remote-shell-script`, once `run-remote-script`.
    RemoteShellScript,
    /// `noop`.
    Noop,
    /// `http-request`, once `http-runner`.
    HttpRequest,
    /// `announcement`.
    Announcement,
    /// `action-chain`.
    ActionChain,
}

/// What becomes of an execution that may have run, and whose end is not known: the machine went down,
/// or somebody killed what watched over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// It is begun again.
    Retry,
    /// It is `abandoned`, and never begun again.
    #[default]
    Fail,
    /// Somebody says what became of it; until then it is `pending`.
    Ask,
}

/// One action.
#[derive(Clone, Debug)]
pub struct Action {
    /// `pack.name`.
    pub reference: String,
    /// Name of its pack.
    pub pack: String,
    /// Its name within the pack.
    pub name: String,
    /// `description`, or empty.
    pub description: String,
    /// `enabled`; true when not written.
    pub enabled: bool,
    /// Where `enabled` was decided, when that is not its own file: a place such as
    /// `overrides/x.yaml:3`.
    pub enabled_source: Option<String>,
    /// What runs it.
    pub runner: Runner,
    /// `runner_type` as written.
    pub runner_type: String,
    /// The program, absolute: `entry_point` relative to `actions/`.
    pub entry_point: Option<PathBuf>,
    /// Schemas of its own parameters, by name, in written order, as written.
    pub parameters: Schemas,
    /// Schemas of all parameters: the runner's overlaid by its own.
    pub all_parameters: Schemas,
    /// The schema of what it returns, as written; `{}` when absent.
    pub output_schema: Map<String, Value>,
    /// Whom to tell when it is over.
    pub notify: Vec<Notify>,
    /// What becomes of one whose end is not known.
    pub on_unknown: OnUnknown,
    /// `warm`: where it is a Python action, it may be a fork of a Python that is ready.
    pub warm: bool,
    /// Its tasks, where it is a chain.
    pub chain: Option<Arc<Chain>>,
    /// The YAML, relative to the pack's folder.
    pub metadata_file: String,
}
