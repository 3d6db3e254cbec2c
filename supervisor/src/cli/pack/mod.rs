//! `petrel pack`. Packs are files: all but the lists work without a supervisor, and tell a running
//! one afterwards.

mod after;
mod answers;
mod config;
pub mod create;
mod install;
mod remove;
mod setup;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

use super::lists::{Get, List, PACKS};

/// See [`super::Command::Pack`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them.
    List(List),
    /// Show one.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Make a new one, with a sensor, a rule and an action that run at once.
    Create(create::Create),
    /// Install one from a git URL, OWNER/REPOSITORY, a folder, an archive or the index.
    Install(install::Install),
    /// Make the Python environments of packs, all or these.
    Setup(setup::Setup),
    /// Run a pack's own tests, in an environment made for them.
    Test(test::Test),
    /// Remove one; its configuration stays.
    Remove(remove::Remove),
    /// Write its configuration: by answering questions, or with KEY=VALUE.
    Config(config::Config),
}

impl Command {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(&PACKS),
            Self::Get(get) => get.of_list(&PACKS),
            Self::Create(create) => create.run(),
            Self::Install(install) => install.run(),
            Self::Setup(setup) => setup.run(),
            Self::Test(test) => test.run(),
            Self::Remove(remove) => remove.run(),
            Self::Config(config) => config.run(),
        }
    }
}
