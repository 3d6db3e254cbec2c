//! `petrel rule`.

use std::process::ExitCode;

use clap::Subcommand;

use super::lists;
use super::rule_test::Test;

/// See [`super::Command::Rule`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them.
    List(lists::List),
    /// Show one.
    Get(lists::Get),
    /// Say what a rule makes of an event, criterion by criterion; runs nothing.
    Test(Test),
}

impl Command {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(&lists::RULES),
            Self::Get(get) => get.of_list(&lists::RULES),
            Self::Test(test) => test.run(),
        }
    }
}
