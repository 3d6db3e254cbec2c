//! What this host gives, found by trying: for `petrel doctor`. Needs no supervisor and leaves nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use sensor_wrapper::sandbox::Feature;
use serde::Serialize;

use super::cgroup;
use super::spawn::{Wrapper, run_python};
use super::{clock, python};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There.
    Ok,
    /// Works with less.
    Less,
    /// Something needed is not there.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What.
    pub check: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub cure: String,
}

/// Syncs whose cost is measured.
const SYNCS: usize = 50;

/// Descriptors that one sensor takes: three pipes, its process, its start.
const DESCRIPTORS_EACH: u64 = 5;

/// Sensors for which the limits of the system should do.
const SENSORS: u64 = 1000;

/// Pages of a pipe as we make it.
const PIPE_PAGES: u64 = 16;

/// The oldest Python that the SDK runs on.
const PYTHON: (u32, u32) = (3, 8);

/// Looks at everything.
pub fn examine(data: &Path, configured: Option<&Path>) -> Vec<Finding> {
    let mut all = vec![data_folder(data), descriptors(), pipe_pages()];
    all.extend(isolation());
    all.extend(control_groups());
    let interpreter = python::interpreter(configured);
    all.push(python_itself(&interpreter));
    all.extend([environments(&interpreter), git(), sudo()]);
    all
}

fn finding(check: &'static str, verdict: Verdict, found: String, cure: &str) -> Finding {
    let cure = match verdict {
        Verdict::Ok => String::new(),
        _ => cure.to_owned(),
    };
    Finding {
        check,
        verdict,
        found,
        cure,
    }
}

fn data_folder(data: &Path) -> Finding {
    match syncs(data) {
        Ok(times) => {
            let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
            let (p50, p99) = (at(50), at(99));
            let slow = p50 > 20.0;
            let verdict = if slow { Verdict::Less } else { Verdict::Ok };
            let found = format!(
                "{}: a write is on disk after {p50:.2} ms (p50), {p99:.2} ms (p99) of {SYNCS}",
                data.display()
            );
            let cure = "each event waits for this: put --data on a faster disk";
            finding("data folder", verdict, found, cure)
        }
        Err(e) => {
            let found = format!("{} cannot be written: {e}", data.display());
            let cure = "name another folder with --data, or make it yours";
            finding("data folder", Verdict::Missing, found, cure)
        }
    }
}

/// How long syncs take, sorted; in the folder, or where that will be made.
fn syncs(data: &Path) -> std::io::Result<Vec<Duration>> {
    let there = data.ancestors().find(|path| path.is_dir());
    let folder = there.unwrap_or(Path::new("/"));
    let path = folder.join(format!(".petrel-doctor-{}", std::process::id()));
    let mut file = File::create_new(&path)?;
    // Its name is not needed, and must not be left.
    fs::remove_file(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let started = clock::now().mono;
        file.write_all(&[b'x'; 256])?;
        file.sync_data()?;
        times.push(clock::now().mono.saturating_sub(started));
    }
    times.sort_unstable();
    Ok(times)
}

fn descriptors() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let enough = hard / DESCRIPTORS_EACH;
    let verdict = match enough {
        ..10 => Verdict::Missing,
        few if few < SENSORS => Verdict::Less,
        _ => Verdict::Ok,
    };
    let shown = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    let found = format!(
        "{} open files, at most {}: enough for {} sensors",
        shown(limit.current),
        shown(limit.maximum),
        enough.min(1_000_000)
    );
    let cure = "raise it: LimitNOFILE=65536 in the systemd unit, or `ulimit -Hn 65536` as root";
    finding("open files", verdict, found, cure)
}

fn pipe_pages() -> Finding {
    let path = "/proc/sys/fs/pipe-user-pages-soft";
    let text = fs::read_to_string(path).unwrap_or_default();
    let pages: u64 = text.trim().parse().unwrap_or(0);
    let is_root = rustix::process::getuid().is_root();
    let sensors = pages / (3 * PIPE_PAGES);
    let enough = is_root || pages == 0 || sensors >= SENSORS;
    let verdict = if enough { Verdict::Ok } else { Verdict::Less };
    let found = match (is_root, pages) {
        (true, _) => format!("{pages} pages a user; root has no limit"),
        (_, 0) => "no limit".to_owned(),
        _ => format!("{pages} pages a user: pipes of {sensors} sensors are of full size"),
    };
    let cure = "sysctl fs.pipe-user-pages-soft=0 (more sensors work, with slower pipes)";
    finding("pipe pages", verdict, found, cure)
}

/// What the wrapper can do to itself.
fn isolation() -> Vec<Finding> {
    let probed = Wrapper::find().and_then(|wrapper| wrapper.probe());
    let text = match probed {
        Ok(text) => text,
        Err(e) => {
            let found = format!("the wrapper does not run: {e}");
            let cure = "reinstall petrel";
            return vec![finding("isolation", Verdict::Missing, found, cure)];
        }
    };
    let found: sensor_wrapper::probe::Found = serde_json::from_str(&text).unwrap_or_default();
    let is_root = rustix::process::getuid().is_root();
    let namespaces = "allow user namespaces: sysctl user.max_user_namespaces=15000 and, where they \
                      are there, kernel.unprivileged_userns_clone=1 and \
                      kernel.apparmor_restrict_unprivileged_userns=0; or run petrel as root";
    let user = match is_root {
        true => finding(
            "user",
            Verdict::Ok,
            "each strict pack is its own".to_owned(),
            "",
        ),
        false => {
            let found = "strict sensors run as you".to_owned();
            finding("user", Verdict::Less, found, "run petrel as root")
        }
    };
    vec![
        landlock(found.landlock),
        either(
            Feature::Seccomp,
            found.seccomp,
            "use a kernel with CONFIG_SECCOMP_FILTER",
        ),
        either(Feature::PrivateTmp, found.mounts, namespaces),
        either(Feature::Pidns, found.pidns, namespaces),
        user,
    ]
}

