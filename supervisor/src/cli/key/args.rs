//! The command line of `petrel key`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::load::Load;
use crate::cli::Client;

/// See [`crate::cli::Command::Key`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List keys: everybody's and your own
    List(List),
    /// Show keys
    Get(Get),
    /// Set a key
    Set(Set),
    /// Delete keys
    Delete(Delete),
    /// Delete all keys whose names begin alike
    #[command(name = "delete_by_prefix", alias = "delete-by-prefix")]
    DeleteByPrefix(DeleteByPrefix),
    /// Set all keys of a JSON or YAML file, or none
    Load(Load),
    /// Make a key file to encrypt values with
    GenerateKey(GenerateKey),
}

/// A scope of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Scope {
    /// Everybody's
    #[value(alias = "st2kv.system")]
    System,
    /// A user's own
    #[value(alias = "st2kv.user")]
    User,
}

/// Whose keys are meant.
#[derive(Debug, Args)]
pub(super) struct Owner {
    /// Whose [default: system, with --user: user]
    #[arg(short, long)]
    pub(super) scope: Option<Scope>,
    /// The user whose they are [default: the one as whom rules and sensors run]
    #[arg(short, long)]
    pub(super) user: Option<String>,
}

/// See [`Command::List`].
#[derive(Debug, Args)]
pub struct List {
    /// Only names that begin with this
    #[arg(long)]
    pub(super) prefix: Option<String>,
    /// Show encrypted values in clear
    #[arg(short, long)]
    pub(super) decrypt: bool,
    /// Whose [default: all]
    #[arg(short, long, value_parser = ["all", "system", "user", "st2kv.system", "st2kv.user"])]
    pub(super) scope: Option<String>,
    /// Only of this user
    #[arg(short, long)]
    pub(super) user: Option<String>,
    /// At most so many [default: all, as with -1]
    #[arg(
        short = 'n',
        long,
        visible_alias = "last",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub(super) limit: Option<i64>,
    #[command(flatten)]
    pub(super) client: Client,
}

/// See [`Command::Get`].
#[derive(Debug, Args)]
pub struct Get {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Show encrypted values in clear
    #[arg(short, long)]
    pub(super) decrypt: bool,
    #[command(flatten)]
    pub(super) owner: Owner,
    #[command(flatten)]
    pub(super) client: Client,
}

/// See [`Command::Set`].
#[derive(Debug, Args)]
pub struct Set {
    /// Name
    pub(super) name: String,
    /// Text; without it, standard input is read, or asked for without echo. What begins with a
    /// dash goes behind `--`
    #[arg(allow_negative_numbers = true)]
    pub(super) value: Option<String>,
    /// Seconds to live [default: for ever]
    #[arg(short = 'l', long, value_name = "SECONDS")]
    pub(super) ttl: Option<u64>,
    /// Encrypt the value
    #[arg(short, long)]
    pub(super) encrypt: bool,
    /// The value is encrypted already
    #[arg(long, conflicts_with = "encrypt")]
    pub(super) encrypted: bool,
    #[command(flatten)]
    pub(super) owner: Owner,
    #[command(flatten)]
    pub(super) client: Client,
}

/// See [`Command::Delete`].
#[derive(Debug, Args)]
pub struct Delete {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) owner: Owner,
    #[command(flatten)]
    pub(super) client: Client,
}

/// See [`Command::DeleteByPrefix`].
#[derive(Debug, Args)]
pub struct DeleteByPrefix {
    /// The beginning of their names, such as `pack.Class:`
    #[arg(short, long)]
    pub(super) prefix: String,
    #[command(flatten)]
    pub(super) owner: Owner,
    #[command(flatten)]
    pub(super) client: Client,
}

/// See [`Command::GenerateKey`].
#[derive(Debug, Args)]
pub struct GenerateKey {
    /// The file to make; one that exists is left as it is
    pub(super) file: PathBuf,
}

impl Owner {
    /// Members of a query that name the scope.
    pub(super) fn query(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let scope = match (self.scope, &self.user) {
            (None, None) | (Some(Scope::System), None) => "system",
            (Some(Scope::User), _) | (None, Some(_)) => "user",
            (Some(Scope::System), Some(_)) => {
                anyhow::bail!("keys of the scope system belong to no user: leave --user out")
            }
        };
        let mut query = vec![("scope", scope.to_owned())];
        query.extend(self.user.clone().map(|user| ("user", user)));
        Ok(query)
    }
}
