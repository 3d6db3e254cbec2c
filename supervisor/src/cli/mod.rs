//! The `petrel` command. One file per noun; [`print`] alone knows tables, JSON and YAML.
//!
//! All but `run`, `check` and `key generate-key` are clients of the API.

mod check;
mod client;
mod doctor;
mod event;
mod execution;
mod execution_tail;
mod journal;
mod key;
mod link;
mod lists;
mod names;
mod pack;
mod print;
mod reload;
mod rule;
mod rule_test;
mod run;
mod run_action;
mod runner;
mod sensor;
mod sensor_control;
mod sensor_crashes;
mod sensor_logs;
mod stats;
mod upgrade;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::daemon;
use crate::world::handover;
use crate::world::paths::Given;
use crate::world::spawn::WRAPPER;

/// Looks after sensors, and runs actions on what they see: StackStorm's packs, without StackStorm.
#[derive(Debug, Parser)]
#[command(name = "petrel", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the packs: sensors, rules, actions.
    Run(run::Run),
    /// Say all that is wrong with packs, without running them.
    Check(check::Check),
    /// Say what this host gives: isolation, disk, limits, Python; and the cure for each lack.
    Doctor(doctor::Doctor),
    /// Sensors, and how they are.
    #[command(subcommand)]
    Sensor(sensor::Command),
    /// Trigger types.
    #[command(subcommand)]
    Trigger(lists::Listed),
    /// Rules, and what they make of events.
    #[command(subcommand)]
    Rule(rule::Command),
    /// What rules made of events: asked for their action, or failed.
    #[command(subcommand)]
    RuleEnforcement(lists::Enforced),
    /// Actions.
    #[command(subcommand)]
    Action(lists::Listed),
    /// What happened since the supervisor started, in numbers.
    Stats(stats::Stats),
    /// Take the packs as they are now: rules, actions, trigger types, configurations.
    Reload(reload::Reload),
    /// Let another program go on in the place of the one that runs, without stopping anything.
    Upgrade(upgrade::Upgrade),
    #[command(hide = true)]
    UpgradeCheck(upgrade::Check),
    /// Packs: install, make, configure, remove.
    #[command(subcommand)]
    Pack(pack::Command),
    /// Make the names st2, st2ctl and st2sdk lead to this program.
    Link(link::Link),
    #[command(hide = true)]
    Components(names::Components),
    #[command(hide = true)]
    Bootstrap(pack::create::Bootstrap),
    /// Run an action now, and print what came of it.
    RunAction(run_action::RunAction),
    /// Executions of actions.
    #[command(subcommand)]
    Execution(execution::Command),
    /// Keys and values that sensors, rules and actions share.
    #[command(subcommand)]
    Key(key::Command),
    /// The journal: what it has, whether it is whole, copies of it.
    #[command(subcommand)]
    Journal(journal::Command),
    /// Run one action that standard input describes; petrel starts itself as this.
    #[command(subcommand, hide = true)]
    Runner(runner::Command),
    /// Events that sensors reported.
    #[command(subcommand)]
    Event(event::Command),
}

/// Where things lie; each also from the environment.
#[derive(Clone, Debug, Args)]
struct Folders {
    /// Folder of packs, or a pack; may be given several times [default: ./packs, else
    /// /opt/stackstorm/packs]
    #[arg(long, value_name = "DIR", env = "PETREL_PACKS", value_delimiter = ':')]
    packs: Vec<PathBuf>,
    /// Folder of <pack>.yaml [default: configs beside the packs]
    #[arg(long, value_name = "DIR", env = "PETREL_CONFIGS")]
    configs: Option<PathBuf>,
    /// Folder of the journal [default: $XDG_STATE_HOME/petrel; for root /var/lib/petrel]
    #[arg(long, value_name = "DIR", env = "PETREL_DATA")]
    data: Option<PathBuf>,
    /// The configuration [default: ./petrel.yaml, else /etc/petrel/petrel.yaml, if there]
    #[arg(long, value_name = "FILE", env = "PETREL_CONFIG")]
    config: Option<PathBuf>,
}

impl From<Folders> for Given {
    fn from(folders: Folders) -> Self {
        Self {
            packs: folders.packs,
            configs: folders.configs,
            data: folders.data,
            config: folders.config,
        }
    }
}

/// Which supervisor to ask, and how to print its answer.
#[derive(Clone, Debug, Args)]
struct Client {
    /// Folder of the journal of the supervisor to ask
    #[arg(long, value_name = "DIR", env = "PETREL_DATA", global = true)]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(short, long, global = true)]
    json: bool,
    /// Print YAML
    #[arg(short, long, global = true, conflicts_with = "json")]
    yaml: bool,
    /// Columns to print, dotted for what lies inside; `all` for everything
    #[arg(short, long, value_name = "NAME", num_args = 1.., global = true)]
    attr: Vec<String>,
}

/// Exit code for wrong usage, as clap has it.
const USAGE: u8 = 2;

/// Exit code when no supervisor answers.
const UNREACHABLE: u8 = 3;

/// Runs the command line; the name in `args` decides who we are.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    let name = args.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == WRAPPER) {
        let code = sensor_wrapper::main(args.into_iter().skip(1));
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    let args = match names::translated(args) {
        Ok(args) => args,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(USAGE);
        }
    };
    match handover::received() {
        Ok(None) => {}
        Ok(Some(handover)) => return upgrade::take_over(args, handover),
        Err(error) => return finish(Err(error)),
    }
    match Cli::try_parse_from(args) {
        Ok(cli) => finish(run(cli.command)),
        Err(error) => {
            // Help and version are "errors" that belong on standard output; clap knows.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(run) => run.run(&daemon::Turn::default()),
        Command::Check(check) => check.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Sensor(command) => command.run(),
        Command::Trigger(list) => list.run(&lists::TRIGGERS),
        Command::Rule(command) => command.run(),
        Command::RuleEnforcement(list) => list.run(&lists::ENFORCEMENTS),
        Command::Action(list) => list.run(&lists::ACTIONS),
        Command::Stats(stats) => stats.run(),
        Command::Reload(reload) => reload.run(),
        Command::Upgrade(upgrade) => upgrade.run(),
        Command::UpgradeCheck(check) => check.run(),
        Command::Pack(command) => command.run(),
        Command::Link(link) => link.run(),
        Command::Components(components) => components.run(),
        Command::Bootstrap(bootstrap) => bootstrap.run(),
        Command::RunAction(run) => run.run(),
        Command::Runner(command) => command.run(),
        Command::Execution(command) => command.run(),
        Command::Journal(command) => command.run(),
        Command::Key(command) => command.run(),
        Command::Event(command) => command.run(),
    }
}

fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    let Err(error) = result else {
        return result.unwrap_or(ExitCode::FAILURE);
    };
    if print::is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error:#}");
    match error.downcast_ref::<client::Unreachable>() {
        Some(_) => ExitCode::from(UNREACHABLE),
        None => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