fn landlock(abi: i32) -> Finding {
    let cure = "use Linux 6.12 or newer, with landlock among the modules of the lsm= boot \
                parameter";
    let (verdict, found) = match abi {
        0 => (Verdict::Less, "not there".to_owned()),
        6.. => (Verdict::Ok, format!("ABI {abi}")),
        _ => (
            Verdict::Less,
            format!("ABI {abi}: it cannot limit all that it could"),
        ),
    };
    finding(Feature::Landlock.word(), verdict, found, cure)
}

fn either(feature: Feature, why_not: Option<String>, cure: &str) -> Finding {
    let (verdict, found) = match why_not {
        None => (Verdict::Ok, "works".to_owned()),
        Some(why) => (Verdict::Less, why),
    };
    finding(feature.word(), verdict, found, cure)
}

fn control_groups() -> Vec<Finding> {
    let delegate = "run petrel by systemd with Delegate=yes, or as root; without it trees are held \
                    by their group and a sweep";
    let probe = match cgroup::probe() {
        Ok(probe) => probe,
        Err(why) => return vec![either(Feature::Cgroup, Some(why), delegate)],
    };
    let found = format!("works, in {}", probe.own.display());
    let group = finding(Feature::Cgroup.word(), Verdict::Ok, found, delegate);
    let lacking = ["memory", "pids", "cpu"];
    let lacking = lacking
        .into_iter()
        .filter(|one| !probe.controllers.iter().any(|c| c == one));
    let lacking: Vec<&str> = lacking.collect();
    let (verdict, found) = match lacking.is_empty() {
        true => (Verdict::Ok, probe.controllers.join(", ")),
        false => (Verdict::Less, format!("without {}", lacking.join(", "))),
    };
    let cure = "limits.memory_max, tasks_max and cpu need them: boot with \
                systemd.unified_cgroup_hierarchy=1, and run petrel with Delegate=yes";
    vec![group, finding("controllers", verdict, found, cure)]
}

fn python_itself(interpreter: &Path) -> Finding {
    let script = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
    let (verdict, found) = match run_python(interpreter, &["-I", "-c", script], "") {
        Ok((true, text)) => {
            let verdict = match is_new_enough(text.trim()) {
                true => Verdict::Ok,
                false => Verdict::Missing,
            };
            (
                verdict,
                format!("{} is {}", interpreter.display(), text.trim()),
            )
        }
        Ok(_) => (
            Verdict::Missing,
            format!("{} does not run", interpreter.display()),
        ),
        Err(e) => (Verdict::Missing, format!("{}: {e}", interpreter.display())),
    };
    let cure = "install Python 3.8 or newer, or name one with `python:` in petrel.yaml";
    finding("python", verdict, found, cure)
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= PYTHON
}

/// uv, or else what a plain Python needs to make one.
fn environments(interpreter: &Path) -> Finding {
    if let Some(version) = version_of("uv") {
        return finding("environments", Verdict::Ok, version, "");
    }
    let modules = "import venv, ensurepip";
    let works = run_python(interpreter, &["-I", "-c", modules], "").is_ok_and(|(ok, _)| ok);
    let (verdict, found) = match works {
        true => (Verdict::Ok, "venv and ensurepip".to_owned()),
        false => (
            Verdict::Less,
            "neither uv nor venv with ensurepip".to_owned(),
        ),
    };
    let cure = "packs with requirements need one: install uv, or python3-venv";
    finding("environments", verdict, found, cure)
}

fn git() -> Finding {
    let version = version_of("git");
    let verdict = if version.is_some() {
        Verdict::Ok
    } else {
        Verdict::Less
    };
    let found = version.unwrap_or_else(|| "not there".to_owned());
    let cure = "`petrel pack install` of repositories needs it: install git";
    finding("git", verdict, found, cure)
}

fn sudo() -> Finding {
    let version = version_of("sudo");
    let verdict = if version.is_some() {
        Verdict::Ok
    } else {
        Verdict::Less
    };
    let found = version.unwrap_or_else(|| "not there".to_owned());
    let cure = "actions with `sudo: true` need it: install sudo";
    finding("sudo", verdict, found, cure)
}

/// The first line of `program --version`.
fn version_of(program: &str) -> Option<String> {
    let (ok, text) = run_python(Path::new(program), &["--version"], "").ok()?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    ok.then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_needed() {
        let found = data_folder(Path::new("/proc/nowhere"));
        assert_eq!(found.verdict, Verdict::Missing);
        assert!(!found.cure.is_empty());
        let folder = tempfile::tempdir().expect("a folder");
        let found = data_folder(&folder.path().join("not/yet"));
        assert_ne!(found.verdict, Verdict::Missing, "{found:?}");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
    }

    #[test]
    fn versions_of_python_are_compared_as_numbers() {
        for (version, enough) in [
            ("3.11.7", true),
            ("3.8.0", true),
            ("3.7.9", false),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), enough, "{version}");
        }
    }

    #[test]
    fn each_lack_has_its_cure() {
        for abi in 0..7 {
            let found = landlock(abi);
            assert_eq!(found.verdict == Verdict::Ok, found.cure.is_empty());
        }
    }
}
