//! What `ssh` asks for a password: a link to `petrel` that is called by this name.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// The name of the link.
pub const NAME: &str = "petrel-askpass";

/// The variable that names the file with the answers; only its path is in the environment.
pub const ANSWERS: &str = "PETREL_SSH_ANSWERS";

/// What may be asked for.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Answers {
    /// Of the login.
    pub password: Option<String>,
    /// Of the private key.
    pub passphrase: Option<String>,
}

/// Prints the answer to a prompt.
///
/// # Errors
/// When there is none: `ssh` takes that for a refusal.
pub fn run(prompt: &str) -> anyhow::Result<()> {
    let path = std::env::var_os(ANSWERS).with_context(|| format!("{ANSWERS} is not set"))?;
    let answers: Answers = serde_json::from_slice(&std::fs::read(path)?)?;
    let prompt = prompt.to_lowercase();
    let answer = match () {
        () if prompt.contains("passphrase") => answers.passphrase,
        () if prompt.contains("password") => answers.password,
        () => None,
    };
    match answer {
        Some(answer) => println!("{answer}"),
        None => bail!("there is no answer to this question"),
    }
    Ok(())
}
