//! The arguments of `ssh`, and one connection.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::askpass::{self, Answers};
use super::hosts::{self, Host};
use super::output::Output;
use super::{Asked, KNOWN_HOSTS, command};
use crate::rules::python::shell_quoted;
use crate::world::spawn;

/// How long `ssh` may try to reach a host.
const CONNECT_S: u64 = 60;

/// How long all may take until the far shell answers.
const UNTIL_SHELL: Duration = Duration::from_secs(90);

/// How long `ssh` may take to end once the command has: a program in the background keeps it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Files without a name, which are gone with this process.
#[derive(Debug)]
pub struct Secrets {
    answers: Option<File>,
    key: Option<File>,
}

/// How to connect: the same for all hosts.
#[derive(Debug)]
pub struct Login {
    secrets: Secrets,
    options: Vec<String>,
    port: Option<u16>,
    bastion: Option<Host>,
    askpass: std::path::PathBuf,
    limit: Duration,
    begins: String,
    ends: String,
}

/// How a connection ended.
#[derive(Debug, Default)]
pub struct Said {
    /// Of the command.
    pub stdout: String,
    /// Of the command, or what `ssh` said where the far shell never answered.
    pub stderr: String,
    /// The far shell answered.
    pub connected: bool,
    /// It took too long.
    pub timed_out: bool,
    /// Of the command, or 255.
    pub code: i32,
}

fn hidden(content: &[u8]) -> anyhow::Result<File> {
    let mut file = File::from(memfd_create("petrel", MemfdFlags::CLOEXEC)?);
    // ssh takes no key that others may read.
    fchmod(&file, Mode::RUSR)?;
    file.write_all(content)?;
    Ok(file)
}

/// How another process of ours reaches such a file.
fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

impl Login {
    /// From the parameters.
    ///
    /// # Errors
    /// What is wrong with them, or a file that cannot be made.
    pub fn new(asked: &Asked) -> anyhow::Result<Self> {
        let password = asked.text("password");
        let key = asked.text("private_key").filter(|_| password.is_none());
        // StackStorm's test for the text of a key.
        let is_text = |key: &&str| key.to_lowercase().contains("private key-----");
        let key_text = key.filter(is_text);
        let answers = Answers {
            password: password.map(str::to_owned),
            passphrase: asked.text("passphrase").map(str::to_owned),
        };
        let asks = answers.password.is_some() || answers.passphrase.is_some();
        let secrets = Secrets {
            answers: asks
                .then(|| hidden(&serde_json::to_vec(&answers)?))
                .transpose()?,
            key: key_text
                .map(|key| hidden(format!("{}\n", key.trim()).as_bytes()))
                .transpose()?,
        };
        let key = match (&secrets.key, key) {
            (Some(file), _) => Some(path(file)),
            (None, Some(key)) => Some(existing(key)?),
            (None, None) => None,
        };
        let bastion = asked.text("bastion_host").map(hosts::one).transpose()?;
        let seconds = asked.parameters.get("timeout");
        let seconds = seconds.and_then(serde_json::Value::as_f64).unwrap_or(60.0);
        // StackStorm's zero is no limit.
        let limit = Duration::try_from_secs_f64(seconds).ok();
        let limit = limit.filter(|limit| !limit.is_zero());
        let askpass = asked.memory.join(askpass::NAME);
        link(&asked.petrel, &askpass)?;
        Ok(Self {
            options: options(asked, key.as_deref(), password.is_some(), asks)?,
            port: port(asked)?,
            secrets,
            bastion,
            askpass,
            limit: limit.unwrap_or(Duration::MAX),
            begins: command::begins(asked),
            ends: command::ends(asked),
        })
    }

