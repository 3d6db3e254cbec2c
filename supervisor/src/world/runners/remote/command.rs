//! What the shell of the far side reads.

use anyhow::{Context, bail};
use data_encoding::BASE64;

use super::{Asked, files};
use crate::rules::python::shell_quoted as quoted;
use crate::world::runners::shell;

/// What `ssh` is told to start: any login shell understands it.
pub const SHELL: &str =
    "/bin/sh -c 'if command -v bash >/dev/null 2>&1; then exec bash -s; else exec sh -s; fi'";

/// What bash does behind `sudo`: what sudo left of the password is not its input.
const AFTER_PASSWORD: &str = r#"IFS= read -r -d "" _; "#;
const BEHIND_SUDO: &str = r#"IFS= read -r -d "" line; eval "$line" </dev/null"#;

/// Characters to a line of the archive.
const WIDTH: usize = 76;

/// What the far side says on both of its outputs before the command: all before it is not the
/// command's, but a greeting of the login shell.
pub fn begins(asked: &Asked) -> String {
    format!("petrel-{}-begins\n", asked.execution)
}

/// What it says after it, with the code of the command and a newline behind: what a program that was
/// left in the background says later is nobody's.
pub fn ends(asked: &Asked) -> String {
    format!("petrel-{}-ends ", asked.execution)
}

/// The whole text. It is one group, so that the shell has read all of it before anything runs.
///
/// # Errors
/// What is wrong with the parameters, or a file that cannot be read.
pub fn text(asked: &Asked) -> anyhow::Result<String> {
    let (begins, ends) = (quoted(&begins(asked)), quoted(&ends(asked)));
    let (copied, line) = program(asked)?;
    let run = run(asked, &format!("{}{line}", before(asked)?));
    let text = format!(
        "{{\nprintf %s {begins}\nprintf %s {begins} >&2\n{copied}( {run} )\ncode=$?\n\
         [ -z \"$petrel_folder\" ] || rm -rf -- \"$petrel_folder\"\n\
         printf '%s%d\\n' {ends} $code\nprintf '%s%d\\n' {ends} $code >&2\n\
         }} </dev/null\nexit $code\n"
    );
    match text.contains('\0') {
        true => bail!("a parameter has a NUL character, which no program can be given"),
        false => Ok(text),
    }
}

/// Variables and folder. They stand behind `sudo`, where StackStorm has them: it lets few variables
/// through, and the folder may be root's.
fn before(asked: &Asked) -> anyhow::Result<String> {
    let mut text = String::new();
    for (name, value) in &asked.env {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            bail!("\"{name}\" in \"env\" is no name of a variable");
        }
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    if let Some(folder) = asked.text("cwd") {
        text.push_str(&format!("cd {} || exit\n", quoted(folder)));
    }
    Ok(text)
}

/// What copies the script, if there is one, and the command line.
fn program(asked: &Asked) -> anyhow::Result<(String, String)> {
    let Some(script) = &asked.script else {
        let line = asked.text("cmd");
        let line = line.context("the parameter \"cmd\" is missing")?;
        return Ok((String::new(), line.to_owned()));
    };
    let folder = asked.text("dir").unwrap_or("/tmp").trim_end_matches('/');
    let folder = format!("{folder}/{}", asked.execution);
    let program = format!("{folder}/{}", files::name(script)?);
    let words = std::iter::once(&program).chain(&asked.arguments);
    let line: Vec<_> = words.map(|word| quoted(word)).collect();
    Ok((copied(&folder, &files::archive(script)?), line.join(" ")))
}

/// Copies the archive into a folder that is gone at the end.
fn copied(folder: &str, archive: &[u8]) -> String {
    let lines = BASE64.encode(archive);
    let lines: Vec<_> = lines.as_bytes().chunks(WIDTH).collect();
    let lines: Vec<_> = lines.into_iter().map(String::from_utf8_lossy).collect();
    format!(
        "petrel_folder={}\n\
         trap 'rm -rf -- \"$petrel_folder\"' EXIT\n\
         trap 'exit 129' HUP INT TERM\n\
         mkdir -p -m 700 -- \"$petrel_folder\" || exit 255\n\
         base64 -d <<'PETREL' | tar -xf - -C \"$petrel_folder\" || exit 255\n{}\nPETREL\n",
        quoted(folder),
        lines.join("\n"),
    )
}

fn run(asked: &Asked, line: &str) -> String {
    let line = quoted(line);
    let password = asked.text("sudo_password").map(quoted);
    match (asked.flag("sudo"), password) {
        (false, _) => format!("eval {line}"),
        (true, None) => {
            let shell = quoted(BEHIND_SUDO);
            format!("printf '%s\\0' {line} | sudo -n -E -- bash -c {shell}")
        }
        (true, Some(password)) => {
            let shell = quoted(&format!("{AFTER_PASSWORD}{BEHIND_SUDO}"));
            let prompt = quoted(shell::SUDO_PROMPT);
            format!(
                "printf '%s\\n\\0%s\\0' {password} {line} | sudo -S -p {prompt} -E -- bash -c {shell}"
            )
        }
    }
}
