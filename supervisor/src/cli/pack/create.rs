//! `petrel pack create`, and `st2sdk bootstrap`, whose layout is st2sdk's (reference st2.md 9.5).

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;

use super::after;
use crate::cli::{Folders, print};
use crate::world::install::{self, Staging};

/// Files of a new pack, and their texts; `@NAME@` is its name, `@TITLE@` that as a heading.
const FILES: [(&str, &str); 9] = [
    ("pack.yaml", include_str!("template/pack.yaml")),
    (
        "config.schema.yaml",
        include_str!("template/config.schema.yaml"),
    ),
    ("README.md", include_str!("template/README.md")),
    ("sensors/ticker.yaml", include_str!("template/ticker.yaml")),
    ("sensors/ticker.py", include_str!("template/ticker.py")),
    ("actions/greet.yaml", include_str!("template/greet.yaml")),
    ("actions/greet.py", include_str!("template/greet.py")),
    (
        "rules/greet_on_tick.yaml",
        include_str!("template/greet_on_tick.yaml"),
    ),
    (
        "tests/test_action_greet.py",
        include_str!("template/test_action_greet.py"),
    ),
];

const BOOTSTRAP: [(&str, &str); 3] = [
    ("README.md", include_str!("template/bootstrap.md")),
    ("pack.yaml", include_str!("template/bootstrap.yaml")),
    ("config.yaml", "---\n"),
];

const LICENSE: &str = include_str!("../../../../LICENSE");

/// See [`super::Command::Create`].
#[derive(Debug, Args)]
pub struct Create {
    /// Its name: small letters, digits and _
    name: String,
    #[command(flatten)]
    folders: Folders,
}

impl Create {
    /// Makes it in the folder of packs.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let name = &self.name;
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        ensure!(
            !name.is_empty() && name.chars().all(word) && name != "_global",
            "\"{name}\" cannot name a pack: use small letters, digits and _ only"
        );
        let packs = install::folder_of_packs(&self.folders.packs)?;
        let dir = packs.join(name);
        ensure!(
            fs::symlink_metadata(&dir).is_err(),
            "{} is there already: choose another name",
            dir.display()
        );
        let staging = Staging::new(&packs)?;
        let made = staging.path("made");
        write(
            &made,
            &FILES,
            &[("@NAME@", name), ("@TITLE@", &title(name))],
        )?;
        staging.place(&made, name, false)?;
        drop(staging);
        print::line(&format!("created {}", dir.display()))?;
        for (file, _) in FILES {
            print::line(&format!("  {file}"))?;
        }
        after::tell(self.folders.data);
        Ok(ExitCode::SUCCESS)
    }
}

/// `st2sdk bootstrap`.
#[derive(Debug, Args)]
pub struct Bootstrap {
    /// Its name
    pack_name: String,
    /// Ask for the author's name and e-mail address
    #[arg(short, long)]
    interactive: bool,
    /// Add the Apache 2.0 licence
    #[arg(short = 'l', long)]
    add_license: bool,
}

impl Bootstrap {
    /// Makes it in the current folder.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let name = &self.pack_name;
        let is_name = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        ensure!(is_name, "\"{name}\" cannot name a pack");
        let dir = here(name)?;
        let shown = dir.display();
        ensure!(
            fs::symlink_metadata(&dir).is_err(),
            "Pack directory \"{shown}\" already exists"
        );
        let (author, email) = match self.interactive {
            true => (ask("Author name: ")?, ask("Author email: ")?),
            false => ("John Doe".to_owned(), "john.doe@example.com".to_owned()),
        };
        let values = [
            ("@NAME@", scalar(name)),
            ("@TITLE@", title(name)),
            ("@AUTHOR@", scalar(&author)),
            ("@EMAIL@", scalar(&email)),
        ];
        let values = values.each_ref().map(|(mark, value)| (*mark, &**value));
        write(&dir, &BOOTSTRAP, &values)?;
        for folder in ["sensors", "actions"] {
            fs::create_dir(dir.join(folder))?;
        }
        if self.add_license {
            fs::write(dir.join("LICENSE"), LICENSE)?;
        }
        print::line(&format!("Pack \"{name}\" created in {shown}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn here(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("failed to find the current folder")?;
    Ok(here.join(name))
}

fn ask(question: &str) -> anyhow::Result<String> {
    eprint!("{question}");
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Text as YAML reads it back: plain where that is safe, else in quotes.
fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || " ._-@+".contains(c);
    let words = ["yes", "no", "on", "off", "true", "false", "null", "y", "n"];
    let plain = text.starts_with(char::is_alphabetic)
        && !text.ends_with(' ')
        && text.chars().all(safe)
        && !words.contains(&text.to_lowercase().as_str());
    match plain {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

fn write(dir: &Path, files: &[(&str, &str)], values: &[(&str, &str)]) -> anyhow::Result<()> {
    for (name, text) in files {
        let path = dir.join(name);
        let told = || format!("failed to write {}", path.display());
        let text = values
            .iter()
            .fold((*text).to_owned(), |text, (mark, value)| {
                text.replace(mark, value)
            });
        fs::create_dir_all(path.parent().unwrap_or(dir)).with_context(told)?;
        fs::write(&path, text).with_context(told)?;
    }
    Ok(())
}

/// As Python's `str.title` has it: every run of letters begins with a capital.
fn title(name: &str) -> String {
    let mut inside = false;
    let letters = name.chars().map(|c| {
        let begins = c.is_alphabetic() && !inside;
        inside = c.is_alphabetic();
        match begins {
            true => c.to_ascii_uppercase(),
            false => c.to_ascii_lowercase(),
        }
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_pythons() {
        for (name, expected) in [("mypack", "Mypack"), ("my_pack2x", "My_Pack2X")] {
            assert_eq!(title(name), expected);
        }
    }

    #[test]
    fn names_are_read_back_as_text() {
        let mut check = String::new();
        for text in [
            "John Doe", "yes", "12", "a: b", "x # y", "\"q\"", "", "a@b.c",
        ] {
            check += &format!("- {}\n", scalar(text));
        }
        let parsed = crate::catalog::yaml::parse(&check).unwrap();
        let found = parsed.root.to_json();
        assert_eq!(
            found,
            serde_json::json!([
                "John Doe", "yes", "12", "a: b", "x # y", "\"q\"", "", "a@b.c"
            ])
        );
    }
}