    /// How long a command may take.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    fn arguments(&self, host: &Host) -> Vec<String> {
        let mut all = self.options.clone();
        if let Some(bastion) = &self.bastion {
            // With -J none of our options would hold for the first connection.
            let words = [vec!["ssh".to_owned()], self.options.clone()].concat();
            let words = [words, vec!["-W".into(), "[%h]:%p".into()], self.to(bastion)].concat();
            let words = words.iter().enumerate().map(|(at, word)| {
                let quoted = shell_quoted(word);
                // Only the words of -W are ssh's to fill in.
                match at == self.options.len() + 2 {
                    true => quoted,
                    false => quoted.replace('%', "%%"),
                }
            });
            let line = words.collect::<Vec<_>>().join(" ");
            all.extend(["-o".into(), format!("ProxyCommand={line}")]);
        }
        all.extend(self.to(host));
        all.push(command::SHELL.to_owned());
        all
    }

    fn to(&self, host: &Host) -> Vec<String> {
        let port = host.port.or(self.port);
        let port = port.map(|port| ["-p".to_owned(), port.to_string()]);
        let end = ["--".to_owned(), host.name.clone()];
        port.into_iter().flatten().chain(end).collect()
    }

    /// Runs the text on one host.
    ///
    /// # Errors
    /// When `ssh` cannot be started.
    pub async fn run(&self, host: &Host, text: &str) -> anyhow::Result<Said> {
        let answers = self.secrets.answers.as_ref().map(path);
        let askpass = self.askpass.to_string_lossy().into_owned();
        let env = answers.into_iter().flat_map(|answers| {
            [
                (askpass::ANSWERS, answers),
                ("SSH_ASKPASS", askpass.clone()),
                ("SSH_ASKPASS_REQUIRE", "force".to_owned()),
                // Before OpenSSH 8.4, nothing else makes it ask a program.
                ("DISPLAY", ":0".to_owned()),
            ]
        });
        let mut child = spawn::piped(Path::new("ssh"), &self.arguments(host), env)
            .context("cannot start ssh: install it (Debian: apt-get install openssh-client)")?;
        let (Some(mut stdin), Some(mut out), Some(mut err)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            anyhow::bail!("ssh has no standard streams");
        };
        let (mut stdout, mut stderr) = (
            Output::new(&self.begins, &self.ends),
            Output::new(&self.begins, &self.ends),
        );
        let feed = async {
            // A host that cannot be reached reads nothing; ssh says why.
            let _ = stdin.write_all(text.as_bytes()).await;
            drop(stdin);
        };
        let mut feed = std::pin::pin!(feed);
        let mut limit = Box::pin(tokio::time::sleep(UNTIL_SHELL));
        let (mut fed, mut out_open, mut err_open) = (false, true, true);
        let (mut connected, mut timed_out) = (false, false);
        while (out_open || err_open) && (stdout.code().is_none() || stderr.code().is_none()) {
            tokio::select! {
                () = &mut feed, if !fed => fed = true,
                open = more(&mut out, &mut stdout), if out_open => out_open = open,
                open = more(&mut err, &mut stderr), if err_open => err_open = open,
                () = &mut limit => {
                    timed_out = true;
                    break;
                }
            }
            if !connected && stdout.began() {
                connected = true;
                limit = Box::pin(tokio::time::sleep(self.limit));
            }
        }
        let code = match timed_out {
            true => None,
            false => tokio::time::timeout(FAREWELL, child.wait()).await.ok(),
        };
        if code.is_none() {
            child.kill().await?;
        }
        let code = code.transpose()?.and_then(|status| status.code());
        Ok(Said {
            stdout: stdout.text(),
            stderr: stderr.text(),
            connected,
            timed_out,
            code: stdout.code().or(code).unwrap_or(255),
        })
    }
}

/// Reads on; false at the end.
async fn more(from: &mut (impl AsyncRead + Unpin), into: &mut Output) -> bool {
    let mut bytes = [0; 16 << 10];
    match from.read(&mut bytes).await {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            into.push(&bytes[..count]);
            true
        }
    }
}

fn options(
    asked: &Asked,
    key: Option<&str>,
    by_password: bool,
    asks: bool,
) -> anyhow::Result<Vec<String>> {
    let known = asked.data.join(KNOWN_HOSTS);
    known.parent().map(std::fs::create_dir_all).transpose()?;
    let known = known.to_string_lossy().replace('%', "%%");
    let mut all: Vec<String> = vec!["-T".into()];
    let mut set = |option: &str| all.extend(["-o".to_owned(), option.to_owned()]);
    set("LogLevel=ERROR");
    set("StrictHostKeyChecking=accept-new");
    set(&format!(
        "UserKnownHostsFile=\"{known}\" \"~/.ssh/known_hosts\""
    ));
    set(&format!("ConnectTimeout={CONNECT_S}"));
    set("ServerAliveInterval=15");
    set("NumberOfPasswordPrompts=1");
    match (by_password, key) {
        (true, _) => {
            set("PubkeyAuthentication=no");
            set("PreferredAuthentications=password,keyboard-interactive");
        }
        (false, Some(key)) => {
            set("IdentitiesOnly=yes");
            set("PreferredAuthentications=publickey");
            all.extend(["-i".to_owned(), key.replace('%', "%%")]);
        }
        (false, None) => {}
    }
    if !asks {
        all.extend(["-o".to_owned(), "BatchMode=yes".to_owned()]);
    }
    if let Some(user) = asked.text("username") {
        all.extend(["-l".to_owned(), user.to_owned()]);
    }
    Ok(all)
}

/// The file of a key, with the home folder for `~`.
fn existing(key: &str) -> anyhow::Result<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let path = match key.strip_prefix("~/") {
        Some(rest) => format!("{home}/{rest}"),
        None => key.to_owned(),
    };
    // What was meant as the text of a key is not for everybody's eyes.
    let why = "\"private_key\" is neither the text of a key nor a file that can be read";
    File::open(&path).context(why)?;
    Ok(path)
}

fn port(asked: &Asked) -> anyhow::Result<Option<u16>> {
    let given = asked.parameters.get("port");
    let given = given.and_then(serde_json::Value::as_u64).map(u16::try_from);
    given.transpose().context("\"port\" is no number to 65535")
}

/// A link to our own program, made anew where it led to another one. Other executions may do the same.
fn link(petrel: &Path, name: &Path) -> anyhow::Result<()> {
    if std::fs::read_link(name).is_ok_and(|target| target == petrel) {
        return Ok(());
    }
    let fresh = name.with_extension(std::process::id().to_string());
    symlink(petrel, &fresh)
        .and_then(|()| std::fs::rename(&fresh, name))
        .with_context(|| format!("cannot make {}", name.display()))
}
